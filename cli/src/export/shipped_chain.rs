//! The nodes of shipped records, to be exported: places in a chain, and the check that it is the one
//! that was exported before.
//!
//! A place in a chain is the number of a block, and a byte of its lines. A block never changes, and its
//! id stands for all blocks before it. So a name has the id of the block in which its range ends, and a
//! chain that goes on from another block is noticed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cdrlog::manifest::Hash;

use super::ranges::Gap;
use crate::places::{self, Places};
use crate::ship::{Failure, Header, Stream};
use crate::shipped::{Blocks, CursorId, LinesBlock, Shipped};

/// How many bits of a place say which byte of the block.
const BYTE_BITS: u32 = 32;

/// How many digits of an id are in the name of a file.
const ID_DIGITS: usize = 16;

/// The lines of a node.
pub(super) struct ShippedChain {
    /// All chains of a record share its connections.
    blocks: Arc<Mutex<Blocks>>,
    index: usize,
    pub(super) address: String,
    pub(super) node: String,
}

/// Finds the nodes of records. They end with the blocks that there are now.
///
/// # Errors
///
/// The record cannot be read.
pub(super) fn open(addresses: &[String], places: &Places) -> Result<Vec<ShippedChain>, String> {
    let mut chains = Vec::new();
    for address in addresses {
        let target = places::record_target(address).map_err(|fault| fault.to_string())?;
        let selection = places.selection(&(i64::MIN..i64::MAX));
        let shipped = Shipped::open(&target, Stream::Lines, &selection)
            .map_err(|failure| format!("{target}: {failure}"))?;
        let reaches = shipped.blocks.reaches().to_vec();
        let blocks = Arc::new(Mutex::new(shipped.blocks));
        chains.extend(reaches.into_iter().enumerate().map(|(index, reach)| ShippedChain {
            blocks: Arc::clone(&blocks),
            index,
            address: address.clone(),
            node: reach.chain.node,
        }));
    }
    Ok(chains)
}

/// The place before the first line of a block.
pub(super) const fn begin_of(seq: u64) -> u64 {
    seq << BYTE_BITS
}

/// The block that has the last byte before a place.
const fn block_before(place: u64) -> u64 {
    (place - 1) >> BYTE_BITS
}

pub(super) fn short(id: Hash) -> String {
    id.to_string().chars().take(ID_DIGITS).collect()
}

impl ShippedChain {
    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block in which the range before `gap` ends, if there is one. It must be the one that was
    /// exported: then all before it are. The outer error ends the export, the inner one this chain.
    pub(super) fn find_before(&self, gap: &Gap) -> Result<Result<Option<Header>, Failure>, String> {
        let Some(id) = &gap.id_before else { return Ok(Ok(None)) };
        let seq = block_before(gap.start);
        let header = match self.blocks().header(self.index, seq) {
            Ok(Some(header)) => header,
            Ok(None) => {
                return Ok(Err(Failure(format!(
                    "block {seq} of node {} was exported, and is not there now: its shipper sends \
                     it again if it can",
                    self.node
                ))));
            }
            Err(failure) => return Ok(Err(failure)),
        };
        self.check_id(&header, id)?;
        Ok(Ok(Some(header)))
    }

    /// Fails if another block was exported in this place.
    pub(super) fn check_id(&self, block: &Header, exported: &str) -> Result<(), String> {
        if short(block.id) == exported {
            return Ok(());
        }
        let seq = block.fields.seq;
        Err(format!(
            "{}: block {seq} of node {} is another one than was exported, because the record was \
             lost and shipped anew: export it to a new directory",
            self.address, self.node
        ))
    }

    /// Reads from the beginning of `gap` on, which follows the block `before`.
    pub(super) fn open_cursor(&self, gap: &Gap, before: Option<Header>) -> Cursor<'_> {
        let seq = gap.start >> BYTE_BITS;
        // The block in which the last range ended is read again for its other lines.
        let before = before.filter(|before| before.fields.seq < seq);
        Cursor { chain: self, id: self.blocks().open_after(self.index, seq, before) }
    }
}

/// Reads a chain.
pub(super) struct Cursor<'a> {
    chain: &'a ShippedChain,
    id: CursorId,
}

impl Cursor<'_> {
    /// The next block with lines; `None` after the last one.
    pub(super) fn next(&self) -> Result<Option<LinesBlock>, Failure> {
        let mut blocks = self.chain.blocks();
        let next = blocks.next(self.id);
        // Whoever reads the rows reads the same blocks, and tells what is wrong with them.
        drop(blocks.take_remarks());
        next
    }
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        self.chain.blocks().close(self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_in_the_block_that_has_the_byte_before_it() {
        assert_eq!(block_before(begin_of(7)), 6);
        assert_eq!(block_before(begin_of(7) + 1), 7);
        assert_eq!(short(Hash::of(b"x")).len(), ID_DIGITS);
    }
}
