//! The lines of all chains in one row.
//!
//! The order of a node is that of its chain, always. Over nodes it is that of the *effective time*: the
//! greatest of the effective time of the line before, the `through` of the block before, and the
//! lesser of the time of the event and the `cut` of its block. So an event that came late, and a
//! clock that is wrong, neither reorder a node nor hold up all others.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use cdrlog::LineCheck;
use cdrlog::reader::{Line, Lines};

use super::{Blocks, CursorId, LinesBlock};
use crate::count::event_reader;
use crate::count::line::{Members, Parser, number};
use crate::input_remark::InputRemark;
use crate::ship::{Failure, Stream};

/// Returns the lines of a record, and knows the next line of each chain.
pub(crate) struct Merged {
    pub(crate) blocks: Blocks,
    chains: Vec<OpenChain>,
    /// The effective time of the next line of each chain that has one, and the index of the chain.
    next: BinaryHeap<Reverse<(i64, usize)>>,
    clock: LineClock,
    /// The chain whose line was returned last.
    last: Option<usize>,
}

/// A line, and its place in the order.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MergedLine<'a> {
    pub(crate) line: Line<'a>,
    pub(crate) chain: usize,
    /// In milliseconds since 1970.
    pub(crate) effective: i64,
}

struct OpenChain {
    cursor: CursorId,
    block: Option<LinesBlock>,
    /// Where the next line is in the body, and the one after it.
    start: usize,
    end: usize,
    effective: i64,
}

impl Merged {
    /// Begins with the first wanted block of each chain.
    pub(crate) fn new(mut blocks: Blocks, stream: Stream) -> Result<Self, Failure> {
        let count = blocks.reaches().len();
        let chains = (0..count).map(|chain| OpenChain::new(&mut blocks, chain)).collect();
        let clock = LineClock::new(stream);
        let mut merged = Self { blocks, chains, next: BinaryHeap::new(), clock, last: None };
        (0..count).try_for_each(|chain| merged.find_next(chain))?;
        Ok(merged)
    }

    /// The next line; `None` after the last one.
    pub(crate) fn next_line(&mut self) -> Result<Option<MergedLine<'_>>, Failure> {
        if let Some(chain) = self.last.take() {
            self.find_next(chain)?;
        }
        let Some(Reverse((effective, index))) = self.next.pop() else { return Ok(None) };
        self.last = Some(index);
        let chain = self.chains.get(index).expect("its index is known");
        let line = chain.line();
        Ok(line.map(|line| MergedLine { line, chain: index, effective }))
    }

    pub(crate) fn take_remarks(&mut self) -> Vec<InputRemark> {
        self.blocks.take_remarks()
    }

    /// Looks for blocks and nodes that came since.
    pub(crate) fn look_again(&mut self, only: &[String]) -> Result<(), Failure> {
        if let Some(chain) = self.last.take() {
            self.find_next(chain)?;
        }
        self.blocks.look_again(self.clock.stream, only)?;
        for chain in self.chains.len()..self.blocks.reaches().len() {
            self.chains.push(OpenChain::new(&mut self.blocks, chain));
        }
        for index in 0..self.chains.len() {
            if self.chains.get(index).is_some_and(|chain| chain.block.is_none()) {
                self.find_next(index)?;
            }
        }
        Ok(())
    }

    /// To read other lines.
    pub(super) fn into_blocks(self) -> Blocks {
        self.blocks
    }

    /// Goes to the next line of a chain.
    fn find_next(&mut self, index: usize) -> Result<(), Failure> {
        let Self { blocks, chains, clock, next, .. } = self;
        let chain = chains.get_mut(index).expect("its index is known");
        chain.start = chain.end;
        if chain.block.as_ref().is_none_or(|block| chain.start >= block.body.len()) {
            // It is dropped before the next one is read.
            chain.block = None;
            (chain.start, chain.end) = (0, 0);
            chain.block = blocks.next(chain.cursor)?;
        }
        let Some(block) = &chain.block else { return Ok(()) };
        let rest = block.body.get(chain.start..).unwrap_or_default();
        chain.end = chain.start + memchr::memchr(b'\n', rest).map_or(rest.len(), |at| at + 1);
        let line = block.body.get(chain.start..chain.end).unwrap_or_default();
        let cut = block.header.fields.cut;
        let at = clock.time_of(line).map_or(i64::MIN, |at| at.min(cut));
        chain.effective = chain.effective.max(block.through_before.unwrap_or(i64::MIN)).max(at);
        next.push(Reverse((chain.effective, index)));
        Ok(())
    }
}

impl OpenChain {
    /// Before the first wanted block.
    fn new(blocks: &mut Blocks, chain: usize) -> Self {
        let first = blocks.reaches().get(chain).map_or(1, |reach| reach.first);
        let cursor = blocks.open(chain, first);
        Self { cursor, block: None, start: 0, end: 0, effective: i64::MIN }
    }

    fn line(&self) -> Option<Line<'_>> {
        let block = self.block.as_ref()?;
        let bytes = block.body.get(self.start..self.end)?;
        let offset = block.header.fields.start + self.start as u64;
        Lines::new(&block.path, offset, bytes).iter().next()
    }
}

/// Finds the time of a line.
struct LineClock {
    stream: Stream,
    parser: Parser,
    check: LineCheck,
}

impl LineClock {
    fn new(stream: Stream) -> Self {
        Self { stream, parser: Parser::default(), check: LineCheck::new() }
    }

    /// In milliseconds since 1970; `None` if the line has none.
    fn time_of(&mut self, line: &[u8]) -> Option<i64> {
        match self.stream {
            Stream::Lines => event_reader::read(&self.parser.parse(line).ok()?).at,
            Stream::Rejects => {
                self.check.record(line).ok()?;
                let at = Members::of_object(line).find(|(key, _)| key.as_ref() == b"at")?.1;
                number(at).map(|at| at as i64)
            }
        }
    }
}
