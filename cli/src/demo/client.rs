//! Posts events, one after the other over one connection, as a media server does.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderName, HeaderValue};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A request that is not answered within this time has failed.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The maximum length of an answer: it is shown only where it is an error.
const ANSWER_BYTES_MAX: usize = 64 << 10;

pub(super) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// A connection to an endpoint.
pub(super) struct Client {
    sender: SendRequest<Full<Bytes>>,
    uri: Uri,
    authority: String,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Client {
    pub(super) async fn connect(
        url: &str,
        headers: Vec<(HeaderName, HeaderValue)>,
    ) -> Result<Self, Failure> {
        let wrong = "--url has to be an address such as http://127.0.0.1:8787/";
        let uri: Uri = url.parse().map_err(|_| wrong)?;
        if uri.scheme_str() != Some("http") {
            return Err(wrong.into());
        }
        let authority = uri.authority().ok_or(wrong)?.clone();
        let host = authority.host().trim_start_matches('[').trim_end_matches(']');
        let connecting = TcpStream::connect((host, authority.port_u16().unwrap_or(80)));
        let stream = timeout(TIMEOUT, connecting).await.map_err(|_| too_long())?;
        let stream = stream.map_err(|error| format!("cannot connect to {url}: {error}"))?;
        stream.set_nodelay(true)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        // Its error is also the error of the request that it was for.
        tokio::spawn(connection);
        Ok(Self { sender, uri, authority: authority.as_str().to_owned(), headers })
    }

    /// Posts one event.
    ///
    /// # Errors
    ///
    /// It was not answered with 200.
    pub(super) async fn post(&mut self, event: Vec<u8>) -> Result<(), Failure> {
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::post(path)
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json");
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        let request = request.body(Full::new(Bytes::from(event)))?;
        let posting = async {
            self.sender.ready().await?;
            let (head, body) = self.sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
            Ok::<_, Failure>((head.status, body))
        };
        let (status, body) = timeout(TIMEOUT, posting).await.map_err(|_| too_long())??;
        if status == StatusCode::OK {
            return Ok(());
        }
        let why = String::from_utf8_lossy(&body);
        Err(format!("the endpoint answered {status}: {}", crate::print::shown(why.trim())).into())
    }
}

fn too_long() -> Failure {
    io::Error::from(io::ErrorKind::TimedOut).into()
}
