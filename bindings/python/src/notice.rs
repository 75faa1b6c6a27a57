//! `on_notice`: a function of Python that threads of the library call.

use std::cell::Cell;

use cdrlog::Notice;
use pyo3::prelude::*;

use crate::errors::WouldDeadlock;

thread_local! {
    /// Whether this thread is giving a notice: a call that waits for the threads of the library
    /// would wait for ever.
    static IS_GIVING: Cell<bool> = const { Cell::new(false) };
}

/// Passes notices on as sentences for the log.
pub fn listener(callback: Py<PyAny>) -> impl Fn(&Notice) + Send + Sync + 'static {
    move |notice| {
        let message = notice.to_string();
        IS_GIVING.set(true);
        // Nothing is told while the interpreter ends.
        Python::try_attach(|py| {
            if let Err(error) = callback.call1(py, (message,)) {
                error.write_unraisable(py, Some(callback.bind(py)));
            }
        });
        IS_GIVING.set(false);
    }
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
