//! The state of one connection, and what it is told to do.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use super::memory::{CONNECTION_BYTES, Memory, STREAM_BYTES};
use super::settings::Limits;
use super::shutdown_phase::{ShutdownControl, ShutdownPhase};

/// A time that never comes.
pub(super) const NEVER: u64 = u64::MAX;

/// Concurrent requests of an HTTP/2 connection that has shown no credentials. What a request holds
/// cannot be taken back from a peer that does not read; a sender shows credentials with its first
/// one.
const STRANGER_STREAMS_MAX: u32 = 8;

/// How long a peer that has shown no credentials may leave an answer unread.
pub(super) const STRANGER_TIMEOUT: Duration = Duration::from_secs(2);

/// What all connections share.
#[derive(Debug)]
pub(super) struct Common {
    pub(super) limits: Limits,
    begin: Instant,
    /// Milliseconds since `begin`, at the last sweep.
    now: AtomicU64,
    pub(super) memory: Memory,
}

impl Common {
    pub(super) fn new(limits: Limits) -> Self {
        let now = AtomicU64::new(0);
        Self { limits, begin: Instant::now(), now, memory: Memory::default() }
    }

    /// Milliseconds since the server started, at the last sweep.
    pub(super) fn now(&self) -> u64 {
        self.now.load(Ordering::Relaxed)
    }

    /// A sweep begins: it uses one time for all connections.
    pub(super) fn tick(&self) -> u64 {
        let now = u64::try_from(self.begin.elapsed().as_millis()).unwrap_or(NEVER);
        self.now.store(now, Ordering::Relaxed);
        now
    }
}

/// Whether `limit` has passed since a time that may be [`NEVER`].
pub(super) fn has_passed(now: u64, since: u64, limit: Duration) -> bool {
    since != NEVER && now.saturating_sub(since) >= u64::try_from(limit.as_millis()).unwrap_or(NEVER)
}

/// The state of one connection, shared by its task, its requests and the sweep.
#[derive(Debug)]
pub(super) struct ConnState {
    number: u64,
    common: Arc<Common>,
    control: Arc<ShutdownControl>,
    requests: AtomicU32,
    /// A part of the next head has arrived.
    has_begun: AtomicBool,
    /// It began as HTTP/2 does.
    is_http2: AtomicBool,
    /// It is HTTP/2 and has had a request: bytes also come between requests.
    is_multiplexed: AtomicBool,
    /// One of its requests was let in.
    has_credentials: AtomicBool,
    /// Since when it has been idle, or reading a head.
    since: AtomicU64,
    /// Since when the peer has not read what it is sent; `NEVER` if it reads.
    blocked_since: AtomicU64,
    /// HTTP/2 answers that are not sent completely. The peer decides how much of each it takes, so
    /// the stream does not block if the peer takes nothing.
    responses: AtomicU32,
    /// When the first of them began, or one of them last made progress.
    response_moved_at: AtomicU64,
}

impl ConnState {
    pub(super) fn new(number: u64, common: Arc<Common>, phase: ShutdownPhase) -> Self {
        Self {
            number,
            since: AtomicU64::new(common.now()),
            common,
            control: Arc::new(ShutdownControl::new(phase)),
            requests: AtomicU32::new(0),
            has_begun: AtomicBool::new(true),
            is_http2: AtomicBool::new(false),
            is_multiplexed: AtomicBool::new(false),
            has_credentials: AtomicBool::new(false),
            blocked_since: AtomicU64::new(NEVER),
            responses: AtomicU32::new(0),
            response_moved_at: AtomicU64::new(0),
        }
    }

    pub(super) fn number(&self) -> u64 {
        self.number
    }

    pub(super) fn control(&self) -> &ShutdownControl {
        &self.control
    }

    /// What should be done with the connection now. `idle_timeout`, if given, is for idle
    /// connections, which then get less time than usual.
    pub(super) fn phase_at(&self, now: u64, idle_timeout: Option<Duration>) -> ShutdownPhase {
        let limits = &self.common.limits;
        let response_timeout = if self.has_credentials.load(Ordering::Relaxed) {
            limits.body_timeout
        } else {
            limits.body_timeout.min(STRANGER_TIMEOUT)
        };
        if has_passed(now, self.blocked_since.load(Ordering::Relaxed), response_timeout) {
            return ShutdownPhase::End;
        }
        if self.has_responses()
            && has_passed(now, self.response_moved_at.load(Ordering::Relaxed), response_timeout)
        {
            return ShutdownPhase::End;
        }
        if self.has_requests() {
            return ShutdownPhase::Serve;
        }
        let since = self.since.load(Ordering::Relaxed);
        if self.has_begun.load(Ordering::Relaxed) {
            let is_late = has_passed(now, since, limits.header_timeout);
            return if is_late { ShutdownPhase::End } else { ShutdownPhase::Serve };
        }
        if has_passed(now, since, limits.idle_timeout + limits.header_timeout) {
            ShutdownPhase::End
        } else if has_passed(now, since, idle_timeout.unwrap_or(limits.idle_timeout)) {
            ShutdownPhase::Finish
        } else {
            ShutdownPhase::Serve
        }
    }

    /// Whether it may be ended for a new connection: it has shown no credentials, and the server is
    /// doing nothing for it.
    pub(super) fn yields(&self) -> bool {
        !self.has_credentials.load(Ordering::Relaxed)
            && (!self.has_requests() || self.has_responses())
            && self.control.phase() < ShutdownPhase::End
    }

    /// Whether it has had a request, and nothing of the next one has arrived.
    pub(super) fn is_between_requests(&self) -> bool {
        !self.has_requests() && !self.has_begun.load(Ordering::Relaxed)
    }

    /// Whether it has had no request for this long.
    pub(super) fn is_idle_for(&self, now: u64, time: Duration) -> bool {
        !self.has_requests() && has_passed(now, self.since.load(Ordering::Relaxed), time)
    }

    /// Whether the current answer is the last one, and has to say so.
    pub(super) fn is_last_request(&self) -> bool {
        self.control.phase() == ShutdownPhase::LastRequest
    }

    pub(super) fn has_requests(&self) -> bool {
        self.requests.load(Ordering::Relaxed) > 0
    }

    fn has_responses(&self) -> bool {
        self.responses.load(Ordering::Relaxed) > 0
    }

    /// Whether the shutdown waits for it: for a request, for the rest of an answer, or for an
    /// HTTP/2 peer that must still hear which of its requests were accepted.
    pub(super) fn has_work(&self) -> bool {
        self.has_requests()
            || self.blocked_since.load(Ordering::Relaxed) != NEVER
            || self.is_multiplexed.load(Ordering::Relaxed)
    }

    /// One of its requests was let in.
    pub(super) fn has_credentials(&self) -> bool {
        self.has_credentials.load(Ordering::Relaxed)
    }

    /// One of its requests was let in: it belongs to a sender.
    pub(super) fn note_credentials(&self) {
        if self.has_credentials.load(Ordering::Relaxed) {
            return;
        }
        self.has_credentials.store(true, Ordering::Relaxed);
        if self.is_http2() {
            self.common.memory.note_credentials(self.number);
        }
    }

    /// Its first bytes are those of HTTP/2.
    pub(super) fn note_http2(&self) {
        if !self.is_http2.swap(true, Ordering::Relaxed) {
            self.common.memory.hold(self.number, &self.control, CONNECTION_BYTES, false);
        }
    }

    pub(super) fn is_http2(&self) -> bool {
        self.is_http2.load(Ordering::Relaxed)
    }

    /// The output of a request's future, unless it takes longer than until `end`, or until the
    /// sweep after it.
    ///
    /// HTTP/1 requests run in the task of their connection, which every sweep wakes: they need no
    /// timers, two of which cost a request about 4 % of its time. HTTP/2 requests have tasks of
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

    /// A request has arrived; it is in flight until the returned value is dropped.
    pub(super) fn begin_request(self: &Arc<Self>, is_multiplexed: bool) -> InFlight {
        let before = self.requests.fetch_add(1, Ordering::Relaxed);
        self.has_begun.store(false, Ordering::Relaxed);
        let mut in_flight = InFlight {
            state: self.clone(),
            is_one_too_many: false,
            has_response: false,
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

    pub(super) fn note_read(&self) {
        if !self.has_requests()
            && !self.has_begun.load(Ordering::Relaxed)
            && !self.is_multiplexed.load(Ordering::Relaxed)
        {
            self.since.store(self.common.now(), Ordering::Relaxed);
            self.has_begun.store(true, Ordering::Relaxed);
        }
    }

    pub(super) fn note_write(&self, is_blocked: bool) {
        let was_blocked = self.blocked_since.load(Ordering::Relaxed) != NEVER;
        if is_blocked != was_blocked {
            let since = if is_blocked { self.common.now() } else { NEVER };
            self.blocked_since.store(since, Ordering::Relaxed);
        }
    }
}

/// A request between its head and the end of its response.
#[derive(Debug)]
pub(super) struct InFlight {
    state: Arc<ConnState>,
    is_one_too_many: bool,
    has_response: bool,
    held_bytes: usize,
}

impl InFlight {
    /// The connection has shown no credentials and has as many requests as it may. This one may
    /// show them.
    pub(super) fn is_one_too_many(&self) -> bool {
        self.is_one_too_many && !self.state.has_credentials.load(Ordering::Relaxed)
    }

    /// The answer is ready to be sent, with a body of so many bytes in memory; `None` if it has no
    /// body, and so nothing that the peer could refuse to take.
    pub(super) fn note_response(&mut self, body_bytes: Option<usize>) {
        let Some(body_bytes) = body_bytes else { return };
        if self.state.is_multiplexed.load(Ordering::Relaxed) {
            let stream_bytes = STREAM_BYTES.saturating_sub(self.held_bytes);
            self.hold(stream_bytes + body_bytes);
            if self.state.responses.fetch_add(1, Ordering::Relaxed) == 0 {
                self.note_progress();
            }
            self.has_response = true;
        }
    }

    /// A part of the answer is on its way.
    pub(super) fn note_progress(&self) {
        self.state.response_moved_at.store(self.state.common.now(), Ordering::Relaxed);
    }

    fn hold(&mut self, bytes: usize) {
        self.held_bytes += bytes;
        let has_credentials = self.state.has_credentials.load(Ordering::Relaxed);
        let ConnState { number, control, common, .. } = &*self.state;
        common.memory.hold(*number, control, bytes, has_credentials);
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        if self.held_bytes > 0 {
            self.state.common.memory.release(self.state.number, self.held_bytes);
        }
        if self.has_response {
            self.state.responses.fetch_sub(1, Ordering::Relaxed);
        }
        self.state.since.store(self.state.common.now(), Ordering::Relaxed);
        self.state.requests.fetch_sub(1, Ordering::Relaxed);
    }
}
