//! 64 bytes in two registers: AVX2.

use std::arch::x86_64::{
    __m256i, _mm_loadu_si128, _mm256_alignr_epi8, _mm256_and_si256, _mm256_andnot_si256,
    _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_loadu_si256,
    _mm256_min_epi8, _mm256_min_epu8, _mm256_or_si256, _mm256_permute2x128_si256, _mm256_set1_epi8,
    _mm256_shuffle_epi8, _mm256_srli_epi16, _mm256_sub_epi8,
};

use super::bytes::BLOCK_BYTES;
use super::clmul::prefix_xor_word;
use super::copy::Copier;
use super::proof::{forward, proof};
use super::registers::Registers;
use super::words::WordMasks;

proof! {
    /// The proof that this processor has AVX2, BMI 1 and 2, and PCLMULQDQ.
    Avx2, is_x86_feature_detected, "avx2", "bmi1", "bmi2", "pclmulqdq"
}

/// The registers of a block.
type Block = [__m256i; 2];

impl Registers for Avx2 {
    type Register = __m256i;
    type Block = Block;
    type Seen = Seen;

    forward! {
        fn load_block(self, bytes: &[u8; BLOCK_BYTES]) -> Block;
        fn high_bits(self, block: Block) -> u64;
        fn moved_up(self, block: Block, before: Block) -> Block;
        fn repeated(self, register: __m256i) -> Block;
        fn splat_register(self, byte: u8) -> __m256i;
        fn table(self, entries: &[u8; 16]) -> __m256i;
        fn look_up(self, table: __m256i, indices: __m256i) -> __m256i;
        fn look_up_low(self, table: __m256i, bytes: __m256i) -> __m256i;
        fn high_halves(self, bytes: __m256i) -> __m256i;
        fn equals(self, a: __m256i, b: __m256i) -> __m256i;
        fn at_most(self, a: __m256i, b: __m256i) -> __m256i;
        fn minus(self, a: __m256i, b: __m256i) -> __m256i;
        fn and_bytes(self, a: __m256i, b: __m256i) -> __m256i;
        fn without_bits(self, a: __m256i, b: __m256i) -> __m256i;
        fn or_bytes(self, a: __m256i, b: __m256i) -> __m256i;
        fn none_seen(self) -> Seen;
        fn seen_with(self, seen: Seen, block: Block) -> Seen;
        fn is_seen(self, seen: Seen) -> bool;
    }
}

impl WordMasks for Avx2 {
    forward! {
        fn prefix_xor_word(self, word: u64) -> u64;
    }
}

impl Copier for Avx2 {}

#[inline]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "reads through a pointer")]
fn load_block(bytes: &[u8; BLOCK_BYTES]) -> Block {
    // SAFETY: the load needs no alignment and reads the 32 bytes of its part of `bytes`.
    let part = |part: &[u8; 32]| unsafe { _mm256_loadu_si256(part.as_ptr().cast()) };
    let (parts, _) = bytes.as_chunks::<32>();
    let [a, b] = parts else { unreachable!() };
    [part(a), part(b)]
}

#[inline]
#[target_feature(enable = "avx2")]
fn moved_up([a, b]: Block, [_, before]: Block) -> Block {
    [shifted_in(before, a), shifted_in(a, b)]
}

/// A table for each half of a register: a lookup stays within its half.
#[inline]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "reads through a pointer")]
fn table(entries: &[u8; 16]) -> __m256i {
    // SAFETY: the load needs no alignment and reads the 16 bytes of `entries`.
    _mm256_broadcastsi128_si256(unsafe { _mm_loadu_si128(entries.as_ptr().cast()) })
}

#[inline]
#[target_feature(enable = "avx2")]
fn repeated(register: __m256i) -> Block {
    [register; 2]
}

#[inline]
#[target_feature(enable = "avx2")]
fn splat_register(byte: u8) -> __m256i {
    _mm256_set1_epi8(byte.cast_signed())
}

#[inline]
#[target_feature(enable = "avx2")]
fn equals(a: __m256i, b: __m256i) -> __m256i {
    _mm256_cmpeq_epi8(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn at_most(a: __m256i, b: __m256i) -> __m256i {
    _mm256_cmpeq_epi8(_mm256_min_epu8(a, b), a)
}

#[inline]
#[target_feature(enable = "avx2")]
fn minus(a: __m256i, b: __m256i) -> __m256i {
    _mm256_sub_epi8(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn and_bytes(a: __m256i, b: __m256i) -> __m256i {
    _mm256_and_si256(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn without_bits(a: __m256i, b: __m256i) -> __m256i {
    _mm256_andnot_si256(b, a)
}

#[inline]
#[target_feature(enable = "avx2")]
fn or_bytes(a: __m256i, b: __m256i) -> __m256i {
    _mm256_or_si256(a, b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn look_up(table: __m256i, indices: __m256i) -> __m256i {
    _mm256_shuffle_epi8(table, indices)
}

#[inline]
#[target_feature(enable = "avx2")]
fn look_up_low(table: __m256i, bytes: __m256i) -> __m256i {
    _mm256_shuffle_epi8(table, bytes)
}

#[inline]
#[target_feature(enable = "avx2")]
fn high_halves(bytes: __m256i) -> __m256i {
    _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), splat_register(0x0F))
}

/// `register`, moved up by a byte, with the last byte of `before` in front.
#[inline]
#[target_feature(enable = "avx2")]
fn shifted_in(before: __m256i, register: __m256i) -> __m256i {
    let below = _mm256_permute2x128_si256::<0x21>(before, register);
    _mm256_alignr_epi8::<15>(register, below)
}

/// The highest bit of each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn high_bits([low, high]: Block) -> u64 {
    register_bits(low) | register_bits(high) << 32
}

/// The highest bit of each byte.
///
/// The compiler knows too well what `_mm256_movemask_epi8` does: it keeps masks as vectors of bits,
/// and takes these apart byte by byte where a branch is between a mask and its use. So it is only
/// told which instruction this is.
#[cfg(not(miri))]
#[inline]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "names an instruction")]
fn register_bits(register: __m256i) -> u64 {
    let bits;
    // SAFETY: AVX2 has the instruction. It reads `register` and writes `bits`, nothing else; what is
    // written to the low half of a general register makes its high half 0.
    unsafe {
        std::arch::asm!(
            "vpmovmskb {bits:e}, {register}",
            bits = lateout(reg) bits,
            register = in(ymm_reg) register,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    bits
}

/// The same for Miri, which does not run assembler.
#[cfg(miri)]
#[target_feature(enable = "avx2")]
fn register_bits(register: __m256i) -> u64 {
    u64::from(std::arch::x86_64::_mm256_movemask_epi8(register).cast_unsigned())
}

// ===== what was seen =====

/// The least of all bytes with a sign, by place: control characters and bytes of 0x80 and above are
/// less than a space.
type Seen = __m256i;

#[inline]
#[target_feature(enable = "avx2")]
fn none_seen() -> Seen {
    splat_register(b' ')
}

#[inline]
#[target_feature(enable = "avx2")]
fn seen_with(least: Seen, [a, b]: Block) -> Seen {
    _mm256_min_epi8(_mm256_min_epi8(least, a), b)
}

#[inline]
#[target_feature(enable = "avx2")]
fn is_seen(least: Seen) -> bool {
    register_bits(_mm256_cmpgt_epi8(splat_register(b' '), least)) != 0
}
