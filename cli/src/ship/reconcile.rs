//! What the last block at a destination means for this node.

use cdrlog::manifest::Hash;

use super::destination::{Destination, Failure};
use super::header::{Chain, Fields, Header, Kind};
use super::source::{Held, Source, SourceError, is_contiguous};

/// How many blocks behind the noted ones are read to find the last common one.
const UNKNOWN_MAX: usize = 10_000;

/// What the tail is.
#[derive(Debug)]
pub(crate) enum Tail {
    /// It is the last of the first `count` noted blocks; 0 if there is no block at all.
    Noted { count: usize },
    /// It is ours, and not noted: `headers` follow the first `keep` noted ones.
    Ours { keep: usize, headers: Vec<Header> },
    /// It is not ours.
    Foreign(String),
    /// An operator ended this node.
    Retired,
}

/// Why the tail could not be judged now.
#[derive(Debug)]
pub(crate) enum Unjudged {
    Destination(Failure),
    Source(SourceError),
}

impl From<Failure> for Unjudged {
    fn from(failure: Failure) -> Self {
        Self::Destination(failure)
    }
}

impl From<SourceError> for Unjudged {
    fn from(error: SourceError) -> Self {
        Self::Source(error)
    }
}

/// Judges `tail`, which `destination` has just shown.
pub(crate) fn judge(
    tail: Option<Header>,
    chain: &Chain,
    noted: &[Header],
    source: &mut dyn Source,
    destination: &mut dyn Destination,
) -> Result<Tail, Unjudged> {
    let Some(tail) = tail else { return Ok(Tail::Noted { count: 0 }) };
    if tail.chain() != *chain {
        return Ok(Tail::Foreign(format!("the last block is of {}", tail.chain())));
    }
    if tail.fields.kind == Kind::Retired {
        return Ok(Tail::Retired);
    }
    let count_to = |id: Hash| noted.iter().rposition(|header| header.id == id);
    if let Some(index) = count_to(tail.id) {
        return Ok(Tail::Noted { count: index + 1 });
    }
    // From the newest to the oldest.
    let mut unknown = vec![tail];
    let mut keep = 0;
    let first_noted = noted.first().map_or(u64::MAX, |header| header.fields.seq);
    while let Some(Header { fields: oldest, .. }) = unknown.last() {
        if let Some(index) = count_to(oldest.prev) {
            keep = index + 1;
            break;
        }
        if oldest.seq <= first_noted || unknown.len() >= UNKNOWN_MAX {
            break;
        }
        let Some(before) = destination.header(chain, oldest.seq - 1)? else { break };
        if before.id != oldest.prev {
            let seq = oldest.seq;
            return Ok(Tail::Foreign(format!("block {seq} does not follow the one before")));
        }
        unknown.push(before);
    }
    unknown.reverse();
    let mut before = keep.checked_sub(1).and_then(|index| noted.get(index)).map(|it| &it.fields);
    for Header { fields, .. } in &unknown {
        if before.is_some_and(|before| !is_contiguous(before, fields)) {
            let seq = fields.seq;
            return Ok(Tail::Foreign(format!("block {seq} begins elsewhere than {}", seq - 1)));
        }
        if let Some(fault) = fault_of(fields, source)? {
            return Ok(Tail::Foreign(fault));
        }
        before = Some(fields);
    }
    Ok(Tail::Ours { keep, headers: unknown })
}

/// Why a block cannot be one of this directory.
fn fault_of(block: &Fields, source: &mut dyn Source) -> Result<Option<String>, SourceError> {
    let Fields { seq, file, start, end, .. } = block;
    if file.is_empty() {
        // It stands before the first line ever.
        return Ok(None);
    }
    Ok(match source.find_block(block)? {
        Held::Bytes(bytes) if source.is_of(block, &bytes)? => None,
        Held::Bytes(_) => {
            Some(format!("block {seq} holds other lines than bytes {start} to {end} of {file}"))
        }
        Held::Removed { bytes: Some(bytes) } if *end <= bytes => None,
        Held::Removed { bytes: Some(bytes) } => {
            Some(format!("block {seq} ends at byte {end} of {file}, which had {bytes} bytes"))
        }
        Held::Removed { bytes: None } => {
            Some(format!("block {seq} is of {file}, which this directory never had"))
        }
        Held::Other(fault) => Some(format!("block {seq} ends at byte {end} of {file}: {fault}")),
    })
}
