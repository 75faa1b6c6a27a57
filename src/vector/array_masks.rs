//! Masks as plain arrays, for processors whose vectors are narrower than a mask: the compiler makes
//! vectors of the loops.

/// Implements [`MaskOps`](super::mask::MaskOps) for a processor.
macro_rules! array_masks {
    ($processor:ty) => {
        #[expect(clippy::indexing_slicing, reason = "by lane, of which there are as many")]
        impl $crate::vector::mask::MaskOps for $processor {
            type Mask = [u64; 8];

            #[inline(always)]
            fn load_lanes(self, lanes: &$crate::vector::mask::Lanes) -> [u64; 8] {
                lanes.0
            }

            #[inline(always)]
            fn store_lanes(self, mask: [u64; 8]) -> $crate::vector::mask::Lanes {
                $crate::vector::mask::Lanes(mask)
            }

            #[inline(always)]
            fn splat(self, lane: u64) -> [u64; 8] {
                [lane; 8]
            }

            #[inline(always)]
            fn and(self, mut a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
                for lane in 0..8 {
                    a[lane] &= b[lane];
                }
                a
            }

            #[inline(always)]
            fn or(self, mut a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
                for lane in 0..8 {
                    a[lane] |= b[lane];
                }
                a
            }

            #[inline(always)]
            fn xor(self, mut a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
                for lane in 0..8 {
                    a[lane] ^= b[lane];
                }
                a
            }

            #[inline(always)]
            fn not(self, mut mask: [u64; 8]) -> [u64; 8] {
                for lane in 0..8 {
                    mask[lane] = !mask[lane];
                }
                mask
            }

            #[inline(always)]
            fn nonzero_lanes(self, mask: [u64; 8]) -> u32 {
                let mut lanes = 0;
                for lane in 0..8 {
                    lanes |= u32::from(mask[lane] != 0) << lane;
                }
                lanes
            }

            #[inline(always)]
            fn is_zero(self, [a, b, c, d, e, f, g, h]: [u64; 8]) -> bool {
                a | b | c | d | e | f | g | h == 0
            }

            #[inline(always)]
            fn shifted<const BITS: u32>(self, mask: [u64; 8], carry: u64) -> [u64; 8] {
                let mut shifted = [mask[0] << BITS | carry; 8];
                for lane in 1..8 {
                    shifted[lane] = mask[lane] << BITS | mask[lane - 1] >> (64 - BITS);
                }
                shifted
            }

            #[inline(always)]
            fn highest_lane(self, mask: [u64; 8]) -> u64 {
                mask[7]
            }
        }
    };
}

pub(super) use array_masks;
