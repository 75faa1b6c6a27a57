//! 64 bytes in two registers: AVX2.

use std::arch::x86_64::{
    __m256i, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8, _mm256_movemask_epi8,
    _mm256_or_si256, _mm256_set1_epi8, _mm256_sub_epi8,
};

use super::super::fast;
use super::super::line::Copier;
use super::clmul::prefix_xor;
use super::{BLOCK_BYTES, Lanes, Vector};

/// The proof that this processor has AVX2, BMI 1 and 2, and PCLMULQDQ.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Avx2(());

impl Avx2 {
    /// A value, if this processor has what it stands for.
    pub(super) fn detect() -> Option<Self> {
        let is_there = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("pclmulqdq");
        is_there.then_some(Self(()))
    }

    /// [`fast::rewrite`] with these instructions.
    #[expect(unsafe_code, reason = "calls a function that needs the instructions")]
    pub(super) fn rewrite(self, body: &[u8], line: &mut [u8]) -> Option<usize> {
        // SAFETY: `self` was made by `detect`, so the processor has the instructions.
        unsafe { rewrite(self, body, line) }
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,pclmulqdq")]
fn rewrite(vector: Avx2, body: &[u8], line: &mut [u8]) -> Option<usize> {
    fast::rewrite(vector, body, line)
}

/// The registers of a block.
type Block = [__m256i; 2];

#[expect(unsafe_code, reason = "calls functions that need the instructions")]
impl Vector for Avx2 {
    type Block = Block;

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
    fn row_and(self, a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
        std::array::from_fn(|lane| a[lane] & b[lane])
    }

    #[inline(always)]
    fn row_or(self, a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
        std::array::from_fn(|lane| a[lane] | b[lane])
    }

    #[inline(always)]
    fn row_xor(self, a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
        std::array::from_fn(|lane| a[lane] ^ b[lane])
    }

    #[inline(always)]
    fn row_not(self, a: [u64; 8]) -> [u64; 8] {
        a.map(|lane| !lane)
    }

    #[inline(always)]
    fn nonzero(self, row: [u64; 8]) -> u32 {
        (0..8).fold(0, |mask, lane| mask | u32::from(row[lane] != 0) << lane)
    }

    #[inline(always)]
    fn shifted<const BITS: u32>(self, row: [u64; 8], carry: u64) -> [u64; 8] {
        std::array::from_fn(|lane| {
            let below = if lane == 0 { carry } else { row[lane - 1] >> (64 - BITS) };
            row[lane] << BITS | below
        })
    }

    #[inline(always)]
    fn highest(self, row: [u64; 8]) -> u64 {
        row[7]
    }

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
    fn or(self, a: Block, b: Block) -> Block {
        // SAFETY: `self` proves the features of the function.
        unsafe { or(a, b) }
    }

    #[inline(always)]
    fn lower(self, block: Block) -> Block {
        // SAFETY: `self` proves the features of the function.
        unsafe { lower(block) }
    }

    #[inline(always)]
    fn prefix_xor_lane(self, word: u64) -> u64 {
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

#[inline]
#[target_feature(enable = "avx2")]
fn or(a: Block, b: Block) -> Block {
    [_mm256_or_si256(a[0], b[0]), _mm256_or_si256(a[1], b[1])]
}

impl Copier for Avx2 {
    #[inline(always)]
    fn copy(self, from: &[u8], to: &mut [u8]) {
        to.copy_from_slice(from);
    }
}
