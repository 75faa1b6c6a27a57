//! `on_notice`: a function of Python that threads of the library call.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use cdrlog::Notice;
use pyo3::prelude::*;

use crate::errors::WouldDeadlock;

thread_local! {
    /// Whether this thread is giving a notice: a call that waits for the threads of the library
    /// would wait for ever.
    static IS_GIVING: Cell<bool> = const { Cell::new(false) };
}

/// How many notices are being given, on all threads of the process `PROCESS_ID`. A forked child has
/// none of them.
static GIVEN_NOW: AtomicUsize = AtomicUsize::new(0);
static PROCESS_ID: AtomicU32 = AtomicU32::new(0);

/// The interpreter is about to end: it ends threads that run Python then, in the middle of a call of
/// this module, which has no place for that.
static IS_ENDING: AtomicBool = AtomicBool::new(false);

/// How long the end of the program waits for notices that are being given.
const END_WAIT: Duration = Duration::from_secs(5);
const END_POLL: Duration = Duration::from_millis(1);

/// A notice that is being given.
struct Giving;

impl Giving {
    /// `None` once the interpreter is about to end.
    fn begin() -> Option<Self> {
        GIVEN_NOW.fetch_add(1, Ordering::SeqCst);
        IS_GIVING.set(true);
        let giving = Self;
        // After it was counted: whoever ends the interpreter looks at the count after saying so.
        if IS_ENDING.load(Ordering::SeqCst) { None } else { Some(giving) }
    }
}

impl Drop for Giving {
    fn drop(&mut self) {
        IS_GIVING.set(false);
        GIVEN_NOW.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Passes notices on as sentences for the log.
pub fn listener(callback: Py<PyAny>) -> impl Fn(&Notice) + Send + Sync + 'static {
    // Under the GIL, and before the first notice in a forked child.
    let own = std::process::id();
    if PROCESS_ID.swap(own, Ordering::SeqCst) != own {
        GIVEN_NOW.store(0, Ordering::SeqCst);
    }
    move |notice| {
        let Some(_giving) = Giving::begin() else { return };
        let message = notice.to_string();
        // Nothing is told while the interpreter ends.
        Python::try_attach(|py| {
            if let Err(error) = callback.call1(py, (message,)) {
                error.write_unraisable(py, Some(callback.bind(py)));
            }
        });
    }
}

/// Gives no notice any more, and waits for those that are being given. For `atexit`.
#[pyfunction]
pub fn end_notices(py: Python<'_>) {
    IS_ENDING.store(true, Ordering::SeqCst);
    py.detach(|| {
        let end = Instant::now() + END_WAIT;
        while PROCESS_ID.load(Ordering::SeqCst) == std::process::id()
            && GIVEN_NOW.load(Ordering::SeqCst) > 0
            && Instant::now() < end
        {
            thread::sleep(END_POLL);
        }
    });
}

/// # Errors
///
/// `WouldDeadlock` on a thread that is giving a notice.
pub fn may_wait() -> PyResult<()> {
    if IS_GIVING.get() {
        return Err(WouldDeadlock::new_err("on_notice must not wait for what it holds up"));
    }
    Ok(())
}
