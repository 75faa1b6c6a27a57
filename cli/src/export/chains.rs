//! The nodes of shipped records, as the table of events gets them.
//!
//! A place in a chain is the number of a block, and a byte of its lines. A block never changes, and its
//! id stands for all blocks before it. So a name has the id of the block in which its range ends, and a
//! chain that goes on from another block is noticed.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cdrlog::manifest::Hash;
use cdrlog::reader::Lines;

use super::events::{EventExport, OpenRange, Origin, RANGE_BYTES_MAX, RANGE_DAYS_MAX};
use super::ranges::{self, CdrFileKey, Gap};
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
    address: String,
    node: String,
}

/// What came of a part of a chain.
enum Part {
    /// A range, its last block, and whether the chain can be read on after it.
    Range(Box<(OpenRange, Header)>, ControlFlow<()>),
    /// There are no lines in it.
    Empty,
    /// The chain cannot be read on, and that is told.
    Failed,
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
const fn begin_of(seq: u64) -> u64 {
    seq << BYTE_BITS
}

/// The block that has the last byte before a place.
const fn block_before(place: u64) -> u64 {
    (place - 1) >> BYTE_BITS
}

fn short(id: Hash) -> String {
    id.to_string().chars().take(ID_DIGITS).collect()
}

impl ShippedChain {
    fn blocks(&self) -> MutexGuard<'_, Blocks> {
        self.blocks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The block in which the range before `gap` ends, if there is one. It must be the one that was
    /// exported: then all before it are. The outer error ends the export, the inner one this chain.
    fn find_before(&self, gap: &Gap) -> Result<Result<Option<Header>, Failure>, String> {
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

    fn check_id(&self, block: &Header, exported: &str) -> Result<(), String> {
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

    fn open_cursor(&self, gap: &Gap, before: Option<Header>) -> Cursor<'_> {
        let seq = gap.start >> BYTE_BITS;
        // The block in which the last range ended is read again for its other lines.
        let before = before.filter(|before| before.fields.seq < seq);
        Cursor { chain: self, id: self.blocks().open_after(self.index, seq, before) }
    }
}

/// Reads a chain.
struct Cursor<'a> {
    chain: &'a ShippedChain,
    id: CursorId,
}

impl Cursor<'_> {
    fn next(&self) -> Result<Option<LinesBlock>, Failure> {
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

impl EventExport<'_> {
    /// Exports the lines of a node that were not exported yet.
    pub(super) fn chain(&mut self, chain: &ShippedChain) -> Result<(), String> {
        let key: CdrFileKey = (ranges::hash_of(Path::new(&chain.address)), chain.node.clone());
        let known = self.files.known.of_file(&key);
        let mut from = begin_of(1);
        let mut last: Option<Header> = None;
        loop {
            let gap = known.next_gap(from);
            let before = match last.take().filter(|_| gap.start == from) {
                Some(last) => Ok(Some(last)),
                None => chain.find_before(&gap)?,
            };
            let part = match before {
                Ok(before) => self.part(chain, &gap, before)?,
                Err(failure) => self.fail_chain(chain, &failure),
            };
            match (part, gap.end) {
                (Part::Range(found, ends), _) => {
                    let (range, block) = *found;
                    from = range.end;
                    last = Some(block);
                    self.commit(range, &key)?;
                    if ends.is_break() {
                        return Ok(());
                    }
                }
                (Part::Empty, Some(end)) => from = end,
                (Part::Empty, None) | (Part::Failed, _) => return Ok(()),
            }
        }
    }

    fn fail_chain(&mut self, chain: &ShippedChain, failure: &Failure) -> Part {
        self.fail(format_args!("{}: {failure}", chain.address));
        Part::Failed
    }

    /// Reads the gap, or as much of it as fits into a range: up to a block that is missing, and not one
    /// that was changed, for what is exported stays.
    fn part(
        &mut self,
        chain: &ShippedChain,
        gap: &Gap,
        before: Option<Header>,
    ) -> Result<Part, String> {
        let cursor = chain.open_cursor(gap, before);
        let end = gap.end.unwrap_or(u64::MAX);
        let mut found: Option<(OpenRange, Header)> = None;
        let mut bytes = 0;
        let ends = loop {
            let block = match cursor.next() {
                Ok(Some(block)) if !block.is_sound => break ControlFlow::Break(()),
                Ok(Some(block)) if begin_of(block.header.fields.seq) < end => block,
                Ok(_) => break ControlFlow::Continue(()),
                Err(failure) => return Ok(self.fail_chain(chain, &failure)),
            };
            let row_start = begin_of(block.row_start);
            let mut range = match found.take() {
                Some((range, last)) if row_start > range.end => {
                    found = Some((range, last));
                    break ControlFlow::Continue(());
                }
                Some((range, _)) => range,
                None => OpenRange::new(gap.start.max(row_start)),
            };
            bytes += block.body.len() as u64;
            let read = self.block(chain, gap, &block, &mut range)?;
            let is_full = bytes >= RANGE_BYTES_MAX && !gap.is_begun;
            found = Some((range, block.header));
            if read.is_break() || is_full {
                break ControlFlow::Continue(());
            }
        };
        match (found, ends) {
            (Some(found), ends) if !gap.is_begun => Ok(Part::Range(Box::new(found), ends)),
            (Some((range, last)), ends) if (range.start, range.end) == (gap.start, end) => {
                gap.id.as_ref().map_or(Ok(()), |id| chain.check_id(&last, id))?;
                Ok(Part::Range(Box::new((range, last)), ends))
            }
            (_, ControlFlow::Break(())) => Ok(Part::Failed),
            // A range that was begun waits for its missing blocks.
            (_, ControlFlow::Continue(())) => Ok(Part::Empty),
        }
    }

    /// Adds the lines of a block to the range. Breaks if the range ends before the block does.
    fn block(
        &mut self,
        chain: &ShippedChain,
        gap: &Gap,
        block: &LinesBlock,
        range: &mut OpenRange,
    ) -> Result<ControlFlow<()>, String> {
        let LinesBlock { header, body, path, .. } = block;
        let begin = begin_of(header.fields.seq);
        let origin = Origin { directory: &chain.address, node: Some(&chain.node) };
        range.id = Some(short(header.id));
        for line in Lines::new(path, header.fields.start, body).iter() {
            let place = begin + (line.offset() - header.fields.start);
            if place < gap.start {
                continue;
            }
            let is_full = range.days() >= RANGE_DAYS_MAX && !gap.is_begun;
            if is_full || gap.end.is_some_and(|end| place >= end) {
                range.end = place;
                return Ok(ControlFlow::Break(()));
            }
            // As in a directory, half a line is none.
            if line.is_whole() {
                self.line(origin, line, range)?;
            }
        }
        range.end = begin_of(header.fields.seq + 1);
        self.files.bytes.fetch_add(body.len() as u64, Ordering::Relaxed);
        Ok(ControlFlow::Continue(()))
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
