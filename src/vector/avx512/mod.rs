//! 64 bytes in one register, compared straight into masks: AVX-512 with byte instructions.

mod classes;
mod copy;
mod masks;

use std::arch::x86_64::{
    __m512i, _mm512_cmpeq_epi8_mask, _mm512_cmple_epu8_mask, _mm512_loadu_si512,
    _mm512_maskz_loadu_epi8, _mm512_movepi8_mask, _mm512_or_si512, _mm512_set1_epi8,
    _mm512_sub_epi8,
};

use super::bytes::{BLOCK_BYTES, ByteOps};
use super::proof::{forward, proof};
use super::task::{Width, WorkOfWidth};

proof! {
    /// The proof that this processor has AVX-512 F, BW and VBMI, GFNI, VPCLMULQDQ, and BMI 1 and 2:
    /// Ice Lake, Zen 4 and later.
    Avx512, is_x86_feature_detected,
    "avx512f", "avx512bw", "avx512vbmi", "gfni", "vpclmulqdq", "bmi1", "bmi2"
}

impl Width for Avx512 {
    #[inline(always)]
    fn choose<W: WorkOfWidth>(self, work: W) -> W::Output {
        work.wide(self)
    }
}

impl ByteOps for Avx512 {
    type Block = __m512i;

    forward! {
        fn load(self, bytes: &[u8; BLOCK_BYTES]) -> __m512i;
        fn load_tail(self, body: &[u8], tail: &[u8]) -> (__m512i, u32);
        fn equal(self, block: __m512i, byte: u8) -> u64;
        fn between(self, block: __m512i, first: u8, last: u8) -> u64;
        fn non_ascii(self, block: __m512i) -> u64;
        fn lower(self, block: __m512i) -> __m512i;
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "reads through a pointer")]
fn load(bytes: &[u8; BLOCK_BYTES]) -> __m512i {
    // SAFETY: the load needs no alignment and reads the 64 bytes of `bytes`.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// What comes after the tail is not read, and so nothing before it has to be.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
#[expect(unsafe_code, reason = "reads through a pointer")]
fn load_tail(_body: &[u8], tail: &[u8]) -> (__m512i, u32) {
    let bits = low_bits(tail.len());
    // SAFETY: a byte is read only where its bit is set: those of `tail`.
    (unsafe { _mm512_maskz_loadu_epi8(bits, tail.as_ptr().cast()) }, 0)
}

/// As many bits set as there are bytes, a block at most.
#[inline(always)]
const fn low_bits(bytes: usize) -> u64 {
    if bytes < BLOCK_BYTES { !(u64::MAX << bytes) } else { u64::MAX }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn equal(block: __m512i, byte: u8) -> u64 {
    _mm512_cmpeq_epi8_mask(block, _mm512_set1_epi8(byte.cast_signed()))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn between(block: __m512i, first: u8, last: u8) -> u64 {
    let above = _mm512_sub_epi8(block, _mm512_set1_epi8(first.cast_signed()));
    _mm512_cmple_epu8_mask(above, _mm512_set1_epi8((last - first).cast_signed()))
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn non_ascii(block: __m512i) -> u64 {
    _mm512_movepi8_mask(block)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn lower(block: __m512i) -> __m512i {
    _mm512_or_si512(block, _mm512_set1_epi8(0x20))
}
