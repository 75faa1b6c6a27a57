//! A client of LiveKit's Twirp service: JSON by POST over one persistent connection.

use std::error::Error;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::ServerName;

use crate::trusted_roots::tls_config;

/// The maximum length of an answer.
const ANSWER_BYTES_MAX: usize = 256 << 20;

pub(super) type Failure = Box<dyn Error + Send + Sync>;

/// A connection to the server.
pub(super) struct Client {
    sender: SendRequest<Full<Bytes>>,
    authority: String,
    /// The prefix of the path of the service.
    prefix: String,
    timeout: Duration,
}

/// Where the server is.
struct Place {
    is_tls: bool,
    host: String,
    port: u16,
    authority: String,
    prefix: String,
}

/// How Twirp reports an error.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TwirpError {
    code: String,
    msg: String,
}

impl Client {
    pub(super) async fn connect(url: &str, limit: Duration) -> Result<Self, Failure> {
        let place = Place::of_url(url)?;
        let too_long = |_| io::Error::from(io::ErrorKind::TimedOut);
        let connecting = TcpStream::connect((place.host.as_str(), place.port));
        let stream = timeout(limit, connecting).await.map_err(too_long)??;
        stream.set_nodelay(true)?;
        let sender = if place.is_tls {
            let name = ServerName::try_from(place.host.clone())?;
            let connector = TlsConnector::from(Arc::new(tls_config()?));
            let connecting = connector.connect(name, stream);
            handshake(timeout(limit, connecting).await.map_err(too_long)??).await?
        } else {
            handshake(stream).await?
        };
        let Place { authority, prefix, .. } = place;
        Ok(Self { sender, authority, prefix, timeout: limit })
    }

    /// Calls a method of the RoomService.
    pub(super) async fn ask<T: DeserializeOwned + Default>(
        &mut self,
        method: &str,
        token: &str,
        request: &str,
    ) -> Result<T, Failure> {
        let request = Request::post(format!("{}/twirp/livekit.RoomService/{method}", self.prefix))
            .header(HOST, &self.authority)
            .header(CONTENT_TYPE, "application/json")
            .header(AUTHORIZATION, format!("Bearer {token}"))
            .body(Full::new(Bytes::copy_from_slice(request.as_bytes())))?;
        let asking = async {
            self.sender.ready().await?;
            let (head, body) = self.sender.send_request(request).await?.into_parts();
            let body = Limited::new(body, ANSWER_BYTES_MAX).collect().await?.to_bytes();
            Ok::<_, Failure>((head.status, body))
        };
        let answer = timeout(self.timeout, asking).await;
        let (status, body) = answer.map_err(|_| format!("{method}: no answer in time"))??;
        if status == StatusCode::OK {
            return serde_json::from_slice(&body)
                .map_err(|error| format!("{method}: the answer is not LiveKit's: {error}").into());
        }
        let told: TwirpError = serde_json::from_slice(&body).unwrap_or_default();
        // A room that has ended since it was listed.
        if told.code == "not_found" {
            return Ok(T::default());
        }
        Err(format!("{method}: {status} {} {}", told.code, told.msg).trim_end().into())
    }
}

async fn handshake(
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
) -> Result<SendRequest<Full<Bytes>>, Failure> {
    let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Its error is also the error of the request that it was for.
    tokio::spawn(connection);
    Ok(sender)
}

impl Place {
    /// LiveKit's own tools use `ws` and `wss`.
    fn of_url(url: &str) -> Result<Self, Failure> {
        let wrong = "it has to be an address such as https://livekit.example.org";
        let uri: Uri = url.parse().map_err(|_| wrong)?;
        let is_tls = match uri.scheme_str() {
            Some("https" | "wss") => true,
            Some("http" | "ws") => false,
            _ => return Err(wrong.into()),
        };
        let authority = uri.authority().ok_or(wrong)?;
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        let port = authority.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { is_tls, host, port, authority: authority.as_str().to_owned(), prefix })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_that_of_http_or_of_a_web_socket() {
        let place = |url| {
            let place = Place::of_url(url).ok()?;
            Some(format!("{} {} {} {}", place.is_tls, place.host, place.port, place.prefix))
        };
        assert_eq!(place("wss://a.example/").as_deref(), Some("true a.example 443 "));
        assert_eq!(place("https://a.example:7443/x/").as_deref(), Some("true a.example 7443 /x"));
        assert_eq!(place("http://[::1]:7880").as_deref(), Some("false ::1 7880 "));
        for wrong in ["a.example", "ftp://a.example", "", "http://"] {
            assert_eq!(place(wrong), None, "{wrong}");
        }
    }
}
