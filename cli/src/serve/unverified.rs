//! The memory of bodies that nobody vouches for yet: those whose signature is over the body, as
//! OpenVidu Meet's is.
//!
//! Anybody can send a made-up signature, so these bodies have a memory of their own, and take
//! nothing from others. A body that arrives in one piece, as small ones do, is checked at once and
//! takes nothing here. If there is no room for a larger one, the body that has been here longest
//! makes way: a sender's arrives within milliseconds, one that is held back on purpose does not.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::body_budget::{Account, BodyError};

/// The memory, and who uses how much of it.
#[derive(Debug)]
pub(super) struct Unverified {
    bytes_max: usize,
    bodies: Mutex<Bodies>,
}

#[derive(Debug, Default)]
struct Bodies {
    bytes: usize,
    next: u64,
    /// By number, so the oldest one comes first.
    all: BTreeMap<u64, Body>,
}

#[derive(Debug)]
struct Body {
    bytes: usize,
    /// Dropped if the body has to make way, which ends its request.
    _keep: oneshot::Sender<()>,
}

impl Unverified {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self { bytes_max, bodies: Mutex::default() }
    }

    /// Adds a new body. Also returns what becomes ready once it has to make way.
    pub(super) fn begin(&self) -> (Hold<'_>, oneshot::Receiver<()>) {
        let (keep, displaced) = oneshot::channel();
        (Hold { unverified: self, keep: Some(keep), number: 0 }, displaced)
    }

    pub(super) fn bytes(&self) -> usize {
        self.bodies().bytes
    }

    fn bodies(&self) -> MutexGuard<'_, Bodies> {
        self.bodies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one body takes, returned when it is dropped.
#[derive(Debug)]
pub(super) struct Hold<'a> {
    unverified: &'a Unverified,
    /// Until the body takes something.
    keep: Option<oneshot::Sender<()>>,
    number: u64,
}

impl Account for Hold<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        let bodies = &mut *self.unverified.bodies();
        if let Some(keep) = self.keep.take() {
            self.number = bodies.next;
            bodies.next += 1;
            bodies.all.insert(self.number, Body { bytes: 0, _keep: keep });
        }
        let own = bodies.all.get_mut(&self.number).ok_or(BodyError::Displaced)?;
        own.bytes += bytes;
        bodies.bytes += bytes;
        while bodies.bytes > self.unverified.bytes_max {
            let Some((number, oldest)) = bodies.all.pop_first() else { break };
            bodies.bytes -= oldest.bytes;
            if number == self.number {
                return Err(BodyError::Displaced);
            }
        }
        Ok(())
    }

    /// It is checked at once.
    fn take_whole(&mut self, _: usize) -> Result<(), BodyError> {
        Ok(())
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if self.keep.is_some() {
            return;
        }
        let bodies = &mut *self.unverified.bodies();
        if let Some(own) = bodies.all.remove(&self.number) {
            bodies.bytes -= own.bytes;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_body_makes_room_and_is_told() {
        let unverified = Unverified::new(100);
        let (mut oldest, mut oldest_displaced) = unverified.begin();
        let (mut middle, mut middle_displaced) = unverified.begin();
        let (mut newest, mut newest_displaced) = unverified.begin();
        oldest.grow(40).unwrap();
        middle.grow(40).unwrap();
        newest.grow(60).unwrap();
        use oneshot::error::TryRecvError::{Closed, Empty};
        assert_eq!(oldest_displaced.try_recv(), Err(Closed));
        assert_eq!(middle_displaced.try_recv(), Err(Empty));
        assert_eq!(unverified.bytes(), 100);
        assert_eq!(oldest.grow(1), Err(BodyError::Displaced));
        drop(oldest);
        assert_eq!(unverified.bytes(), 100);
        drop(middle);
        assert_eq!(unverified.bytes(), 60);
        assert_eq!(newest_displaced.try_recv(), Err(Empty));
        assert_eq!(newest.grow(50), Err(BodyError::Displaced), "it has more than all may have");
        drop(newest);
        assert_eq!(unverified.bytes(), 0);
    }

    #[test]
    fn a_body_that_is_whole_takes_nothing() {
        let unverified = Unverified::new(10);
        let (mut hold, mut displaced) = unverified.begin();
        hold.take_whole(1000).unwrap();
        assert_eq!(unverified.bytes(), 0);
        assert_eq!(displaced.try_recv(), Err(oneshot::error::TryRecvError::Empty));
    }
}
