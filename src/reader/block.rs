//! Splits bytes into lines without copying them, except for the start of a line that a block ends
//! in.

use std::ops::Range;

use crate::file::lines::{first_line_end, last_line_end};

/// The bytes read at once: large enough that calls do not matter, small enough that what was read
/// is still in the processor's cache when it is processed.
pub(super) const BLOCK_BYTES: usize = 256 << 10;

/// A piece of a file.
pub(super) struct Block {
    bytes: Vec<u8>,
    /// The start of the next line.
    start: usize,
    /// There is no line feed between `start` and here.
    searched: usize,
    /// The number of bytes that hold data.
    filled: usize,
}

impl Block {
    pub(super) fn new() -> Self {
        Self { bytes: vec![0; BLOCK_BYTES], start: 0, searched: 0, filled: 0 }
    }

    #[cfg(test)]
    pub(super) fn with_bytes(bytes: usize) -> Self {
        Self { bytes: vec![0; bytes], start: 0, searched: 0, filled: 0 }
    }

    /// Takes the next line, including its line feed, if it is complete.
    pub(super) fn take_line(&mut self) -> Option<Range<usize>> {
        let Some(end) = first_line_end(self.get(self.searched..self.filled)) else {
            self.searched = self.filled;
            return None;
        };
        let line = self.start..self.searched + end;
        self.start = line.end;
        self.searched = line.end;
        Some(line)
    }

    /// Takes all complete lines.
    pub(super) fn take_lines(&mut self) -> Option<Range<usize>> {
        let Some(end) = last_line_end(self.get(self.searched..self.filled)) else {
            self.searched = self.filled;
            return None;
        };
        let lines = self.start..self.searched + end;
        self.start = lines.end;
        self.searched = self.filled;
        Some(lines)
    }

    /// Takes everything that is left.
    pub(super) fn take_rest(&mut self) -> Range<usize> {
        let rest = self.start..self.filled;
        self.start = self.filled;
        self.searched = self.filled;
        rest
    }

    /// The bytes of a range that was taken; valid until the block is filled again.
    #[expect(clippy::indexing_slicing, reason = "a range that was not taken is a bug of ours")]
    pub(super) fn get(&self, range: Range<usize>) -> &[u8] {
        &self.bytes[range]
    }

    /// What was not taken yet.
    pub(super) fn rest(&self) -> &[u8] {
        self.get(self.start..self.filled)
    }

    /// The room for the next read. It is never empty: a block that is full of one line grows.
    pub(super) fn room(&mut self) -> &mut [u8] {
        if self.start > 0 {
            self.bytes.copy_within(self.start..self.filled, 0);
            self.filled -= self.start;
            self.searched -= self.start;
            self.start = 0;
        }
        if self.filled == self.bytes.len() {
            self.bytes.resize(self.bytes.len() * 2, 0);
        }
        self.bytes.split_at_mut(self.filled).1
    }

    /// Room for any use, while nothing is held.
    pub(super) fn scratch(&mut self) -> &mut [u8] {
        self.clear();
        &mut self.bytes
    }

    /// Adds `bytes` bytes that were read into the room.
    pub(super) fn grow(&mut self, bytes: usize) {
        self.filled += bytes;
        assert!(self.filled <= self.bytes.len(), "more bytes were read than there is room");
    }

    /// Discards everything.
    pub(super) fn clear(&mut self) {
        self.start = 0;
        self.searched = 0;
        self.filled = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn split(text: &[u8]) -> impl Iterator<Item = Vec<u8>> {
        text.split_inclusive(|&byte| byte == b'\n').map(<[u8]>::to_vec)
    }

    /// The lines of `text`, put into the block in pieces of these lengths, and the rest. They are
    /// taken one by one or `together`.
    fn lines(text: &[u8], block_bytes: usize, pieces: &[usize], together: bool) -> Vec<Vec<u8>> {
        let mut block = Block::with_bytes(block_bytes);
        let mut lines = Vec::new();
        let (mut text, mut pieces) = (text, pieces.iter().cycle());
        loop {
            while let Some(taken) = if together { block.take_lines() } else { block.take_line() } {
                lines.extend(split(block.get(taken)));
            }
            if text.is_empty() {
                let rest = block.take_rest();
                lines.extend((!rest.is_empty()).then(|| block.get(rest).to_vec()));
                return lines;
            }
            let room = block.room();
            let piece = (*pieces.next().unwrap()).min(text.len()).min(room.len());
            room[..piece].copy_from_slice(&text[..piece]);
            text = &text[piece..];
            block.grow(piece);
        }
    }

    proptest! {
        #[test]
        fn lines_are_whole_wherever_blocks_end(
            text in "[ab\n]{0,200}",
            block_bytes in 1_usize..50,
            pieces in prop::collection::vec(1_usize..20, 1..10),
            together in any::<bool>(),
        ) {
            let expected: Vec<_> = split(text.as_bytes()).collect();
            prop_assert_eq!(lines(text.as_bytes(), block_bytes, &pieces, together), expected);
        }
    }
}
