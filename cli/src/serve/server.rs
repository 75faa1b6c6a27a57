//! Accepts connections and serves them; checks them and the writer from time to time.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, Instant};

use hyper::StatusCode;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};
use tokio_rustls::TlsAcceptor;

use super::conn_context::ConnContext;
use super::conn_state::ConnState;
use super::connections::{ConnGuard, SWEEP_INTERVAL};
use super::listen::{Accepted, Listeners, Stream, UNIX_PEER};
use super::page::{Board, Status};
use super::refusals::{Reason, Refusal};
use super::routes::respond;
use super::server_context::ServerContext;
use super::shutdown_phase::ShutdownPhase;
use super::tracked_stream::TrackedStream;
use super::{allocator, networks, notify, plain};

/// The pause after an accept that failed, for example because no descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Concurrent requests of one HTTP/2 connection. The HTTP library allocates places for this many in
/// advance, and cannot change it later: with 128, connections of strangers took 220 KiB each. A
/// connection that has shown no credentials gets fewer: see `conn_state.rs`.
const STREAMS_MAX: u32 = 16;

/// How many bytes an HTTP/2 peer may send before they are read, per request and in all. What was
/// read is counted with the bodies; the windows times all connections are the limit of the rest.
const STREAM_WINDOW_BYTES: u32 = 64 << 10;
const CONNECTION_WINDOW_BYTES: u32 = 128 << 10;

/// How often refused and ended connections are counted, and how many of them are a crowd.
const CROWD_INTERVAL: Duration = Duration::from_secs(10);
const CROWD_CONNECTIONS: u64 = 256;

/// How often the page is told how the endpoint is.
const PAGE_INTERVAL: Duration = Duration::from_secs(1);

/// How often the writer is checked, at least.
const HEALTH_INTERVAL: Duration = Duration::from_secs(1);

/// Accepts connections, each as soon as there is a place for it, until it is told to stop. That
/// drops no connection that is already accepted.
pub(super) async fn accept(
    listeners: Arc<Listeners>,
    slots: Arc<Semaphore>,
    shared: Arc<ServerContext>,
    mut stopped: oneshot::Receiver<()>,
) {
    let http = [false, true].map(|is_tls| Arc::new(http(&shared, is_tls)));
    let connections = &shared.connections;
    loop {
        connections.wait_for_ending().await;
        let accepted = tokio::select! {
            biased;
            _ = &mut stopped => return,
            accepted = listeners.accept() => accepted,
        };
        let accepted = match accepted {
            Ok(accepted) => accepted,
            Err(error) if is_of_peer(&error) => continue,
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let address = accepted.peer;
        if !networks::allow(&shared.settings.allowed, address) {
            let refusal =
                Refusal::new(Reason::NotAllowed, "the address is in no network of --allow");
            shared.note_refusal(refusal, None, address, None);
            continue;
        }
        // A proxy has all its connections at the unix socket.
        if address != UNIX_PEER && !connections.admits(address.ip()) {
            let refusal = Refusal::new(Reason::Connections, "more than --peer-connections-max");
            shared.note_refusal(refusal, None, address, None);
            continue;
        }
        let permit = match slots.clone().try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                connections.make_room();
                // Nobody closes the semaphore.
                let Ok(permit) = slots.clone().acquire_owned().await else { return };
                connections.note_room();
                permit
            }
        };
        let guard = connections.add(address.ip());
        let http = http[usize::from(accepted.is_tls)].clone();
        tokio::spawn(serve(accepted, guard, permit, shared.clone(), http));
        // The new connection runs first, so that what it takes is counted before the next one
        // arrives.
        tokio::task::yield_now().await;
    }
}

/// The connection was gone before it was accepted.
fn is_of_peer(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionAborted, ConnectionRefused, ConnectionReset};
    matches!(error.kind(), ConnectionAborted | ConnectionRefused | ConnectionReset)
}

fn http(shared: &ServerContext, is_tls: bool) -> Builder<TokioExecutor> {
    let limits = &shared.settings.limits;
    let mut builder = Builder::new(TokioExecutor::new());
    if !is_tls && !shared.settings.h2c {
        builder = builder.http1_only();
    }
    // A client that has sent its request may close its half.
    builder.http1().half_close(true).max_buf_size(limits.header_bytes_max as usize);
    builder
        .http2()
        .max_concurrent_streams(STREAMS_MAX)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_header_list_size(limits.header_bytes_max);
    builder
}

/// Serves one connection to its end.
async fn serve(
    accepted: Accepted,
    guard: ConnGuard,
    permit: OwnedSemaphorePermit,
    shared: Arc<ServerContext>,
    http: Arc<Builder<TokioExecutor>>,
) {
    // The permit is returned last: the shutdown waits for it.
    let (_permit, guard) = (permit, guard);
    let address = accepted.peer;
    let stream = match accepted.stream {
        Stream::Unix(stream) => return serve_stream(stream, &guard, shared, address, &http).await,
        Stream::Tcp(stream) => stream,
    };
    if stream.set_nodelay(true).and_then(|()| stream.peer_addr()).is_err() {
        // The peer is already gone.
        return;
    }
    let tls = shared.tls.as_ref().filter(|_| accepted.is_tls);
    let Some(acceptor) = tls.map(|tls| tls.acceptor()) else {
        return serve_stream(stream, &guard, shared, address, &http).await;
    };
    // Boxed: the state of a handshake is large, and connections without TLS do not pay for it.
    Box::pin(serve_tls(stream, acceptor, &guard, shared, address, &http)).await;
}

async fn serve_tls(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    guard: &ConnGuard,
    shared: Arc<ServerContext>,
    address: SocketAddr,
    http: &Builder<TokioExecutor>,
) {
    let state = guard.state();
    let Some(Ok(is_plain)) = obey(state, plain::begins(&stream)).await else { return };
    if is_plain {
        shared.metrics.count_request(StatusCode::BAD_REQUEST);
        let detail = "plain HTTP at a port that speaks TLS";
        shared.note_refusal(Refusal::new(Reason::Tls, detail), None, address, None);
        // It is gone, or has been told.
        let _ = obey(state, plain::refuse(stream)).await;
        return;
    }
    match obey(state, acceptor.accept(stream)).await {
        Some(Ok(stream)) => serve_stream(stream, guard, shared, address, http).await,
        // A probe of the port, as load balancers make.
        Some(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => {
            tracing::debug!(%error, "no TLS");
        }
        Some(Err(error)) => {
            shared.note_refusal(Refusal::new(Reason::Tls, error.to_string()), None, address, None);
        }
        None => {}
    }
}

/// Runs the TLS handshake, unless the connection is told to end meanwhile.
async fn obey<T>(state: &ConnState, handshake: impl Future<Output = T>) -> Option<T> {
    let mut handshake = pin!(handshake);
    poll_fn(|context| match state.control().poll_phase(context) {
        ShutdownPhase::Serve | ShutdownPhase::LastRequest => {
            handshake.as_mut().poll(context).map(Some)
        }
        ShutdownPhase::Finish | ShutdownPhase::Stop | ShutdownPhase::End => Poll::Ready(None),
    })
    .await
}

async fn serve_stream<S>(
    stream: S,
    guard: &ConnGuard,
    shared: Arc<ServerContext>,
    address: SocketAddr,
    http: &Builder<TokioExecutor>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let state = guard.state();
    let conn = Arc::new(ConnContext::new(shared.clone(), state.clone(), address));
    let stream = TokioIo::new(TrackedStream::new(stream, state.clone()));
    let service = service_fn(move |request| respond(conn.clone(), request));
    let mut connection = pin!(http.serve_connection(stream, service));
    let mut is_finishing = false;
    let served = poll_fn(|context| {
        let phase = state.control().poll_phase(context);
        if phase == ShutdownPhase::End {
            return Poll::Ready(Ok(()));
        }
        // Before it is told to finish: a request that has arrived completely is answered.
        let mut polled = connection.as_mut().poll(context);
        // HTTP/1 says so in its last answer.
        let goes_on = phase == ShutdownPhase::Serve
            || phase == ShutdownPhase::LastRequest && !state.is_http2();
        if !goes_on && !is_finishing && polled.is_pending() {
            is_finishing = true;
            connection.as_mut().graceful_shutdown();
            polled = connection.as_mut().poll(context);
        }
        if phase == ShutdownPhase::Stop && polled.is_pending() && !state.has_work() {
            return Poll::Ready(Ok(()));
        }
        polled
    });
    if let Err(error) = served.await {
        tracing::debug!(error, "a connection has ended");
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            let refusal = Refusal::new(Reason::NotHttp, error.to_string());
            shared.note_refusal(refusal, None, address, None);
        }
    }
}

/// Ends connections whose time is over, checks the writer, and tells systemd.
pub(super) async fn sweep(shared: Arc<ServerContext>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    let watchdog = notify::watchdog_interval();
    let look_interval = watchdog.map_or(HEALTH_INTERVAL, |interval| interval.min(HEALTH_INTERVAL));
    let (mut looked, mut told) = (Instant::now(), Instant::now());
    let mut watched = Instant::now();
    loop {
        ticks.tick().await;
        shared.connections.sweep();
        if watched.elapsed() >= CROWD_INTERVAL {
            watched = Instant::now();
            look_at_crowd(&shared);
        }
        if looked.elapsed() < look_interval {
            continue;
        }
        looked = Instant::now();
        let stats = shared.appender.stats();
        shared.health.look(&stats);
        shared.refusals.sweep();
        shared.peer_limits.sweep();
        shared.gaps.sweep();
        if watchdog.is_some_and(|interval| told.elapsed() >= interval)
            && shared.health.makes_progress(&stats)
        {
            told = Instant::now();
            notify::alive();
        }
    }
}

/// Logs the connections that were refused, and gives back the memory of those that have ended.
fn look_at_crowd(shared: &ServerContext) {
    let connections = shared.connections.take_refused();
    if connections > 0 {
        tracing::warn!(
            connections,
            "refused because their address has --peer-connections-max already"
        );
    }
    if shared.connections.take_ended() >= CROWD_CONNECTIONS {
        tokio::task::spawn_blocking(allocator::trim);
    }
}

/// Tells the page how the endpoint is, about once a second.
pub(super) async fn tell_page(shared: Arc<ServerContext>, board: Arc<Board>) {
    let mut ticks = tokio::time::interval(PAGE_INTERVAL);
    loop {
        ticks.tick().await;
        let stats = shared.appender.stats();
        let counters = stats.iter().filter(|(_, value)| *value > 0);
        board.put(Status {
            failure: shared.failure(),
            connections: shared.connections.count() as u64,
            repeated: shared.repeated(),
            sender_dropped: shared.gaps.dropped(),
            lag_bytes: stats.bytes_journaled.saturating_sub(stats.bytes_written),
            unsynced_bytes: stats.bytes_written.saturating_sub(stats.bytes_synced),
            counters: counters.collect(),
            refused: shared.metrics.refusals(),
        });
    }
}
