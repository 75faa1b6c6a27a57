//! Keeps an eye on every connection: a peer that sends nothing, or a byte now and then, or does not
//! read, loses its place.
//!
//! One sweep over all connections, four times a second, instead of timers for each of them: a
//! request costs a few stores this way, and no peer finds a phase without a limit, be it the TLS
//! handshake or the first bytes that tell the version of HTTP.

use std::collections::HashMap;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::settings::Limits;

/// How often all connections are looked at.
pub(super) const SWEEP_INTERVAL: Duration = Duration::from_millis(250);

/// Where places are short, a connection that was idle for this long makes room.
const IDLE_TIMEOUT_WHEN_FULL: Duration = Duration::from_secs(1);

/// What a connection is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Order {
    Serve,
    /// Finish the requests in flight, take no more.
    Finish,
    /// End now.
    End,
}

/// All connections there are.
#[derive(Debug)]
pub(super) struct Connections {
    limits: Limits,
    begin: Instant,
    /// Milliseconds since `begin`, as of the last sweep.
    now: AtomicU64,
    number: AtomicU64,
    all: Mutex<HashMap<u64, Arc<Watch>>>,
}

/// What is known of one connection. Shared by its task, its requests, and the sweep.
#[derive(Debug)]
pub(super) struct Watch {
    number: u64,
    connections: Arc<Connections>,
    order: AtomicU8,
    waker: OnceLock<Waker>,
    requests: AtomicU32,
    /// A part of the next head has come.
    has_begun: AtomicBool,
    /// HTTP/2, where bytes come between requests too.
    is_multiplexed: AtomicBool,
    /// Since when it is as it is: idle, or reading a head.
    since: AtomicU64,
    /// Since when the peer does not read what it is sent; `NEVER` where it does.
    blocked_since: AtomicU64,
    /// Answers of HTTP/2 that are not sent whole. The peer says how much of each it takes, so that
    /// the stream does not block where it takes nothing.
    answers: AtomicU32,
    /// When one of them began or got on.
    answered_at: AtomicU64,
}

const NEVER: u64 = u64::MAX;

impl Connections {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            begin: Instant::now(),
            now: AtomicU64::new(0),
            number: AtomicU64::new(0),
            all: Mutex::default(),
        })
    }

    /// A new connection. It is forgotten when the last [`Place`] of it is dropped.
    pub(super) fn add(self: &Arc<Self>) -> Place {
        let number = self.number.fetch_add(1, Ordering::Relaxed);
        let watch = Arc::new(Watch {
            number,
            connections: self.clone(),
            order: AtomicU8::new(Order::Serve as u8),
            waker: OnceLock::new(),
            requests: AtomicU32::new(0),
            has_begun: AtomicBool::new(true),
            is_multiplexed: AtomicBool::new(false),
            since: AtomicU64::new(self.now()),
            blocked_since: AtomicU64::new(NEVER),
            answers: AtomicU32::new(0),
            answered_at: AtomicU64::new(0),
        });
        self.all().insert(number, watch.clone());
        Place(watch)
    }

    pub(super) fn count(&self) -> usize {
        self.all().len()
    }

    /// Looks at every connection, and ends those whose time is over.
    pub(super) fn sweep(&self) {
        let now = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(NEVER);
        self.now.store(now, Ordering::Relaxed);
        let all = self.all();
        let is_full = all.len() >= self.limits.connections_max;
        for watch in all.values() {
            let order = watch.order_at(now, is_full);
            if order != Order::Serve {
                watch.give(order);
            } else if watch.requests.load(Ordering::Relaxed) > 0 {
                // It may have waited for too long: see `within`.
                watch.wake();
            }
        }
    }

    /// Tells every connection.
    pub(super) fn give(&self, order: Order) {
        for watch in self.all().values() {
            watch.give(order);
        }
    }

    fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    fn all(&self) -> MutexGuard<'_, HashMap<u64, Arc<Watch>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Watch {
    /// What should become of the connection.
    fn order_at(&self, now: u64, is_full: bool) -> Order {
        let limits = &self.connections.limits;
        let passed = |since: u64, limit: Duration| {
            now.saturating_sub(since) >= u64::try_from(limit.as_millis()).unwrap_or(NEVER)
        };
        if passed(self.blocked_since.load(Ordering::Relaxed), limits.body_timeout) {
            return Order::End;
        }
        if self.answers.load(Ordering::Relaxed) > 0
            && passed(self.answered_at.load(Ordering::Relaxed), limits.body_timeout)
        {
            return Order::End;
        }
        if self.requests.load(Ordering::Relaxed) > 0 {
            return Order::Serve;
        }
        let since = self.since.load(Ordering::Relaxed);
        if self.has_begun.load(Ordering::Relaxed) {
            return if passed(since, limits.header_timeout) { Order::End } else { Order::Serve };
        }
        if passed(since, limits.idle_timeout + limits.header_timeout) {
            Order::End
        } else if passed(since, limits.idle_timeout)
            || is_full && passed(since, IDLE_TIMEOUT_WHEN_FULL)
        {
            Order::Finish
        } else {
            Order::Serve
        }
    }

    fn give(&self, order: Order) {
        // After the order, so that a task that is just being polled for the first time sees it.
        if self.order.fetch_max(order as u8, Ordering::SeqCst) < order as u8 {
            self.wake();
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.get() {
            waker.wake_by_ref();
        }
    }

    /// What a future of a request gives, unless that takes longer than until `end`, or until the
    /// sweep after it.
    ///
    /// Requests of HTTP/1 run in the task of their connection, which every sweep wakes: they need no
    /// timers, two of which cost a request about 4 % of its time. Those of HTTP/2 have tasks of
    /// their own.
    pub(super) async fn within<F: Future>(&self, end: Instant, future: F) -> Option<F::Output> {
        if self.is_multiplexed.load(Ordering::Relaxed) {
            return tokio::time::timeout_at(end.into(), future).await.ok();
        }
        let mut future = pin!(future);
        poll_fn(|context| match future.as_mut().poll(context) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if Instant::now() >= end => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        })
        .await
    }

    /// What the task of the connection should do, which is woken when that changes.
    pub(super) fn order(&self, context: &Context<'_>) -> Order {
        if self.waker.get().is_none() {
            // The waker of a spawned task stays the same. Only its task gets here.
            let _ = self.waker.set(context.waker().clone());
        }
        match self.order.load(Ordering::SeqCst) {
            order if order == Order::Serve as u8 => Order::Serve,
            order if order == Order::Finish as u8 => Order::Finish,
            _ => Order::End,
        }
    }

    /// A request has come in; it is in flight until what this gives is dropped.
    pub(super) fn begin_request(self: &Arc<Self>, is_multiplexed: bool) -> InFlight {
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.has_begun.store(false, Ordering::Relaxed);
        if is_multiplexed {
            self.is_multiplexed.store(true, Ordering::Relaxed);
        }
        InFlight { watch: self.clone(), is_answered: false }
    }

    fn note_read(&self) {
        if self.requests.load(Ordering::Relaxed) == 0
            && !self.has_begun.load(Ordering::Relaxed)
            && !self.is_multiplexed.load(Ordering::Relaxed)
        {
            self.since.store(self.connections.now(), Ordering::Relaxed);
            self.has_begun.store(true, Ordering::Relaxed);
        }
    }

    fn note_write(&self, is_blocked: bool) {
        let was_blocked = self.blocked_since.load(Ordering::Relaxed) != NEVER;
        if is_blocked != was_blocked {
            let since = if is_blocked { self.connections.now() } else { NEVER };
            self.blocked_since.store(since, Ordering::Relaxed);
        }
    }
}

/// The place of a connection among all others.
#[derive(Debug)]
pub(super) struct Place(Arc<Watch>);

impl Place {
    pub(super) fn watch(&self) -> &Arc<Watch> {
        &self.0
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.connections.all().remove(&self.0.number);
    }
}

/// A request between its head and the end of its response.
#[derive(Debug)]
pub(super) struct InFlight {
    watch: Arc<Watch>,
    is_answered: bool,
}

impl InFlight {
    /// The answer is there, to be sent.
    pub(super) fn note_answer(&mut self) {
        if self.watch.is_multiplexed.load(Ordering::Relaxed) {
            self.note_progress();
            self.watch.answers.fetch_add(1, Ordering::Relaxed);
            self.is_answered = true;
        }
    }

    /// A part of the answer is on its way.
    pub(super) fn note_progress(&self) {
        self.watch.answered_at.store(self.watch.connections.now(), Ordering::Relaxed);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.is_answered {
            self.watch.answers.fetch_sub(1, Ordering::Relaxed);
        }
        self.watch.since.store(self.watch.connections.now(), Ordering::Relaxed);
        self.watch.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A stream that tells its watch what it does.
#[derive(Debug)]
pub(super) struct Watched<S> {
    stream: S,
    watch: Arc<Watch>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, watch: Arc<Watch>) -> Self {
        Self { stream, watch }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.watch.note_read();
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.watch.note_write(written.is_pending());
        written
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, parts);
        self.watch.note_write(written.is_pending());
        written
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
