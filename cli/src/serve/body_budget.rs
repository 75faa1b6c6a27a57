//! The memory of request bodies: how much they may take together, and what each one takes.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLarge,
    TooSlow,
    /// The bodies of other requests take all the memory that bodies may have.
    NoMemory,
    /// Nobody vouches for it yet, and it had to make way for others of its kind.
    Displaced,
    /// The peer broke off, or its framing is wrong.
    Broken,
}

/// The memory that bodies take from their first byte until the queue has them; the queue has limits
/// of its own.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl Budget {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), bytes_max }
    }

    /// Bytes of bodies that are not in the queue yet.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// Counts the bytes of a body as they arrive.
pub(super) trait Account {
    fn grow(&mut self, bytes: usize) -> Result<(), BodyError>;

    /// The body arrived in one piece.
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
