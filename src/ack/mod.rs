//! Acknowledged sends: the sender learns what became of its event.
//!
//! The requested level and the outcome share one small allocation, an [`Arc`], which goes through
//! the queue with the event.

mod pending;

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::contain::contain;
use crate::error::FlushError;
use crate::rewrite::Rejection;

pub(crate) use pending::{Acks, FilePlace, PendingAck};

/// The state that an event must reach before its [`Ack`] is ready. The [table of
/// promises](crate#promises) says what each survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Durability {
    /// Its line is committed in the journal: it survives `kill -9`, but **not** a power loss.
    Journaled,
    /// Its line was written to the CDR file by `write(2)`: readers see it. Survives the same as
    /// `Journaled`.
    Written,
    /// An `fdatasync(2)` of the CDR file returned after the write: it survives a power loss too.
    Synced,
}

/// Where the line of an acknowledged event is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Position {
    /// The CDR file. With [`Durability::Journaled`], the file that the line will be written to,
    /// unless that file is replaced first.
    pub file: Arc<Path>,
    /// The offset of the line's first byte in the file.
    pub offset: u64,
    /// The length of the line in bytes, including the line feed.
    pub line_bytes: u64,
}

/// Why an event did not become a line.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum AckError {
    /// The body is not an event. It is in the rejects file, or on its way there, as safe as a
    /// journaled line.
    Rejected(Rejection),
    /// The event did not reach the requested level: the appender gave up or ended first, or a sync
    /// has failed. The line may be in the file all the same.
    Failed(FlushError),
}

impl fmt::Display for AckError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rejected(rejection) => write!(f, "the body is not an event: {rejection}"),
            Self::Failed(error) => error.fmt(f),
        }
    }
}

impl Error for AckError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Rejected(rejection) => Some(rejection),
            Self::Failed(error) => Some(error),
        }
    }
}

type Outcome = Result<Position, AckError>;

/// What sender and threads share.
struct Shared {
    durability: Durability,
    state: Mutex<State>,
    done: Condvar,
}

struct State {
    outcome: Option<Outcome>,
    waker: Option<Waker>,
    /// A thread waits for `done`. A condition variable makes a system call for each notification,
    /// even if nobody waits.
    has_waiting_thread: bool,
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A future that is ready when an event has reached its [`Durability`], or never will.
///
/// Created by [`Producer::send_acked`](crate::Producer::send_acked). It needs no particular
/// runtime, and none at all with [`wait`](Self::wait). Dropping it discards the answer, not the
/// event.
#[must_use = "an acknowledgement must be awaited or waited for"]
pub struct Ack(Arc<Shared>);

impl Ack {
    /// Waits for the outcome on this thread.
    ///
    /// # Errors
    ///
    /// [`AckError`] if the event did not become a line of that durability.
    pub fn wait(self) -> Result<Position, AckError> {
        let mut state = self.0.state();
        loop {
            match state.outcome.take() {
                Some(outcome) => return outcome,
                None => {
                    state.has_waiting_thread = true;
                    state = self.0.done.wait(state).unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    /// Waits for the outcome on this thread, for at most `timeout`.
    ///
    /// # Errors
    ///
    /// The acknowledgement itself if there is no outcome by then, so that it can be waited for
    /// again. The inner result is that of [`wait`](Self::wait).
    pub fn wait_timeout(self, timeout: Duration) -> Result<Result<Position, AckError>, Self> {
        let end = Instant::now().checked_add(timeout);
        let mut state = self.0.state();
        loop {
            if let Some(outcome) = state.outcome.take() {
                return Ok(outcome);
            }
            let left = match end {
                Some(end) => end.saturating_duration_since(Instant::now()),
                None => timeout,
            };
            if left.is_zero() {
                drop(state);
                return Err(self);
            }
            state.has_waiting_thread = true;
            let waited = self.0.done.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl Future for Ack {
    type Output = Result<Position, AckError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let mut state = self.0.state();
        if let Some(outcome) = state.outcome.take() {
            return Poll::Ready(outcome);
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(context.waker()),
            none => *none = Some(context.waker().clone()),
        }
        Poll::Pending
    }
}

impl fmt::Debug for Ack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ack").field("durability", &self.0.durability).finish_non_exhaustive()
    }
}

/// The other end of an [`Ack`]. If it is dropped without an outcome, the outcome is that the
/// appender ended, so that nobody waits for ever.
pub(crate) struct Acked(Arc<Shared>);

/// What goes through the queue with an event, and the acknowledgement for its sender.
pub(crate) fn acked(durability: Durability) -> (Acked, Ack) {
    let shared = Arc::new(Shared {
        durability,
        state: Mutex::new(State { outcome: None, waker: None, has_waiting_thread: false }),
        done: Condvar::new(),
    });
    (Acked(shared.clone()), Ack(shared))
}

impl Acked {
    pub(crate) fn durability(&self) -> Durability {
        self.0.durability
    }

    /// Sets the outcome. Only the first call counts.
    pub(crate) fn complete(&self, outcome: Outcome) {
        let mut state = self.0.state();
        if state.outcome.is_some() {
            return;
        }
        state.outcome = Some(outcome);
        let (waker, has_waiting_thread) = (state.waker.take(), state.has_waiting_thread);
        drop(state);
        if has_waiting_thread {
            self.0.done.notify_all();
        }
        if let Some(waker) = waker {
            contain(|| waker.wake());
        }
    }
}

impl Drop for Acked {
    fn drop(&mut self) {
        self.complete(Err(AckError::Failed(FlushError::Closed)));
    }
}

impl fmt::Debug for Acked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acked").field("durability", &self.0.durability).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::Wake;

    const _: fn() = || {
        fn is_send_and_sync<T: Send + Sync>() {}
        is_send_and_sync::<Ack>();
    };

    fn position() -> Position {
        Position { file: Path::new("CDR.log").into(), offset: 7, line_bytes: 3 }
    }

    #[test]
    fn the_outcome_comes_to_the_one_who_waits() {
        let (acked, ack) = acked(Durability::Written);
        let ack = ack.wait_timeout(Duration::from_millis(1)).unwrap_err();
        let waiter = std::thread::spawn(move || ack.wait());
        acked.complete(Ok(position()));
        drop(acked);
        assert_eq!(waiter.join().unwrap().unwrap(), position());
    }

    #[test]
    fn an_end_without_an_outcome_says_so() {
        let (acked, ack) = acked(Durability::Synced);
        drop(acked);
        assert!(matches!(ack.wait(), Err(AckError::Failed(FlushError::Closed))));
    }

    #[test]
    fn a_polled_future_is_woken_once_and_ready() {
        #[derive(Default)]
        struct Counting(AtomicUsize);
        impl Wake for Counting {
            fn wake(self: Arc<Self>) {
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        let counting = Arc::new(Counting::default());
        let waker = Waker::from(counting.clone());
        let mut context = Context::from_waker(&waker);
        let (acked, mut ack) = acked(Durability::Synced);
        for _ in 0..2 {
            assert!(Pin::new(&mut ack).poll(&mut context).is_pending());
        }
        acked.complete(Ok(position()));
        acked.complete(Err(AckError::Failed(FlushError::Closed)));
        assert_eq!(counting.0.load(Ordering::SeqCst), 1);
        assert!(matches!(Pin::new(&mut ack).poll(&mut context), Poll::Ready(Ok(_))));
    }
}
