//! HTTP for the client of S3: HTTP/1.1 over connections that are kept for a few seconds.
//!
//! The client of S3 brings another HTTP client with it, with its own idea of trusted certificates.
//! This one is made of what the server of this program is made of, and trusts what the system
//! trusts.

use std::error::Error;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use http::header::HOST;
use http::{HeaderValue, Uri};
use http_body_util::BodyExt;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpRequestBody,
    HttpResponse, HttpResponseBody, HttpService,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use super::certificate;
use crate::trusted_roots::tls_config;

const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How long an unused connection is kept. Servers close them after 5 seconds or more.
const IDLE_MAX: Duration = Duration::from_secs(4);

type Failure = Box<dyn Error + Send + Sync>;

/// Makes clients.
pub(super) struct Connector(Arc<Connections>);

/// Connections that no request uses.
struct Connections {
    /// Or why there can be no TLS.
    tls: Result<TlsConnector, String>,
    idle: Mutex<Vec<Idle>>,
}

struct Idle {
    origin: Origin,
    sender: SendRequest<HttpRequestBody>,
    since: Instant,
}

/// What one connection serves.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Origin {
    is_tls: bool,
    host: String,
    port: u16,
}

impl Connector {
    pub(super) fn new() -> Self {
        let tls = tls_config().map(|config| TlsConnector::from(Arc::new(config)));
        let tls = tls.map_err(|error| error.to_string());
        Self(Arc::new(Connections { tls, idle: Mutex::default() }))
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Connector")
    }
}

impl HttpConnector for Connector {
    fn connect(&self, _: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(Client(Arc::clone(&self.0))))
    }
}

struct Client(Arc<Connections>);

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Client")
    }
}

#[async_trait]
impl HttpService for Client {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let wrong = |error: Failure| HttpError::new_boxed(HttpErrorKind::Unknown, error);
        let (origin, host) = origin_of(request.uri()).map_err(wrong)?;
        let target = request.uri().path_and_query().map_or("/", |target| target.as_str());
        *request.uri_mut() = target.parse().map_err(|error| wrong(Box::new(error)))?;
        request.headers_mut().entry(HOST).or_insert(host);
        let mut sender = match self.0.take(&origin).await {
            Some(sender) => sender,
            None => self
                .0
                .connect(&origin)
                .await
                .map_err(|error| HttpError::new_boxed(HttpErrorKind::Connect, error))?,
        };
        let failed = |error: hyper::Error| HttpError::new(HttpErrorKind::Interrupted, error);
        let (head, body) = sender.send_request(request).await.map_err(failed)?.into_parts();
        let body = body.collect().await.map_err(failed)?.to_bytes();
        self.0.keep(origin, sender);
        Ok(HttpResponse::from_parts(head, HttpResponseBody::from(body)))
    }
}

impl Connections {
    /// A connection that is still open.
    async fn take(&self, origin: &Origin) -> Option<SendRequest<HttpRequestBody>> {
        loop {
            let mut sender = {
                let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
                idle.retain(|idle| idle.since.elapsed() < IDLE_MAX);
                let index = idle.iter().rposition(|idle| idle.origin == *origin)?;
                idle.swap_remove(index).sender
            };
            if sender.ready().await.is_ok() {
                return Some(sender);
            }
        }
    }

    fn keep(&self, origin: Origin, sender: SendRequest<HttpRequestBody>) {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push(Idle { origin, sender, since: Instant::now() });
    }

    async fn connect(&self, origin: &Origin) -> Result<SendRequest<HttpRequestBody>, Failure> {
        let connecting = async {
            let stream = TcpStream::connect((origin.host.as_str(), origin.port)).await?;
            stream.set_nodelay(true)?;
            if !origin.is_tls {
                return handshake(stream).await;
            }
            let name = ServerName::try_from(origin.host.clone())?;
            let tls = self.tls.as_ref().map_err(Clone::clone)?;
            handshake(tls.connect(name, stream).await?).await
        };
        let Origin { host, port, .. } = origin;
        match timeout(CONNECT_TIMEOUT, connecting).await {
            Ok(connected) => connected.map_err(|error| {
                let way_out = certificate::way_out(error.as_ref());
                let way_out = way_out.map(|it| format!("; {it}")).unwrap_or_default();
                format!("cannot connect to {host}:{port}: {error}{way_out}").into()
            }),
            Err(_) => Err(format!("cannot connect to {host}:{port}: no answer in time").into()),
        }
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<HttpRequestBody>, Failure> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its error is also the error of the request that it was for.
    tokio::spawn(connection);
    Ok(sender)
}

fn origin_of(uri: &Uri) -> Result<(Origin, HeaderValue), Failure> {
    let is_tls = uri.scheme_str() == Some("https");
    let authority = uri.authority().ok_or("the address has no host")?;
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
    let header = match authority.port_u16() {
        Some(port) => format!("{}:{port}", authority.host()),
        None => authority.host().to_owned(),
    };
    Ok((Origin { is_tls, host, port }, header.parse()?))
}
