//! Events: from the request to the acknowledgement.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cdrlog::{Ack, AckError, Durability, FlushError, Rejection, TrySendError};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Request, StatusCode};
use serde_json::json;

use super::auth::BodyCheck;
use super::body;
use super::body_budget::{BodyError, Share};
use super::conn_context::{ConnContext, Unwelcome};
use super::dedup::{Entered, Guard};
use super::gaps::Report;
use super::options::AckLevel;
use super::refusals::{Reason, Refusal};
use super::response::{self, Response};

/// The first pause of a request that finds the queue full; the pause doubles up to `PAUSE_MAX`.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// How long a peer that is not let in may go on sending.
const STRANGER_TIMEOUT_MAX: Duration = Duration::from_secs(1);

/// Why an event is not acknowledged.
#[derive(Debug)]
enum Failure {
    Rejected(Rejection),
    /// The queue stayed full for `--write-retry-timeout`.
    Full,
    /// The event was accepted, but its acknowledgement did not come within `--write-retry-timeout`.
    Unacknowledged,
    Failed(FlushError),
}

impl From<AckError> for Failure {
    fn from(error: AckError) -> Self {
        match error {
            AckError::Rejected(rejection) => Self::Rejected(rejection),
            AckError::Failed(failure) => Self::Failed(failure),
            _ => Self::Failed(FlushError::Closed),
        }
    }
}

/// Why there is no event.
enum Refused {
    Body(BodyError),
    Unwelcome(Unwelcome),
}

impl From<BodyError> for Refused {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl From<Unwelcome> for Refused {
    fn from(unwelcome: Unwelcome) -> Self {
        Self::Unwelcome(unwelcome)
    }
}

/// Accepts the event of a request.
pub(super) async fn post(conn: &ConnContext, mut request: Request<Incoming>) -> Response {
    let settings = conn.settings();
    let timeout = settings.limits.body_timeout;
    let check = match conn.check_headers(request.headers()) {
        Ok(check) => check,
        Err(unwelcome) => {
            discard_of_stranger(conn, request);
            return conn.refuse(unwelcome);
        }
    };
    let is_verified = check.as_ref().is_none_or(BodyCheck::is_verified);
    if is_verified {
        conn.state().note_credentials();
    }
    if is_encoded(request.headers()) {
        body::discard(request, timeout.min(STRANGER_TIMEOUT_MAX));
        return Refusal::new(Reason::EncodedBody, "the body is compressed")
            .mark(response::encoded());
    }
    let bytes_max = settings.event_bytes_max;
    let incoming = request.body_mut();
    let check = |event: &Bytes| -> Result<(), Refused> {
        let Some(check) = check else { return Ok(()) };
        check.check(event).map_err(|denied| conn.deny(denied).into())
    };
    let read = if is_verified {
        let read = body::read(incoming, bytes_max, timeout, conn).await.map_err(Refused::from);
        read.and_then(|read| check(&read.0).map(|()| read))
    } else {
        body::read_unverified(incoming, bytes_max, timeout, conn, check).await
    };
    let (event, share) = match read {
        Ok(read) => read,
        Err(Refused::Unwelcome(unwelcome)) => return conn.refuse(unwelcome),
        Err(Refused::Body(error)) => {
            if error == BodyError::TooLarge {
                body::discard(request, if is_verified { timeout } else { STRANGER_TIMEOUT_MAX });
            }
            return body_error(error, bytes_max);
        }
    };
    conn.state().note_credentials();
    conn.metrics().count_body(event.len());
    match submit(conn, event, share).await {
        Ok(()) => response::empty(StatusCode::OK),
        Err(failure) => refuse(conn, &failure),
    }
}

/// Reads and discards the body of a peer that is not let in, for a short time.
pub(super) fn discard_of_stranger(conn: &ConnContext, request: Request<Incoming>) {
    let timeout = conn.settings().limits.body_timeout;
    body::discard(request, timeout.min(STRANGER_TIMEOUT_MAX));
}

/// Whether the body is something other than the event itself, compressed for example.
fn is_encoded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// Hands the event over and waits until it is as safe as `--ack` says. Both together take at most
/// `--write-retry-timeout`. An event that was acknowledged before is not written again.
async fn submit(conn: &ConnContext, event: Bytes, share: Share<'_>) -> Result<(), Failure> {
    let begin = Instant::now();
    let end = begin + conn.settings().write_retry_timeout;
    let mut guard = None;
    if let Some((dedup, key)) = conn.shared().remembered(&event) {
        match conn.state().within(end, dedup.enter(key)).await {
            Some(Entered::New(new)) => guard = Some(new),
            Some(Entered::Duplicate) => return Ok(()),
            None => return Err(Failure::Unacknowledged),
        }
    }
    let report = Report::of_body(&event);
    let ack = match send(conn, event) {
        Ok(ack) => ack,
        Err(refused) => send_later(conn, refused, end).await?,
    };
    drop(share);
    // No await between: an event in the queue stays remembered, whatever happens to the request,
    // and what it reports is noted once.
    if let Some(report) = report {
        conn.shared().gaps.note(report, conn.address());
    }
    match (ack, guard) {
        (Some(ack), Some(guard)) => wait(conn, end, guard.settle(ack)).await?,
        (Some(ack), None) => wait(conn, end, ack).await?,
        (None, guard) => guard.map_or((), Guard::commit),
    }
    conn.metrics().observe_ack(conn.settings().ack, begin.elapsed());
    Ok(())
}

async fn wait<T>(
    conn: &ConnContext,
    end: Instant,
    ack: impl Future<Output = Result<T, AckError>>,
) -> Result<(), Failure> {
    conn.state().within(end, ack).await.ok_or(Failure::Unacknowledged)??;
    Ok(())
}

/// Retries while the queue is full.
async fn send_later(
    conn: &ConnContext,
    mut refused: TrySendError,
    end: Instant,
) -> Result<Option<Ack>, Failure> {
    let mut pause = PAUSE_MIN;
    loop {
        let TrySendError::Full(event) = refused else {
            return Err(Failure::Failed(FlushError::Closed));
        };
        let now = Instant::now();
        if now >= end {
            return Err(Failure::Full);
        }
        tokio::time::sleep_until(end.min(now + pause).into()).await;
        pause = (pause * 2).min(PAUSE_MAX);
        refused = match send(conn, event) {
            Ok(ack) => return Ok(ack),
            Err(refused) => refused,
        };
    }
}

/// `None`: nothing to wait for.
fn send(conn: &ConnContext, event: Bytes) -> Result<Option<Ack>, TrySendError> {
    let producer = conn.producer();
    let durability = match conn.settings().ack {
        AckLevel::Accepted => return producer.try_send(event).map(|()| None),
        AckLevel::Journaled => Durability::Journaled,
        AckLevel::Written => Durability::Written,
        AckLevel::Synced => Durability::Synced,
    };
    // The rewriter is woken when this thread has nothing else to do: see `runtime` in `start.rs`.
    producer.try_send_acked_no_wake(event, durability).map(Some)
}

fn refuse(conn: &ConnContext, failure: &Failure) -> Response {
    match failure {
        Failure::Rejected(rejection) => rejected(rejection),
        Failure::Full => {
            not_now(conn, Reason::QueueFull, "the queue is full; the event may be given again")
        }
        Failure::Unacknowledged => {
            let message = "the event is not safe yet; it may be given again";
            not_now(conn, Reason::Unacknowledged, message)
        }
        Failure::Failed(error) => {
            if matches!(error, FlushError::Closed) {
                conn.note_closed();
            }
            unavailable(Reason::CannotWrite, error.to_string())
        }
    }
}

/// With the disk's error, if there is one.
fn not_now(conn: &ConnContext, reason: Reason, message: &'static str) -> Response {
    unavailable(reason, conn.failure().map_or(message.into(), Cow::Owned))
}

fn unavailable(reason: Reason, message: impl Into<Cow<'static, str>>) -> Response {
    let message = message.into();
    let response = response::unavailable(&message);
    Refusal::new(reason, message).mark(response)
}

fn rejected(rejection: &Rejection) -> Response {
    let text = json!({
        "error": format!("the body is not an event: {}", rejection.reason),
        "reason": rejection.reason.as_str(),
        "offset": rejection.offset,
    });
    let response = response::text(StatusCode::BAD_REQUEST, response::JSON, text.to_string());
    Refusal::new(Reason::NotAnEvent, rejection.reason.as_str()).mark(response)
}

fn body_error(error: BodyError, bytes_max: usize) -> Response {
    let (status, reason, message) = match error {
        BodyError::TooLarge => {
            let message = format!("the body is larger than {bytes_max} bytes");
            (StatusCode::PAYLOAD_TOO_LARGE, Reason::LargeBody, message.into())
        }
        BodyError::TooSlow => {
            (StatusCode::REQUEST_TIMEOUT, Reason::SlowBody, "the body did not come in time".into())
        }
        BodyError::NoMemory => {
            return unavailable(Reason::Memory, "too many large bodies at the same time");
        }
        BodyError::Displaced => {
            let message = "too many bodies at the same time that are not verified yet";
            return unavailable(Reason::Memory, message);
        }
        BodyError::Broken => {
            let message: Cow<'_, str> = "the body ends before its length, or is not framed".into();
            (StatusCode::BAD_REQUEST, Reason::BrokenBody, message)
        }
    };
    let response = response::error(status, &message);
    Refusal::new(reason, message).mark(response)
}
