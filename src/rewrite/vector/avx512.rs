//! 64 bytes in one register, compared straight into masks: AVX-512 with byte instructions.

use std::arch::x86_64::{
    __m512i, _mm_cvtsi64_si128, _mm_cvtsi128_si64, _mm_set_epi8, _mm512_add_epi64,
    _mm512_alignr_epi64, _mm512_and_si512, _mm512_broadcast_i32x4, _mm512_castsi512_si128,
    _mm512_clmulepi64_epi128, _mm512_cmpeq_epi8_mask, _mm512_cmpeq_epi64_mask,
    _mm512_cmple_epu8_mask, _mm512_cmplt_epu64_mask, _mm512_gf2p8affine_epi64_epi8,
    _mm512_loadu_si512, _mm512_mask_cmpgt_epi8_mask, _mm512_mask_set1_epi64,
    _mm512_mask_storeu_epi8, _mm512_mask_sub_epi64, _mm512_mask_xor_epi64, _mm512_maskz_loadu_epi8,
    _mm512_maskz_mov_epi64, _mm512_maskz_permutex2var_epi8, _mm512_maskz_set1_epi64,
    _mm512_max_epi64, _mm512_movepi8_mask, _mm512_or_si512, _mm512_permutexvar_epi8,
    _mm512_set_epi64, _mm512_set1_epi8, _mm512_set1_epi64, _mm512_setzero_si512,
    _mm512_shuffle_epi8, _mm512_shuffle_i64x2, _mm512_sllv_epi64, _mm512_srlv_epi64,
    _mm512_storeu_si512, _mm512_sub_epi8, _mm512_sub_epi64, _mm512_test_epi64_mask,
    _mm512_unpackhi_epi64, _mm512_unpacklo_epi64, _mm512_xor_si512, _mm512_zextsi128_si512,
};

use super::super::escapes::EscapeClasses;
use super::super::fast;
use super::super::grammar::{self, Classes, Found};
use super::super::line::Copier;
use super::{BLOCK_BYTES, GROUP_BLOCKS, GROUP_BYTES, Lanes, Vector, Word};

/// The proof that this processor has AVX-512 F, BW and VBMI, GFNI, VPCLMULQDQ, and BMI 1 and 2: Ice Lake,
/// Zen 4 and later.
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
        classes(self, rest)
    }

    #[inline(always)]
    fn escape_classes<const MANY: bool>(self, rest: &[u8]) -> EscapeClasses<Self> {
        escape_classes(self, rest)
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
        // SAFETY: `self` proves AVX-512 F; the load needs no alignment and reads the 64 bytes of `bytes`.
        unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
    }

    #[inline(always)]
    fn load_tail(self, _body: &[u8], tail: &[u8]) -> (__m512i, u32) {
        let bits = low_bits(tail.len());
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

/// A product without carries by a word of ones is the XOR of all the places that a bit can be shifted to: that does each
/// lane. Its highest bit is then its parity, and the prefix XOR of these eight bits says which lanes are to be inverted.
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

// ===== classes =====

/// For each ASCII byte, the bits of its classes.
type Table = [u8; 128];

/// Bits 0 to 2 are quotes, backslashes and controls, bit 6 is control blanks. Bits 3 to 5 are one of the codes below.
#[expect(clippy::indexing_slicing, reason = "evaluated when compiling")]
const STRUCTURE: Table = {
    let mut table = [0; 128];
    let mut byte = 0;
    while byte < table.len() {
        let code = match byte as u8 {
            b'{' | b'[' => OPEN,
            b'}' | b']' => CLOSE,
            b':' => COLON,
            b',' => COMMA,
            b'1'..=b'9' => DIGIT,
            b'0' => ZERO,
            b' ' => SPACE,
            _ => 0,
        };
        let flags = match byte as u8 {
            b'"' => 1,
            b'\\' => 1 << 1,
            b'\t' | b'\n' | b'\r' => 1 << 2 | 1 << 6,
            0..=0x1F => 1 << 2,
            _ => 0,
        };
        table[byte] = flags | code << 3;
        byte += 1;
    }
    table
};

const OPEN: u8 = 1;
const CLOSE: u8 = 2;
const COLON: u8 = 3;
const COMMA: u8 = 4;
const DIGIT: u8 = 5;
const ZERO: u8 = 6;
const SPACE: u8 = 7;

/// The members of [`EscapeClasses`], from bit 0 on.
#[expect(clippy::indexing_slicing, reason = "evaluated when compiling")]
const ESCAPES: Table = {
    let mut table = [0; 128];
    let mut byte = 0;
    while byte < table.len() {
        table[byte] = match byte as u8 {
            b'/' | b'n' | b'r' | b't' | b'"' | b'\\' => 1,
            b'u' => 1 << 1,
            b'0'..=b'7' => 1 << 2,
            b'8' | b'9' | b'a' | b'A' | b'B' => 1 << 2 | 1 << 4,
            b'b' => 1 | 1 << 2 | 1 << 4,
            b'c' | b'C' | b'e' | b'E' | b'F' => 1 << 2 | 1 << 5,
            b'f' => 1 | 1 << 2 | 1 << 5,
            b'd' | b'D' => 1 << 2 | 1 << 3 | 1 << 5,
            _ => 0,
        };
        byte += 1;
    }
    table
};

#[inline(always)]
fn classes(vector: Avx512, rest: &[u8]) -> (Classes<Avx512>, bool) {
    let (planes, is_ascii) = planes(vector, rest, &STRUCTURE);
    let [quotes, backslashes, controls, code_0, code_1, code_2, control_blanks, _] =
        words(vector, planes);
    let high = code_2;
    let low = !code_2;
    let valid = Word::new(vector, valid(vector, rest));
    let classes = Classes {
        valid,
        quotes,
        backslashes,
        controls,
        control_blanks,
        opens: low & !code_1 & code_0,
        closes: low & code_1 & !code_0,
        colons: low & code_1 & code_0,
        commas: high & !code_1 & !code_0,
        digits: high & (code_1 ^ code_0),
        zeros: high & code_1 & !code_0,
        spaces: high & code_1 & code_0,
    };
    (classes, is_ascii)
}

#[inline(always)]
fn escape_classes(vector: Avx512, rest: &[u8]) -> EscapeClasses<Avx512> {
    let (planes, _) = planes(vector, rest, &ESCAPES);
    let [simple, unicode, hex, d, eight_to_b, c_to_f, _, _] = words(vector, planes);
    EscapeClasses { simple, unicode, hex, d, eight_to_b, c_to_f }
}

#[inline(always)]
const fn words(vector: Avx512, [a, b, c, d, e, f, g, h]: [__m512i; 8]) -> [Word<Avx512>; 8] {
    [
        Word::new(vector, a),
        Word::new(vector, b),
        Word::new(vector, c),
        Word::new(vector, d),
        Word::new(vector, e),
        Word::new(vector, f),
        Word::new(vector, g),
        Word::new(vector, h),
    ]
}

/// The bits of a group that are bytes of `rest`.
#[inline(always)]
#[expect(unsafe_code, reason = "uses the instructions in a function that is always inlined")]
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "one reason for all")]
fn valid(_: Avx512, rest: &[u8]) -> __m512i {
    // SAFETY: there is an `Avx512`, so the processor has the instructions.
    unsafe {
        let ends = _mm512_set_epi64(512, 448, 384, 320, 256, 192, 128, 64);
        let bytes = _mm512_set1_epi64(rest.len().min(GROUP_BYTES) as i64);
        let missing = _mm512_max_epi64(_mm512_sub_epi64(ends, bytes), _mm512_setzero_si512());
        _mm512_srlv_epi64(_mm512_set1_epi64(-1), missing)
    }
}

/// Looks each byte of the first group of `rest` up in `table` and gives a row for each bit of what is found there; and
/// whether all bytes are ASCII. Others have no classes, nor has what is after the last byte.
///
/// A table of 128 bytes fits two registers, and one instruction looks 64 bytes up in it. The bits of eight bytes found are
/// a matrix of eight by eight, which multiplying the unit matrix by it transposes: a byte for each class. The bytes of each
/// class, then the blocks of each class, are brought together.
///
/// A call would move all rows through memory: this and what it uses is no function with target features, as those cannot be
/// inlined always.
#[inline(always)]
#[expect(unsafe_code, reason = "uses the instructions in a function that is always inlined")]
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "one reason for all but the load")]
#[expect(clippy::indexing_slicing, reason = "by lane")]
fn planes(vector: Avx512, rest: &[u8], table: &Table) -> ([__m512i; 8], bool) {
    // SAFETY: `vector` proves that the processor has the instructions. The load reads a byte only where its bit is set, and
    // then it is one of `rest`.
    unsafe {
        let (halves, _) = table.as_chunks::<BLOCK_BYTES>();
        let [low, high] = halves else { unreachable!("a table is two blocks") };
        let (low, high) = (vector.load(low), vector.load(high));
        let unit = _mm512_set1_epi64(0x8040_2010_0804_0201_u64.cast_signed());
        let reverse = _mm512_broadcast_i32x4(_mm_set_epi8(
            8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7,
        ));
        let transpose = vector.load(&TRANSPOSE);
        // Where each block starts, and which of its bytes there are. A block without bytes starts where the first does: reading
        // none of its bytes is allowed anywhere, but slow where no memory is.
        let valid = valid(vector, rest);
        let starts = _mm512_set_epi64(448, 384, 320, 256, 192, 128, 64, 0);
        let starts =
            vector.lanes(_mm512_maskz_mov_epi64(_mm512_test_epi64_mask(valid, valid), starts));
        let valid = vector.lanes(valid);
        // Loops, as closures would be functions without the instructions.
        let mut all_bytes = _mm512_setzero_si512();
        let mut blocks = [all_bytes; GROUP_BLOCKS];
        for (lane, classes) in blocks.iter_mut().enumerate() {
            let block = rest.as_ptr().wrapping_add(starts.0[lane] as usize);
            let block = _mm512_maskz_loadu_epi8(valid.0[lane], block.cast());
            all_bytes = _mm512_or_si512(all_bytes, block);
            // The lookup does not see the highest bit.
            let ascii = _mm512_mask_cmpgt_epi8_mask(valid.0[lane], block, _mm512_set1_epi8(-1));
            let found = _mm512_maskz_permutex2var_epi8(ascii, low, block, high);
            let found = _mm512_shuffle_epi8(found, reverse);
            let transposed = _mm512_gf2p8affine_epi64_epi8::<0>(unit, found);
            *classes = _mm512_permutexvar_epi8(transpose, transposed);
        }
        let rows = transposed(vector, blocks);
        (rows, _mm512_movepi8_mask(all_bytes) == 0)
    }
}

/// Where byte `n` comes from if eight times eight bytes are transposed.
#[expect(clippy::indexing_slicing, reason = "evaluated when compiling")]
const TRANSPOSE: [u8; BLOCK_BYTES] = {
    let mut from = [0; BLOCK_BYTES];
    let mut to = 0;
    while to < BLOCK_BYTES {
        from[to] = (to % 8 * 8 + to / 8) as u8;
        to += 1;
    }
    from
};

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "reads through a pointer")]
fn load(bytes: &[u8; BLOCK_BYTES]) -> __m512i {
    // SAFETY: the load needs no alignment and reads the 64 bytes of `bytes`.
    unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) }
}

/// Eight times eight lanes transposed: pairs of lanes, then pairs of pairs, then pairs of these.
#[inline(always)]
#[expect(unsafe_code, reason = "uses the instructions in a function that is always inlined")]
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "one reason for all")]
fn transposed(vector: Avx512, [a, b, c, d, e, f, g, h]: [__m512i; 8]) -> [__m512i; 8] {
    // SAFETY: `vector` proves that the processor has the instructions.
    let (low, high) = unsafe {
        (
            [
                _mm512_unpacklo_epi64(a, b),
                _mm512_unpacklo_epi64(c, d),
                _mm512_unpacklo_epi64(e, f),
                _mm512_unpacklo_epi64(g, h),
            ],
            [
                _mm512_unpackhi_epi64(a, b),
                _mm512_unpackhi_epi64(c, d),
                _mm512_unpackhi_epi64(e, f),
                _mm512_unpackhi_epi64(g, h),
            ],
        )
    };
    let [r0, r2, r4, r6] = quarters(vector, low);
    let [r1, r3, r5, r7] = quarters(vector, high);
    [r0, r1, r2, r3, r4, r5, r6, r7]
}

/// The first pairs of lanes of four rows, the second ones, and so on.
#[inline(always)]
#[expect(unsafe_code, reason = "uses the instructions in a function that is always inlined")]
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "one reason for all")]
fn quarters(_: Avx512, [a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    // SAFETY: there is an `Avx512`, so the processor has the instructions.
    unsafe {
        let low = [_mm512_shuffle_i64x2::<0x44>(a, b), _mm512_shuffle_i64x2::<0x44>(c, d)];
        let high = [_mm512_shuffle_i64x2::<0xEE>(a, b), _mm512_shuffle_i64x2::<0xEE>(c, d)];
        [
            _mm512_shuffle_i64x2::<0x88>(low[0], low[1]),
            _mm512_shuffle_i64x2::<0xDD>(low[0], low[1]),
            _mm512_shuffle_i64x2::<0x88>(high[0], high[1]),
            _mm512_shuffle_i64x2::<0xDD>(high[0], high[1]),
        ]
    }
}
/// From how many bytes on a call of the system's `memcpy` pays.
const LONG_BYTES: usize = 2048;

#[expect(unsafe_code, reason = "reads and writes through pointers")]
impl Copier for Avx512 {
    #[inline(always)]
    fn copy(self, from: &[u8], to: &mut [u8]) {
        if from.len() < BLOCK_BYTES {
            let bits = low_bits(from.len().min(to.len()));
            // SAFETY: `self` proves AVX-512 BW. A byte is read only where its bit is set: those of `from`.
            let block = unsafe { _mm512_maskz_loadu_epi8(bits, from.as_ptr().cast()) };
            // SAFETY: `self` proves AVX-512 BW. A byte is written only where its bit is set: those of `to`.
            unsafe { _mm512_mask_storeu_epi8(to.as_mut_ptr().cast(), bits, block) };
        } else {
            // SAFETY: `self` proves the features of the function.
            unsafe { copy(from, to) }
        }
    }
}

const PAIR_BYTES: usize = 2 * BLOCK_BYTES;

/// Copies a block and more, by pairs of blocks of which the last overlaps: no branch depends on what remains. (A loop over
/// single blocks the compiler would make a call of `memcpy`.)
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn copy(from: &[u8], to: &mut [u8]) {
    if from.len() >= LONG_BYTES {
        to.copy_from_slice(from);
    } else if let (Some(from_last), Some(to_last)) = (from.last_chunk(), to.last_chunk_mut()) {
        copy_pair(from_last, to_last);
        for (from, to) in from.as_chunks().0.iter().zip(to.as_chunks_mut().0) {
            copy_pair(from, to);
        }
    } else if let (Some(first), Some(last)) = (from.first_chunk(), from.last_chunk()) {
        let (first, last) = (load(first), load(last));
        store(to.first_chunk_mut(), first);
        store(to.last_chunk_mut(), last);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn copy_pair(from: &[u8; PAIR_BYTES], to: &mut [u8; PAIR_BYTES]) {
    if let (Some(first), Some(last)) = (from.first_chunk(), from.last_chunk()) {
        let (first, last) = (load(first), load(last));
        store(to.first_chunk_mut(), first);
        store(to.last_chunk_mut(), last);
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "writes through a pointer")]
fn store(to: Option<&mut [u8; BLOCK_BYTES]>, block: __m512i) {
    if let Some(to) = to {
        // SAFETY: the store needs no alignment and writes the 64 bytes of `to`.
        unsafe { _mm512_storeu_si512(to.as_mut_ptr().cast(), block) };
    }
}

/// As many bits set as there are bytes, a block at most.
#[inline(always)]
const fn low_bits(bytes: usize) -> u64 {
    if bytes < BLOCK_BYTES { !(u64::MAX << bytes) } else { u64::MAX }
}
