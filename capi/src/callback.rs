//! Calls of functions of the embedder, on threads of the library.

use std::cell::Cell;

use crate::failure::Failure;
use crate::result::cdrlog_result::*;

thread_local! {
    static IS_RUNNING: Cell<bool> = const { Cell::new(false) };
}

/// Runs a callback. Calls that would wait for the thread that it runs on are refused meanwhile.
pub(crate) fn run(callback: impl FnOnce()) {
    let before = IS_RUNNING.replace(true);
    callback();
    IS_RUNNING.set(before);
}

/// Refuses a call that waits for the threads of an appender, if a callback makes it.
pub(crate) fn refuse_wait() -> Result<(), Failure> {
    if IS_RUNNING.get() {
        return Err(Failure::fixed(
            CDRLOG_WOULD_DEADLOCK,
            c"a callback must not wait for the thread that it runs on; call from another thread",
        ));
    }
    Ok(())
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
