//! The atomics, locks and condition variables of the hand-shakes between threads: the standard
//! library's, or those of loom, which explores every order of them.

#[cfg(not(loom))]
pub(crate) mod sync {
    pub(crate) use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
    pub(crate) mod atomic {
        pub(crate) use std::sync::atomic::{
            AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
        };
    }
}

#[cfg(loom)]
pub(crate) mod sync {
    pub(crate) use std::sync::PoisonError;

    pub(crate) use loom::sync::{Condvar, Mutex, MutexGuard};
    pub(crate) mod atomic {
        pub(crate) use loom::sync::atomic::{
            AtomicBool, AtomicU8, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
        };
    }
}

#[cfg(not(loom))]
pub(crate) mod thread {
    pub(crate) use std::thread::{Thread, current, park_timeout};
}

#[cfg(loom)]
pub(crate) mod thread {
    pub(crate) use loom::thread::{Thread, current};

    /// No time passes in a model: a wake-up that is missed is a thread that sleeps for good.
    pub(crate) fn park_timeout(_timeout: std::time::Duration) {
        loom::thread::park();
    }
}

/// Tracks the users of each byte of a piece of memory: a model fails if two threads use it, one of
/// them to write, without an order between them.
///
/// A use is noted when a slice is made. That is enough: the slice ends before its thread stores the
/// counter that gives the bytes away, because the calls that store it borrow what lent the slice.
#[cfg(loom)]
pub(crate) struct Uses(Box<[loom::cell::UnsafeCell<()>]>);

#[cfg(loom)]
#[expect(clippy::indexing_slicing, reason = "only models use it")]
impl Uses {
    pub(crate) fn new(bytes: usize) -> Self {
        Self((0..bytes).map(|_| loom::cell::UnsafeCell::new(())).collect())
    }

    pub(crate) fn read(&self, range: std::ops::Range<usize>) {
        self.0[range].iter().for_each(|byte| byte.with(|_| ()));
    }

    pub(crate) fn write(&self, range: std::ops::Range<usize>) {
        self.0[range].iter().for_each(|byte| byte.with_mut(|_| ()));
    }
}
