//! Reads the body of a request, within a time, a size, and a share of the memory.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::{Request, header};

use super::peer::Peer;

/// What a refused request may go on to send. A connection that is closed while its peer still sends
/// loses the answer on its way, and the peer sees a broken connection instead.
const DISCARD_BYTES_MAX: u64 = 4 << 20;

/// Why there is no body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BodyError {
    TooLarge,
    TooSlow,
    /// Bodies of other requests take all memory that bodies may have.
    NoMemory,
    /// The peer broke off, or its framing is wrong.
    Broken,
}

/// The memory that bodies take from their first byte here until the queue has them, which bounds what
/// it holds itself.
#[derive(Debug)]
pub(super) struct Budget {
    bytes: AtomicUsize,
    bytes_max: usize,
}

impl Budget {
    pub(super) const fn new(bytes_max: usize) -> Self {
        Self { bytes: AtomicUsize::new(0), bytes_max }
    }

    /// Bytes of bodies that the queue does not have yet.
    pub(super) fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// A share of the budget, given back when it is dropped.
#[derive(Debug)]
pub(super) struct Share<'a> {
    budget: &'a Budget,
    bytes: usize,
}

impl Share<'_> {
    fn grow(&mut self, bytes: usize) -> Result<(), BodyError> {
        self.bytes += bytes;
        let before = self.budget.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before + bytes > self.budget.bytes_max {
            return Err(BodyError::NoMemory);
        }
        Ok(())
    }
}

impl Drop for Share<'_> {
    fn drop(&mut self) {
        self.budget.bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// Reads a body of at most `bytes_max` bytes within `timeout`. One that comes in one piece, as
/// small ones do, is given as it is; parts are put together. The share is to be kept until the body
/// is in the queue.
pub(super) async fn read<'a>(
    body: &mut Incoming,
    bytes_max: usize,
    timeout: Duration,
    peer: &'a Peer,
) -> Result<(Bytes, Share<'a>), BodyError> {
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(BodyError::TooLarge);
    }
    let read = read_parts(body, bytes_max, peer.budget());
    let end = Instant::now() + timeout;
    peer.watch().within(end, read).await.unwrap_or(Err(BodyError::TooSlow))
}

async fn read_parts<'a>(
    body: &mut Incoming,
    bytes_max: usize,
    budget: &'a Budget,
) -> Result<(Bytes, Share<'a>), BodyError> {
    let mut share = Share { budget, bytes: 0 };
    let mut whole = Bytes::new();
    let mut parts = BytesMut::new();
    while let Some(part) = next_part(body).await? {
        if whole.len() + parts.len() + part.len() > bytes_max {
            return Err(BodyError::TooLarge);
        }
        share.grow(part.len())?;
        if whole.is_empty() && parts.is_empty() {
            whole = part;
            if body.is_end_stream() {
                break;
            }
            continue;
        }
        parts.extend_from_slice(&std::mem::take(&mut whole));
        parts.extend_from_slice(&part);
    }
    Ok((if parts.is_empty() { whole } else { parts.freeze() }, share))
}

/// The next piece of data that is not empty.
async fn next_part(body: &mut Incoming) -> Result<Option<Bytes>, BodyError> {
    while let Some(frame) = body.frame().await {
        match frame.map_err(|_| BodyError::Broken)?.into_data() {
            Ok(data) if !data.is_empty() => return Ok(Some(data)),
            // Trailers are nobody's business.
            _ => {}
        }
    }
    Ok(None)
}

/// Reads and forgets the body of a request that is refused, beside the answer, so that the peer gets
/// to read that. Not where the peer waits to be asked for its body.
pub(super) fn discard(request: Request<Incoming>, timeout: Duration) {
    let bytes = request.body().size_hint().lower();
    if request.headers().contains_key(header::EXPECT) || bytes > DISCARD_BYTES_MAX {
        return;
    }
    let mut body = request.into_body();
    tokio::spawn(async move {
        let discard = async {
            let mut left = DISCARD_BYTES_MAX;
            while left > 0
                && let Ok(Some(part)) = next_part(&mut body).await
            {
                left = left.saturating_sub(part.len() as u64);
            }
        };
        // Late or not, the answer is the same.
        let _ = tokio::time::timeout(timeout, discard).await;
    });
}
