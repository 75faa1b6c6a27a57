//! 64 bytes in four registers: SSSE3, which every x86-64 processor has had for ten years and more.

use std::arch::x86_64::{
    __m128i, _mm_alignr_epi8, _mm_and_si128, _mm_andnot_si128, _mm_cmpeq_epi8, _mm_loadu_si128,
    _mm_min_epu8, _mm_or_si128, _mm_set1_epi8, _mm_shuffle_epi8, _mm_srli_epi16, _mm_sub_epi8,
};

use super::bytes::BLOCK_BYTES;
use super::copy::Copier;
use super::proof::{forward, proof};
use super::registers::Registers;
use super::words::WordMasks;

proof! {
    /// The proof that this processor has SSSE3.
    Ssse3, is_x86_feature_detected, "ssse3"
}

/// The registers of a block.
type Block = [__m128i; 4];

impl Registers for Ssse3 {
    type Register = __m128i;
    type Block = Block;
    type Seen = Seen;

    forward! {
        fn load_block(self, bytes: &[u8; BLOCK_BYTES]) -> Block;
        fn high_bits(self, block: Block) -> u64;
        fn moved_up(self, block: Block, before: Block) -> Block;
        fn repeated(self, register: __m128i) -> Block;
        fn splat_register(self, byte: u8) -> __m128i;
        fn table(self, entries: &[u8; 16]) -> __m128i;
        fn look_up(self, table: __m128i, indices: __m128i) -> __m128i;
        fn look_up_low(self, table: __m128i, bytes: __m128i) -> __m128i;
        fn high_halves(self, bytes: __m128i) -> __m128i;
        fn equals(self, a: __m128i, b: __m128i) -> __m128i;
        fn at_most(self, a: __m128i, b: __m128i) -> __m128i;
        fn minus(self, a: __m128i, b: __m128i) -> __m128i;
        fn and_bytes(self, a: __m128i, b: __m128i) -> __m128i;
        fn without_bits(self, a: __m128i, b: __m128i) -> __m128i;
        fn or_bytes(self, a: __m128i, b: __m128i) -> __m128i;
        fn none_seen(self) -> Seen;
        fn seen_with(self, seen: Seen, block: Block) -> Seen;
        fn is_seen(self, seen: Seen) -> bool;
    }
}

impl WordMasks for Ssse3 {}

impl Copier for Ssse3 {}

#[inline]
#[target_feature(enable = "ssse3")]
#[expect(unsafe_code, reason = "reads through a pointer")]
fn load_register(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: the load needs no alignment and reads the 16 bytes of `bytes`.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "ssse3")]
fn load_block(bytes: &[u8; BLOCK_BYTES]) -> Block {
    let (parts, _) = bytes.as_chunks::<16>();
    let [a, b, c, d] = parts else { unreachable!() };
    [load_register(a), load_register(b), load_register(c), load_register(d)]
}

#[inline]
#[target_feature(enable = "ssse3")]
fn moved_up([a, b, c, d]: Block, [.., before]: Block) -> Block {
    [shifted_in(before, a), shifted_in(a, b), shifted_in(b, c), shifted_in(c, d)]
}

#[inline]
#[target_feature(enable = "ssse3")]
fn table(entries: &[u8; 16]) -> __m128i {
    load_register(entries)
}

#[inline]
#[target_feature(enable = "ssse3")]
fn repeated(register: __m128i) -> Block {
    [register; 4]
}

#[inline]
#[target_feature(enable = "ssse3")]
fn splat_register(byte: u8) -> __m128i {
    _mm_set1_epi8(byte.cast_signed())
}

#[inline]
#[target_feature(enable = "ssse3")]
fn equals(a: __m128i, b: __m128i) -> __m128i {
    _mm_cmpeq_epi8(a, b)
}

#[inline]
#[target_feature(enable = "ssse3")]
fn at_most(a: __m128i, b: __m128i) -> __m128i {
    _mm_cmpeq_epi8(_mm_min_epu8(a, b), a)
}

#[inline]
#[target_feature(enable = "ssse3")]
fn minus(a: __m128i, b: __m128i) -> __m128i {
    _mm_sub_epi8(a, b)
}

#[inline]
#[target_feature(enable = "ssse3")]
fn and_bytes(a: __m128i, b: __m128i) -> __m128i {
    _mm_and_si128(a, b)
}

#[inline]
#[target_feature(enable = "ssse3")]
fn without_bits(a: __m128i, b: __m128i) -> __m128i {
    _mm_andnot_si128(b, a)
}

#[inline]
#[target_feature(enable = "ssse3")]
fn or_bytes(a: __m128i, b: __m128i) -> __m128i {
    _mm_or_si128(a, b)
}

#[inline]
#[target_feature(enable = "ssse3")]
fn look_up(table: __m128i, indices: __m128i) -> __m128i {
    _mm_shuffle_epi8(table, indices)
}

#[inline]
#[target_feature(enable = "ssse3")]
fn look_up_low(table: __m128i, bytes: __m128i) -> __m128i {
    _mm_shuffle_epi8(table, bytes)
}

#[inline]
#[target_feature(enable = "ssse3")]
fn high_halves(bytes: __m128i) -> __m128i {
    _mm_and_si128(_mm_srli_epi16::<4>(bytes), splat_register(0x0F))
}

/// `register`, moved up by a byte, with the last byte of `before` in front.
#[inline]
#[target_feature(enable = "ssse3")]
fn shifted_in(before: __m128i, register: __m128i) -> __m128i {
    _mm_alignr_epi8::<15>(register, before)
}

/// The highest bit of each byte.
#[inline]
#[target_feature(enable = "ssse3")]
fn high_bits(block: Block) -> u64 {
    let [a, b, c, d] = block;
    let low = register_bits(a) | register_bits(b) << 16;
    let high = register_bits(c) | register_bits(d) << 16;
    low | high << 32
}

/// The highest bit of each byte, by an instruction of which the compiler knows no more: see the
/// same of AVX2.
#[cfg(not(miri))]
#[inline]
#[target_feature(enable = "ssse3")]
#[expect(unsafe_code, reason = "names an instruction")]
fn register_bits(register: __m128i) -> u64 {
    let bits;
    // SAFETY: SSE2 has the instruction. It reads `register` and writes `bits`, nothing else; what is
    // written to the low half of a general register makes its high half 0.
    unsafe {
        std::arch::asm!(
            "pmovmskb {bits:e}, {register}",
            bits = lateout(reg) bits,
            register = in(xmm_reg) register,
            options(pure, nomem, nostack, preserves_flags),
        );
    }
    bits
}

/// The same for Miri, which does not run assembler.
#[cfg(miri)]
#[target_feature(enable = "ssse3")]
fn register_bits(register: __m128i) -> u64 {
    u64::from(std::arch::x86_64::_mm_movemask_epi8(register).cast_unsigned())
}

// ===== what was seen =====

/// The least of all bytes, by place, and all their bits: a control character is less than a space, and
/// only bytes of 0x80 and above have the highest bit.
#[derive(Clone, Copy)]
pub(crate) struct Seen {
    least: __m128i,
    bits: __m128i,
}

#[inline]
#[target_feature(enable = "ssse3")]
fn none_seen() -> Seen {
    Seen { least: splat_register(b' '), bits: splat_register(0) }
}

#[inline]
#[target_feature(enable = "ssse3")]
fn seen_with(Seen { mut least, mut bits }: Seen, block: Block) -> Seen {
    for register in block {
        least = _mm_min_epu8(least, register);
        bits = or_bytes(bits, register);
    }
    Seen { least, bits }
}

#[inline]
#[target_feature(enable = "ssse3")]
fn is_seen(Seen { least, bits }: Seen) -> bool {
    register_bits(or_bytes(at_most(least, splat_register(b' ' - 1)), bits)) != 0
}
