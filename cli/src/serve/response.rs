//! What is sent back: the response and its body.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::StatusCode;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::{self, HeaderName, HeaderValue};
use serde_json::json;
use tokio::task::JoinHandle;

use super::conn_state::InFlight;

/// How many bytes of a file are read at once.
const BLOCK_BYTES: u64 = 64 << 10;

/// A response of this server.
pub(super) type Response = hyper::Response<Content>;

/// The body of a response. Its request is in flight until this is dropped.
#[derive(Debug)]
pub(super) struct Content {
    kind: Kind,
    in_flight: Option<InFlight>,
}

#[derive(Debug)]
enum Kind {
    Bytes(Bytes),
    File(FilePart),
}

/// A part of a file, read block by block where blocking is allowed.
#[derive(Debug)]
pub(super) struct FilePart {
    pub(super) file: Arc<File>,
    pub(super) offset: u64,
    pub(super) end: u64,
    pub(super) reading: Option<JoinHandle<io::Result<Bytes>>>,
}

impl Content {
    pub(super) fn bytes(bytes: impl Into<Bytes>) -> Self {
        Self { kind: Kind::Bytes(bytes.into()), in_flight: None }
    }

    pub(super) fn file(part: FilePart) -> Self {
        Self { kind: Kind::File(part), in_flight: None }
    }

    pub(super) fn keep(&mut self, mut in_flight: InFlight) {
        let bytes = match &self.kind {
            // It does not block the stream: the head alone is sent whatever the peer takes.
            _ if self.is_end_stream() => None,
            Kind::Bytes(bytes) => Some(bytes.len()),
            // It is read at the pace at which the peer takes it.
            Kind::File(_) => Some(0),
        };
        in_flight.note_response(bytes);
        self.in_flight = Some(in_flight);
    }
}

impl FilePart {
    fn poll_block(&mut self, context: &mut Context<'_>) -> Poll<Option<io::Result<Bytes>>> {
        let left = self.end.saturating_sub(self.offset);
        if left == 0 {
            return Poll::Ready(None);
        }
        let reading = self.reading.get_or_insert_with(|| {
            let (file, offset, bytes) = (self.file.clone(), self.offset, left.min(BLOCK_BYTES));
            tokio::task::spawn_blocking(move || read_block(&file, offset, bytes as usize))
        });
        let read = ready!(Pin::new(reading).poll(context));
        self.reading = None;
        let block = read.unwrap_or_else(|_| Err(io::ErrorKind::Interrupted.into()));
        if let Ok(block) = &block {
            self.offset += block.len() as u64;
        }
        Poll::Ready(Some(block))
    }
}

fn read_block(file: &File, offset: u64, bytes: usize) -> io::Result<Bytes> {
    let mut block = vec![0; bytes];
    let read = file.read_at(&mut block, offset)?;
    if read == 0 {
        // Another program has truncated it: the promised length cannot be kept.
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    block.truncate(read);
    Ok(block.into())
}

impl Body for Content {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Frame<Bytes>>>> {
        self.in_flight.iter().for_each(InFlight::note_progress);
        match &mut self.kind {
            Kind::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Bytes(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::File(part) => {
                let block = ready!(part.poll_block(context));
                Poll::Ready(block.map(|block| block.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.size_hint().exact() == Some(0)
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match &self.kind {
            Kind::Bytes(bytes) => bytes.len() as u64,
            Kind::File(part) => part.end.saturating_sub(part.offset),
        })
    }
}

/// An answer without a body.
pub(super) fn empty(status: StatusCode) -> Response {
    let mut response = Response::new(Content::bytes(Bytes::new()));
    *response.status_mut() = status;
    response
}

/// An answer with a body of this type.
pub(super) fn text(status: StatusCode, content_type: &'static str, text: String) -> Response {
    let mut response = Response::new(Content::bytes(text));
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, content_type);
    response
}

/// Says in JSON what is wrong.
pub(super) fn error(status: StatusCode, message: &str) -> Response {
    text(status, JSON, json!({ "error": message }).to_string())
}

/// The server cannot accept it now.
pub(super) fn unavailable(message: &str) -> Response {
    let mut response = error(StatusCode::SERVICE_UNAVAILABLE, message);
    set(&mut response, header::RETRY_AFTER, "5");
    response
}

/// The peer has asked for too much, and may try again after `wait`.
pub(super) fn too_many(message: &str, wait: Duration) -> Response {
    let mut response = error(StatusCode::TOO_MANY_REQUESTS, message);
    response.headers_mut().insert(header::RETRY_AFTER, whole_seconds(wait).into());
    response
}

/// How long to wait, in seconds: not less, and at least one.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

/// A missing or repeated host is how a request is smuggled past a proxy.
pub(super) fn one_host() -> Response {
    error(StatusCode::BAD_REQUEST, "a request of HTTP/1.1 has one header Host")
}

/// Nothing here decompresses.
pub(super) fn encoded() -> Response {
    let message = "the body must be sent as it is, without Content-Encoding";
    let mut response = error(StatusCode::UNSUPPORTED_MEDIA_TYPE, message);
    set(&mut response, header::ACCEPT_ENCODING, "identity");
    response
}

/// The resource has other methods.
pub(super) fn not_allowed(methods: &'static str) -> Response {
    let mut response = error(StatusCode::METHOD_NOT_ALLOWED, "this path has no such method");
    set(&mut response, header::ALLOW, methods);
    response
}

pub(super) const JSON: &str = "application/json";

pub(super) fn set(response: &mut Response, name: HeaderName, value: &'static str) {
    response.headers_mut().insert(name, HeaderValue::from_static(value));
}
