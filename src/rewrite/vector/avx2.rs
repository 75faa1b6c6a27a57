//! 64 bytes in two registers: AVX2.

use std::arch::x86_64::{
    __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set1_epi8, _mm256_sub_epi8,
};

use super::clmul::prefix_xor;
use super::{BLOCK_BYTES, Event, Vector, grammar};

/// The proof that this processor has AVX2, BMI 1 and 2, and PCLMULQDQ.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Avx2(());

impl Avx2 {
    /// A value, if this processor has what it stands for.
    pub(in super::super) fn detect() -> Option<Self> {
        let is_there = is_x86_feature_detected!("avx2")
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

#[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
fn scan(vector: Avx2, body: &[u8]) -> Option<Event> {
    grammar::scan(vector, body)
}

/// The registers of a block.
type Block = [__m256i; 2];

#[expect(unsafe_code, reason = "calls functions that need the instructions")]
impl Vector for Avx2 {
    type Block = Block;

    #[inline(always)]
    fn load(self, bytes: &[u8; BLOCK_BYTES]) -> Block {
        // SAFETY: `self` proves the features of the function.
        unsafe { load(bytes) }
    }

    #[inline(always)]
    fn equal(self, block: Block, byte: u8) -> u64 {
        // SAFETY: `self` proves the features of the function.
        unsafe { any_of(block, [byte]) }
    }

    #[inline(always)]
    fn between(self, block: Block, first: u8, last: u8) -> u64 {
        // SAFETY: `self` proves the features of the function.
        unsafe { between(block, first, last) }
    }

    #[inline(always)]
    fn any_of<const N: usize>(self, block: Block, bytes: [u8; N]) -> u64 {
        // SAFETY: `self` proves the features of the function.
        unsafe { any_of(block, bytes) }
    }

    #[inline(always)]
    fn non_ascii(self, block: Block) -> u64 {
        // SAFETY: `self` proves the features of the function.
        unsafe { high_bits(block) }
    }

    #[inline(always)]
    fn lower(self, block: Block) -> Block {
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
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "reads through a pointer")]
fn load(bytes: &[u8; BLOCK_BYTES]) -> Block {
    // SAFETY: the load needs no alignment and reads the 32 bytes of its part of `bytes`.
    let part = |part: &[u8; 32]| unsafe { _mm256_loadu_si256(part.as_ptr().cast()) };
    let (parts, _) = bytes.as_chunks::<32>();
    let [a, b] = parts else { unreachable!() };
    [part(a), part(b)]
}

/// The highest bit of each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn high_bits(block: Block) -> u64 {
    let [low, high] = block.map(|part| u64::from(_mm256_movemask_epi8(part).cast_unsigned()));
    low | high << 32
}

#[inline]
#[target_feature(enable = "avx2")]
fn any_of<const N: usize>(block: Block, bytes: [u8; N]) -> u64 {
    high_bits(block.map(|part| {
        bytes.iter().fold(_mm256_set1_epi8(0), |found, &byte| {
            _mm256_or_si256(found, _mm256_cmpeq_epi8(part, _mm256_set1_epi8(byte.cast_signed())))
        })
    }))
}

#[inline]
#[target_feature(enable = "avx2")]
fn between(block: Block, first: u8, last: u8) -> u64 {
    high_bits(block.map(|part| {
        let above = _mm256_sub_epi8(part, _mm256_set1_epi8(first.cast_signed()));
        _mm256_cmpeq_epi8(
            _mm256_min_epu8(above, _mm256_set1_epi8((last - first).cast_signed())),
            above,
        )
    }))
}

#[inline]
#[target_feature(enable = "avx2")]
fn lower(block: Block) -> Block {
    block.map(|part| _mm256_or_si256(part, _mm256_set1_epi8(0x20)))
}
