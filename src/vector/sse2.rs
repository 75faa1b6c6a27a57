//! 64 bytes in four registers: SSE2, which every x86-64 processor has.

use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_cmpeq_epi8, _mm_cvtsi32_si128, _mm_cvtsi128_si64, _mm_loadu_si128,
    _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x, _mm_set1_epi8, _mm_set1_epi64x,
    _mm_setzero_si128, _mm_sll_epi64, _mm_slli_si128, _mm_srl_epi64, _mm_srli_si128, _mm_sub_epi8,
    _mm_unpackhi_epi64, _mm_xor_si128,
};

use super::bytes::{BLOCK_BYTES, ByteOps};
use super::classes::Classify;
use super::copy::Copier;
use super::mask512::{Lanes, MaskOps};
use super::proof::{forward, proof};

proof! {
    /// The proof that this processor has SSE2.
    Sse2, is_x86_feature_detected, "sse2"
}

/// The registers of a block.
type Block = [__m128i; 4];

impl ByteOps for Sse2 {
    type Block = Block;

    forward! {
        fn load(self, bytes: &[u8; BLOCK_BYTES]) -> Block;
        fn equal(self, block: Block, byte: u8) -> u64;
        fn between(self, block: Block, first: u8, last: u8) -> u64;
        fn non_ascii(self, block: Block) -> u64;
        fn lower(self, block: Block) -> Block;
    }
}

impl MaskOps for Sse2 {
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
        fn is_zero(self, mask: Block) -> bool;
        fn shifted<const BITS: u32>(self, mask: Block, carry: u64) -> Block;
        fn highest_lane(self, mask: Block) -> u64;
    }
}

impl Classify for Sse2 {}

impl Copier for Sse2 {}

#[inline]
#[target_feature(enable = "sse2")]
#[expect(unsafe_code, reason = "reads through a pointer")]
fn load(bytes: &[u8; BLOCK_BYTES]) -> Block {
    // SAFETY: the load needs no alignment and reads the 16 bytes of its part of `bytes`.
    let part = |part: &[u8; 16]| unsafe { _mm_loadu_si128(part.as_ptr().cast()) };
    let (parts, _) = bytes.as_chunks::<16>();
    let [a, b, c, d] = parts else { unreachable!() };
    [part(a), part(b), part(c), part(d)]
}

/// The highest bit of each byte.
#[inline]
#[target_feature(enable = "sse2")]
fn high_bits(block: Block) -> u64 {
    let [a, b, c, d] = block.map(|part| u64::from(_mm_movemask_epi8(part).cast_unsigned()));
    a | b << 16 | c << 32 | d << 48
}

#[inline]
#[target_feature(enable = "sse2")]
fn equal([a, b, c, d]: Block, byte: u8) -> u64 {
    let byte = _mm_set1_epi8(byte.cast_signed());
    high_bits([
        _mm_cmpeq_epi8(a, byte),
        _mm_cmpeq_epi8(b, byte),
        _mm_cmpeq_epi8(c, byte),
        _mm_cmpeq_epi8(d, byte),
    ])
}

#[inline]
#[target_feature(enable = "sse2")]
fn between(block: Block, first: u8, last: u8) -> u64 {
    high_bits(block.map(|part| {
        let above = _mm_sub_epi8(part, _mm_set1_epi8(first.cast_signed()));
        _mm_cmpeq_epi8(_mm_min_epu8(above, _mm_set1_epi8((last - first).cast_signed())), above)
    }))
}

#[inline]
#[target_feature(enable = "sse2")]
fn non_ascii(block: Block) -> u64 {
    high_bits(block)
}

#[inline]
#[target_feature(enable = "sse2")]
fn lower(block: Block) -> Block {
    block.map(|part| _mm_or_si128(part, _mm_set1_epi8(0x20)))
}

// ===== masks =====

#[inline]
#[target_feature(enable = "sse2")]
fn pair(low: u64, high: u64) -> __m128i {
    _mm_set_epi64x(high.cast_signed(), low.cast_signed())
}

#[inline]
#[target_feature(enable = "sse2")]
fn load_lanes(lanes: &Lanes) -> Block {
    let [a, b, c, d, e, f, g, h] = lanes.0;
    [pair(a, b), pair(c, d), pair(e, f), pair(g, h)]
}

#[inline]
#[target_feature(enable = "sse2")]
fn splat(lane: u64) -> Block {
    [_mm_set1_epi64x(lane.cast_signed()); 4]
}

#[inline]
#[target_feature(enable = "sse2")]
fn low_lane(part: __m128i) -> u64 {
    _mm_cvtsi128_si64(part).cast_unsigned()
}

#[inline]
#[target_feature(enable = "sse2")]
fn high_lane(part: __m128i) -> u64 {
    low_lane(_mm_unpackhi_epi64(part, part))
}

#[inline]
#[target_feature(enable = "sse2")]
fn store_lanes([a, b, c, d]: Block) -> Lanes {
    Lanes([
        low_lane(a),
        high_lane(a),
        low_lane(b),
        high_lane(b),
        low_lane(c),
        high_lane(c),
        low_lane(d),
        high_lane(d),
    ])
}

#[inline]
#[target_feature(enable = "sse2")]
fn and([a, b, c, d]: Block, [e, f, g, h]: Block) -> Block {
    [_mm_and_si128(a, e), _mm_and_si128(b, f), _mm_and_si128(c, g), _mm_and_si128(d, h)]
}

#[inline]
#[target_feature(enable = "sse2")]
fn or([a, b, c, d]: Block, [e, f, g, h]: Block) -> Block {
    [_mm_or_si128(a, e), _mm_or_si128(b, f), _mm_or_si128(c, g), _mm_or_si128(d, h)]
}

#[inline]
#[target_feature(enable = "sse2")]
fn xor([a, b, c, d]: Block, [e, f, g, h]: Block) -> Block {
    [_mm_xor_si128(a, e), _mm_xor_si128(b, f), _mm_xor_si128(c, g), _mm_xor_si128(d, h)]
}

#[inline]
#[target_feature(enable = "sse2")]
fn not(mask: Block) -> Block {
    xor(mask, splat(u64::MAX))
}

#[inline]
#[target_feature(enable = "sse2")]
fn is_zero([a, b, c, d]: Block) -> bool {
    let all = _mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d));
    _mm_movemask_epi8(_mm_cmpeq_epi8(all, _mm_setzero_si128())) == 0xFFFF
}

#[inline]
#[target_feature(enable = "sse2")]
fn nonzero_lanes(mask: Block) -> u32 {
    let mut nonzero = 0;
    for (lane, bits) in store_lanes(mask).0.into_iter().enumerate() {
        nonzero |= u32::from(bits != 0) << lane;
    }
    nonzero
}

#[inline]
#[target_feature(enable = "sse2")]
fn shifted<const BITS: u32>([a, b, c, d]: Block, carry: u64) -> Block {
    // Each lane gets what is shifted out of the lane below; the lowest gets the carry.
    let first = _mm_or_si128(shifted_part::<BITS>(_mm_setzero_si128(), a), pair(carry, 0));
    [first, shifted_part::<BITS>(a, b), shifted_part::<BITS>(b, c), shifted_part::<BITS>(c, d)]
}

#[inline]
#[target_feature(enable = "sse2")]
fn shifted_part<const BITS: u32>(before: __m128i, part: __m128i) -> __m128i {
    let below = _mm_or_si128(_mm_slli_si128::<8>(part), _mm_srli_si128::<8>(before));
    let (left, right) = (BITS.cast_signed(), 64 - BITS.cast_signed());
    let shifted = _mm_sll_epi64(part, _mm_cvtsi32_si128(left));
    _mm_or_si128(shifted, _mm_srl_epi64(below, _mm_cvtsi32_si128(right)))
}

#[inline]
#[target_feature(enable = "sse2")]
fn highest_lane([_, _, _, d]: Block) -> u64 {
    high_lane(d)
}
