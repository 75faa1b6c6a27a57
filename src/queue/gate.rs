//! The gate of the queue: lets senders in as long as there is room, and keeps the others waiting.
//!
//! Three counts that only grow: the cost of all who asked to get in, of those who were refused, and
//! of what was taken out again. The *load* is what is left of the first. A sender asks by one
//! `fetch_add`, whose result is its *ticket*: who asks after another's `send` returned gets a larger
//! one.
//!
//! A sender that is refused is part of the load until it says so. Whoever looks meanwhile sees less
//! room than there is, and nobody may go to sleep on that for good: the refused sender looks for
//! waiters itself, as the receiver does after it made room.
//!
//! No wake-up is missed. A waiter counts itself, then looks for room. The receiver, a refused sender
//! and a close each change the load, then look for waiters. All have a fence (SeqCst) between the
//! two steps, so their fences have one order. The last of those who change the load sees what all of
//! them did, and the waiter where its fence is after the waiter's; where it is before, the waiter
//! sees the room.

use crossbeam_utils::CachePadded;

use crate::loom::sync::atomic::{AtomicU64, AtomicUsize, Ordering, fence};
use crate::loom::sync::{Condvar, Mutex, PoisonError};

/// The top bit of the count of those who asked: nobody is let in any more.
const CLOSED: u64 = 1 << 63;

/// Why a sender was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    Full,
    Closed,
}

/// A sender was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Larger than that of every event whose `send` returned before.
    pub(crate) ticket: u64,
    /// This is the event by which the load came to be half of what it may be.
    pub(crate) is_half_full: bool,
}

#[derive(Debug)]
pub(crate) struct Gate {
    /// Written by senders only, once for each event.
    entered: CachePadded<AtomicU64>,
    /// Written by the receiver only, once for each batch.
    left: CachePadded<AtomicU64>,
    /// Written where the queue is full.
    refused: CachePadded<Refused>,
    load_max: u64,
}

#[derive(Debug)]
struct Refused {
    cost: AtomicU64,
    /// How many senders wait, or are about to.
    waiting: AtomicUsize,
    mutex: Mutex<()>,
    room: Condvar,
}

impl Gate {
    /// A gate that lets in a cost of `load_max` at the same time.
    pub(crate) fn new(load_max: u64) -> Self {
        Self {
            entered: CachePadded::new(AtomicU64::new(0)),
            left: CachePadded::new(AtomicU64::new(0)),
            refused: CachePadded::new(Refused {
                cost: AtomicU64::new(0),
                waiting: AtomicUsize::new(0),
                mutex: Mutex::new(()),
                room: Condvar::new(),
            }),
            load_max,
        }
    }

    /// Lets `cost` in. What costs more than the gate ever lets in at one time
    /// is let in alone, while nothing else is in.
    ///
    /// A sender that is in pushes its event; a closed gate with a load of zero therefore means an
    /// empty queue for good.
    #[inline]
    pub(crate) fn enter(&self, cost: u64) -> Result<Entry, Refusal> {
        // Looked up before: seen afterwards it could be of senders that came later, and one too
        // many would be let in.
        let gone = self.gone();
        let before = self.entered.fetch_add(cost, Ordering::SeqCst);
        if before & CLOSED != 0 {
            self.refuse(cost);
            return Err(Refusal::Closed);
        }
        // Unsigned and never negative: what is gone had entered before.
        let load = before - gone;
        if load != 0 && load + cost > self.load_max {
            self.refuse(cost);
            return Err(Refusal::Full);
        }
        let half = self.load_max / 2;
        Ok(Entry { ticket: before, is_half_full: load <= half && load + cost > half })
    }

    /// A sender that asked for room of `cost` does not use it: it was not let in, or the queue had
    /// no place for its event.
    #[cold]
    pub(crate) fn refuse(&self, cost: u64) {
        self.refused.cost.fetch_add(cost, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        // Others may have seen the load without the room that this one took and did not need: a
        // waiter that went to sleep, or the receiver that woke nobody.
        if self.has_waiting() && self.is_half_free() {
            self.wake_waiting();
        }
    }

    /// What came in with a cost of `cost` is out again, all of it in one batch. Whoever called this
    /// looks next whether there is room enough to wake those who wait.
    pub(crate) fn leave(&self, cost: u64) {
        self.left.fetch_add(cost, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    fn gone(&self) -> u64 {
        self.left.load(Ordering::Acquire) + self.refused.cost.load(Ordering::Acquire)
    }

    /// The cost of what is in now; more than that while a sender is being refused, never less.
    pub(crate) fn load(&self) -> u64 {
        let gone = self.gone();
        // SeqCst, as the `fetch_add` of a sender: see `Waker::wake_if_idle`.
        (self.entered.load(Ordering::SeqCst) & !CLOSED) - gone
    }

    pub(crate) const fn load_max(&self) -> u64 {
        self.load_max
    }

    /// Whether `cost` would be let in now.
    pub(crate) fn has_room(&self, cost: u64) -> bool {
        let load = self.load();
        load == 0 || load + cost <= self.load_max
    }

    /// Whether at least half of the room is free: senders are woken then, and not for each event
    /// that is taken out.
    pub(crate) fn is_half_free(&self) -> bool {
        self.load() <= self.load_max / 2
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.entered.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Waits until `has_room`, or the gate is closed. The mutex keeps a wake-up that comes between
    /// the look and the sleep.
    #[cold]
    pub(crate) fn wait(&self, has_room: impl Fn() -> bool) {
        let Refused { waiting, mutex, room, .. } = &*self.refused;
        waiting.fetch_add(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        let mut guard = mutex.lock().unwrap_or_else(PoisonError::into_inner);
        while !has_room() && !self.is_closed() {
            guard = room.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        drop(guard);
        waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether somebody waits for room.
    pub(crate) fn has_waiting(&self) -> bool {
        self.refused.waiting.load(Ordering::Acquire) > 0
    }

    /// Wakes all who wait, to look for room again.
    pub(crate) fn wake_waiting(&self) {
        if self.has_waiting() {
            drop(self.refused.mutex.lock().unwrap_or_else(PoisonError::into_inner));
            self.refused.room.notify_all();
        }
    }

    /// Lets nobody in any more.
    pub(crate) fn close(&self) {
        self.entered.fetch_or(CLOSED, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        self.wake_waiting();
    }
}
