//! Sorts events that arrive out of order by their times.
//!
//! Servers write some events a few moments late, and files of several servers are merged. So events
//! wait here until the watermark has passed them: the time before which no more events are
//! expected.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use super::event::Source;

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
    pub(crate) says: Box<T>,
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
    waiting: BinaryHeap<Reverse<TimedEvent<T>>>,
    waiting_max: usize,
    sequence: u64,
}

impl<T> EventOrder<T> {
    pub(crate) fn new() -> Self {
        Self::with_limit(WAITING_MAX)
    }

    fn with_limit(waiting_max: usize) -> Self {
        Self { waiting: BinaryHeap::new(), waiting_max, sequence: 0 }
    }

    pub(crate) fn push(&mut self, at: i64, source: Source, says: T) {
        self.sequence += 1;
        let says = Box::new(says);
        self.waiting.push(Reverse(TimedEvent { at, sequence: self.sequence, source, says }));
    }

    /// Moves all events with the oldest time to `events` if that is before `end`, or if too many
    /// wait.
    pub(crate) fn pop_before(&mut self, end: i64, events: &mut Vec<TimedEvent<T>>) -> Option<i64> {
        let at = self.waiting.peek().map(|Reverse(event)| event.at)?;
        if at >= end && self.waiting.len() <= self.waiting_max {
            return None;
        }
        while self.waiting.peek().is_some_and(|Reverse(event)| event.at == at) {
            events.extend(self.waiting.pop().map(|Reverse(event)| event));
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
    fn a_hostile_number_of_events_at_one_time_takes_bounded_memory() {
        let mut order = EventOrder::with_limit(100);
        let mut events = Vec::new();
        for at in 0..110 {
            order.push(at, 0, ());
            order.pop_before(0, &mut events);
        }
        assert_eq!((order.waiting.len(), events.len()), (100, 10));
    }
}
