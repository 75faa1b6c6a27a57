//! The lines of nodes of shipped records, as the table of events gets them.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::atomic::Ordering;

use cdrlog::reader::Lines;

use super::events::{EventExport, OpenRange, Origin, RANGE_BYTES_MAX, RANGE_DAYS_MAX};
use super::ranges::{self, CdrFileKey, Gap};
use super::shipped_chain::{ShippedChain, begin_of, short};
use crate::ship::{Failure, Header};
use crate::shipped::LinesBlock;

/// What came of a part of a chain.
enum Part {
    /// A range, its last block, and whether the chain can be read on after it.
    Range(OpenRange, Box<Header>, ControlFlow<()>),
    /// There are no lines in it.
    Empty,
    /// The chain cannot be read on, and that is told.
    Failed,
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
                (Part::Range(range, block, ends), _) => {
                    from = range.end;
                    last = Some(*block);
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
            (Some((range, last)), ends) if !gap.is_begun => {
                Ok(Part::Range(range, Box::new(last), ends))
            }
            (Some((range, last)), ends) if (range.start, range.end) == (gap.start, end) => {
                gap.id.as_ref().map_or(Ok(()), |id| chain.check_id(&last, id))?;
                Ok(Part::Range(range, Box::new(last), ends))
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
