//! 64 bytes in one register, compared straight into masks: AVX-512 with byte instructions.

use std::arch::x86_64::{
    __m512i, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm512_add_epi64, _mm512_alignr_epi64,
    _mm512_and_si512, _mm512_castsi512_si128, _mm512_cmpeq_epi8_mask, _mm512_cmpeq_epi64_mask,
    _mm512_cmple_epu8_mask, _mm512_cmplt_epu64_mask, _mm512_loadu_si512, _mm512_mask_storeu_epi8,
    _mm512_mask_sub_epi64, _mm512_mask_xor_epi64, _mm512_maskz_loadu_epi8, _mm512_movepi8_mask,
    _mm512_or_si512, _mm512_set1_epi8, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_sllv_epi64,
    _mm512_srlv_epi64, _mm512_storeu_si512, _mm512_sub_epi8, _mm512_test_epi64_mask,
    _mm512_xor_si512, _mm512_zextsi128_si512,
};

use super::super::fast;
use super::super::line::Copier;
use super::clmul::prefix_xor;
use super::{BLOCK_BYTES, GROUP_BLOCKS, Lanes, Vector};

/// The proof that this processor has AVX-512 F and BW, BMI 1 and 2, and PCLMULQDQ.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Avx512(());

impl Avx512 {
    /// A value, if this processor has what it stands for.
    pub(super) fn detect() -> Option<Self> {
        let is_there = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
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

#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,pclmulqdq")]
fn rewrite(vector: Avx512, body: &[u8], line: &mut [u8]) -> Option<usize> {
    fast::rewrite(vector, body, line)
}

#[expect(unsafe_code, reason = "calls functions that need the instructions")]
impl Vector for Avx512 {
    type Block = __m512i;

    type Row = __m512i;

    #[inline(always)]
    fn row(self, lanes: &Lanes) -> __m512i {
        // SAFETY: `self` proves AVX-512 F; the load reads the 64 bytes of `lanes`.
        unsafe { _mm512_loadu_si512(lanes.0.as_ptr().cast()) }
    }

    #[inline(always)]
    fn lanes(self, row: __m512i) -> Lanes {
        let mut lanes = Lanes::default();
        // SAFETY: `self` proves AVX-512 F; the store writes the 64 bytes of `lanes`.
        unsafe { _mm512_storeu_si512(lanes.0.as_mut_ptr().cast(), row) };
        lanes
    }

    #[inline(always)]
    fn apart<R>(self, work: impl FnOnce() -> R) -> R {
        // SAFETY: `self` proves the features of the function.
        unsafe { apart(work) }
    }

    #[inline(always)]
    fn splat(self, mask: u64) -> __m512i {
        // SAFETY: `self` proves the features of the function.
        unsafe { _mm512_set1_epi64(mask.cast_signed()) }
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
    fn continued(self, row: __m512i, in_string: bool) -> (__m512i, bool) {
        // SAFETY: `self` proves the features of the function.
        unsafe { continued(row, in_string) }
    }

    #[inline(always)]
    fn add(self, a: __m512i, b: __m512i, carry: bool) -> (__m512i, bool) {
        // SAFETY: `self` proves the features of the function.
        unsafe { add(a, b, carry) }
    }

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
    fn or(self, a: __m512i, b: __m512i) -> __m512i {
        // SAFETY: `self` proves the features of the function.
        unsafe { or(a, b) }
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

#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn or(a: __m512i, b: __m512i) -> __m512i {
    _mm512_or_si512(a, b)
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

/// Lanes that overflow carry into the next lane, and a lane of ones passes a carry on. Adding the one mask to the other
/// makes all carries ripple at once.
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

/// The parity of the quotes of each lane is its highest bit; the prefix XOR of these eight bits is what each lane leaves to
/// the next.
#[inline]
#[target_feature(enable = "avx512f")]
fn continued(row: __m512i, in_string: bool) -> (__m512i, bool) {
    let highest = _mm512_set1_epi64(i64::MIN);
    let mut parities = u32::from(_mm512_test_epi64_mask(row, highest)) << 1 | u32::from(in_string);
    parities ^= parities << 1;
    parities ^= parities << 2;
    parities ^= parities << 4;
    parities ^= parities << 8;
    let row = _mm512_mask_xor_epi64(row, parities as u8, row, _mm512_set1_epi64(-1));
    (row, parities >> GROUP_BLOCKS & 1 == 1)
}

#[cold]
#[inline(never)]
#[target_feature(enable = "avx512f,avx512bw,bmi1,bmi2,pclmulqdq")]
fn apart<R>(work: impl FnOnce() -> R) -> R {
    work()
}

#[expect(unsafe_code, reason = "calls a function that needs the instructions")]
impl Copier for Avx512 {
    #[inline(always)]
    fn copy(self, from: &[u8], to: &mut [u8]) {
        // SAFETY: `self` proves the features of the function.
        unsafe { copy(from, to) }
    }
}

/// Most pieces are short and of any length. Whole blocks and a masked rest have no branches on the length of the rest.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
#[expect(unsafe_code, reason = "reads and writes through pointers")]
fn copy(from: &[u8], to: &mut [u8]) {
    if from.len() >= LONG_BYTES {
        to.copy_from_slice(from);
        return;
    }
    let (from_blocks, from) = from.as_chunks::<BLOCK_BYTES>();
    let (to_blocks, to) = to.as_chunks_mut::<BLOCK_BYTES>();
    for (from, to) in from_blocks.iter().zip(to_blocks) {
        // SAFETY: the load reads the 64 bytes of `from`.
        let block = unsafe { _mm512_loadu_si512(from.as_ptr().cast()) };
        // SAFETY: the store writes the 64 bytes of `to`.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), block) };
    }
    let bits = !(u64::MAX << (from.len().min(to.len()) % BLOCK_BYTES));
    // SAFETY: a byte is read only where its bit is set: those of `from`.
    let block = unsafe { _mm512_maskz_loadu_epi8(bits, from.as_ptr().cast()) };
    // SAFETY: a byte is written only where its bit is set: those of `to`.
    unsafe { _mm512_mask_storeu_epi8(to.as_mut_ptr().cast(), bits, block) };
}

/// From how many bytes on a call of the system's `memcpy` pays.
const LONG_BYTES: usize = 2048;
