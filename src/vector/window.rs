//! Blocks at the end of a body.

use super::bytes::{BLOCK_BYTES, ByteOps};

/// A block and which of its bytes are the body's: all of them, or those of the tail.
pub(crate) struct Window<V: ByteOps> {
    pub(super) vector: V,
    pub(super) block: V::Block,
    /// Bytes at the start of the block that were in the block before.
    pub(super) skipped: u32,
    pub(super) valid: u64,
}

impl<V: ByteOps> Window<V> {
    #[inline(always)]
    pub(crate) fn whole(vector: V, bytes: &[u8; BLOCK_BYTES]) -> Self {
        Self { vector, block: vector.load(bytes), skipped: 0, valid: u64::MAX }
    }

    /// The window on the bytes of `body` from `start` on, where there must be some: a whole block
    /// or the tail.
    #[inline(always)]
    pub(crate) fn at(vector: V, body: &[u8], start: usize) -> Self {
        let (_, rest) = body.split_at(start);
        match rest.first_chunk() {
            Some(block) => Self::whole(vector, block),
            None => Self::tail(vector, body, rest),
        }
    }

    /// The window on `tail`, the last bytes of `body`: less than a block.
    #[inline(always)]
    fn tail(vector: V, body: &[u8], tail: &[u8]) -> Self {
        assert!(!tail.is_empty(), "a window has a byte at least");
        let (block, skipped) = vector.load_tail(body, tail);
        Self { vector, block, skipped, valid: u64::MAX >> (BLOCK_BYTES - tail.len()) }
    }

    /// Quotes, backslashes, control characters, and what is not ASCII.
    #[inline(always)]
    pub(crate) fn unusual(&self) -> [u64; 4] {
        let Self { vector, block, skipped, valid } = *self;
        [
            vector.equal(block, b'"') >> skipped,
            vector.equal(block, b'\\') >> skipped,
            vector.between(block, 0, 0x1F) >> skipped & valid,
            vector.non_ascii(block) >> skipped,
        ]
    }

    #[inline(always)]
    pub(crate) fn quotes(&self) -> u64 {
        self.vector.equal(self.block, b'"') >> self.skipped
    }

    /// The first quote, if there is no backslash before it.
    #[inline(always)]
    pub(crate) fn first_quote(&self) -> Option<usize> {
        let quotes = self.quotes();
        let backslashes = self.vector.equal(self.block, b'\\') >> self.skipped;
        let before = quotes.wrapping_sub(1) & !quotes;
        (quotes != 0 && backslashes & before == 0).then_some(quotes.trailing_zeros() as usize)
    }
}
