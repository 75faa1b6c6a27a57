//! Masks of a group of blocks as numbers of 512 bits.

use std::ops::{BitAnd, BitOr, BitXor, Not};

use super::{BLOCK_BYTES, Vector};

/// How many blocks are a group: as many masks as fit the widest vectors.
pub(in super::super) const GROUP_BLOCKS: usize = 8;

/// How many bytes are in a group.
pub(in super::super) const GROUP_BYTES: usize = GROUP_BLOCKS * BLOCK_BYTES;

/// The masks of one class for each block of a group, in memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(64))]
pub(in super::super) struct Lanes(pub(in super::super) [u64; GROUP_BLOCKS]);

/// The masks of one class for a group, in registers: bit `n` is byte `n` of the group.
#[derive(Clone, Copy)]
pub(in super::super) struct Word<V: Vector> {
    vector: V,
    row: V::Row,
}

impl<V: Vector> Word<V> {
    #[inline(always)]
    pub(super) const fn new(vector: V, row: V::Row) -> Self {
        Self { vector, row }
    }

    /// A word that has the same mask for every block.
    #[inline(always)]
    pub(in super::super) fn splat(self, mask: u64) -> Self {
        Self { row: self.vector.splat(mask), ..self }
    }

    /// A word that has a mask for the first block only.
    #[inline(always)]
    pub(in super::super) fn low(self, mask: u64) -> Self {
        let mut lanes = Lanes::default();
        let [first, ..] = &mut lanes.0;
        *first = mask;
        Self { row: self.vector.row(&lanes), ..self }
    }

    /// A word of which only this bit is set.
    #[inline(always)]
    pub(in super::super) fn one_bit(self, bit: usize) -> Self {
        Self { row: self.vector.one_bit(bit), ..self }
    }

    #[inline(always)]
    pub(in super::super) fn lanes(self) -> Lanes {
        self.vector.lanes(self.row)
    }

    #[inline(always)]
    pub(in super::super) fn is_zero(self) -> bool {
        self.vector.is_zero(self.row)
    }

    /// Shifted left by `BITS`, with `carry` in the bits set free. The bits shifted out are put into
    /// `next`.
    #[inline(always)]
    pub(in super::super) fn shifted<const BITS: u32>(self, carry: u64, next: &mut u64) -> Self {
        *next = self.vector.highest(self.row) >> (u64::BITS - BITS);
        Self { row: self.vector.shifted::<BITS>(self.row, carry), ..self }
    }

    /// Each bit becomes the XOR of all bits up to it, and of `carry`. Also gives that for the bit
    /// after the last.
    #[inline(always)]
    pub(in super::super) fn prefix_xor(self, carry: bool) -> (Self, bool) {
        let (row, carry) = self.vector.prefix_xor(self.row, carry);
        (Self { row, ..self }, carry)
    }

    /// The sum with `other`, and its carry.
    #[inline(always)]
    pub(in super::super) fn carrying_add(self, other: Self, carry: bool) -> (Self, bool) {
        let (row, carry) = self.vector.add(self.row, other.row, carry);
        (Self { row, ..self }, carry)
    }

    /// The word with another `mask` for the block `lane`, and `above` for all blocks after it.
    #[inline(always)]
    pub(in super::super) fn with_lanes_from(self, lane: usize, mask: u64, above: u64) -> Self {
        Self { row: self.vector.with_lanes_from(self.row, lane, mask, above), ..self }
    }

    /// The blocks in which a bit is set, from the lowest on.
    #[inline(always)]
    pub(in super::super) fn blocks(self) -> Blocks {
        Blocks { lanes: self.lanes(), left: self.vector.nonzero(self.row) }
    }
}

/// The blocks of a word in which a bit is set.
pub(in super::super) struct Blocks {
    lanes: Lanes,
    /// Bit `n` for block `n`.
    left: u32,
}

impl Iterator for Blocks {
    /// The number of the block and its mask.
    type Item = (usize, u64);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, u64)> {
        let lane = self.left.trailing_zeros() as usize;
        self.left &= self.left.wrapping_sub(1);
        self.lanes.0.get(lane).map(|mask| (lane, *mask))
    }
}

impl<V: Vector> BitAnd for Word<V> {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self { row: self.vector.row_and(self.row, other.row), ..self }
    }
}

impl<V: Vector> BitOr for Word<V> {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self { row: self.vector.row_or(self.row, other.row), ..self }
    }
}

impl<V: Vector> BitXor for Word<V> {
    type Output = Self;

    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        Self { row: self.vector.row_xor(self.row, other.row), ..self }
    }
}

impl<V: Vector> Not for Word<V> {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        Self { row: self.vector.row_not(self.row), ..self }
    }
}
