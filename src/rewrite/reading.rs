//! The bytes of a block as the masks of [`compact`](super::compact), made in vector registers.

use super::leftover::Batch;
use super::neighbours::{ACROSS_SPACE, AFTER, BEFORE};
use crate::vector::{BLOCK_BYTES, Lookup, Vector};

/// What is carried from block to block while a batch is read.
pub(super) struct Reading<V: Vector + Lookup> {
    pub(super) vector: V,
    /// What the bytes of the last block say about the byte after them.
    pub(super) before: V::Block,
    pub(super) seen: V::Seen,
    /// Bit 0: the first byte of the next block is escaped.
    pub(super) escaped: u64,
    /// Escaped bytes that are no quotes.
    pub(super) unusual: u64,
}

impl<V: Vector + Lookup> Reading<V> {
    /// Makes the masks of `block`, of which the first bytes are skipped.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "a block that no batch has is a bug of ours")]
    pub(super) fn block<const SPACED: bool>(
        &mut self,
        batch: &mut Batch,
        lane: usize,
        block: &[u8; BLOCK_BYTES],
        skipped: u32,
    ) {
        let vector = self.vector;
        let block = vector.load(block);
        let mut before = vector.lookup(block, &BEFORE);
        let mut after = vector.lookup(block, &AFTER);
        batch.brackets[lane] = vector.non_ascii(before) >> skipped;
        batch.colons[lane] = vector.non_ascii(after) >> skipped;
        if SPACED {
            // A space says what the byte before it does, and may be anywhere. After a second one
            // nothing may be, unless a block ends between them: that is left to the other grammar.
            let spaces = vector.spaces(block);
            let across = vector.both(spaces, vector.splat_byte(ACROSS_SPACE));
            before = vector.without(before, spaces);
            let across = vector.both(across, vector.previous(before, self.before));
            before = vector.either(before, across);
            after = vector.either(after, spaces);
            batch.spaces[lane] = vector.non_ascii(spaces) >> skipped;
        }
        let allowed = vector.both(vector.previous(before, self.before), after);
        batch.odd[lane] = vector.equal(allowed, 0) >> skipped;
        self.before = before;
        self.seen = vector.see(self.seen, block);
        let quotes = vector.equal(block, b'"') >> skipped;
        let backslashes = vector.equal(block, b'\\') >> skipped;
        // As if none were escaped itself: that one is unusual.
        let escaped = backslashes << 1 | self.escaped;
        self.escaped = backslashes >> 63;
        self.unusual |= escaped & !quotes;
        batch.quotes[lane] = quotes & !escaped;
    }
}
