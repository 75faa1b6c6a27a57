//! The bodies of the page's answers, and whether their connection makes progress.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::sync::Notify;
use tokio::sync::mpsc::Receiver;

/// A connection on which nothing has moved for this long ends. Live views get a sign of life more
/// often.
const PROGRESS_TIMEOUT: Duration = Duration::from_secs(45);

/// When something last moved on a connection.
#[derive(Debug)]
pub(super) struct Progress {
    begin: Instant,
    /// Milliseconds after `begin`.
    moved_ms: AtomicU64,
    /// Wakes the task of the connection, which then ends.
    pub(super) end: Notify,
}

impl Progress {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { begin: Instant::now(), moved_ms: AtomicU64::new(0), end: Notify::new() })
    }

    pub(super) fn note(&self) {
        self.moved_ms.store(self.elapsed_ms(), Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        let still = self.elapsed_ms().saturating_sub(self.moved_ms.load(Ordering::Relaxed));
        u128::from(still) > PROGRESS_TIMEOUT.as_millis()
    }

    fn elapsed_ms(&self) -> u64 {
        u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

/// The body of an answer.
#[derive(Debug)]
pub(super) struct Content {
    kind: Kind,
    progress: Option<Arc<Progress>>,
}

#[derive(Debug)]
enum Kind {
    Bytes(Bytes),
    /// The messages of a live view, until the server or the viewer ends it.
    Live(Receiver<Bytes>),
}

pub(super) type Response = hyper::Response<Content>;

impl Content {
    pub(super) fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Bytes(bytes.into()), progress: None }
    }

    pub(super) fn live(messages: Receiver<Bytes>) -> Self {
        Self { kind: Kind::Live(messages), progress: None }
    }

    pub(super) fn watch(&mut self, progress: Arc<Progress>) {
        self.progress = Some(progress);
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.progress.iter().for_each(|progress| progress.note());
        match &mut self.kind {
            Kind::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Live(messages) => {
                messages.poll_recv(context).map(|message| Some(Ok(Frame::data(message?))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.kind, Kind::Bytes(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.kind {
            Kind::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Live(_) => SizeHint::default(),
        }
    }
}
