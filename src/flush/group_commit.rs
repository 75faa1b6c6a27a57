//! Lets requests for a sync gather, so that one sync answers many: group commit, as in databases.

use std::time::{Duration, Instant};

/// The maximum time that requests gather.
const GATHER_MAX: Duration = Duration::from_millis(2);

/// How long to wait for one more: half of the duration of a sync, within these bounds.
const LOOK_MIN: Duration = Duration::from_micros(50);
const LOOK_MAX: Duration = Duration::from_micros(500);

/// When the next sync for requests is due.
///
/// At the end of a sync, the senders that it answered may soon be back, and new ones have arrived:
/// together they are the expected group. The next sync waits for the group as long as more of it
/// arrive. A single sender is a group of one, and waits for nobody.
#[derive(Debug, Default)]
pub(crate) struct GroupCommit {
    expected: usize,
    look: Duration,
    /// When the first request was seen, how many there were at the last check that found more, and
    /// the time of the next check.
    gathering: Option<(Instant, usize, Instant)>,
}

impl GroupCommit {
    /// When the sync for `waiting` requests is due or must be checked again; `None` if there are
    /// none.
    pub(crate) fn due_at(&mut self, waiting: usize, now: Instant) -> Option<Instant> {
        if waiting == 0 {
            self.gathering = None;
            return None;
        }
        let look_at = now + self.look;
        let (since, seen, due) = self.gathering.get_or_insert((now, waiting, look_at));
        if waiting >= self.expected {
            return Some(*since);
        }
        if waiting > *seen {
            (*seen, *due) = (waiting, look_at.min(*since + GATHER_MAX));
        }
        Some(*due)
    }

    /// A sync took this long and answered some requests; the others wait for the next one.
    pub(crate) fn note_sync(&mut self, answered: usize, waiting: usize, took: Duration) {
        self.gathering = None;
        if answered > 0 {
            self.expected = answered + waiting;
            self.look = (took / 2).clamp(LOOK_MIN, LOOK_MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    #[test]
    fn who_is_alone_waits_for_nobody() {
        let (mut group, now) = (GroupCommit::default(), Instant::now());
        assert_eq!(group.due_at(0, now), None);
        for _ in 0..3 {
            assert_eq!(group.due_at(1, now), Some(now));
            group.note_sync(1, 0, MS);
        }
    }

    #[test]
    fn the_next_group_is_those_who_were_answered_and_those_who_came_meanwhile() {
        let (mut group, now) = (GroupCommit::default(), Instant::now());
        group.note_sync(20, 44, MS);
        assert_eq!(group.due_at(44, now), Some(now + MS / 2));
        assert_eq!(group.due_at(63, now + MS / 2), Some(now + MS));
        assert_eq!(group.due_at(64, now + MS / 2), Some(now));
    }

    #[test]
    fn a_group_is_waited_for_as_long_as_somebody_comes_and_no_longer() {
        let (mut group, now) = (GroupCommit::default(), Instant::now());
        group.note_sync(64, 0, MS);
        assert_eq!(group.due_at(1, now), Some(now + MS / 2));
        assert_eq!(group.due_at(2, now + MS / 4), Some(now + MS * 3 / 4));
        assert_eq!(group.due_at(2, now + MS * 3 / 4), Some(now + MS * 3 / 4));
        assert_eq!(group.due_at(3, now + MS * 7 / 4), Some(now + GATHER_MAX));
        group.note_sync(1, 0, MS);
        assert_eq!(group.due_at(1, now + MS), Some(now + MS));
    }

    #[test]
    fn a_sync_that_answered_nobody_says_nothing_about_the_group() {
        let (mut group, now) = (GroupCommit::default(), Instant::now());
        group.note_sync(8, 0, MS);
        group.note_sync(0, 0, MS);
        assert_eq!(group.due_at(1, now), Some(now + MS / 2));
    }
}
