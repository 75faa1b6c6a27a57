//! Slots whose handle was freed, to be used again.

#![expect(unsafe_code, reason = "a lock that a forked child does not wait for")]

use std::cell::UnsafeCell;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicU32, Ordering};

/// This many free slots of a type are not used again: a program that frees a handle twice, or uses
/// it after that, gets an error and not the handle of another part of the program.
pub(crate) const FREE_SLOTS_MIN: usize = 64;

/// Slots to be used again, the one that was freed first at the front.
pub(crate) struct FreeSlots<S: 'static> {
    /// The process of the thread that has the list; 0 if none has. In a forked child another number
    /// than its own is that of its parent, whose thread is not there to give the list back.
    holder: AtomicU32,
    slots: UnsafeCell<VecDeque<&'static S>>,
}

// SAFETY: the list is reached only by the thread that holds it, and threads may share its slots.
unsafe impl<S: Sync> Sync for FreeSlots<S> {}

/// Gives the list back when it is dropped.
struct Held<'slots>(&'slots AtomicU32);

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.store(0, Ordering::Release);
    }
}

impl<S> FreeSlots<S> {
    pub(crate) const fn new() -> Self {
        Self { holder: AtomicU32::new(0), slots: UnsafeCell::new(VecDeque::new()) }
    }

    /// Uses the list while no other thread does. `None` in a forked child, if another thread of its
    /// parent had the list at the fork.
    fn with<R>(&self, run: impl FnOnce(&mut VecDeque<&'static S>) -> R) -> Option<R> {
        let own = std::process::id();
        while let Err(holder) =
            self.holder.compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed)
        {
            if holder != own {
                return None;
            }
            std::thread::yield_now();
        }
        let _held = Held(&self.holder);
        // SAFETY: this thread holds the list until the end of this function.
        Some(run(unsafe { &mut *self.slots.get() }))
    }

    pub(crate) fn pop(&self) -> Option<&'static S> {
        self.with(|slots| if slots.len() > FREE_SLOTS_MIN { slots.pop_front() } else { None })?
    }

    /// In a forked child that lost the list, the slot is not used again.
    pub(crate) fn push(&self, slot: &'static S) {
        let _ = self.with(|slots| slots.push_back(slot));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_that_was_in_use_at_a_fork_is_not_waited_for_in_the_child() {
        let slots = FreeSlots::new();
        slots.push(&0);
        // What a child sees: a thread of another process has it, and is not here to give it back.
        slots.holder.store(std::process::id() ^ 1, Ordering::Relaxed);
        (0..2 * FREE_SLOTS_MIN).for_each(|_| slots.push(&1));
        assert_eq!(slots.pop(), None);
        slots.holder.store(0, Ordering::Relaxed);
        (0..FREE_SLOTS_MIN).for_each(|_| slots.push(&2));
        assert_eq!(slots.pop(), Some(&0));
        assert_eq!(slots.pop(), None);
    }
}
