//! Masks of a group in one register.

use std::arch::x86_64::{
    __m512i, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm512_add_epi64, _mm512_alignr_epi64,
    _mm512_and_si512, _mm512_castsi512_si128, _mm512_clmulepi64_epi128, _mm512_cmpeq_epi64_mask,
    _mm512_cmplt_epu64_mask, _mm512_loadu_si512, _mm512_mask_set1_epi64, _mm512_mask_sub_epi64,
    _mm512_mask_xor_epi64, _mm512_maskz_set1_epi64, _mm512_or_si512, _mm512_set1_epi64,
    _mm512_setzero_si512, _mm512_sllv_epi64, _mm512_srlv_epi64, _mm512_storeu_si512,
    _mm512_test_epi64_mask, _mm512_unpacklo_epi64, _mm512_xor_si512, _mm512_zextsi128_si512,
};

use super::super::bytes::BLOCK_BYTES;
use super::super::mask::{LANES, Lanes, MaskOps};
use super::super::proof::forward;
use super::Avx512;

impl MaskOps for Avx512 {
    type Mask = __m512i;

    const GROUP_BLOCKS: usize = LANES;

    const HAS_WIDE_PREFIX_XOR: bool = true;

    forward! {
        fn load_lanes(self, lanes: &Lanes) -> __m512i;
        fn store_lanes(self, mask: __m512i) -> Lanes;
        fn splat(self, lane: u64) -> __m512i;
        fn one_bit(self, bit: usize) -> __m512i;
        fn with_lanes_from(self, mask: __m512i, lane: usize, at: u64, above: u64) -> __m512i;
        fn and(self, a: __m512i, b: __m512i) -> __m512i;
        fn or(self, a: __m512i, b: __m512i) -> __m512i;
        fn xor(self, a: __m512i, b: __m512i) -> __m512i;
        fn not(self, mask: __m512i) -> __m512i;
        fn nonzero_lanes(self, mask: __m512i) -> u32;
        fn shifted<const BITS: u32>(self, mask: __m512i, carry: u64) -> __m512i;
        fn highest_lane(self, mask: __m512i) -> u64;
        fn prefix_xor(self, mask: __m512i, carry: bool) -> (__m512i, bool);
        fn add(self, a: __m512i, b: __m512i, carry: bool) -> (__m512i, bool);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "reads through a pointer")]
fn load_lanes(lanes: &Lanes) -> __m512i {
    // SAFETY: the load reads the 64 bytes of `lanes`.
    unsafe { _mm512_loadu_si512(lanes.0.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "writes through a pointer")]
fn store_lanes(mask: __m512i) -> Lanes {
    let mut lanes = Lanes::default();
    // SAFETY: the store writes the 64 bytes of `lanes`.
    unsafe { _mm512_storeu_si512(lanes.0.as_mut_ptr().cast(), mask) };
    lanes
}

#[inline]
#[target_feature(enable = "avx512f")]
fn splat(lane: u64) -> __m512i {
    _mm512_set1_epi64(lane.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn one_bit(bit: usize) -> __m512i {
    _mm512_maskz_set1_epi64(1 << (bit / BLOCK_BYTES), 1 << (bit % BLOCK_BYTES))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn with_lanes_from(mask: __m512i, lane: usize, at: u64, above: u64) -> __m512i {
    let from = u8::MAX << lane;
    let mask = _mm512_mask_set1_epi64(mask, from, above.cast_signed());
    _mm512_mask_set1_epi64(mask, from & from.wrapping_neg(), at.cast_signed())
}

#[inline]
#[target_feature(enable = "avx512f")]
fn and(a: __m512i, b: __m512i) -> __m512i {
    _mm512_and_si512(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn or(a: __m512i, b: __m512i) -> __m512i {
    _mm512_or_si512(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn xor(a: __m512i, b: __m512i) -> __m512i {
    _mm512_xor_si512(a, b)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn not(mask: __m512i) -> __m512i {
    _mm512_xor_si512(mask, _mm512_set1_epi64(-1))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn nonzero_lanes(mask: __m512i) -> u32 {
    u32::from(_mm512_test_epi64_mask(mask, mask))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn shifted<const BITS: u32>(mask: __m512i, carry: u64) -> __m512i {
    // Each lane gets what is shifted out of the lane below; the lowest gets the carry.
    let below = _mm512_alignr_epi64::<7>(mask, _mm512_setzero_si512());
    let out = _mm512_srlv_epi64(below, _mm512_set1_epi64(i64::from(64 - BITS)));
    let carry = _mm512_zextsi128_si512(_mm_cvtsi64_si128(carry.cast_signed()));
    let shifted = _mm512_sllv_epi64(mask, _mm512_set1_epi64(i64::from(BITS)));
    _mm512_or_si512(_mm512_or_si512(shifted, out), carry)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn highest_lane(mask: __m512i) -> u64 {
    _mm_cvtsi128_si64(_mm512_castsi512_si128(_mm512_alignr_epi64::<7>(mask, mask))).cast_unsigned()
}

/// Lanes that overflow carry into the next lane, and a lane of ones passes a carry on. Adding the
/// one to the other, a bit for each lane, makes all carries ripple at once.
#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i, carry: bool) -> (__m512i, bool) {
    let sums = _mm512_add_epi64(a, b);
    let overflows = u32::from(_mm512_cmplt_epu64_mask(sums, a));
    let ones = u32::from(_mm512_cmpeq_epi64_mask(sums, _mm512_set1_epi64(-1)));
    let carries = (overflows << 1 | u32::from(carry)) + ones;
    let carried = (carries ^ ones) as u8;
    let sums = _mm512_mask_sub_epi64(sums, carried, sums, _mm512_set1_epi64(-1));
    (sums, carries >> LANES & 1 == 1)
}

/// A product without carries by a number of ones is the XOR of all the places that a bit can be
/// shifted to: that does each lane. Its highest bit is then its parity, and the prefix XOR of these
/// eight bits says which lanes are to be inverted.
#[inline]
#[target_feature(enable = "avx512f,vpclmulqdq")]
fn prefix_xor(mask: __m512i, carry: bool) -> (__m512i, bool) {
    let ones = _mm512_set1_epi64(-1);
    let even = _mm512_clmulepi64_epi128::<0x00>(mask, ones);
    let odd = _mm512_clmulepi64_epi128::<0x01>(mask, ones);
    let mask = _mm512_unpacklo_epi64(even, odd);
    let highest = _mm512_set1_epi64(i64::MIN);
    let mut parities = u32::from(_mm512_test_epi64_mask(mask, highest)) << 1 | u32::from(carry);
    parities ^= parities << 1;
    parities ^= parities << 2;
    parities ^= parities << 4;
    parities ^= parities << 8;
    let mask = _mm512_mask_xor_epi64(mask, parities as u8, mask, ones);
    (mask, parities >> LANES & 1 == 1)
}
