//! `on_notice`: a function of Python that threads of the library call.

use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use cdrlog::Notice;
use pyo3::exceptions::PyTypeError;
use pyo3::gc::{PyTraverseError, PyVisit};
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

/// The function, until the appender is closed: often it is a method of what owns the appender, and
/// both are garbage then. Locked with the GIL alone, and not while Python runs.
#[derive(Clone, Default)]
pub struct Callback(Arc<Mutex<Option<Py<PyAny>>>>);

impl Callback {
    /// # Errors
    ///
    /// `TypeError` if it is no function.
    pub fn set(&self, function: &Bound<'_, PyAny>) -> PyResult<()> {
        if !function.is_callable() {
            return Err(PyTypeError::new_err("on_notice is not callable"));
        }
        *self.lock() = Some(function.clone().unbind());
        Ok(())
    }

    pub fn forget(&self) {
        let function = self.lock().take();
        drop(function);
    }

    pub fn traverse(&self, visit: &PyVisit<'_>) -> Result<(), PyTraverseError> {
        visit.call(&*self.lock())
    }

    fn get<'py>(&self, py: Python<'py>) -> Option<Bound<'py, PyAny>> {
        self.lock().as_ref().map(|function| function.clone_ref(py).into_bound(py))
    }

    fn lock(&self) -> MutexGuard<'_, Option<Py<PyAny>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Passes notices on as sentences for the log.
pub fn listener(callback: Callback) -> impl Fn(&Notice) + Send + Sync + 'static {
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
            let Some(function) = callback.get(py) else { return };
            if let Err(error) = function.call1((message,)) {
                error.write_unraisable(py, Some(&function));
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
