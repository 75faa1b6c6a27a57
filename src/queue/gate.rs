//! The gate of the queue: lets senders in as long as there is room, and makes the others wait.
//!
//! Three counts that only grow: the cost of everything that asked to get in, of what was refused,
//! and of what was taken out again. The *load* is the first minus the other two. A sender asks by
//! one `fetch_add`, whose result is its *ticket*: if a sender asks after another one's `send`
//! returned, its ticket is larger.
//!
//! A refused sender is part of the load until it says so. Anybody who checks meanwhile sees less
//! room than there is, and must not sleep on that for good: the refused sender checks for waiters
//! itself, as the receiver does after it made room.
//!
//! No wake-up is missed. A waiter counts itself, then checks for room. The receiver, a refused
//! sender and a close each change the load, then check for waiters. All have a SeqCst fence between
//! the two steps, so their fences have one order. The last of those who change the load sees what
//! all of them did. It sees the waiter if its fence is after the waiter's; if its fence is before,
//! the waiter sees the room.
//!
//! A waiter is a thread, which sleeps, or a task of a runtime, whose waker is kept (`tasks.rs`).
//! Both count themselves and check for room in the same way.
//!
//! Room can be reserved for an event that does not exist yet. It is part of the load, and counted
//! once more separately, so that a closed gate does not wait for it: everything that was ever
//! reserved, and everything that was given up again. The former is counted after it is in the load,
//! the latter before it leaves the load. Whoever reads what was reserved, then the load, then what
//! was given up, therefore never sees fewer events than there are.

use std::task::{Poll, Waker};

use crossbeam_utils::CachePadded;

use super::tasks::{TaskPlace, Tasks};
use crate::contain::contain;
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
    /// This event made the load reach half of its maximum.
    pub(crate) is_half_full: bool,
}

#[derive(Debug)]
pub(crate) struct Gate {
    /// Written only by senders, once per event.
    entered: CachePadded<AtomicU64>,
    /// Written only by the receiver, once per batch.
    left: CachePadded<AtomicU64>,
    /// Written when the queue is full.
    refused: CachePadded<Refused>,
    load_max: u64,
}

#[derive(Debug)]
struct Refused {
    cost: AtomicU64,
    /// The cost of all room that was ever reserved.
    kept: AtomicU64,
    /// How much of that was given up.
    given_up: AtomicU64,
    /// The number of senders that wait, threads and tasks, or are about to.
    waiting: AtomicUsize,
    tasks: Mutex<Tasks>,
    room: Condvar,
}

impl Gate {
    /// A gate with a maximum load of `load_max`.
    pub(crate) fn new(load_max: u64) -> Self {
        Self {
            entered: CachePadded::new(AtomicU64::new(0)),
            left: CachePadded::new(AtomicU64::new(0)),
            refused: CachePadded::new(Refused {
                cost: AtomicU64::new(0),
                kept: AtomicU64::new(0),
                given_up: AtomicU64::new(0),
                waiting: AtomicUsize::new(0),
                tasks: Mutex::new(Tasks::default()),
                room: Condvar::new(),
            }),
            load_max,
        }
    }

    /// Lets `cost` in. A cost above the maximum load is let in alone, while nothing else is in.
    ///
    /// A sender that was let in pushes its event; a closed gate with a load of zero therefore means
    /// that the queue is empty for good.
    #[inline]
    pub(crate) fn enter(&self, cost: u64) -> Result<Entry, Refusal> {
        // Read first: afterwards it could include senders that came later, and one too many would
        // be let in.
        let gone = self.gone();
        let before = self.entered.fetch_add(cost, Ordering::SeqCst);
        if before & CLOSED != 0 {
            self.refuse(cost);
            return Err(Refusal::Closed);
        }
        // Unsigned and never negative: what has left had entered before.
        let load = before - gone;
        if load != 0 && load + cost > self.load_max {
            self.refuse(cost);
            return Err(Refusal::Full);
        }
        let half = self.load_max / 2;
        Ok(Entry { ticket: before, is_half_full: load <= half && load + cost > half })
    }

    /// A sender that asked for room of `cost` does not use it.
    #[cold]
    pub(crate) fn refuse(&self, cost: u64) {
        self.refuse_unless_seen(cost, || false);
    }

    /// Like [`refuse`](Self::refuse); `is_seen_to` says whether the receiver still has so much to
    /// take out that it will check for waiters itself, so that they are not woken in vain.
    #[cold]
    pub(crate) fn refuse_unless_seen(&self, cost: u64, is_seen_to: impl FnOnce() -> bool) {
        self.refused.cost.fetch_add(cost, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        // Others may have seen the load without the room that this one took and did not need: a
        // waiter that went to sleep, or the receiver that woke nobody.
        if self.has_waiting() && self.is_half_free() && !is_seen_to() {
            self.wake_waiting();
        }
    }

    /// Reserves room of `cost` for a future event.
    pub(crate) fn keep(&self, cost: u64) -> Result<Entry, Refusal> {
        let entry = self.enter(cost)?;
        self.refused.kept.fetch_add(cost, Ordering::AcqRel);
        Ok(entry)
    }

    /// Gives up reserved room; `is_seen_to` as in [`refuse_unless_seen`](Self::refuse_unless_seen).
    pub(crate) fn give_up(&self, cost: u64, is_seen_to: impl FnOnce() -> bool) {
        let before = self.refused.given_up.fetch_add(cost, Ordering::AcqRel);
        let kept = self.refused.kept.load(Ordering::Acquire);
        assert!(before + cost <= kept, "more room is given up than was kept");
        self.refuse_unless_seen(cost, is_seen_to);
    }

    /// Like [`enter`](Self::enter), for a sender with reserved room of `kept`: with a cost of at
    /// most that, it is let in unless the gate is closed. The sender gives up the reservation once
    /// its event is in; until then both are part of the load.
    pub(crate) fn enter_kept(&self, cost: u64, kept: u64) -> Result<u64, Refusal> {
        let gone = self.gone();
        let before = self.entered.fetch_add(cost, Ordering::SeqCst);
        if before & CLOSED != 0 {
            self.refuse(cost);
            return Err(Refusal::Closed);
        }
        let load = before - gone - kept;
        if cost > kept && load != 0 && load + cost > self.load_max {
            self.refuse(cost);
            return Err(Refusal::Full);
        }
        Ok(before)
    }

    /// Until [`reopen`](Self::reopen), lets only senders with reserved room in.
    pub(crate) fn shut(&self) {
        self.entered.fetch_add(self.load_max, Ordering::AcqRel);
        self.refused.kept.fetch_add(self.load_max, Ordering::AcqRel);
    }

    pub(crate) fn reopen(&self) {
        self.give_up(self.load_max, || false);
    }

    /// Everything with a total cost of `cost` has left, in one batch. The caller must then check
    /// whether there is enough room to wake those who wait.
    pub(crate) fn leave(&self, cost: u64) {
        self.left.fetch_add(cost, Ordering::AcqRel);
        fence(Ordering::SeqCst);
    }

    fn gone(&self) -> u64 {
        self.left.load(Ordering::Acquire) + self.refused.cost.load(Ordering::Acquire)
    }

    /// The cost of what is in now, including reserved room; more while a sender is being refused,
    /// never less.
    pub(crate) fn load(&self) -> u64 {
        let gone = self.gone();
        // SeqCst, like the `fetch_add` of a sender: see `Waker::wake_if_idle`.
        (self.entered.load(Ordering::SeqCst) & !CLOSED) - gone
    }

    pub(crate) const fn load_max(&self) -> u64 {
        self.load_max
    }

    /// The load without reserved room; more while others reserve room or give it up, never less.
    pub(crate) fn load_of_events(&self) -> u64 {
        let kept = self.refused.kept.load(Ordering::Acquire);
        let load = self.load();
        let given_up = self.refused.given_up.load(Ordering::Acquire);
        // Negative if more was reserved since, and given up already.
        load - kept.saturating_sub(given_up)
    }

    /// Whether `cost` would be let in now.
    pub(crate) fn has_room(&self, cost: u64) -> bool {
        let load = self.load();
        load == 0 || load + cost <= self.load_max
    }

    /// Whether at least half of the room that is not reserved is free: senders are woken then, and
    /// not for each event that is taken out.
    pub(crate) fn is_half_free(&self) -> bool {
        let Refused { kept, given_up, .. } = &*self.refused;
        let kept = kept.load(Ordering::Acquire).saturating_sub(given_up.load(Ordering::Acquire));
        // More than everything is reserved while the gate is shut.
        self.load_of_events() <= self.load_max.saturating_sub(kept) / 2
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.entered.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Waits until `has_room`, or the gate is closed. The lock keeps a wake-up that comes between
    /// the check and the sleep.
    #[cold]
    pub(crate) fn wait(&self, has_room: impl Fn() -> bool) {
        let Refused { waiting, tasks, room, .. } = &*self.refused;
        waiting.fetch_add(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        let mut guard = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while !has_room() && !self.is_closed() {
            guard = room.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
        drop(guard);
        waiting.fetch_sub(1, Ordering::AcqRel);
    }

    /// Ready when `has_room`, or the gate is closed; otherwise `waker` is called when that may be
    /// so.
    #[cold]
    pub(crate) fn poll_wait(
        &self,
        place: &mut TaskPlace,
        waker: &Waker,
        has_room: impl Fn() -> bool,
    ) -> Poll<()> {
        let Refused { waiting, tasks, .. } = &*self.refused;
        let waker = waker.clone();
        waiting.fetch_add(1, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        let mut guard = tasks.lock().unwrap_or_else(PoisonError::into_inner);
        let before = guard.put(place, waker);
        if before.is_some() {
            // It was counted when it arrived.
            waiting.fetch_sub(1, Ordering::AcqRel);
        }
        // Under the lock, after the waker is in the list: whoever makes room later finds it there.
        let is_ready = has_room() || self.is_closed();
        drop(guard);
        drop(before);
        if is_ready {
            self.stop_waiting(place);
            return Poll::Ready(());
        }
        Poll::Pending
    }

    /// The task stops waiting. It takes no wake-up away from others: all are woken at the same
    /// time.
    pub(crate) fn stop_waiting(&self, place: &mut TaskPlace) {
        if place.is_none() {
            return;
        }
        let Refused { waiting, tasks, .. } = &*self.refused;
        let removed = tasks.lock().unwrap_or_else(PoisonError::into_inner).remove(place);
        if removed.is_some() {
            waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }

    /// Whether somebody waits for room.
    pub(crate) fn has_waiting(&self) -> bool {
        self.refused.waiting.load(Ordering::Acquire) > 0
    }

    /// Wakes everybody who waits, to check for room again.
    pub(crate) fn wake_waiting(&self) {
        if !self.has_waiting() {
            return;
        }
        let Refused { waiting, tasks, room, .. } = &*self.refused;
        let woken = tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        waiting.fetch_sub(woken.len(), Ordering::AcqRel);
        room.notify_all();
        for waker in woken.into_values() {
            contain(|| waker.wake());
        }
    }

    /// Closes the gate: nobody is let in any more.
    pub(crate) fn close(&self) {
        self.entered.fetch_or(CLOSED, Ordering::AcqRel);
        fence(Ordering::SeqCst);
        self.wake_waiting();
    }
}
