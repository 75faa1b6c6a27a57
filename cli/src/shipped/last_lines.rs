//! Where the last lines of a record begin, without reading all of it.

use std::collections::VecDeque;

use super::{Blocks, Merged};
use crate::ship::{Failure, Stream};

/// How many blocks of each chain are read first, and how many times more if that is not enough.
const BLOCKS_FIRST: u64 = 1;
const BLOCKS_FACTOR: u64 = 8;

/// The lines of a record from where the last `count` that match begin, and how many lines that match
/// come before these.
pub(crate) fn begin_of_last_lines(
    mut blocks: Blocks,
    stream: Stream,
    count: u64,
    mut matches: impl FnMut(&[u8]) -> bool,
) -> Result<(Merged, u64), Failure> {
    let wanted = blocks.firsts();
    let mut blocks_count = BLOCKS_FIRST;
    loop {
        let is_cut = blocks.begin_before_end(&wanted, blocks_count);
        let mut merged = Merged::new(blocks, stream)?;
        // Before this time lines of other blocks may come.
        let mut known_since = i64::MIN;
        let mut has_begun = vec![false; is_cut.len()];
        let mut last = VecDeque::new();
        let mut total = 0;
        while let Some(next) = merged.next_line()? {
            if let Some(has_begun) = has_begun.get_mut(next.chain)
                && !std::mem::replace(has_begun, true)
                && is_cut.get(next.chain).is_some_and(|is_cut| *is_cut)
            {
                known_since = known_since.max(next.effective);
            }
            if matches(next.line.bytes()) {
                total += 1;
                last.push_back(next.effective);
                if last.len() as u64 > count {
                    last.pop_front();
                }
            }
        }
        let is_all = !is_cut.contains(&true);
        let is_enough =
            last.len() as u64 == count && last.front().is_none_or(|oldest| *oldest > known_since);
        // What was wrong is told when the lines are read for good.
        drop(merged.take_remarks());
        blocks = merged.into_blocks();
        if is_all || is_enough {
            blocks.begin_before_end(&wanted, blocks_count);
            return Ok((Merged::new(blocks, stream)?, total - last.len() as u64));
        }
        blocks_count *= BLOCKS_FACTOR;
    }
}
