//! 64 bytes in two registers: AVX2.

use std::arch::x86_64::{
    __m256i, _mm_cvtsi32_si128, _mm256_and_si256, _mm256_blend_epi32, _mm256_castsi256_pd,
    _mm256_cmpeq_epi8, _mm256_cmpeq_epi64, _mm256_extract_epi64, _mm256_loadu_si256,
    _mm256_min_epu8, _mm256_movemask_epi8, _mm256_movemask_pd, _mm256_or_si256,
    _mm256_permute4x64_epi64, _mm256_set_epi64x, _mm256_set1_epi8, _mm256_set1_epi64x,
    _mm256_setzero_si256, _mm256_sll_epi64, _mm256_srl_epi64, _mm256_sub_epi8, _mm256_xor_si256,
};

use super::bytes::{BLOCK_BYTES, ByteOps};
use super::classes::Classify;
use super::clmul::prefix_xor_lane;
use super::copy::Copier;
use super::mask512::{Lanes, MaskOps};
use super::proof::{forward, proof};

proof! {
    /// The proof that this processor has AVX2, BMI 1 and 2, and PCLMULQDQ.
    Avx2, is_x86_feature_detected, "avx2", "bmi1", "bmi2", "pclmulqdq"
}

/// The registers of a block.
type Block = [__m256i; 2];

impl ByteOps for Avx2 {
    type Block = Block;

    forward! {
        fn load(self, bytes: &[u8; BLOCK_BYTES]) -> Block;
        fn equal(self, block: Block, byte: u8) -> u64;
        fn between(self, block: Block, first: u8, last: u8) -> u64;
        fn non_ascii(self, block: Block) -> u64;
        fn lower(self, block: Block) -> Block;
    }
}

impl MaskOps for Avx2 {
    type Mask = Block;

    forward! {
        fn load_lanes(self, lanes: &Lanes) -> Block;
        fn store_lanes(self, mask: Block) -> Lanes;
        fn splat(self, lane: u64) -> Block;
        fn and(self, a: Block, b: Block) -> Block;
        fn or(self, a: Block, b: Block) -> Block;
        fn xor(self, a: Block, b: Block) -> Block;
        fn not(self, mask: Block) -> Block;
        fn nonzero_lanes(self, mask: Block) -> u32;
        fn shifted<const BITS: u32>(self, mask: Block, carry: u64) -> Block;
        fn highest_lane(self, mask: Block) -> u64;
        fn prefix_xor_lane(self, lane: u64) -> u64;
    }
}

impl Classify for Avx2 {}

impl Copier for Avx2 {}

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
fn equal([a, b]: Block, byte: u8) -> u64 {
    let byte = _mm256_set1_epi8(byte.cast_signed());
    high_bits([_mm256_cmpeq_epi8(a, byte), _mm256_cmpeq_epi8(b, byte)])
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
fn non_ascii(block: Block) -> u64 {
    high_bits(block)
}

#[inline]
#[target_feature(enable = "avx2")]
fn lower(block: Block) -> Block {
    block.map(|part| _mm256_or_si256(part, _mm256_set1_epi8(0x20)))
}

// ===== masks =====

#[inline]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "reads through a pointer")]
fn load_lanes(lanes: &Lanes) -> Block {
    let [low, high] = halves(lanes);
    // SAFETY: the load needs no alignment and reads the 32 bytes of `low`.
    let low = unsafe { _mm256_loadu_si256(low.as_ptr().cast()) };
    // SAFETY: the load needs no alignment and reads the 32 bytes of `high`.
    let high = unsafe { _mm256_loadu_si256(high.as_ptr().cast()) };
    [low, high]
}

#[inline]
const fn halves(lanes: &Lanes) -> [[u64; 4]; 2] {
    let [a, b, c, d, e, f, g, h] = lanes.0;
    [[a, b, c, d], [e, f, g, h]]
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_lanes([low, high]: Block) -> Lanes {
    let half = |half| {
        [
            _mm256_extract_epi64::<0>(half).cast_unsigned(),
            _mm256_extract_epi64::<1>(half).cast_unsigned(),
            _mm256_extract_epi64::<2>(half).cast_unsigned(),
            _mm256_extract_epi64::<3>(half).cast_unsigned(),
        ]
    };
    let ([a, b, c, d], [e, f, g, h]) = (half(low), half(high));
    Lanes([a, b, c, d, e, f, g, h])
}

#[inline]
#[target_feature(enable = "avx2")]
fn and([a_low, a_high]: Block, [b_low, b_high]: Block) -> Block {
    [_mm256_and_si256(a_low, b_low), _mm256_and_si256(a_high, b_high)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn or([a_low, a_high]: Block, [b_low, b_high]: Block) -> Block {
    [_mm256_or_si256(a_low, b_low), _mm256_or_si256(a_high, b_high)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn xor([a_low, a_high]: Block, [b_low, b_high]: Block) -> Block {
    [_mm256_xor_si256(a_low, b_low), _mm256_xor_si256(a_high, b_high)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn not(mask: Block) -> Block {
    xor(mask, [_mm256_set1_epi64x(-1); 2])
}

#[inline]
#[target_feature(enable = "avx2")]
fn nonzero_lanes(mask: Block) -> u32 {
    let zero = mask.map(|half| {
        let equal = _mm256_cmpeq_epi64(half, _mm256_setzero_si256());
        _mm256_movemask_pd(_mm256_castsi256_pd(equal)).cast_unsigned()
    });
    let [low, high] = zero;
    !(low | high << 4) & 0xFF
}

#[inline]
#[target_feature(enable = "avx2")]
fn shifted<const BITS: u32>([low, high]: Block, carry: u64) -> Block {
    // Each lane gets what is shifted out of the lane below; the lowest gets the carry.
    let low_rotated = _mm256_permute4x64_epi64::<0b10_01_00_11>(low);
    let high_rotated = _mm256_permute4x64_epi64::<0b10_01_00_11>(high);
    let below_low = _mm256_blend_epi32::<0b0000_0011>(low_rotated, _mm256_setzero_si256());
    let below_high = _mm256_blend_epi32::<0b0000_0011>(high_rotated, low_rotated);
    let (left, right) =
        (_mm_cvtsi32_si128(BITS.cast_signed()), _mm_cvtsi32_si128(64 - BITS.cast_signed()));
    let shift =
        |half, below| _mm256_or_si256(_mm256_sll_epi64(half, left), _mm256_srl_epi64(below, right));
    let carry = _mm256_set_epi64x(0, 0, 0, carry.cast_signed());
    [_mm256_or_si256(shift(low, below_low), carry), shift(high, below_high)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn highest_lane([_, high]: Block) -> u64 {
    _mm256_extract_epi64::<3>(high).cast_unsigned()
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat(lane: u64) -> Block {
    [_mm256_set1_epi64x(lane.cast_signed()); 2]
}
