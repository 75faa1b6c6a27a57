//! Multiplication without carries, which x86-64 processors have beside their vectors.

use std::arch::x86_64::{_mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8};

/// Each bit is the XOR of all bits of `word` up to it.
///
/// A product without carries by a number of ones is the XOR of all the places that a bit can be
/// shifted to.
#[inline]
#[target_feature(enable = "sse2,pclmulqdq")]
pub(super) fn prefix_xor_word(word: u64) -> u64 {
    let word = _mm_set_epi64x(0, word.cast_signed());
    _mm_cvtsi128_si64(_mm_clmulepi64_si128::<0>(word, _mm_set1_epi8(-1))).cast_unsigned()
}
