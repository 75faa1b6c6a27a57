//! How long the rewriter thread sleeps when it has processed everything.
//!
//! Each wake-up costs some microseconds, whatever there is to do, and each waiting event takes
//! memory that must be read again. So the thread sleeps for as long as an event may wait, but wakes
//! before the queue is half full, or before the waiting bytes leave the processor's cache.

use std::time::{Duration, Instant};

/// The system's timer is about this late.
const SLEEP_MIN: Duration = Duration::from_micros(50);

/// How many bytes may gather while they are still in the cache.
const GATHER_BYTES: u64 = 256 << 10;

/// After this long without an event, the next one wakes the thread.
const IDLE_AFTER: Duration = Duration::from_secs(1);

/// What determines the sleeps of a thread.
#[derive(Debug)]
pub(super) struct Rhythm {
    /// The maximum time that an event may be unseen.
    sleep_max: Duration,
    /// The bytes, and events, that may arrive during a sleep.
    bytes_max: u64,
    events_max: u64,
    /// Since the last sleep started.
    bytes: u64,
    events: u64,
    since: Instant,
    /// The time of the last event.
    busy_at: Instant,
}

impl Rhythm {
    /// For a queue of at most `queue_events` and `queue_bytes`.
    pub(super) fn new(sleep_max: Duration, queue_events: usize, queue_bytes: u64) -> Self {
        let now = Instant::now();
        Self {
            sleep_max,
            bytes_max: (queue_bytes / 2).min(GATHER_BYTES),
            events_max: queue_events as u64 / 2,
            bytes: 0,
            events: 0,
            since: now,
            busy_at: now,
        }
    }

    /// This much was taken from the queue.
    pub(super) fn note(&mut self, events: u64, bytes: u64) {
        self.events += events;
        self.bytes += bytes;
    }

    /// Everything that was not seen yet was sent after this time.
    pub(super) fn slept_since(&self) -> Instant {
        self.since
    }

    /// The thread was idle until `now`, when the first event came.
    pub(super) fn end_idle(&mut self, now: Instant) {
        self.since = now;
    }

    /// How long to sleep from `now` on; `None` if there is nothing to wake up for before the next
    /// event.
    pub(super) fn next_sleep(&mut self, now: Instant) -> Option<Duration> {
        let elapsed = now.saturating_duration_since(self.since);
        let (events, bytes) = (std::mem::take(&mut self.events), std::mem::take(&mut self.bytes));
        self.since = now;
        if events > 0 {
            self.busy_at = now;
        } else if now.saturating_duration_since(self.busy_at) >= IDLE_AFTER {
            return None;
        }
        let at_this_rate = |count: u64, count_max: u64| match count {
            0 => self.sleep_max,
            _ => elapsed.mul_f64(count_max as f64 / count as f64),
        };
        let until_gathered = at_this_rate(bytes, self.bytes_max);
        let until_half_full = at_this_rate(events, self.events_max);
        Some(until_gathered.min(until_half_full).clamp(SLEEP_MIN, self.sleep_max.max(SLEEP_MIN)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn rhythm() -> Rhythm {
        Rhythm::new(5 * MS, 1 << 15, 16 << 20)
    }

    #[test]
    fn few_events_are_let_gather_for_as_long_as_they_may() {
        let mut rhythm = rhythm();
        let now = rhythm.since;
        rhythm.note(5, 1500);
        assert_eq!(rhythm.next_sleep(now + 5 * MS), Some(5 * MS));
        assert_eq!(rhythm.next_sleep(now + 10 * MS), Some(5 * MS));
    }

    #[test]
    fn many_are_taken_while_they_are_in_the_cache() {
        let mut rhythm = rhythm();
        let now = rhythm.since;
        rhythm.note(1000, 512 << 10);
        assert_eq!(rhythm.next_sleep(now + 2 * MS), Some(MS));
        rhythm.note(1 << 20, 256 << 20);
        assert_eq!(rhythm.next_sleep(now + 3 * MS), Some(SLEEP_MIN));
    }

    #[test]
    fn small_ones_are_taken_before_the_places_are_half_full() {
        let mut rhythm = rhythm();
        let now = rhythm.since;
        rhythm.note(1 << 15, 1 << 15);
        assert_eq!(rhythm.next_sleep(now + 2 * MS), Some(MS));
    }

    #[test]
    fn after_a_second_without_one_the_next_event_is_waited_for() {
        let mut rhythm = rhythm();
        let now = rhythm.since;
        rhythm.note(1, 1);
        assert!(rhythm.next_sleep(now).is_some());
        assert!(rhythm.next_sleep(now + 999 * MS).is_some());
        assert_eq!(rhythm.next_sleep(now + 1000 * MS), None);
        rhythm.note(1, 1);
        assert!(rhythm.next_sleep(now + 1001 * MS).is_some());
    }
}
