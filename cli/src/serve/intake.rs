//! Events: from the request to the acknowledgement.

use std::borrow::Cow;
use std::time::{Duration, Instant};

use bytes::Bytes;
use cdrlog::{Ack, AckError, Durability, FlushError, Rejection, TrySendError};
use hyper::body::Incoming;
use hyper::header::{self, HeaderMap};
use hyper::{Request, StatusCode};
use serde_json::json;

use super::answer::{self, Answer};
use super::auth::{BodyCheck, Denied};
use super::body::{self, BodyError, Share};
use super::dedup::{Entered, Guard};
use super::options::AckLevel;
use super::peer::Peer;
use super::refusals::{Reason, Refusal};

/// The first pause of a request that finds the queue full; it doubles up to `PAUSE_MAX`.
const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(50);

/// How long one who is not let in may go on to send.
const STRANGER_TIMEOUT_MAX: Duration = Duration::from_secs(1);

/// Why an event is not acknowledged.
#[derive(Debug)]
enum Failure {
    Rejected(Rejection),
    /// The queue stayed full for as long as patience lasts.
    Full,
    /// The event was taken, and its acknowledgement did not come for as long as patience lasts.
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
    Denied(Denied),
}

impl From<BodyError> for Refused {
    fn from(error: BodyError) -> Self {
        Self::Body(error)
    }
}

impl From<Denied> for Refused {
    fn from(denied: Denied) -> Self {
        Self::Denied(denied)
    }
}

/// Takes the event of a request.
pub(super) async fn post(peer: &Peer, mut request: Request<Incoming>) -> Answer {
    let settings = peer.settings();
    let timeout = settings.limits.body_timeout;
    let gate = &peer.shared().gate;
    let check = match gate.check_headers(request.headers()) {
        Ok(check) => check,
        Err(denied) => {
            discard_of_stranger(peer, request);
            return gate.refuse(denied);
        }
    };
    let is_verified = check.as_ref().is_none_or(BodyCheck::is_verified);
    if is_verified {
        peer.watch().note_credentials();
    }
    if is_encoded(request.headers()) {
        body::discard(request, timeout.min(STRANGER_TIMEOUT_MAX));
        return Refusal::new(Reason::EncodedBody, "the body is compressed").mark(answer::encoded());
    }
    let bytes_max = settings.event_bytes_max;
    let incoming = request.body_mut();
    let check = |event: &Bytes| check.map_or(Ok(()), |check| Ok(check.check(event)?));
    let read = if is_verified {
        let read = body::read(incoming, bytes_max, timeout, peer).await.map_err(Refused::from);
        read.and_then(|read| check(&read.0).map(|()| read))
    } else {
        body::read_unverified(incoming, bytes_max, timeout, peer, check).await
    };
    let (event, share) = match read {
        Ok(read) => read,
        Err(Refused::Denied(denied)) => return gate.refuse(denied),
        Err(Refused::Body(error)) => {
            if error == BodyError::TooLarge {
                body::discard(request, if is_verified { timeout } else { STRANGER_TIMEOUT_MAX });
            }
            return body_error(error, bytes_max);
        }
    };
    peer.watch().note_credentials();
    peer.metrics().count_body(event.len());
    match submit(peer, event, share).await {
        Ok(()) => answer::empty(StatusCode::OK),
        Err(failure) => refuse(peer, &failure),
    }
}

/// Reads and forgets the body of one who is not let in, for a short time.
pub(super) fn discard_of_stranger(peer: &Peer, request: Request<Incoming>) {
    let timeout = peer.settings().limits.body_timeout;
    body::discard(request, timeout.min(STRANGER_TIMEOUT_MAX));
}

/// Whether the body is something else than the event itself, compressed for example.
fn is_encoded(headers: &HeaderMap) -> bool {
    let mut codings = headers.get_all(header::CONTENT_ENCODING).iter();
    codings.any(|coding| !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"identity"))
}

/// Hands the event over and waits until it is as safe as the level says. Both take as long as
/// patience lasts, together. One that was acknowledged before is not written again.
async fn submit(peer: &Peer, event: Bytes, share: Share<'_>) -> Result<(), Failure> {
    let begin = Instant::now();
    let end = begin + peer.settings().patience;
    let mut guard = None;
    if let Some((dedup, key)) = peer.shared().remembered(&event) {
        match peer.watch().within(end, dedup.enter(key)).await {
            Some(Entered::New(new)) => guard = Some(new),
            Some(Entered::Duplicate) => return Ok(()),
            None => return Err(Failure::Unacknowledged),
        }
    }
    let ack = match send(peer, event) {
        Ok(ack) => ack,
        Err(refused) => send_later(peer, refused, end).await?,
    };
    drop(share);
    // No await between: an event that is in the queue stays remembered, whatever becomes of the
    // request.
    match (ack, guard) {
        (Some(ack), Some(guard)) => wait(peer, end, guard.settle(ack)).await?,
        (Some(ack), None) => wait(peer, end, ack).await?,
        (None, guard) => guard.map_or((), Guard::commit),
    }
    peer.metrics().observe_ack(peer.settings().ack, begin.elapsed());
    Ok(())
}

async fn wait<T>(
    peer: &Peer,
    end: Instant,
    ack: impl Future<Output = Result<T, AckError>>,
) -> Result<(), Failure> {
    peer.watch().within(end, ack).await.ok_or(Failure::Unacknowledged)??;
    Ok(())
}

/// Tries again and again while the queue is full.
async fn send_later(
    peer: &Peer,
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
        refused = match send(peer, event) {
            Ok(ack) => return Ok(ack),
            Err(refused) => refused,
        };
    }
}

/// `None`: nothing to wait for.
fn send(peer: &Peer, event: Bytes) -> Result<Option<Ack>, TrySendError> {
    let producer = peer.producer();
    let durability = match peer.settings().ack {
        AckLevel::Accepted => return producer.try_send(event).map(|()| None),
        AckLevel::Journaled => Durability::Journaled,
        AckLevel::Written => Durability::Written,
        AckLevel::Synced => Durability::Synced,
    };
    // The rewriter is woken when this thread has nothing else to do: see `runtime` in `mod.rs`.
    producer.try_send_acked_later(event, durability).map(Some)
}

fn refuse(peer: &Peer, failure: &Failure) -> Answer {
    match failure {
        Failure::Rejected(rejection) => rejected(rejection),
        Failure::Full => {
            not_now(peer, Reason::QueueFull, "the queue is full; the event may be given again")
        }
        Failure::Unacknowledged => {
            let message = "the event is not safe yet; it may be given again";
            not_now(peer, Reason::Unacknowledged, message)
        }
        Failure::Failed(error) => {
            if matches!(error, FlushError::Closed) {
                peer.note_closed();
            }
            unavailable(Reason::CannotWrite, error.to_string())
        }
    }
}

/// With what the disk says, where it says something.
fn not_now(peer: &Peer, reason: Reason, message: &'static str) -> Answer {
    unavailable(reason, peer.trouble().map_or(message.into(), Cow::Owned))
}

fn unavailable(reason: Reason, message: impl Into<Cow<'static, str>>) -> Answer {
    let message = message.into();
    let answer = answer::unavailable(&message);
    Refusal::new(reason, message).mark(answer)
}

fn rejected(rejection: &Rejection) -> Answer {
    let text = json!({
        "error": format!("the body is no event: {}", rejection.reason),
        "reason": rejection.reason.as_str(),
        "offset": rejection.offset,
    });
    let answer = answer::text(StatusCode::BAD_REQUEST, answer::JSON, text.to_string());
    Refusal::new(Reason::NotAnEvent, rejection.reason.as_str()).mark(answer)
}

fn body_error(error: BodyError, bytes_max: usize) -> Answer {
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
    let answer = answer::error(status, &message);
    Refusal::new(reason, message).mark(answer)
}
