//! Accepts connections for the page, with limits of their own: nothing here takes a place from a
//! sender of events.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::{networks, plain};
use super::body::Progress;
use super::hub::VIEWERS_MAX;
use super::routes::Page;
use super::settings::PageSettings;

/// Viewers, and as many connections again as browsers open beside them.
const CONNECTIONS_MAX: usize = VIEWERS_MAX + 200;

/// Concurrent requests of one HTTP/2 connection.
const STREAMS_MAX: u32 = 32;

const HEADER_BYTES_MAX: u32 = 16 << 10;

/// The pause after an accept that failed, for example because no descriptors are left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How often connections are checked, and files of passwords and certificates.
const SWEEP_INTERVAL: Duration = Duration::from_secs(2);

/// All connections, to end those that do not move.
#[derive(Debug, Default)]
struct Connections(Mutex<Vec<Weak<Progress>>>);

impl Connections {
    fn add(&self, progress: &Arc<Progress>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Arc::downgrade(progress));
    }

    fn sweep(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|progress| {
            let Some(progress) = progress.upgrade() else { return false };
            if progress.is_over() {
                progress.end.notify_one();
            }
            true
        });
    }
}

/// Serves until it is dropped.
pub(super) async fn serve(listener: TcpListener, page: Arc<Page>, settings: Arc<PageSettings>) {
    let connections = Arc::new(Connections::default());
    let sweeper = sweep(connections.clone(), page.clone(), settings.clone());
    tokio::select! {
        () = accept(listener, connections, page, settings) => {}
        () = sweeper => {}
    }
}

async fn accept(
    listener: TcpListener,
    connections: Arc<Connections>,
    page: Arc<Page>,
    settings: Arc<PageSettings>,
) {
    let slots = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let http = Arc::new(http());
    loop {
        // Nobody closes the semaphore.
        let Ok(slot) = slots.clone().acquire_owned().await else { return };
        let (stream, address) = match listener.accept().await {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::debug!(%error, "the page cannot accept a connection");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        if !networks::allow(&settings.allowed, address) {
            continue;
        }
        let progress = Progress::new();
        connections.add(&progress);
        let connection = Connection { address, page: page.clone(), progress, http: http.clone() };
        tokio::spawn(connection.run(stream, settings.clone(), slot));
    }
}

async fn sweep(connections: Arc<Connections>, page: Arc<Page>, settings: Arc<PageSettings>) {
    let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
    loop {
        ticks.tick().await;
        connections.sweep();
        let (page, settings) = (page.clone(), settings.clone());
        let swept = tokio::task::spawn_blocking(move || {
            page.refusals.sweep();
            page.access.sweep();
            match settings.tls.as_ref().and_then(|tls| tls.reload_changed()) {
                Some(Ok(())) => tracing::info!("the certificate of the page has changed"),
                Some(Err(error)) => {
                    tracing::error!(%error, "the certificate of the page stays as it was");
                }
                None => {}
            }
        });
        if let Err(error) = swept.await {
            tracing::error!(%error, "could not look at passwords and certificates of the page");
        }
    }
}

fn http() -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder.http1().half_close(true).max_buf_size(HEADER_BYTES_MAX as usize);
    builder.http2().max_concurrent_streams(STREAMS_MAX).max_header_list_size(HEADER_BYTES_MAX);
    builder
}

/// One connection.
struct Connection {
    address: SocketAddr,
    page: Arc<Page>,
    progress: Arc<Progress>,
    http: Arc<Builder<TokioExecutor>>,
}

impl Connection {
    async fn run(
        self,
        stream: TcpStream,
        settings: Arc<PageSettings>,
        _slot: OwnedSemaphorePermit,
    ) {
        let progress = self.progress.clone();
        tokio::select! {
            served = self.serve(stream, &settings) => {
                if let Err(error) = served {
                    tracing::debug!(error, "a connection to the page has ended");
                }
            }
            () = progress.end.notified() => {}
        }
    }

    async fn serve(
        self,
        stream: TcpStream,
        settings: &PageSettings,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        stream.set_nodelay(true)?;
        let Some(tls) = &settings.tls else { return self.serve_stream(stream).await };
        if plain::begins(&stream).await? {
            return Ok(plain::refuse(stream).await?);
        }
        let stream: Result<_, io::Error> = tls.acceptor().accept(stream).await;
        self.serve_stream(stream?).await
    }

    async fn serve_stream<S>(
        self,
        stream: S,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let Self { address, page, progress, http } = self;
        let service = service_fn(move |request: Request<Incoming>| {
            let (page, progress) = (page.clone(), progress.clone());
            async move { Ok::<_, Infallible>(page.respond(request, address, &progress).await) }
        });
        http.serve_connection(TokioIo::new(stream), service).await
    }
}
