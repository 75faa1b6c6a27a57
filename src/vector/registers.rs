//! Blocks in several registers, for processors whose vectors are narrower than a block.

use super::bytes::{BLOCK_BYTES, ByteOps};
use super::lookup::{HalfTables, Lookup};
use super::mask::MaskOps;

/// What a processor does with one register, and how its registers are a block.
///
/// What is made of it below is `#[inline(always)]`: the compiler by itself takes what is done to four
/// registers for too long to be inlined, and then each block goes through memory.
pub(crate) trait Registers: Copy {
    /// Bytes in a register.
    type Register: Copy;

    /// The registers of a block.
    type Block: Copy + AsMut<[Self::Register]>;

    /// Whether there was a byte that [`Lookup::see`] looks for.
    type Seen: Copy;

    fn load_block(self, bytes: &[u8; BLOCK_BYTES]) -> Self::Block;

    /// The highest bit of each byte.
    fn high_bits(self, block: Self::Block) -> u64;

    /// For each byte of `block` the one before it, which for the first is the last one of `before`.
    fn moved_up(self, block: Self::Block, before: Self::Block) -> Self::Block;

    /// A block of the same register.
    fn repeated(self, register: Self::Register) -> Self::Block;

    fn splat_register(self, byte: u8) -> Self::Register;

    /// A table for [`look_up`](Self::look_up).
    fn table(self, entries: &[u8; 16]) -> Self::Register;

    /// The entries of `table` at `indices`, which are below 16.
    fn look_up(self, table: Self::Register, indices: Self::Register) -> Self::Register;

    /// The entries of `table` for the low halves of `bytes`; 0 for those of 0x80 and above.
    fn look_up_low(self, table: Self::Register, bytes: Self::Register) -> Self::Register;

    fn high_halves(self, bytes: Self::Register) -> Self::Register;

    /// All bits of each byte where those of `a` and `b` are equal.
    fn equals(self, a: Self::Register, b: Self::Register) -> Self::Register;

    /// All bits of each byte where that of `a` is at most that of `b`.
    fn at_most(self, a: Self::Register, b: Self::Register) -> Self::Register;

    fn minus(self, a: Self::Register, b: Self::Register) -> Self::Register;

    fn and_bytes(self, a: Self::Register, b: Self::Register) -> Self::Register;

    /// The bits of `a` that `b` does not have.
    fn without_bits(self, a: Self::Register, b: Self::Register) -> Self::Register;

    fn or_bytes(self, a: Self::Register, b: Self::Register) -> Self::Register;

    fn none_seen(self) -> Self::Seen;

    fn seen_with(self, seen: Self::Seen, block: Self::Block) -> Self::Seen;

    fn is_seen(self, seen: Self::Seen) -> bool;
}

impl<V: Registers> ByteOps for V {
    type Block = V::Block;

    #[inline(always)]
    fn load(self, bytes: &[u8; BLOCK_BYTES]) -> V::Block {
        self.load_block(bytes)
    }

    #[inline(always)]
    fn equal(self, mut block: V::Block, byte: u8) -> u64 {
        for register in block.as_mut() {
            *register = self.equals(*register, self.splat_register(byte));
        }
        self.high_bits(block)
    }

    #[inline(always)]
    fn between(self, mut block: V::Block, first: u8, last: u8) -> u64 {
        for register in block.as_mut() {
            let above = self.minus(*register, self.splat_register(first));
            *register = self.at_most(above, self.splat_register(last - first));
        }
        self.high_bits(block)
    }

    #[inline(always)]
    fn non_ascii(self, block: V::Block) -> u64 {
        self.high_bits(block)
    }

    #[inline(always)]
    fn lower(self, mut block: V::Block) -> V::Block {
        for register in block.as_mut() {
            *register = self.or_bytes(*register, self.splat_register(0x20));
        }
        block
    }
}

impl<V: Registers + MaskOps<Mask = u64>> Lookup for V {
    type Seen = V::Seen;

    #[inline(always)]
    fn lookup(self, mut block: V::Block, tables: &HalfTables) -> V::Block {
        let (low, high) = (self.table(&tables.low), self.table(&tables.high));
        for register in block.as_mut() {
            let by_low = self.look_up_low(low, *register);
            *register = self.and_bytes(by_low, self.look_up(high, self.high_halves(*register)));
        }
        block
    }

    #[inline(always)]
    fn splat_byte(self, byte: u8) -> V::Block {
        self.repeated(self.splat_register(byte))
    }

    #[inline(always)]
    fn both(self, mut a: V::Block, mut b: V::Block) -> V::Block {
        for (register, other) in a.as_mut().iter_mut().zip(b.as_mut()) {
            *register = self.and_bytes(*register, *other);
        }
        a
    }

    #[inline(always)]
    fn either(self, mut a: V::Block, mut b: V::Block) -> V::Block {
        for (register, other) in a.as_mut().iter_mut().zip(b.as_mut()) {
            *register = self.or_bytes(*register, *other);
        }
        a
    }

    #[inline(always)]
    fn without(self, mut a: V::Block, mut b: V::Block) -> V::Block {
        for (register, other) in a.as_mut().iter_mut().zip(b.as_mut()) {
            *register = self.without_bits(*register, *other);
        }
        a
    }

    #[inline(always)]
    fn spaces(self, mut block: V::Block) -> V::Block {
        for register in block.as_mut() {
            *register = self.equals(*register, self.splat_register(b' '));
        }
        block
    }

    #[inline(always)]
    fn previous(self, block: V::Block, before: V::Block) -> V::Block {
        self.moved_up(block, before)
    }

    #[inline(always)]
    fn nothing_seen(self) -> V::Seen {
        self.none_seen()
    }

    #[inline(always)]
    fn see(self, seen: V::Seen, block: V::Block) -> V::Seen {
        self.seen_with(seen, block)
    }

    #[inline(always)]
    fn has_seen(self, seen: V::Seen) -> bool {
        self.is_seen(seen)
    }
}
