//! Sorts events that arrive out of order by their times.
//!
//! Servers write some events a few moments late, and files of several servers are merged. So events
//! wait here until the watermark has passed them: the time before which no more events are
//! expected.

use std::cmp::{Ordering, Reverse};
use std::collections::{BinaryHeap, VecDeque};

use super::event::Source;

/// How late an event may come, in milliseconds of event time.
pub(crate) const LATENESS_MS: i64 = 5 * 60_000;

/// The maximum number of waiting events, so that memory is bounded if very many have the same time.
const WAITING_MAX: usize = 500_000;

/// A waiting event.
#[derive(Debug)]
pub(crate) struct TimedEvent<T> {
    /// Milliseconds since 1970.
    pub(crate) at: i64,
    /// The number of the event in the input: events with the same time stay in their order.
    sequence: u64,
    pub(crate) source: Source,
    pub(crate) says: T,
}

impl<T> TimedEvent<T> {
    fn key(&self) -> (i64, u64) {
        (self.at, self.sequence)
    }
}

impl<T> PartialEq for TimedEvent<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for TimedEvent<T> {}

impl<T> PartialOrd for TimedEvent<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for TimedEvent<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

/// The waiting events, oldest first.
#[derive(Debug)]
pub(crate) struct EventOrder<T> {
    /// Nearly all events: each is as old as the one before it, or newer.
    in_order: VecDeque<TimedEvent<T>>,
    /// Those that came late, and those whose time is far ahead of the one before.
    others: BinaryHeap<Reverse<TimedEvent<T>>>,
    waiting_max: usize,
    sequence: u64,
}

impl<T> EventOrder<T> {
    pub(crate) fn new() -> Self {
        Self::with_limit(WAITING_MAX)
    }

    fn with_limit(waiting_max: usize) -> Self {
        let (in_order, others) = (VecDeque::new(), BinaryHeap::new());
        Self { in_order, others, waiting_max, sequence: 0 }
    }

    pub(crate) fn push(&mut self, at: i64, source: Source, says: T) {
        self.sequence += 1;
        let event = TimedEvent { at, sequence: self.sequence, source, says };
        // One wrong time in the future does not make all others late.
        let is_next = |last: i64| (last..=last.saturating_add(LATENESS_MS)).contains(&at);
        if self.in_order.back().is_none_or(|last| is_next(last.at)) {
            self.in_order.push_back(event);
        } else {
            self.others.push(Reverse(event));
        }
    }

    /// Moves all events with the oldest time to the end of `events` if that is before `end`, or if
    /// too many wait.
    pub(crate) fn pop_before(&mut self, end: i64, events: &mut Vec<TimedEvent<T>>) -> Option<i64> {
        let first = self.in_order.front().map(|event| event.at);
        let other = self.others.peek().map(|Reverse(event)| event.at);
        let at = first.into_iter().chain(other).min()?;
        if at >= end && self.in_order.len() + self.others.len() <= self.waiting_max {
            return None;
        }
        let begin = events.len();
        if first == Some(at) {
            while self.in_order.front().is_some_and(|event| event.at == at) {
                events.extend(self.in_order.pop_front());
            }
        }
        if other == Some(at) {
            while self.others.peek().is_some_and(|Reverse(event)| event.at == at) {
                events.extend(self.others.pop().map(|Reverse(event)| event));
            }
            events.get_mut(begin..).unwrap_or_default().sort_by_key(|event| event.sequence);
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_leave_in_the_order_of_their_times_once_the_watermark_has_passed_them() {
        let mut order = EventOrder::new();
        for at in [5, 3, 9, 3] {
            order.push(at, 0, ());
        }
        let mut pop = |end| {
            let mut events = Vec::new();
            let at = order.pop_before(end, &mut events)?;
            Some((at, events.iter().map(|event| event.sequence).collect::<Vec<_>>()))
        };
        assert_eq!(pop(3), None);
        assert_eq!(pop(6), Some((3, vec![2, 4])));
        assert_eq!(pop(6), Some((5, vec![1])));
        assert_eq!(pop(6), None);
        assert_eq!(pop(i64::MAX), Some((9, vec![3])));
        assert_eq!(pop(i64::MAX), None);
    }

    #[test]
    fn events_that_come_late_or_with_a_wrong_time_do_not_change_the_order() {
        let mut order = EventOrder::new();
        let far = 100 * LATENESS_MS;
        let times = [10, far, 11, 9, 11, 12, 9, 20, 11, 19];
        times.iter().for_each(|&at| order.push(at, 0, ()));
        assert_eq!(order.others.len(), 5, "one time is far ahead, and four are late");
        let mut events = Vec::new();
        while order.pop_before(i64::MAX, &mut events).is_some() {}
        let found: Vec<_> = events.iter().map(TimedEvent::key).collect();
        let mut expected: Vec<_> = times.into_iter().zip(1..).collect();
        expected.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_hostile_number_of_events_at_one_time_takes_bounded_memory() {
        let mut order = EventOrder::with_limit(100);
        let mut events = Vec::new();
        for at in 0..110 {
            order.push(at, 0, ());
            order.pop_before(0, &mut events);
        }
        assert_eq!((order.in_order.len(), events.len()), (100, 10));
    }
}
