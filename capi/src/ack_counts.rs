//! How many events are acknowledged without a gap, at each level.

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use cdrlog_core::{Ack, AckError, Durability, Position};
use rustix::event::{EventfdFlags, eventfd};

use crate::failure::Failure;
use crate::outcome::on_outcome;
use crate::result::cdrlog_result::*;

/// The counts of the three levels, and an eventfd for all of them.
pub(crate) struct Counts {
    levels: [Level; 3],
    event_fd: OnceLock<OwnedFd>,
    /// A forked child has no thread that brings an outcome, and locks may be lost in it.
    process_id: u32,
}

#[derive(Default)]
struct Level {
    acked: AtomicU64,
    rejected: AtomicU64,
    open: Mutex<Open>,
    changed: Condvar,
}

/// The events after those that are counted.
#[derive(Default)]
struct Open {
    /// How many events there are, those that are counted too.
    begun: u64,
    /// Of the events after those that are counted; none once one has failed, because the count
    /// stays where it is then.
    outcomes: VecDeque<Option<Outcome>>,
    /// Of the first of them: it stays the first.
    failure: Option<Failure>,
}

/// What became of an event.
enum Outcome {
    Line,
    Rejected,
    Failed(Failure),
}

impl From<Result<Position, AckError>> for Outcome {
    fn from(outcome: Result<Position, AckError>) -> Self {
        match outcome {
            Ok(_) => Self::Line,
            Err(AckError::Rejected(_)) => Self::Rejected,
            Err(error) => Self::Failed(error.into()),
        }
    }
}

impl Level {
    fn open(&self) -> MutexGuard<'_, Open> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes part in the count from now on; gives the number of the event.
    fn begin(&self) -> u64 {
        let mut open = self.open();
        if open.failure.is_none() {
            open.outcomes.push_back(None);
        }
        open.begun += 1;
        open.begun
    }

    /// Whether that changes what is counted.
    fn end(&self, number: u64, outcome: Outcome) -> bool {
        let mut open = self.open();
        if open.failure.is_some() {
            return false;
        }
        let before = self.acked.load(Ordering::Relaxed);
        let index = usize::try_from(number - before - 1).unwrap_or(usize::MAX);
        let Some(place) = open.outcomes.get_mut(index) else {
            unreachable!("an outcome for event {number}, which was not begun");
        };
        *place = Some(outcome);
        let (acked, rejected) = open.advance();
        self.rejected.fetch_add(rejected, Ordering::Relaxed);
        self.acked.store(before + acked, Ordering::Release);
        let is_changed = acked > 0 || open.failure.is_some();
        drop(open);
        if is_changed {
            self.changed.notify_all();
        }
        is_changed
    }
}

impl Open {
    /// Takes the events that are acknowledged from the front; gives how many there were, and how
    /// many of them were rejected.
    fn advance(&mut self) -> (u64, u64) {
        let (mut acked, mut rejected) = (0, 0);
        while let Some(Some(outcome)) = self.outcomes.front() {
            match outcome {
                Outcome::Line => {}
                Outcome::Rejected => rejected += 1,
                Outcome::Failed(failure) => {
                    self.failure = Some(failure.clone());
                    self.outcomes = VecDeque::new();
                    break;
                }
            }
            acked += 1;
            self.outcomes.pop_front();
        }
        (acked, rejected)
    }
}

impl Counts {
    pub(crate) fn new() -> Self {
        let levels = std::array::from_fn(|_| Level::default());
        Self { levels, event_fd: OnceLock::new(), process_id: std::process::id() }
    }

    const fn level(&self, durability: Durability) -> &Level {
        let [journaled, written, synced] = &self.levels;
        match durability {
            Durability::Journaled => journaled,
            Durability::Written => written,
            Durability::Synced => synced,
        }
    }

    /// Counts an event when its acknowledgement comes; gives its number.
    pub(crate) fn count(self: &Arc<Self>, ack: Ack, durability: Durability) -> u64 {
        let number = self.level(durability).begin();
        let counts = self.clone();
        on_outcome(ack, move |outcome| {
            if counts.level(durability).end(number, outcome.into()) {
                counts.signal();
            }
        });
        number
    }

    pub(crate) fn acked(&self, durability: Durability) -> u64 {
        self.level(durability).acked.load(Ordering::Acquire)
    }

    pub(crate) fn rejected(&self, durability: Durability) -> u64 {
        self.level(durability).rejected.load(Ordering::Relaxed)
    }

    pub(crate) fn failure(&self, durability: Durability) -> Option<Failure> {
        if self.is_in_child() {
            return Some(Failure::closed());
        }
        self.level(durability).open().failure.clone()
    }

    /// Waits until that many events are acknowledged.
    pub(crate) fn wait(
        &self,
        durability: Durability,
        number: u64,
        timeout: Option<Duration>,
    ) -> Result<(), Failure> {
        let level = self.level(durability);
        let end = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        if self.is_in_child() {
            return Err(Failure::closed());
        }
        let mut open = level.open();
        while level.acked.load(Ordering::Acquire) < number {
            if let Some(failure) = &open.failure {
                return Err(failure.clone());
            }
            let Some(end) = end else {
                open = level.changed.wait(open).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Failure::fixed(
                    CDRLOG_TIMED_OUT,
                    c"the events are not acknowledged yet",
                ));
            }
            let waited = level.changed.wait_timeout(open, left);
            open = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        Ok(())
    }

    /// The eventfd; made by the first call.
    pub(crate) fn event_fd(&self) -> Result<RawFd, Failure> {
        if let Some(event_fd) = self.event_fd.get() {
            return Ok(event_fd.as_raw_fd());
        }
        // Readable from the start: nobody knows what was acknowledged before.
        let made = eventfd(1, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)
            .map_err(|error| Failure::system(&error.into()))?;
        Ok(self.event_fd.get_or_init(|| made).as_raw_fd())
    }

    fn signal(&self) {
        if let Some(event_fd) = self.event_fd.get() {
            // It fails only where the count is full, and then it is readable.
            let _ = rustix::io::write(event_fd, &1_u64.to_ne_bytes());
        }
    }

    fn is_in_child(&self) -> bool {
        self.process_id != std::process::id()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_counted_without_a_gap_whatever_the_order_of_their_outcomes() {
        let level = Level::default();
        let numbers: Vec<_> = (0..4).map(|_| level.begin()).collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
        assert!(!level.end(2, Outcome::Rejected), "the first has no outcome");
        assert_eq!(level.acked.load(Ordering::Relaxed), 0);
        assert!(level.end(1, Outcome::Line));
        assert_eq!(level.acked.load(Ordering::Relaxed), 2);
        assert_eq!(level.rejected.load(Ordering::Relaxed), 1);
        assert!(!level.end(4, Outcome::Line), "the third has no outcome");
        assert!(level.end(3, Outcome::Line));
        assert_eq!((level.acked.load(Ordering::Relaxed), level.begin()), (4, 5));
    }

    #[test]
    fn the_count_stops_for_good_before_an_event_that_failed() {
        let level = Level::default();
        assert_eq!((0..3).map(|_| level.begin()).last(), Some(3));
        assert!(level.end(1, Outcome::Line));
        assert!(level.end(2, Outcome::Failed(Failure::closed())), "nobody would be told");
        assert!(!level.end(3, Outcome::Line));
        assert_eq!(level.acked.load(Ordering::Relaxed), 1);
        // A server that goes on for weeks does not gather what nobody will be told.
        assert_eq!((level.begin(), level.begin()), (4, 5));
        assert!(!level.end(4, Outcome::Line));
        assert!(level.open().outcomes.is_empty());
        assert_eq!(level.open().failure.as_ref().map(|failure| failure.code), Some(CDRLOG_CLOSED));
    }
}
