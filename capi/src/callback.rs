//! Calls of functions of the embedder, on threads of the library.

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::failure::Failure;
use crate::result::cdrlog_result::*;

/// How many callbacks run now, on all threads: a send looks here first, which costs less than a
/// look at what belongs to the thread.
static RUNNING: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Refuses a call that waits for a thread that may be waiting for this callback.
pub(crate) const WOULD_DEADLOCK: Failure = Failure::fixed(
    CDRLOG_WOULD_DEADLOCK,
    c"a callback must not wait for the thread that it runs on; call from another thread",
);

/// Runs a callback. Calls that would wait for the thread that it runs on are refused meanwhile.
pub(crate) fn run(callback: impl FnOnce()) {
    RUNNING.fetch_add(1, Ordering::Relaxed);
    let before = IS_RUNNING.replace(true);
    callback();
    IS_RUNNING.set(before);
    RUNNING.fetch_sub(1, Ordering::Relaxed);
}

/// Whether this thread is running a callback.
#[inline]
pub(crate) fn is_running() -> bool {
    RUNNING.load(Ordering::Relaxed) > 0 && is_running_here()
}

/// Not inlined: the compiler would look for what belongs to the thread before it knows whether to.
#[inline(never)]
fn is_running_here() -> bool {
    IS_RUNNING.get()
}

/// Refuses a call that waits for the threads of an appender, if a callback makes it.
pub(crate) fn refuse_wait() -> Result<(), Failure> {
    if is_running() { Err(WOULD_DEADLOCK) } else { Ok(()) }
}

/// What the embedder gave for its callback to get back. Only the callback looks at it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Context(pub(crate) *mut std::ffi::c_void);

#[expect(unsafe_code, reason = "a pointer that goes to another thread")]
// SAFETY: this library never follows it. The header says that callbacks run on other threads.
unsafe impl Send for Context {}

#[expect(unsafe_code, reason = "a pointer that goes to another thread")]
// SAFETY: as for `Send`.
unsafe impl Sync for Context {}
