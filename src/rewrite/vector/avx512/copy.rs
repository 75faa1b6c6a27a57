//! Copies of any length without branches on what remains.

use std::arch::x86_64::{
    __m512i, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8, _mm512_storeu_si512,
};

use super::super::super::line::Copier;
use super::super::BLOCK_BYTES;
use super::{Avx512, load};

/// From how many bytes on a call of the system's `memcpy` pays.
const LONG_BYTES: usize = 2048;

#[expect(unsafe_code, reason = "reads and writes through pointers")]
impl Copier for Avx512 {
    #[inline(always)]
    fn copy(self, from: &[u8], to: &mut [u8]) {
        if from.len() < BLOCK_BYTES {
            let bits = low_bits(from.len().min(to.len()));
            // SAFETY: `self` proves AVX-512 BW. A byte is read only where its bit is set: those of
            // `from`.
            let block = unsafe { _mm512_maskz_loadu_epi8(bits, from.as_ptr().cast()) };
            // SAFETY: `self` proves AVX-512 BW. A byte is written only where its bit is set: those
            // of `to`.
            unsafe { _mm512_mask_storeu_epi8(to.as_mut_ptr().cast(), bits, block) };
        } else {
            // SAFETY: `self` proves the features of the function.
            unsafe { copy(from, to) }
        }
    }
}

const PAIR_BYTES: usize = 2 * BLOCK_BYTES;

/// Copies a block and more, by pairs of blocks of which the last overlaps: no branch depends on
/// what remains. (A loop over single blocks the compiler would make a call of `memcpy`.)
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn copy(from: &[u8], to: &mut [u8]) {
    if from.len() >= LONG_BYTES {
        to.copy_from_slice(from);
    } else if let (Some(from_last), Some(to_last)) = (from.last_chunk(), to.last_chunk_mut()) {
        copy_pair(from_last, to_last);
        for (from, to) in from.as_chunks().0.iter().zip(to.as_chunks_mut().0) {
            copy_pair(from, to);
        }
    } else if let (Some(first), Some(last)) = (from.first_chunk(), from.last_chunk()) {
        let (first, last) = (load(first), load(last));
        store(to.first_chunk_mut(), first);
        store(to.last_chunk_mut(), last);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn copy_pair(from: &[u8; PAIR_BYTES], to: &mut [u8; PAIR_BYTES]) {
    if let (Some(first), Some(last)) = (from.first_chunk(), from.last_chunk()) {
        let (first, last) = (load(first), load(last));
        store(to.first_chunk_mut(), first);
        store(to.last_chunk_mut(), last);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "writes through a pointer")]
fn store(to: Option<&mut [u8; BLOCK_BYTES]>, block: __m512i) {
    if let Some(to) = to {
        // SAFETY: the store needs no alignment and writes the 64 bytes of `to`.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), block) };
    }
}

/// As many bits set as there are bytes, a block at most.
#[inline(always)]
pub(super) const fn low_bits(bytes: usize) -> u64 {
    if bytes < BLOCK_BYTES { !(u64::MAX << bytes) } else { u64::MAX }
}
