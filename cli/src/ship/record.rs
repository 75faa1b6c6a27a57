//! Reading what was shipped.
//!
//! A destination keeps the chain of each stream of each node (`header.rs`), and [`Record`] is how
//! every command reads them, whatever the destination is. An implementation only finds blocks by
//! their number: what they mean, what is missing, and in which order the lines of several nodes come
//! is decided in `crate::shipped`, the same for all of them.
//!
//! How it is called, for each chain:
//!
//! 1. [`nodes`](Record::nodes) once, and again every few seconds by a reader that follows;
//! 2. [`watermark`](Record::watermark), and only then [`last_seq`](Record::last_seq): a watermark
//!    counts once the chain was read up to its number;
//! 3. [`first_cut_since`](Record::first_cut_since), if only a part of the time is wanted;
//! 4. [`block`](Record::block) for each number up to the last one, in order. It is asked again for
//!    numbers that were read before only by `tail`.
//!
//! A reader makes several connections, and asks for different chains on them at the same time. It
//! stays with one connection for a chain, so that one may keep what it fetched too much.

use std::ops::Range;

use super::destination::Failure;
use super::header::{Block, Chain, Header, Stream};
use super::watermark::Watermark;

/// A connection to a shipped record, to read it. Nothing is ever changed.
///
/// Every method fails if the destination cannot be asked, or if what it has is no block; the message
/// names the object, row or message, and the way out.
pub(crate) trait Record: Send {
    /// The names of the nodes that have a chain of this stream, each once, in any order.
    fn nodes(&mut self, stream: Stream) -> Result<Vec<String>, Failure>;

    /// What the node said since its last block; `None` if it never said anything.
    fn watermark(&mut self, chain: &Chain) -> Result<Option<Watermark>, Failure>;

    /// The greatest number of a block of the chain, also if blocks before it are missing; 0 if there
    /// is none.
    fn last_seq(&mut self, chain: &Chain) -> Result<u64, Failure>;

    /// The header of this block; `None` if there is no such block.
    fn header(&mut self, chain: &Chain, seq: u64) -> Result<Option<Header>, Failure>;

    /// This block with its lines, as they were shipped; `None` if there is no such block. Whether the
    /// lines are those of the header is for the caller to check.
    fn block(&mut self, chain: &Chain, seq: u64) -> Result<Option<Block>, Failure>;

    /// The number of the first block that was cut at `cut` or later, of those up to `last_seq`;
    /// `last_seq + 1` if there is none. `cut` never goes back in a chain.
    ///
    /// It may be too small, for the reader then reads more than it needs, but not too large.
    fn first_cut_since(&mut self, chain: &Chain, cut: i64, last_seq: u64) -> Result<u64, Failure> {
        first_cut_within(self, chain, cut, 1..last_seq + 1)
    }
}

/// The first of these blocks that was cut at `cut` or later; the end if there is none.
pub(super) fn first_cut_within<R: Record + ?Sized>(
    record: &mut R,
    chain: &Chain,
    cut: i64,
    blocks: Range<u64>,
) -> Result<u64, Failure> {
    let Range { start: mut low, end: mut high } = blocks;
    while low < high {
        let middle = low + (high - low) / 2;
        match record.header(chain, middle)? {
            Some(header) if header.fields.cut < cut => low = middle + 1,
            // What is missing is told when it is read: begin before it.
            Some(_) | None => high = middle,
        }
    }
    Ok(low)
}
