//! Before a hand-over: every connection ends, and none that a sender needs is cut.
//!
//! 1. For a second the server goes on as before, but each connection takes only one more request,
//!    whose answer says that the connection closes. (An HTTP/2 connection gets GOAWAY.) So a sender
//!    that keeps its connection does not find it closed when it sends its next request.
//! 2. Connections that had no request for a second are closed, and no more are accepted. What is in
//!    flight then gets a moment to finish, because new connections wait in the kernel all that
//!    time.
//! 3. If that was not enough, for example because of a large body from a slow sender, the server
//!    accepts again for a while and goes back to 2, until `--end-timeout` is over. What is still in
//!    flight then is cut, as at any shutdown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Semaphore, oneshot};
use tokio::task::JoinHandle;

use super::listen::Listeners;
use super::server;
use super::server_context::ServerContext;
use super::shutdown_phase::ShutdownPhase;

/// How long connections that were already open may take for one more request.
const LAST_REQUEST_TIME: Duration = Duration::from_secs(1);

/// How long a connection must have had no request before it is closed.
const IDLE_TIME: Duration = Duration::from_secs(1);

/// How long nothing is accepted while requests in flight finish. Closing and opening the directory
/// takes additional time, and all of it together should be less than a second.
const QUIET_TIME: Duration = Duration::from_millis(200);

/// How long the shutdown waits for the request of a connection that was just accepted, and for one
/// more request of a connection that had some. If a parent holds the socket, other connections wait
/// for the next process, but these have nowhere else to go.
const FIRST_REQUEST_TIME: Duration = Duration::from_secs(1);
const NEXT_REQUEST_TIME: Duration = Duration::from_millis(200);

/// How long connections are accepted again before the next attempt.
const ATTEMPT_INTERVAL: Duration = Duration::from_millis(500);

/// How often the server checks whether the earlier connections are gone.
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// Accepts connections until it is told to stop.
pub(super) struct Acceptor {
    listeners: Arc<Listeners>,
    shared: Arc<ServerContext>,
    /// The places of connections: all of them are free once all connections have ended.
    slots: Arc<Semaphore>,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Acceptor {
    pub(super) fn start(listeners: Arc<Listeners>, shared: Arc<ServerContext>) -> Self {
        let slots = Arc::new(Semaphore::new(shared.settings.limits.connections_max));
        let mut acceptor = Self { listeners, shared, slots, running: None };
        acceptor.resume();
        acceptor
    }

    fn resume(&mut self) {
        let (stop, stopped) = oneshot::channel();
        let (listeners, slots) = (self.listeners.clone(), self.slots.clone());
        let accept = server::accept(listeners, slots, self.shared.clone(), stopped);
        self.running = Some(Running { stop, task: tokio::spawn(accept) });
    }

    /// Accepts nothing more. A connection that is already accepted is served.
    async fn pause(&mut self) {
        let Some(Running { stop, task }) = self.running.take() else { return };
        // If nobody receives it, the task has ended.
        let _ = stop.send(());
        if let Err(error) = task.await {
            tracing::error!(%error, "the task that accepts connections has ended");
        }
    }

    /// Accepts nothing more, and closes the sockets. Connections get one more request, if it comes
    /// soon; one that still waits for its place by then gets none.
    pub(super) async fn end(&mut self) {
        let begin = Instant::now();
        let timeout = FIRST_REQUEST_TIME.min(self.shared.settings.end_timeout);
        self.shared.connections.advance(ShutdownPhase::LastRequest);
        if let Some(Running { stop, mut task }) = self.running.take() {
            // If nobody receives it, the task has ended.
            let _ = stop.send(());
            if tokio::time::timeout(timeout, &mut task).await.is_err() {
                task.abort();
                // It ends by the abort.
                let _ = task.await;
            }
        }
        self.listeners = Arc::default();
        if !self.wait_for_connections(NEXT_REQUEST_TIME.min(timeout)).await {
            self.shared.connections.stop_between_requests();
            self.wait_for_connections(timeout.saturating_sub(begin.elapsed())).await;
        }
    }

    /// Whether all connections end within this time.
    pub(super) async fn wait_for_connections(&self, timeout: Duration) -> bool {
        let all = self.shared.settings.limits.connections_max;
        let all = u32::try_from(all).unwrap_or(u32::MAX);
        tokio::time::timeout(timeout, self.slots.acquire_many(all)).await.is_ok()
    }

    /// Lets all connections end, and accepts none after that. May be cancelled at any time: see
    /// [`Self::go_on`].
    pub(super) async fn drain(&mut self) {
        let begin = Instant::now();
        let end_timeout = self.shared.settings.end_timeout;
        let connections = self.shared.connections.clone();
        let first_new = connections.advance(ShutdownPhase::LastRequest);
        while connections.are_there_before(first_new)
            && begin.elapsed() < LAST_REQUEST_TIME.min(end_timeout)
        {
            tokio::time::sleep(LOOK_INTERVAL).await;
        }
        loop {
            connections.stop_idle(IDLE_TIME);
            self.pause().await;
            if self.wait_for_connections(QUIET_TIME).await {
                return;
            }
            if begin.elapsed() >= end_timeout {
                break;
            }
            self.resume();
            tokio::time::sleep(ATTEMPT_INTERVAL).await;
        }
        connections.advance(ShutdownPhase::Stop);
        if !self.wait_for_connections(QUIET_TIME).await {
            let connections = connections.count();
            tracing::warn!(connections, "handed over before all requests in flight were finished");
            self.shared.connections.advance(ShutdownPhase::End);
        }
    }

    /// Serves on as before, if the hand-over has failed.
    pub(super) fn go_on(&mut self) {
        self.shared.connections.resume();
        if self.running.is_none() {
            self.resume();
        }
    }
}
