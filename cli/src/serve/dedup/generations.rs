//! The keys of the window, in two generations.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use super::key::{Key, KeyHash};

/// Acknowledged keys: each is kept for at least the window and at most twice as long, unless more
/// than `keys_max` came after it.
///
/// A new key goes to the young generation. Once that is as old as the window, or full, it becomes
/// the old one, and the previous old one is dropped whole. So no search for keys to forget is
/// needed, and no list of them: a lookup touches one table of 4 MiB, and the first quarter of a MiB
/// of another.
///
/// Written by hand: a library's cache with a time to live (`moka` for example) evicts by use and in
/// the background, while this table must forget the oldest events first.
#[derive(Debug)]
pub(super) struct Generations {
    window: Duration,
    keys_max: usize,
    young: HashSet<Key, KeyHash>,
    old: HashSet<Key, KeyHash>,
    /// Since when keys have gone to the young generation.
    begun_at: Instant,
    /// When the last of them was added.
    last_at: Instant,
}

impl Generations {
    /// Remembers the last `keys_max` keys of `window`, and up to as many before them.
    pub(super) fn new(window: Duration, keys_max: usize, now: Instant) -> Self {
        Self {
            window,
            keys_max,
            young: HashSet::default(),
            old: HashSet::default(),
            begun_at: now,
            last_at: now,
        }
    }

    pub(super) fn contains(&self, key: &Key) -> bool {
        self.young.contains(key) || self.old.contains(key)
    }

    pub(super) fn insert(&mut self, key: Key, now: Instant) {
        if self.young.len() >= self.keys_max {
            self.advance(now);
        }
        self.young.insert(key);
        self.last_at = now;
    }

    /// Forgets keys that are too old.
    pub(super) fn forget_older(&mut self, now: Instant) {
        if now.saturating_duration_since(self.begun_at) <= self.window {
            return;
        }
        let is_quiet = now.saturating_duration_since(self.last_at) > self.window;
        self.advance(now);
        if is_quiet {
            // All of the young ones are too old as well.
            self.old.clear();
        }
    }

    /// The young generation becomes the old one. The tables keep their memory.
    fn advance(&mut self, now: Instant) {
        std::mem::swap(&mut self.young, &mut self.old);
        self.young.clear();
        self.begun_at = now;
    }

    /// How many keys are remembered. A key may be counted twice.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn key(number: u32) -> Key {
        Key::of_line(format!("{{\"e\":{{\"n\":{number}}}}}\n").as_bytes()).unwrap()
    }

    #[test]
    fn a_key_stays_for_the_window_at_least_and_for_twice_as_long_at_most() {
        let begin = Instant::now();
        // Quiet times of up to three windows, and bursts.
        let pauses = [0, 1, 0, 20, 59, 1, 1, 61, 0, 30, 31, 29, 119, 121, 5, 5, 5, 180, 0, 7];
        let mut generations = Generations::new(WINDOW, usize::MAX, begin);
        let mut inserted: Vec<(Key, Instant)> = Vec::new();
        let mut now = begin;
        for number in 0..1000_u32 {
            now += Duration::from_secs(pauses[(number * 7 % 20) as usize]);
            generations.forget_older(now);
            for (key, at) in &inserted {
                let age = now - *at;
                let is_known = generations.contains(key);
                assert!(is_known || age > WINDOW, "forgotten after {age:?}");
                assert!(!is_known || age <= 2 * WINDOW, "still known after {age:?}");
            }
            inserted.retain(|(key, _)| generations.contains(key));
            generations.insert(key(number), now);
            inserted.push((key(number), now));
        }
    }

    #[test]
    fn the_last_keys_stay_however_many_come_and_no_more_than_twice_as_many() {
        let now = Instant::now();
        let mut generations = Generations::new(WINDOW, 100, now);
        for number in 0..1000 {
            generations.insert(key(number), now);
            assert!(generations.len() <= 200);
            let first = number.saturating_sub(99);
            assert!((first..=number).all(|number| generations.contains(&key(number))));
        }
    }
}
