//! Masks of one block, in a general register of 64 bits: for processors whose vectors are narrower
//! than eight of them. There the bytes of a block are compared into a general register anyway, and
//! to bring eight of those together would cost more than it saves.

use super::lookup::Lookup;
use super::mask::{Lanes, MaskOps, carrying_add};
use super::task::{Vector, Width, WorkOfWidth};

/// A processor on which a group is one block.
pub(super) trait WordMasks: Copy {
    /// Each bit becomes the XOR of all bits up to it.
    #[inline(always)]
    fn prefix_xor_word(self, mut word: u64) -> u64 {
        word ^= word << 1;
        word ^= word << 2;
        word ^= word << 4;
        word ^= word << 8;
        word ^= word << 16;
        word ^ word << 32
    }
}

impl<V: WordMasks> MaskOps for V {
    type Mask = u64;

    const GROUP_BLOCKS: usize = 1;

    #[inline(always)]
    fn load_lanes(self, &Lanes([lane, ..]): &Lanes) -> u64 {
        lane
    }

    #[inline(always)]
    fn store_lanes(self, mask: u64) -> Lanes {
        Lanes([mask, 0, 0, 0, 0, 0, 0, 0])
    }

    #[inline(always)]
    fn splat(self, lane: u64) -> u64 {
        lane
    }

    #[inline(always)]
    fn and(self, a: u64, b: u64) -> u64 {
        a & b
    }

    #[inline(always)]
    fn or(self, a: u64, b: u64) -> u64 {
        a | b
    }

    #[inline(always)]
    fn xor(self, a: u64, b: u64) -> u64 {
        a ^ b
    }

    #[inline(always)]
    fn not(self, mask: u64) -> u64 {
        !mask
    }

    #[inline(always)]
    fn nonzero_lanes(self, mask: u64) -> u32 {
        u32::from(mask != 0)
    }

    #[inline(always)]
    fn shifted<const BITS: u32>(self, mask: u64, carry: u64) -> u64 {
        mask << BITS | carry
    }

    #[inline(always)]
    fn highest_lane(self, mask: u64) -> u64 {
        mask
    }

    #[inline(always)]
    fn prefix_xor(self, mask: u64, carry: bool) -> (u64, bool) {
        let prefix = self.prefix_xor_word(mask) ^ u64::from(carry).wrapping_neg();
        (prefix, prefix >> 63 == 1)
    }

    #[inline(always)]
    fn prefix_xor_lane(self, lane: u64) -> u64 {
        self.prefix_xor_word(lane)
    }

    #[inline(always)]
    fn add(self, a: u64, b: u64, carry: bool) -> (u64, bool) {
        carrying_add(a, b, carry)
    }
}

impl<V: WordMasks + Lookup + Vector> Width for V {
    #[inline(always)]
    fn choose<W: WorkOfWidth>(self, work: W) -> W::Output {
        work.narrow(self)
    }
}
