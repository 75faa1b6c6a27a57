//! Rows as plain arrays, for processors whose vectors are narrower than a row: the compiler makes
//! vectors of the loops.

/// The part of [`Vector`](super::Vector) that is about rows.
macro_rules! array_rows {
    () => {
        type Row = [u64; 8];

        #[inline(always)]
        fn row(self, lanes: &Lanes) -> [u64; 8] {
            lanes.0
        }

        #[inline(always)]
        fn splat(self, mask: u64) -> [u64; 8] {
            [mask; 8]
        }

        #[inline(always)]
        fn lanes(self, row: [u64; 8]) -> Lanes {
            Lanes(row)
        }

        #[inline(always)]
        fn row_and(self, mut a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
            for lane in 0..8 {
                a[lane] &= b[lane];
            }
            a
        }

        #[inline(always)]
        fn row_or(self, mut a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
            for lane in 0..8 {
                a[lane] |= b[lane];
            }
            a
        }

        #[inline(always)]
        fn row_xor(self, mut a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
            for lane in 0..8 {
                a[lane] ^= b[lane];
            }
            a
        }

        #[inline(always)]
        fn row_not(self, mut a: [u64; 8]) -> [u64; 8] {
            for lane in 0..8 {
                a[lane] = !a[lane];
            }
            a
        }

        #[inline(always)]
        fn nonzero(self, row: [u64; 8]) -> u32 {
            let mut mask = 0;
            for lane in 0..8 {
                mask |= u32::from(row[lane] != 0) << lane;
            }
            mask
        }

        #[inline(always)]
        fn is_zero(self, [a, b, c, d, e, f, g, h]: [u64; 8]) -> bool {
            a | b | c | d | e | f | g | h == 0
        }

        #[inline(always)]
        fn shifted<const BITS: u32>(self, row: [u64; 8], carry: u64) -> [u64; 8] {
            let mut shifted = [row[0] << BITS | carry; 8];
            for lane in 1..8 {
                shifted[lane] = row[lane] << BITS | row[lane - 1] >> (64 - BITS);
            }
            shifted
        }

        #[inline(always)]
        fn highest(self, row: [u64; 8]) -> u64 {
            row[7]
        }
    };
}

pub(super) use array_rows;
