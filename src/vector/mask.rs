//! The masks of a group of blocks as numbers: of 64 bits, or of 512.

use std::ops::{BitAnd, BitOr, BitXor, Not};

use super::bytes::BLOCK_BYTES;

/// How many blocks the widest masks have a bit for each byte of.
pub(super) const LANES: usize = 8;

/// A mask in memory, with a lane of 64 bits for each block. Narrower masks fill the first lanes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(align(64))]
pub(crate) struct Lanes(pub(super) [u64; LANES]);

impl Lanes {
    /// The mask of the block `lane`.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "a lane that is none is a bug of ours")]
    pub(crate) const fn get(&self, lane: usize) -> u64 {
        self.0[lane]
    }
}

/// What a processor does with the mask of one class for a group of blocks. A mask is one number: bit
/// `n` is byte `n` of the group, and a lane of 64 bits is a block.
pub(crate) trait MaskOps: Copy {
    /// Such a number in registers.
    type Mask: Copy;

    /// How many blocks are a group: one, or [`LANES`].
    const GROUP_BLOCKS: usize;

    /// How many bytes are in a group.
    const GROUP_BYTES: usize = Self::GROUP_BLOCKS * BLOCK_BYTES;

    /// Whether [`prefix_xor`](Self::prefix_xor) costs no more than that of one lane.
    const HAS_WIDE_PREFIX_XOR: bool = false;

    fn load_lanes(self, lanes: &Lanes) -> Self::Mask;

    fn store_lanes(self, mask: Self::Mask) -> Lanes;

    /// The same `lane` for every block.
    fn splat(self, lane: u64) -> Self::Mask;

    /// Only the bit `bit`, which is below [`GROUP_BYTES`](Self::GROUP_BYTES).
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "a bit that is none is a bug of ours")]
    fn one_bit(self, bit: usize) -> Self::Mask {
        let mut lanes = Lanes::default();
        lanes.0[bit / BLOCK_BYTES] = 1 << (bit % BLOCK_BYTES);
        self.load_lanes(&lanes)
    }

    /// The mask with `at` in the lane `lane`, which is below [`GROUP_BLOCKS`](Self::GROUP_BLOCKS),
    /// and `above` in all lanes above.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "a lane that is none is a bug of ours")]
    fn with_lanes_from(self, mask: Self::Mask, lane: usize, at: u64, above: u64) -> Self::Mask {
        let mut lanes = self.store_lanes(mask);
        lanes.0[lane..].fill(above);
        lanes.0[lane] = at;
        self.load_lanes(&lanes)
    }

    fn and(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;

    fn or(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;

    fn xor(self, a: Self::Mask, b: Self::Mask) -> Self::Mask;

    fn not(self, a: Self::Mask) -> Self::Mask;

    /// Bit `n` is set where lane `n` is not 0.
    fn nonzero_lanes(self, mask: Self::Mask) -> u32;

    #[inline(always)]
    fn is_zero(self, mask: Self::Mask) -> bool {
        self.nonzero_lanes(mask) == 0
    }

    /// Shifted left by `BITS`, which is from 1 to 63, with `carry` in the bits set free.
    fn shifted<const BITS: u32>(self, mask: Self::Mask, carry: u64) -> Self::Mask;

    fn highest_lane(self, mask: Self::Mask) -> u64;

    /// Each bit becomes the XOR of all bits up to it, and of `carry`. Also gives that for the bit
    /// after the last.
    #[inline(always)]
    fn prefix_xor(self, mask: Self::Mask, mut carry: bool) -> (Self::Mask, bool) {
        let mut lanes = self.store_lanes(mask);
        for lane in &mut lanes.0 {
            *lane = self.prefix_xor_lane(*lane) ^ u64::from(carry).wrapping_neg();
            carry = *lane >> 63 == 1;
        }
        (self.load_lanes(&lanes), carry)
    }

    /// Each bit becomes the XOR of all bits up to it.
    #[inline(always)]
    fn prefix_xor_lane(self, mut lane: u64) -> u64 {
        lane ^= lane << 1;
        lane ^= lane << 2;
        lane ^= lane << 4;
        lane ^= lane << 8;
        lane ^= lane << 16;
        lane ^ lane << 32
    }

    /// The sum, and its carry.
    #[inline(always)]
    fn add(self, a: Self::Mask, b: Self::Mask, mut carry: bool) -> (Self::Mask, bool) {
        let mut sums = self.store_lanes(a);
        for (sum, b) in sums.0.iter_mut().zip(self.store_lanes(b).0) {
            (*sum, carry) = carrying_add(*sum, b, carry);
        }
        (self.load_lanes(&sums), carry)
    }
}

/// The sum of two words and a carry, and its own carry. `u64` has it since Rust 1.91.
#[inline(always)]
pub(crate) const fn carrying_add(a: u64, b: u64, carry: bool) -> (u64, bool) {
    let (sum, of_words) = a.overflowing_add(b);
    let (sum, of_carry) = sum.overflowing_add(carry as u64);
    (sum, of_words | of_carry)
}

/// A mask of a group in registers, with the processor that computes with it.
#[derive(Clone, Copy)]
pub(crate) struct Mask<V: MaskOps> {
    vector: V,
    mask: V::Mask,
}

impl<V: MaskOps> Mask<V> {
    #[inline(always)]
    pub(super) const fn new(vector: V, mask: V::Mask) -> Self {
        Self { vector, mask }
    }

    /// A mask that has the same lane for every block.
    #[inline(always)]
    pub(crate) fn splat(self, lane: u64) -> Self {
        Self { mask: self.vector.splat(lane), ..self }
    }

    /// A mask of which only the first block has bits.
    #[inline(always)]
    pub(crate) fn low(self, lane: u64) -> Self {
        let mut lanes = Lanes::default();
        let [first, ..] = &mut lanes.0;
        *first = lane;
        Self { mask: self.vector.load_lanes(&lanes), ..self }
    }

    /// A mask of which only the bit `bit` is set, which is below the length of a group.
    #[inline(always)]
    pub(crate) fn one_bit(self, bit: usize) -> Self {
        assert!(bit < V::GROUP_BYTES, "a group has no bit {bit}");
        Self { mask: self.vector.one_bit(bit), ..self }
    }

    #[inline(always)]
    pub(crate) fn lanes(self) -> Lanes {
        self.vector.store_lanes(self.mask)
    }

    #[inline(always)]
    pub(crate) fn is_zero(self) -> bool {
        self.vector.is_zero(self.mask)
    }

    /// Shifted left by `BITS`, with `carry` in the bits set free. The bits shifted out are put into
    /// `next`.
    #[inline(always)]
    pub(crate) fn shifted<const BITS: u32>(self, carry: u64, next: &mut u64) -> Self {
        *next = self.vector.highest_lane(self.mask) >> (u64::BITS - BITS);
        Self { mask: self.vector.shifted::<BITS>(self.mask, carry), ..self }
    }

    /// Each bit becomes the XOR of all bits up to it, and of `carry`. Also gives that for the bit
    /// after the last.
    #[inline(always)]
    pub(crate) fn prefix_xor(self, carry: bool) -> (Self, bool) {
        let (mask, carry) = self.vector.prefix_xor(self.mask, carry);
        (Self { mask, ..self }, carry)
    }

    /// The sum with `other`, and its carry.
    #[inline(always)]
    pub(crate) fn carrying_add(self, other: Self, carry: bool) -> (Self, bool) {
        let (mask, carry) = self.vector.add(self.mask, other.mask, carry);
        (Self { mask, ..self }, carry)
    }

    /// The mask with `at` for the block `lane`, and `above` for all blocks after it.
    #[inline(always)]
    pub(crate) fn with_lanes_from(self, lane: usize, at: u64, above: u64) -> Self {
        assert!(lane < V::GROUP_BLOCKS, "a group has no block {lane}");
        Self { mask: self.vector.with_lanes_from(self.mask, lane, at, above), ..self }
    }

    /// The blocks in which a bit is set, from the lowest on.
    #[inline(always)]
    pub(crate) fn blocks(self) -> Blocks {
        Blocks { lanes: self.lanes(), left: self.vector.nonzero_lanes(self.mask) }
    }
}

/// The blocks of a mask in which a bit is set.
pub(crate) struct Blocks {
    lanes: Lanes,
    /// Bit `n` for block `n`.
    left: u32,
}

impl Iterator for Blocks {
    /// The number of the block and its lane of the mask.
    type Item = (usize, u64);

    #[inline(always)]
    fn next(&mut self) -> Option<(usize, u64)> {
        // 32 where none is left: no block has that number.
        let lane = self.left.trailing_zeros() as usize;
        self.left &= self.left.wrapping_sub(1);
        self.lanes.0.get(lane).map(|mask| (lane, *mask))
    }
}

impl<V: MaskOps<Mask = u64>> Mask<V> {
    /// The mask of one block.
    #[inline(always)]
    pub(crate) const fn of_word(vector: V, word: u64) -> Self {
        Self { vector, mask: word }
    }

    #[inline(always)]
    pub(crate) const fn word(self) -> u64 {
        self.mask
    }
}

impl<V: MaskOps> BitAnd for Mask<V> {
    type Output = Self;

    #[inline(always)]
    fn bitand(self, other: Self) -> Self {
        Self { mask: self.vector.and(self.mask, other.mask), ..self }
    }
}

impl<V: MaskOps> BitOr for Mask<V> {
    type Output = Self;

    #[inline(always)]
    fn bitor(self, other: Self) -> Self {
        Self { mask: self.vector.or(self.mask, other.mask), ..self }
    }
}

impl<V: MaskOps> BitXor for Mask<V> {
    type Output = Self;

    #[inline(always)]
    fn bitxor(self, other: Self) -> Self {
        Self { mask: self.vector.xor(self.mask, other.mask), ..self }
    }
}

impl<V: MaskOps> Not for Mask<V> {
    type Output = Self;

    #[inline(always)]
    fn not(self) -> Self {
        Self { mask: self.vector.not(self.mask), ..self }
    }
}
