//! The tasks that wait at the gate: futures that found no room, and how each is woken.
//!
//! A waker is code of the embedder, and so are its clone and drop: such a drop may end a future
//! that waits here too. No code of a waker is called while the list is locked.

use std::collections::BTreeMap;
use std::task::Waker;

/// The place of a task in the list, from its first wait on. It outlives the wake-up: then it is a
/// place that the list no longer has.
pub(crate) type TaskPlace = Option<u64>;

#[derive(Debug, Default)]
pub(crate) struct Tasks {
    wakers: BTreeMap<u64, Waker>,
    next_place: u64,
}

impl Tasks {
    /// Adds a task, or changes its waker. Returns its previous waker.
    pub(crate) fn put(&mut self, place: &mut TaskPlace, waker: Waker) -> Option<Waker> {
        let place = *place.get_or_insert_with(|| {
            self.next_place += 1;
            self.next_place
        });
        self.wakers.insert(place, waker)
    }

    /// Removes a task, unless it was woken before.
    pub(crate) fn remove(&mut self, place: &mut TaskPlace) -> Option<Waker> {
        self.wakers.remove(&place.take()?)
    }

    /// Removes all tasks, in the order in which they came.
    pub(crate) fn take(&mut self) -> BTreeMap<u64, Waker> {
        std::mem::take(&mut self.wakers)
    }
}
