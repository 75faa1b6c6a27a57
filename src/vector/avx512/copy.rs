//! Copies of any length without branches on what remains.

use std::arch::x86_64::{
    _mm512_loadu_si512, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8, _mm512_storeu_si512,
};

use super::super::bytes::BLOCK_BYTES;
use super::super::copy::Copier;
use super::{Avx512, low_bits};

/// Up to how many bytes are copied without a branch on how many they are: for longer ones a call of
/// the system's `memcpy` pays.
const SHORT_BYTES: usize = 8 * BLOCK_BYTES;

#[expect(unsafe_code, reason = "reads and writes through pointers")]
impl Copier for Avx512 {
    #[inline(always)]
    fn copy(self, from: &[u8], to: &mut [u8]) {
        assert_eq!(from.len(), to.len(), "a copy is as long as what is copied");
        let bytes = from.len();
        if bytes < BLOCK_BYTES {
            let bits = low_bits(bytes);
            // SAFETY: `self` proves AVX-512 BW. A byte is read only where its bit is set: those of
            // `from`.
            let block = unsafe { _mm512_maskz_loadu_epi8(bits, from.as_ptr().cast()) };
            // SAFETY: `self` proves AVX-512 BW. A byte is written only where its bit is set: those
            // of `to`.
            unsafe { _mm512_mask_storeu_epi8(to.as_mut_ptr().cast(), bits, block) };
        } else if bytes <= SHORT_BYTES {
            // Blocks that do not fit any more are the last one again.
            let last = bytes - BLOCK_BYTES;
            for lane in 0..SHORT_BYTES / BLOCK_BYTES {
                let start = last.min(lane * BLOCK_BYTES);
                let from = from.as_ptr().wrapping_add(start);
                let to = to.as_mut_ptr().wrapping_add(start);
                // SAFETY: `self` proves AVX-512 F; `start` is a block or more before the end of
                // `from`, as it is at most `last`.
                let block = unsafe { _mm512_loadu_si512(from.cast()) };
                // SAFETY: the same for `to`, which has `bytes` bytes too.
                unsafe { _mm512_storeu_si512(to.cast(), block) };
            }
        } else {
            to.copy_from_slice(from);
        }
    }
}
