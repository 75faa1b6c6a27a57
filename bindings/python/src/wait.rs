//! Waits without the GIL that a signal can end, such as that of Ctrl-C: Python's handler of a signal
//! runs on the main thread, and only while that holds the GIL.

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use pyo3::prelude::*;

/// How long a thread waits between two looks for a signal.
pub const SIGNAL_POLL: Duration = Duration::from_millis(200);

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Waits for a future.
///
/// # Errors
///
/// What a handler of a signal raises: the future is dropped then.
pub fn wait_for<T: Send>(py: Python<'_>, future: impl Future<Output = T> + Send) -> PyResult<T> {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    loop {
        if let Some(outcome) = py.detach(|| wait_for_some_time(future.as_mut(), &waker)) {
            return Ok(outcome);
        }
        py.check_signals()?;
    }
}

/// `None` if it is not ready before the next look for a signal.
fn wait_for_some_time<T>(
    mut future: Pin<&mut impl Future<Output = T>>,
    waker: &Waker,
) -> Option<T> {
    let end = Instant::now() + SIGNAL_POLL;
    loop {
        if let Poll::Ready(outcome) = future.as_mut().poll(&mut Context::from_waker(waker)) {
            return Some(outcome);
        }
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return None;
        }
        thread::park_timeout(left);
    }
}
