//! The classes of the bytes of a group by table and transposition, without a comparison.

use std::arch::x86_64::{
    __m512i, _mm_set_epi8, _mm512_broadcast_i32x4, _mm512_gf2p8affine_epi64_epi8,
    _mm512_mask_loadu_epi8, _mm512_max_epi64, _mm512_min_epu8, _mm512_movepi8_mask,
    _mm512_or_si512, _mm512_permutex2var_epi8, _mm512_permutexvar_epi8, _mm512_set_epi64,
    _mm512_set1_epi8, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_shuffle_epi8,
    _mm512_shuffle_i64x2, _mm512_srlv_epi64, _mm512_sub_epi64, _mm512_unpackhi_epi64,
    _mm512_unpacklo_epi64,
};

use super::super::bytes::{BLOCK_BYTES, ByteOps};
use super::super::classes::{Classes, Classify, EscapeClasses};
use super::super::mask::{LANES, Mask, MaskOps};
use super::{Avx512, low_bits};

/// The last ASCII byte, a control character that JSON lets stand in strings.
const DELETE: u8 = 0x7F;

/// For each ASCII byte, the bits of its classes.
type Table = [u8; 128];

/// Bits 0 to 2 are quotes, backslashes and controls, bit 6 is control whitespace, bit 7 braces. Bits 3
/// to 5 are one of the codes below.
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
            b'{' | b'}' => 1 << 7,
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

impl Classify for Avx512 {
    #[inline(always)]
    fn classes<const MANY: bool>(self, rest: &[u8]) -> (Classes<Self>, bool) {
        let (planes, is_ascii) = planes(self, rest, &STRUCTURE);
        let [quotes, backslashes, controls, code_0, code_1, code_2, control_whitespace, braces] =
            masks(self, planes);
        let high = code_2;
        let low = !code_2;
        let valid = Mask::new(self, valid(self, rest));
        let classes = Classes {
            valid,
            quotes,
            backslashes,
            controls,
            control_whitespace,
            opens: low & !code_1 & code_0,
            closes: low & code_1 & !code_0,
            braces,
            colons: low & code_1 & code_0,
            commas: high & !code_1 & !code_0,
            digits: high & (code_1 ^ code_0),
            zeros: high & code_1 & !code_0,
            spaces: high & code_1 & code_0,
        };
        (classes, is_ascii)
    }

    #[inline(always)]
    fn escape_classes<const MANY: bool>(self, rest: &[u8]) -> EscapeClasses<Self> {
        let (planes, _) = planes(self, rest, &ESCAPES);
        let [simple, unicode, hex, d, eight_to_b, c_to_f, _, _] = masks(self, planes);
        EscapeClasses { simple, unicode, hex, d, eight_to_b, c_to_f }
    }
}

#[inline(always)]
const fn masks(vector: Avx512, [a, b, c, d, e, f, g, h]: [__m512i; 8]) -> [Mask<Avx512>; 8] {
    [
        Mask::new(vector, a),
        Mask::new(vector, b),
        Mask::new(vector, c),
        Mask::new(vector, d),
        Mask::new(vector, e),
        Mask::new(vector, f),
        Mask::new(vector, g),
        Mask::new(vector, h),
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
        let bytes = _mm512_set1_epi64(rest.len().min(Avx512::GROUP_BYTES) as i64);
        let missing = _mm512_max_epi64(_mm512_sub_epi64(ends, bytes), _mm512_setzero_si512());
        _mm512_srlv_epi64(_mm512_set1_epi64(-1), missing)
    }
}

/// Looks each byte of the first group of `rest` up in `table` and gives a mask for each bit of what
/// is found there; and whether all bytes are ASCII. Others have no classes, nor has what is after
/// the last byte.
///
/// A table of 128 bytes fits two registers, and one instruction looks 64 bytes up in it. The bits
/// of eight bytes found are a matrix of eight by eight, which multiplying the unit matrix by it
/// transposes: a byte for each class. The bytes of each class, then the blocks of each class, are
/// brought together.
///
/// A call would move all masks through memory: this and what it uses is no function with target
/// features, as those cannot be inlined always.
#[inline(always)]
#[expect(unsafe_code, reason = "uses the instructions in a function that is always inlined")]
#[expect(clippy::multiple_unsafe_ops_per_block, reason = "one reason for all but the load")]
fn planes(vector: Avx512, rest: &[u8], table: &Table) -> ([__m512i; 8], bool) {
    // SAFETY: `vector` proves that the processor has the instructions. The load reads a byte only
    // where its bit is set, and then it is one of `rest`.
    unsafe {
        let (halves, _) = table.as_chunks::<BLOCK_BYTES>();
        let [low, high] = halves else { unreachable!("a table is two blocks") };
        let (low, high) = (vector.load(low), vector.load(high));
        let unit = _mm512_set1_epi64(0x8040_2010_0804_0201_u64.cast_signed());
        let reverse = _mm512_broadcast_i32x4(_mm_set_epi8(
            8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7,
        ));
        let transpose = vector.load(&TRANSPOSE);
        // What is not there is DEL, which has no class. A block without bytes starts where the last
        // one with bytes does: reading none of its bytes is allowed anywhere, but slow where no
        // memory is.
        let none = _mm512_set1_epi8(DELETE.cast_signed());
        let last_start = rest.len().saturating_sub(1) / BLOCK_BYTES * BLOCK_BYTES;
        // Loops, as closures would be functions without the instructions.
        let mut all_bytes = _mm512_setzero_si512();
        let mut blocks = [all_bytes; LANES];
        for (lane, classes) in blocks.iter_mut().enumerate() {
            let start = lane * BLOCK_BYTES;
            let bits = low_bits(rest.len().saturating_sub(start).min(BLOCK_BYTES));
            let block = rest.as_ptr().wrapping_add(start.min(last_start));
            let block = _mm512_mask_loadu_epi8(none, bits, block.cast());
            all_bytes = _mm512_or_si512(all_bytes, block);
            // The lookup does not see the highest bit.
            let ascii = _mm512_min_epu8(block, none);
            let found = _mm512_permutex2var_epi8(low, ascii, high);
            let found = _mm512_shuffle_epi8(found, reverse);
            let transposed = _mm512_gf2p8affine_epi64_epi8::<0>(unit, found);
            *classes = _mm512_permutexvar_epi8(transpose, transposed);
        }
        let planes = transposed(vector, blocks);
        (planes, _mm512_movepi8_mask(all_bytes) == 0)
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
