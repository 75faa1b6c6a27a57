//! 64 bytes in one register, compared straight into masks: AVX-512 with byte instructions.

use std::arch::x86_64::{
    __m512i, _mm512_cmpeq_epi8_mask, _mm512_cmple_epu8_mask, _mm512_loadu_si512,
    _mm512_maskz_loadu_epi8, _mm512_movepi8_mask, _mm512_or_si512, _mm512_set1_epi8,
    _mm512_sub_epi8,
};

use super::clmul::prefix_xor;
use super::{BLOCK_BYTES, Event, Vector, grammar};

/// The proof that this processor has AVX-512 F and BW, BMI 1 and 2, and PCLMULQDQ.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Avx512(());

impl Avx512 {
    /// A value, if this processor has what it stands for.
    pub(in super::super) fn detect() -> Option<Self> {
        let is_there = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("pclmulqdq");
        is_there.then_some(Self(()))
    }

    /// [`grammar::scan`] with these instructions.
    #[expect(unsafe_code, reason = "calls a function that needs the instructions")]
    pub(in super::super) fn scan(self, body: &[u8]) -> Option<Event> {
        // SAFETY: `self` was made by `detect`, so the processor has the instructions.
        unsafe { scan(self, body) }
    }
}

#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,pclmulqdq")]
fn scan(vector: Avx512, body: &[u8]) -> Option<Event> {
    grammar::scan(vector, body)
}

#[expect(unsafe_code, reason = "calls functions that need the instructions")]
impl Vector for Avx512 {
    type Block = __m512i;

    #[inline(always)]
    fn load(self, bytes: &[u8; BLOCK_BYTES]) -> __m512i {
        // SAFETY: `self` proves AVX-512 F; the load needs no alignment and reads the 64 bytes of `bytes`.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_tail(self, _body: &[u8], tail: &[u8]) -> (__m512i, u32) {
        let bits = if tail.len() < BLOCK_BYTES { !(u64::MAX << tail.len()) } else { u64::MAX };
        // SAFETY: `self` proves AVX-512 BW. A byte is read only where its bit is set: those of `tail`.
        (unsafe { _mm512_maskz_loadu_epi8(bits, tail.as_ptr().cast()) }, 0)
    }

    #[inline(always)]
    fn equal(self, block: __m512i, byte: u8) -> u64 {
        // SAFETY: `self` proves the features of the function.
        unsafe { equal(block, byte) }
    }

    #[inline(always)]
    fn between(self, block: __m512i, first: u8, last: u8) -> u64 {
        // SAFETY: `self` proves the features of the function.
        unsafe { between(block, first, last) }
    }

    #[inline(always)]
    fn non_ascii(self, block: __m512i) -> u64 {
        // SAFETY: `self` proves AVX-512 BW.
        unsafe { _mm512_movepi8_mask(block) }
    }

    #[inline(always)]
    fn lower(self, block: __m512i) -> __m512i {
        // SAFETY: `self` proves the features of the function.
        unsafe { lower(block) }
    }

    #[inline(always)]
    fn prefix_xor(self, word: u64) -> u64 {
        // SAFETY: `self` proves PCLMULQDQ.
        unsafe { prefix_xor(word) }
    }
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
fn lower(block: __m512i) -> __m512i {
    _mm512_or_si512(block, _mm512_set1_epi8(0x20))
}
