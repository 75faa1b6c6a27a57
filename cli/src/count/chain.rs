//! A chain of a shipped record as an input.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use cdrlog::reader::{Lines, ReadError};

use super::piece::Piece;
use crate::input_remark::InputRemark;
use crate::shipped::{Blocks, CursorId, LinesBlock};

/// How many bytes of a block are returned at once: as many as of a file.
const PIECE_BYTES: usize = 256 << 10;

/// A position is the number of the block, and the place in its lines.
const PLACE_BITS: u32 = 32;

/// The blocks of a node. All inputs of a record share its connections.
#[derive(Clone)]
pub(crate) struct ChainInput {
    pub(super) blocks: Arc<Mutex<Blocks>>,
    pub(super) index: usize,
    pub(super) node: PathBuf,
    /// The first block that is wanted.
    pub(super) first: u64,
}

impl fmt::Debug for ChainInput {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChainInput").field("node", &self.node).finish_non_exhaustive()
    }
}

/// Reads the blocks of a node one after the other.
pub(crate) struct ChainReader {
    blocks: Arc<Mutex<Blocks>>,
    cursor: CursorId,
    node: PathBuf,
    block: Option<LinesBlock>,
    /// How much of the block was returned.
    returned: usize,
    /// How much of the first block is passed over.
    begin: usize,
}

impl ChainInput {
    pub(super) fn open(&self, position: u64) -> ChainReader {
        let (seq, begin) = match position {
            0 => (self.first, 0),
            position => (position >> PLACE_BITS, position & ((1 << PLACE_BITS) - 1)),
        };
        let cursor = lock(&self.blocks).open(self.index, seq);
        let (blocks, node) = (Arc::clone(&self.blocks), self.node.clone());
        let begin = usize::try_from(begin).expect("it is a place in memory");
        ChainReader { blocks, cursor, node, block: None, returned: 0, begin }
    }
}

impl ChainReader {
    pub(super) fn next_lines(&mut self) -> Result<Option<Piece<'_>>, ReadError> {
        self.load()?;
        let piece_bytes = self.rest().map_or(0, end_of_piece);
        self.returned += piece_bytes;
        Ok(self.piece(self.returned - piece_bytes, self.returned))
    }

    /// The next lines, which the next call returns again.
    pub(super) fn peek_lines(&mut self) -> Result<Option<Piece<'_>>, ReadError> {
        self.load()?;
        let piece_bytes = self.rest().map_or(0, end_of_piece);
        Ok(self.piece(self.returned, self.returned + piece_bytes))
    }

    /// Reads the next block if nothing is left of the one before.
    fn load(&mut self) -> Result<(), ReadError> {
        if self.block.as_ref().is_none_or(|block| self.returned >= block.body.len()) {
            // It is dropped before the next one is read.
            self.block = None;
            let next = lock(&self.blocks).next(self.cursor);
            self.block = next.map_err(|failure| ReadError::Io {
                action: "read",
                path: self.node.clone(),
                source: Arc::new(io::Error::other(failure)),
            })?;
            self.returned = std::mem::take(&mut self.begin);
        }
        Ok(())
    }

    /// What is left of the block.
    fn rest(&self) -> Option<&[u8]> {
        self.block.as_ref()?.body.get(self.returned..)
    }

    fn piece(&self, start: usize, end: usize) -> Option<Piece<'_>> {
        let block = self.block.as_ref()?;
        let bytes = block.body.get(start..end)?;
        let start = start as u64;
        let lines = Lines::new(&block.path, block.header.fields.start + start, bytes);
        let position = (block.header.fields.seq << PLACE_BITS) | start;
        Some(Piece { lines, position })
    }

    pub(super) fn take_remarks(&mut self) -> Vec<InputRemark> {
        lock(&self.blocks).take_remarks()
    }
}

impl Drop for ChainReader {
    fn drop(&mut self) {
        lock(&self.blocks).close(self.cursor);
    }
}

/// The end of the lines that begin in the first [`PIECE_BYTES`].
fn end_of_piece(rest: &[u8]) -> usize {
    match rest.get(PIECE_BYTES..) {
        None => rest.len(),
        Some(after) => memchr::memchr(b'\n', after).map_or(rest.len(), |at| PIECE_BYTES + at + 1),
    }
}

fn lock(blocks: &Mutex<Blocks>) -> std::sync::MutexGuard<'_, Blocks> {
    blocks.lock().unwrap_or_else(PoisonError::into_inner)
}
