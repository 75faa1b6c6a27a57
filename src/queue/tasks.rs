//! The tasks that wait at the gate: futures that were told that there is no room, and how each is
//! woken.
//!
//! A waker is code of the embedder, and so is what it is cloned and dropped with: such a drop may end
//! a future that waits here too. Nothing of a waker is called while the list is locked.

use std::collections::BTreeMap;
use std::task::Waker;

/// The place of a task in the list, from its first wait on. It outlives being woken: then it is a
/// place that the list no longer has.
pub(crate) type TaskPlace = Option<u64>;

#[derive(Debug, Default)]
pub(crate) struct Tasks {
    wakers: BTreeMap<u64, Waker>,
    next_place: u64,
}

impl Tasks {
    /// Adds a task, or changes how it is woken. Gives the waker that it had until now.
    pub(crate) fn put(&mut self, place: &mut TaskPlace, waker: Waker) -> Option<Waker> {
        let place = *place.get_or_insert_with(|| {
            self.next_place += 1;
            self.next_place
        });
        self.wakers.insert(place, waker)
    }

    /// Takes a task out, unless it was woken before.
    pub(crate) fn remove(&mut self, place: &mut TaskPlace) -> Option<Waker> {
        self.wakers.remove(&place.take()?)
    }

    /// Takes all tasks out, those that came first first.
    pub(crate) fn take(&mut self) -> BTreeMap<u64, Waker> {
        std::mem::take(&mut self.wakers)
    }
}
