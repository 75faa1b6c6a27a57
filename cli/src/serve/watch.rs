//! One connection: what is known of it, and what it is told to do.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::connections::{Connections, STRANGER_TIMEOUT, has_passed};

/// A time that does not come.
pub(super) const NEVER: u64 = u64::MAX;

/// Requests at the same time of a connection of HTTP/2 that has shown no credentials. What a
/// request holds cannot be taken back from a peer that does not read; a sender shows credentials
/// with its first one.
const STRANGER_STREAMS_MAX: u32 = 8;

/// What a request of HTTP/2 takes with its task, its stream and its head: 3.2 KiB were measured for
/// a small one.
pub(super) const STREAM_BYTES: usize = 4 << 10;

/// What a connection is told to do. A later one of these is never taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    Serve,
    /// It was idle for too long: finish the requests in flight, take no more.
    Finish,
    /// The server stops: the same, and do not wait for a request whose head is not there.
    Stop,
    /// End now.
    End,
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
    /// It began as HTTP/2 does.
    is_http2: AtomicBool,
    /// HTTP/2, and it had a request: bytes come between those too.
    is_multiplexed: AtomicBool,
    /// One of its requests was let in.
    has_credentials: AtomicBool,
    /// Since when it is as it is: idle, or reading a head.
    since: AtomicU64,
    /// Since when the peer does not read what it is sent; `NEVER` where it does.
    blocked_since: AtomicU64,
    /// Answers of HTTP/2 that are not sent whole. The peer says how much of each it takes, so that
    /// the stream does not block where it takes nothing.
    answers: AtomicU32,
    /// When the first of them began or one of them got on.
    answered_at: AtomicU64,
}

impl Watch {
    pub(super) fn new(number: u64, connections: Arc<Connections>, order: Order) -> Self {
        Self {
            number,
            since: AtomicU64::new(connections.now()),
            connections,
            order: AtomicU8::new(order as u8),
            waker: OnceLock::new(),
            requests: AtomicU32::new(0),
            has_begun: AtomicBool::new(true),
            is_http2: AtomicBool::new(false),
            is_multiplexed: AtomicBool::new(false),
            has_credentials: AtomicBool::new(false),
            blocked_since: AtomicU64::new(NEVER),
            answers: AtomicU32::new(0),
            answered_at: AtomicU64::new(0),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn connections(&self) -> &Arc<Connections> {
        &self.connections
    }

    /// What should become of the connection at this time. With `idle_timeout` where one that is idle
    /// gets less time than usual.
    pub(super) fn order_at(&self, now: u64, idle_timeout: Option<Duration>) -> Order {
        let limits = &self.connections.limits;
        let answer_timeout = if self.has_credentials.load(Ordering::Relaxed) {
            limits.body_timeout
        } else {
            limits.body_timeout.min(STRANGER_TIMEOUT)
        };
        if has_passed(now, self.blocked_since.load(Ordering::Relaxed), answer_timeout) {
            return Order::End;
        }
        if self.has_answers()
            && has_passed(now, self.answered_at.load(Ordering::Relaxed), answer_timeout)
        {
            return Order::End;
        }
        if self.has_requests() {
            return Order::Serve;
        }
        let since = self.since.load(Ordering::Relaxed);
        if self.has_begun.load(Ordering::Relaxed) {
            let is_late = has_passed(now, since, limits.header_timeout);
            return if is_late { Order::End } else { Order::Serve };
        }
        if has_passed(now, since, limits.idle_timeout + limits.header_timeout) {
            Order::End
        } else if has_passed(now, since, idle_timeout.unwrap_or(limits.idle_timeout)) {
            Order::Finish
        } else {
            Order::Serve
        }
    }

    /// Whether it may be ended for a new connection: it has shown no credentials, and nothing is
    /// done for it.
    pub(super) fn yields(&self) -> bool {
        !self.has_credentials.load(Ordering::Relaxed)
            && (!self.has_requests() || self.has_answers())
            && self.given() < Order::End
    }

    pub(super) fn has_requests(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    fn has_answers(&self) -> bool {
        self.answers.load(Ordering::Relaxed) > 0
    }

    /// Whether the end of the server waits for it: for a request, for the rest of an answer, or for
    /// a peer of HTTP/2 that has to hear which of its requests were taken.
    pub(super) fn has_work(&self) -> bool {
        self.has_requests()
            || self.blocked_since.load(Ordering::Relaxed) != NEVER
            || self.is_multiplexed.load(Ordering::Relaxed)
    }

    /// One of its requests was let in: it is a sender's.
    pub(super) fn note_credentials(&self) {
        if self.has_credentials.load(Ordering::Relaxed) {
            return;
        }
        self.has_credentials.store(true, Ordering::Relaxed);
        if self.is_http2() {
            self.connections.note_credentials(self.number);
        }
    }

    /// Its first bytes are those of HTTP/2.
    pub(super) fn note_http2(&self) {
        if !self.is_http2.swap(true, Ordering::Relaxed) {
            self.connections.hold_connection(self.number);
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        self.is_http2.load(Ordering::Relaxed)
    }

    pub(super) fn give(&self, order: Order) {
        // After the order, so that a task that is just being polled for the first time sees it.
        if self.order.fetch_max(order as u8, Ordering::SeqCst) < order as u8 {
            self.wake();
        }
    }

    pub(super) fn given(&self) -> Order {
        match self.order.load(Ordering::SeqCst) {
            order if order == Order::Serve as u8 => Order::Serve,
            order if order == Order::Finish as u8 => Order::Finish,
            order if order == Order::Stop as u8 => Order::Stop,
            _ => Order::End,
        }
    }

    pub(super) fn wake(&self) {
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
        self.given()
    }

    /// A request has come in; it is in flight until what this gives is dropped.
    pub(super) fn begin_request(self: &Arc<Self>, is_multiplexed: bool) -> InFlight {
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        self.has_begun.store(false, Ordering::Relaxed);
        let mut in_flight = InFlight {
            watch: self.clone(),
            is_one_too_many: false,
            is_answered: false,
            held_bytes: 0,
        };
        if is_multiplexed {
            self.is_multiplexed.store(true, Ordering::Relaxed);
            if !self.has_credentials.load(Ordering::Relaxed) {
                in_flight.is_one_too_many = before >= STRANGER_STREAMS_MAX;
                in_flight.hold(STREAM_BYTES);
            }
        }
        in_flight
    }

    pub(super) fn is_multiplexed(&self) -> bool {
        self.is_multiplexed.load(Ordering::Relaxed)
    }

    fn note_read(&self) {
        if !self.has_requests()
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

/// A request between its head and the end of its response.
#[derive(Debug)]
pub(super) struct InFlight {
    watch: Arc<Watch>,
    is_one_too_many: bool,
    is_answered: bool,
    held_bytes: usize,
}

impl InFlight {
    /// The connection has shown no credentials and has as many requests as it may. This one may
    /// show them.
    pub(super) fn is_one_too_many(&self) -> bool {
        self.is_one_too_many && !self.watch.has_credentials.load(Ordering::Relaxed)
    }

    /// The answer is there, to be sent, with a body of so many bytes in memory; `None` where it has
    /// no body, and so nothing that the peer could refuse to take.
    pub(super) fn note_answer(&mut self, body_bytes: Option<usize>) {
        let Some(body_bytes) = body_bytes else { return };
        if self.watch.is_multiplexed.load(Ordering::Relaxed) {
            let stream_bytes = STREAM_BYTES.saturating_sub(self.held_bytes);
            self.hold(stream_bytes + body_bytes);
            if self.watch.answers.fetch_add(1, Ordering::Relaxed) == 0 {
                self.note_progress();
            }
            self.is_answered = true;
        }
    }

    /// A part of the answer is on its way.
    pub(super) fn note_progress(&self) {
        self.watch.answered_at.store(self.watch.connections.now(), Ordering::Relaxed);
    }

    fn hold(&mut self, bytes: usize) {
        self.held_bytes += bytes;
        let has_credentials = self.watch.has_credentials.load(Ordering::Relaxed);
        self.watch.connections.hold(self.watch.number, bytes, has_credentials);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.held_bytes > 0 {
            self.watch.connections.release(self.watch.number, self.held_bytes);
        }
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
    /// What is left of the first bytes of HTTP/2; `None` where there were others.
    preface: Option<&'static [u8]>,
}

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

impl<S> Watched<S> {
    pub(super) fn new(stream: S, watch: Arc<Watch>) -> Self {
        Self { stream, watch, preface: Some(PREFACE) }
    }

    fn note_beginning(&mut self, bytes: &[u8]) {
        let Some(left) = self.preface else { return };
        let count = left.len().min(bytes.len());
        let (expected, rest) = left.split_at(count);
        self.preface = bytes.starts_with(expected).then_some(rest).filter(|rest| !rest.is_empty());
        if bytes.starts_with(expected) && rest.is_empty() {
            self.watch.note_http2();
        }
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
        if let Some(bytes) = buffer.filled().get(before..).filter(|bytes| !bytes.is_empty()) {
            self.watch.note_read();
            self.note_beginning(bytes);
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
