//! Reads the body of a request, with limits on time, size and memory.

use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::{Request, header};

use super::body_budget::{Account, BodyError, Share};
use super::conn_context::ConnContext;
use super::memory::STREAM_BYTES;

/// How much a refused request may still send. If a connection is closed while its peer still sends,
/// the answer is lost on its way, and the peer sees a broken connection instead.
const DISCARD_BYTES_MAX: u64 = 4 << 20;

/// How long a body may take while nobody vouches for it. Senders have theirs ready.
const UNVERIFIED_TIMEOUT: Duration = Duration::from_secs(2);

/// Reads a body of at most `bytes_max` bytes within `timeout`. A body that arrives in one piece, as
/// small ones do, is returned as it is; several parts are joined. Keep the share until the body is
/// in the queue.
pub(super) async fn read<'a>(
    body: &mut Incoming,
    bytes_max: usize,
    timeout: Duration,
    conn: &'a ConnContext,
) -> Result<(Bytes, Share<'a>), BodyError> {
    let mut share = Share::new(conn.budget());
    if conn.state().is_multiplexed() {
        // Thousands of requests fit into a few connections, each of them waiting for its body.
        share.grow(STREAM_BYTES)?;
    }
    let end = Instant::now() + timeout;
    let read = read_parts(body, bytes_max, &mut share, conn);
    let event = conn.state().within(end, read).await.unwrap_or(Err(BodyError::TooSlow))?;
    Ok((event, share))
}

/// The same for a body that nobody vouches for until it passes `check`: it gets less time, and
/// other memory than the other bodies.
pub(super) async fn read_unverified<'a, E: From<BodyError>>(
    body: &mut Incoming,
    bytes_max: usize,
    timeout: Duration,
    conn: &'a ConnContext,
    check: impl FnOnce(&Bytes) -> Result<(), E>,
) -> Result<(Bytes, Share<'a>), E> {
    let (mut hold, displaced) = conn.shared().unverified.begin();
    let end = Instant::now() + timeout.min(UNVERIFIED_TIMEOUT);
    let read = read_parts(body, bytes_max, &mut hold, conn);
    let event = tokio::select! {
        read = conn.state().within(end, read) => read.unwrap_or(Err(BodyError::TooSlow)),
        _ = displaced => Err(BodyError::Displaced),
    }?;
    check(&event)?;
    let mut share = Share::new(conn.budget());
    share.grow(event.len())?;
    Ok((event, share))
}

async fn read_parts(
    body: &mut Incoming,
    bytes_max: usize,
    account: &mut impl Account,
    conn: &ConnContext,
) -> Result<Bytes, BodyError> {
    // Bytes announced by the head were counted with it.
    let is_announced = body.size_hint().exact().is_some();
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(BodyError::TooLarge);
    }
    let mut whole = Bytes::new();
    let mut parts = BytesMut::new();
    while let Some(part) = next_part(body).await? {
        if !is_announced {
            conn.count_bytes(part.len() as u64);
        }
        if whole.len() + parts.len() + part.len() > bytes_max {
            return Err(BodyError::TooLarge);
        }
        if whole.is_empty() && parts.is_empty() {
            if body.is_end_stream() {
                account.take_whole(part.len())?;
                return Ok(part);
            }
            account.grow(part.len())?;
            whole = part;
            continue;
        }
        account.grow(part.len())?;
        parts.extend_from_slice(&std::mem::take(&mut whole));
        parts.extend_from_slice(&part);
    }
    Ok(if parts.is_empty() { whole } else { parts.freeze() })
}

/// The next non-empty piece of data.
async fn next_part(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| BodyError::Broken)?.into_data() {
            Ok(data) if !data.is_empty() => return Ok(Some(data)),
            // Nobody needs the trailers.
            _ => {}
        }
    }
    Ok(None)
}

/// Reads and discards the body of a refused request while the answer is sent, so that the peer can
/// read the answer.
pub(super) fn discard(request: Request<Incoming>, timeout: Duration) {
    tokio::spawn(async move {
        // Late or not, the answer is the same.
        let _ = tokio::time::timeout(timeout, drain(request)).await;
    });
}

/// Reads and discards a body, unless it is too long for that or the peer waits for "100 Continue".
pub(super) async fn drain(request: Request<Incoming>) {
    let bytes = request.body().size_hint().lower();
    if request.headers().contains_key(header::EXPECT) || bytes > DISCARD_BYTES_MAX {
        return;
    }
    let mut body = request.into_body();
    let mut left = DISCARD_BYTES_MAX;
    while left > 0
        && let Ok(Some(part)) = next_part(&mut body).await
    {
        left = left.saturating_sub(part.len() as u64);
    }
}
