//! Lets those who wait for a sync gather, so that one sync answers many: the group commit of
//! databases.

use std::time::{Duration, Instant};

/// The longest time that those who wait are let gather.
const GATHER_MAX: Duration = Duration::from_millis(2);

/// How long to wait for one more to come: half of what a sync takes, within these bounds.
const LOOK_MIN: Duration = Duration::from_micros(50);
const LOOK_MAX: Duration = Duration::from_micros(500);

/// When the next sync is to answer those who wait for one.
///
/// At the end of a sync, those whom it answered may be back soon, and those who came meanwhile are
/// there: together they are the expected group. The next sync waits for the group as long as more of
/// it come. Somebody who was alone is a group of one, and waits for nobody.
#[derive(Debug, Default)]
pub(crate) struct GroupCommit {
    expected: usize,
    look: Duration,
    /// When the first one was seen to wait, how many waited at the last look that found more, and
    /// when the next look is.
    gathering: Option<(Instant, usize, Instant)>,
}

impl GroupCommit {
    /// When the sync for those who wait, `waiting` of them, is due or is to be looked at again; `None`
    /// where nobody waits.
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

    /// A sync `took` so long, and answered some; others wait for the next one.
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
