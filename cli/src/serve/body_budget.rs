//! The memory of request bodies: how much all of them may take, and what each one takes.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLarge,
    TooSlow,
    /// Bodies of other requests take all memory that bodies may have.
    NoMemory,
    /// Nobody vouches for it yet, and it had to make room for others of its kind.
    Displaced,
    /// The peer broke off, or its framing is wrong.
    Broken,
}

/// The memory that bodies take from their first byte here until the queue has them, which bounds what
/// it holds itself.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl Budget {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), bytes_max }
    }

    /// Bytes of bodies that the queue does not have yet.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// What counts the bytes of a body as they come.
pub(super) trait Account {
    fn grow(&mut self, bytes: usize) -> Result<(), BodyError>;

    /// The body has come in one piece.
    fn take_whole(&mut self, bytes: usize) -> Result<(), BodyError> {
        self.grow(bytes)
    }
}

/// A share of the budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl<'a> Share<'a> {
    pub(super) const fn new(budget: &'a Budget) -> Self {
        Self { budget, bytes: 0 }
    }
}

impl Account for Share<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        self.bytes += bytes;
        let before = self.budget.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.budget.bytes_max {
            return Err(BodyError::NoMemory);
        }
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}
