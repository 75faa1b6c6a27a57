//! Calls a function with the outcome of an event, on the thread that brings it.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use cdrlog_core::{Ack, AckError, Position};

/// An acknowledgement that is not there yet, and what to do then.
struct Pending<F>(Mutex<Option<(Ack, F)>>);

/// Calls `then` once: now if the outcome is there already, else on the thread of the library that
/// brings it.
pub(crate) fn on_outcome(ack: Ack, then: impl FnOnce(Result<Position, AckError>) + Send + 'static) {
    Arc::new(Pending(Mutex::new(Some((ack, then))))).poll();
}

impl<F: FnOnce(Result<Position, AckError>) + Send + 'static> Pending<F> {
    fn poll(self: Arc<Self>) {
        let waker = Waker::from(self.clone());
        let mut pending = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((ack, _)) = pending.as_mut() else { return };
        let Poll::Ready(outcome) = Pin::new(ack).poll(&mut Context::from_waker(&waker)) else {
            return;
        };
        let then = pending.take().map(|(_, then)| then);
        drop(pending);
        if let Some(then) = then {
            then(outcome);
        }
    }
}

impl<F: FnOnce(Result<Position, AckError>) + Send + 'static> Wake for Pending<F> {
    fn wake(self: Arc<Self>) {
        self.poll();
    }
}
