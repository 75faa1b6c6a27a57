//! What the task of a connection is told to do, and how it learns of it.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Waker};

/// What a connection is told to do. Its phase only advances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ShutdownPhase {
    Serve,
    /// The server hands over: take one more request, whose answer says that the connection closes.
    LastRequest,
    /// It was idle for too long: finish the requests in flight, take no more.
    Finish,
    /// The server stops: the same, and do not wait for a request whose head has not arrived.
    Stop,
    /// End now.
    End,
}

/// The phase of one connection, and the waker of its task.
#[derive(Debug)]
pub(super) struct ShutdownControl {
    phase: AtomicU8,
    waker: OnceLock<Waker>,
}

impl ShutdownControl {
    pub(super) const fn new(phase: ShutdownPhase) -> Self {
        Self { phase: AtomicU8::new(phase as u8), waker: OnceLock::new() }
    }

    pub(super) fn advance(&self, phase: ShutdownPhase) {
        // After the phase, so that a task that is just being polled for the first time sees it.
        if self.phase.fetch_max(phase as u8, Ordering::SeqCst) < phase as u8 {
            self.wake();
        }
    }

    pub(super) fn phase(&self) -> ShutdownPhase {
        match self.phase.load(Ordering::SeqCst) {
            phase if phase == ShutdownPhase::Serve as u8 => ShutdownPhase::Serve,
            phase if phase == ShutdownPhase::LastRequest as u8 => ShutdownPhase::LastRequest,
            phase if phase == ShutdownPhase::Finish as u8 => ShutdownPhase::Finish,
            phase if phase == ShutdownPhase::Stop as u8 => ShutdownPhase::Stop,
            _ => ShutdownPhase::End,
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// What the task of the connection should do. The task is woken when that changes.
    pub(super) fn poll_phase(&self, context: &Context<'_>) -> ShutdownPhase {
        if self.waker.get().is_none() {
            // The waker of a spawned task stays the same. Only its task gets here.
            let _ = self.waker.set(context.waker().clone());
        }
        self.phase()
    }
}
