//! Blocks of 64 bytes in registers, and comparisons that make masks of them.

/// How many bytes are looked at together: one for each bit of a mask.
pub(crate) const BLOCK_BYTES: usize = 64;

/// What a processor does with the bytes of a block. In the masks that it gives, bit `n` is byte
/// `n`.
///
/// A processor says how to load and compare; what is compared with what is said once, in
/// [`classes`](super::classes).
pub(crate) trait ByteOps: Copy {
    /// A block in registers.
    type Block: Copy;

    fn load(self, bytes: &[u8; BLOCK_BYTES]) -> Self::Block;

    /// Loads `tail`, the last bytes of `body`: at least one and at most a block. Gives the block
    /// and the number of bytes in it that come before them.
    ///
    /// This way does so for any vectors: a block that ends with the body, which never reads past
    /// it. Only a body that is shorter than a block is copied.
    #[inline(always)]
    fn load_tail(self, body: &[u8], tail: &[u8]) -> (Self::Block, u32) {
        if let Some(last) = body.last_chunk::<BLOCK_BYTES>() {
            return (self.load(last), (BLOCK_BYTES - tail.len()) as u32);
        }
        let mut padded = [0; BLOCK_BYTES];
        for (to, from) in padded.iter_mut().zip(tail) {
            *to = *from;
        }
        (self.load(&padded), 0)
    }

    /// The bytes that are `byte`.
    fn equal(self, block: Self::Block, byte: u8) -> u64;

    /// The bytes from `first` to `last`.
    fn between(self, block: Self::Block, first: u8, last: u8) -> u64;

    /// The bytes that are one of `bytes`.
    #[inline(always)]
    fn any_of<const N: usize>(self, block: Self::Block, bytes: [u8; N]) -> u64 {
        let mut mask = 0;
        for byte in bytes {
            mask |= self.equal(block, byte);
        }
        mask
    }

    /// The bytes of 0x80 and above.
    fn non_ascii(self, block: Self::Block) -> u64;

    /// Each byte with bit 5 set: lower case, and braces for brackets.
    fn lower(self, block: Self::Block) -> Self::Block;
}
