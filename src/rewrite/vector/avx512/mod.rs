//! 64 bytes in one register, compared straight into masks: AVX-512 with byte instructions.

mod classes;
mod copy;

use std::arch::x86_64::{
    __m512i, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm512_add_epi64, _mm512_alignr_epi64,
    _mm512_and_si512, _mm512_castsi512_si128, _mm512_clmulepi64_epi128, _mm512_cmpeq_epi8_mask,
    _mm512_cmpeq_epi64_mask, _mm512_cmple_epu8_mask, _mm512_cmplt_epu64_mask, _mm512_loadu_si512,
    _mm512_mask_set1_epi64, _mm512_mask_sub_epi64, _mm512_mask_xor_epi64, _mm512_maskz_loadu_epi8,
    _mm512_maskz_set1_epi64, _mm512_movepi8_mask, _mm512_or_si512, _mm512_set1_epi8,
    _mm512_set1_epi64, _mm512_setzero_si512, _mm512_sllv_epi64, _mm512_srlv_epi64,
    _mm512_storeu_si512, _mm512_sub_epi8, _mm512_test_epi64_mask, _mm512_unpacklo_epi64,
    _mm512_xor_si512, _mm512_zextsi128_si512,
};

use super::super::escapes::EscapeClasses;
use super::super::fast;
use super::super::grammar::{self, Classes, Found};
use super::{BLOCK_BYTES, GROUP_BLOCKS, Lanes, Vector};
use copy::low_bits;
/// The proof that this processor has AVX-512 F, BW and VBMI, GFNI, VPCLMULQDQ, and BMI 1 and 2: Ice
/// Lake, Zen 4 and later.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Avx512(());

impl Avx512 {
    /// `row` with `mask` in the lanes whose bits are set in `lanes`.
    #[inline(always)]
    #[expect(unsafe_code, reason = "calls a function that needs the instructions")]
    fn with_lanes(self, row: __m512i, lanes: u8, mask: u64) -> __m512i {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { _mm512_mask_set1_epi64(row, lanes, mask.cast_signed()) }
    }

    /// A value, if this processor has what it stands for.
    pub(super) fn detect() -> Option<Self> {
        let is_there = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("gfni")
            && is_x86_feature_detected!("vpclmulqdq");
        is_there.then_some(Self(()))
    }

    /// [`fast::rewrite`] with these instructions.
    #[expect(unsafe_code, reason = "calls a function that needs the instructions")]
    pub(super) fn rewrite(self, body: &[u8], line: &mut [u8]) -> Option<usize> {
        // SAFETY: `self` was made by `detect`, so the processor has the instructions.
        unsafe { rewrite(self, body, line) }
    }
}

#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni,vpclmulqdq,bmi1,bmi2")]
fn find_event_in_groups(vector: Avx512, text: &[u8], guess: Option<usize>) -> Option<Found> {
    grammar::find_event_in_groups(vector, text, guess)
}

#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,gfni,vpclmulqdq,bmi1,bmi2")]
fn rewrite(vector: Avx512, body: &[u8], line: &mut [u8]) -> Option<usize> {
    fast::rewrite(vector, body, line)
}

#[expect(unsafe_code, reason = "calls functions that need the instructions")]
impl Vector for Avx512 {
    type Block = __m512i;

    type Row = __m512i;

    const HAS_WIDE_PREFIX_XOR: bool = true;

    #[inline(always)]
    fn row(self, lanes: &Lanes) -> __m512i {
        // SAFETY: `self` proves AVX-512 F; the load reads the 64 bytes of `lanes`.
        unsafe { _mm512_loadu_si512(lanes.0.as_ptr().cast()) }
    }

    #[inline(always)]
    fn lanes(self, row: __m512i) -> Lanes {
        // SAFETY: `self` proves the features of the function.
        unsafe { lanes(row) }
    }

    #[inline(always)]
    fn one_bit(self, bit: usize) -> __m512i {
        let lane = 1_u8.checked_shl((bit / BLOCK_BYTES) as u32).unwrap_or_default();
        let mask = 1_i64 << (bit % BLOCK_BYTES);
        // SAFETY: `self` proves AVX-512 F.
        unsafe { _mm512_maskz_set1_epi64(lane, mask) }
    }

    #[inline(always)]
    fn splat(self, mask: u64) -> __m512i {
        // SAFETY: `self` proves the features of the function.
        unsafe { _mm512_set1_epi64(mask.cast_signed()) }
    }

    #[inline(always)]
    fn with_lanes_from(self, row: __m512i, lane: usize, mask: u64, above: u64) -> __m512i {
        let from = u8::MAX.checked_shl(lane as u32).unwrap_or_default();
        let row = self.with_lanes(row, from, above);
        self.with_lanes(row, from & from.wrapping_neg(), mask)
    }

    #[inline(always)]
    fn row_and(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves the features of the function.
        unsafe { _mm512_and_si512(a, b) }
    }

    #[inline(always)]
    fn row_or(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves the features of the function.
        unsafe { _mm512_or_si512(a, b) }
    }

    #[inline(always)]
    fn row_not(self, a: __m512i) -> __m512i {
        // SAFETY: `self` proves the features of the function.
        unsafe { not(a) }
    }

    #[inline(always)]
    fn nonzero(self, row: __m512i) -> u32 {
        // SAFETY: `self` proves the features of the function.
        unsafe { u32::from(_mm512_test_epi64_mask(row, row)) }
    }

    #[inline(always)]
    fn shifted<const BITS: u32>(self, row: __m512i, carry: u64) -> __m512i {
        // SAFETY: `self` proves the features of the function.
        unsafe { shifted::<BITS>(row, carry) }
    }

    #[inline(always)]
    fn highest(self, row: __m512i) -> u64 {
        // SAFETY: `self` proves the features of the function.
        unsafe { highest(row) }
    }

    #[inline(always)]
    fn row_xor(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves AVX-512 F.
        unsafe { _mm512_xor_si512(a, b) }
    }

    #[inline(always)]
    fn prefix_xor(self, row: __m512i, carry: bool) -> (__m512i, bool) {
        // SAFETY: `self` proves the features of the function.
        unsafe { prefix_xor(row, carry) }
    }

    #[inline(always)]
    fn classes<const MANY: bool>(self, rest: &[u8]) -> (Classes<Self>, bool) {
        classes::classes(self, rest)
    }

    #[inline(always)]
    fn escape_classes<const MANY: bool>(self, rest: &[u8]) -> EscapeClasses<Self> {
        classes::escape_classes(self, rest)
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i, carry: bool) -> (__m512i, bool) {
        // SAFETY: `self` proves the features of the function.
        unsafe { add(a, b, carry) }
    }

    #[inline(always)]
    fn find_event_in_groups(self, text: &[u8], guess: Option<usize>) -> Option<Found> {
        // SAFETY: `self` proves the features of the function.
        unsafe { find_event_in_groups(self, text, guess) }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; BLOCK_BYTES]) -> __m512i {
        // SAFETY: `self` proves AVX-512 F; the load needs no alignment and reads the 64 bytes of
        // `bytes`.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_tail(self, _body: &[u8], tail: &[u8]) -> (__m512i, u32) {
        let bits = low_bits(tail.len());
        // SAFETY: `self` proves AVX-512 BW. A byte is read only where its bit is set: those of
        // `tail`.
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

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "writes through a pointer")]
fn lanes(row: __m512i) -> Lanes {
    let mut lanes = Lanes::default();
    // SAFETY: the store writes the 64 bytes of `lanes`.
    unsafe { _mm512_storeu_si512(lanes.0.as_mut_ptr().cast(), row) };
    lanes
}

#[inline]
#[target_feature(enable = "avx512f")]
fn not(row: __m512i) -> __m512i {
    _mm512_xor_si512(row, _mm512_set1_epi64(-1))
}

#[inline]
#[target_feature(enable = "avx512f")]
fn shifted<const BITS: u32>(row: __m512i, carry: u64) -> __m512i {
    // Each lane gets what is shifted out of the lane below; the lowest gets the carry.
    let below = _mm512_alignr_epi64::<7>(row, _mm512_setzero_si512());
    let out = _mm512_srlv_epi64(below, _mm512_set1_epi64(i64::from(64 - BITS)));
    let carry = _mm512_zextsi128_si512(_mm_cvtsi64_si128(carry.cast_signed()));
    let shifted = _mm512_sllv_epi64(row, _mm512_set1_epi64(i64::from(BITS)));
    _mm512_or_si512(_mm512_or_si512(shifted, out), carry)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn highest(row: __m512i) -> u64 {
    _mm_cvtsi128_si64(_mm512_castsi512_si128(_mm512_alignr_epi64::<7>(row, row))).cast_unsigned()
}

/// Lanes that overflow carry into the next lane, and a lane of ones passes a carry on. Adding the
/// one mask to the other makes all carries ripple at once.
#[inline]
#[target_feature(enable = "avx512f")]
fn add(a: __m512i, b: __m512i, carry: bool) -> (__m512i, bool) {
    let sums = _mm512_add_epi64(a, b);
    let overflows = u32::from(_mm512_cmplt_epu64_mask(sums, a));
    let ones = u32::from(_mm512_cmpeq_epi64_mask(sums, _mm512_set1_epi64(-1)));
    let carries = (overflows << 1 | u32::from(carry)) + ones;
    let carried = (carries ^ ones) as u8;
    let sums = _mm512_mask_sub_epi64(sums, carried, sums, _mm512_set1_epi64(-1));
    (sums, carries >> GROUP_BLOCKS & 1 == 1)
}

/// A product without carries by a word of ones is the XOR of all the places that a bit can be
/// shifted to: that does each lane. Its highest bit is then its parity, and the prefix XOR of these
/// eight bits says which lanes are to be inverted.
#[inline]
#[target_feature(enable = "avx512f,vpclmulqdq")]
fn prefix_xor(row: __m512i, carry: bool) -> (__m512i, bool) {
    let ones = _mm512_set1_epi64(-1);
    let even = _mm512_clmulepi64_epi128::<0x00>(row, ones);
    let odd = _mm512_clmulepi64_epi128::<0x01>(row, ones);
    let row = _mm512_unpacklo_epi64(even, odd);
    let highest = _mm512_set1_epi64(i64::MIN);
    let mut parities = u32::from(_mm512_test_epi64_mask(row, highest)) << 1 | u32::from(carry);
    parities ^= parities << 1;
    parities ^= parities << 2;
    parities ^= parities << 4;
    parities ^= parities << 8;
    let row = _mm512_mask_xor_epi64(row, parities as u8, row, ones);
    (row, parities >> GROUP_BLOCKS & 1 == 1)
}
