//! A start on a full disk: the server waits for space, as a running one does. Meanwhile it answers
//! everybody with 503, `GET /healthz` too, and tells systemd.

use std::convert::Infallible;
use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use cdrlog::{Appender, OpenError};
use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;

use super::directory;
use super::listen::{Accepted, Listeners, Stream};
use super::main_loop::Process;
use super::networks;
use super::notify;
use super::response;
use super::settings::Settings;
use super::signals::{Request as Signal, Signals};
use super::tls::Tls;

/// How often the server tries to open the directory again.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// Concurrent connections, and how long each may last. They get one answer.
const CONNECTIONS_MAX: usize = 64;
const CONNECTION_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether nothing but space is missing.
fn is_for_room(error: &OpenError) -> bool {
    use std::io::ErrorKind::{QuotaExceeded, StorageFull};
    let OpenError::Io { source, .. } = error else { return false };
    matches!(source.kind(), StorageFull | QuotaExceeded)
}

/// Opens the directory; on a full disk, as soon as there is space. `None` if a signal says to end
/// before that.
pub(super) async fn open_or_wait(
    settings: &Settings,
    process: &mut Process,
    tls: Option<&Tls>,
) -> Result<Option<Appender>, Box<dyn Error>> {
    match directory::open(settings.builder()) {
        Ok(appender) => Ok(Some(appender)),
        Err(error) if is_for_room(&error) => {
            let Process { listeners, signals, .. } = process;
            tracing::error!(listen = %listeners, %error, "waiting for room on the disk");
            Ok(open(error, listeners, signals, tls, settings).await?)
        }
        Err(error) => Err(error.into()),
    }
}

/// Opens the directory as soon as there is space. `None` if a signal said to end before that.
async fn open(
    error: OpenError,
    listeners: &Listeners,
    signals: &mut Signals,
    tls: Option<&Tls>,
    settings: &Settings,
) -> Result<Option<Appender>, OpenError> {
    let mut failure: Arc<str> = error.to_string().into();
    notify::waiting(failure.to_string());
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut retry = tokio::time::interval(RETRY_INTERVAL);
    let mut signs_of_life = notify::watchdog_interval().map(tokio::time::interval);
    loop {
        tokio::select! {
            signal = signals.receive() => match signal {
                Signal::End => return Ok(None),
                // It may be the server of before that waits, after a hand-over that failed.
                Signal::Reload => signals.postpone_reload(),
                Signal::HandOver => {
                    tracing::error!("not handed over: there is no room on the disk");
                }
            },
            Ok(accepted) = listeners.accept() => {
                if !networks::allow(&settings.allowed, accepted.peer) {
                    continue;
                }
                let Ok(permit) = places.clone().try_acquire_owned() else { continue };
                let acceptor = tls.filter(|_| accepted.is_tls).map(Tls::acceptor);
                let failure = failure.clone();
                tokio::spawn(async move {
                    let answered = answer(accepted, acceptor, failure);
                    // Late or not, they have been told or cannot be.
                    let _ = tokio::time::timeout(CONNECTION_TIMEOUT, answered).await;
                    drop(permit);
                });
            }
            _ = tick(&mut signs_of_life) => notify::alive(),
            _ = retry.tick() => match try_open(settings).await {
                Ok(appender) => return Ok(Some(appender)),
                Err(error) if is_for_room(&error) => failure = error.to_string().into(),
                Err(error) => return Err(error),
            },
        }
    }
}

async fn try_open(settings: &Settings) -> Result<Appender, OpenError> {
    let builder = settings.builder();
    let opened = tokio::task::spawn_blocking(move || directory::open(builder)).await;
    match opened {
        Ok(opened) => opened,
        Err(error) => std::panic::resume_unwind(error.into_panic()),
    }
}

/// The next sign of life is due. Waits forever if nobody wants to hear of it.
async fn tick(signs_of_life: &mut Option<tokio::time::Interval>) {
    match signs_of_life {
        Some(signs) => drop(signs.tick().await),
        None => std::future::pending().await,
    }
}

async fn answer(
    accepted: Accepted,
    acceptor: Option<tokio_rustls::TlsAcceptor>,
    failure: Arc<str>,
) {
    match (accepted.stream, acceptor) {
        (Stream::Unix(stream), _) => answer_stream(stream, failure).await,
        (Stream::Tcp(stream), None) => answer_stream(stream, failure).await,
        (Stream::Tcp(stream), Some(acceptor)) => {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer_stream(stream, failure).await;
            }
        }
    }
}

async fn answer_stream<S: AsyncRead + AsyncWrite + Unpin>(stream: S, failure: Arc<str>) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = response::unavailable(&failure);
        async move {
            super::body::drain(request).await;
            Ok::<_, Infallible>(answer)
        }
    });
    let served =
        http1::Builder::new().keep_alive(false).serve_connection(TokioIo::new(stream), service);
    if let Err(error) = served.await {
        tracing::debug!(%error, "a connection has ended");
    }
}
