//! 64 bytes in four registers: NEON, which every 64-bit ARM processor in use has.
//!
//! The bytes are dealt out to the registers one by one: the first has bytes 0, 4, 8 and so on. So
//! the bits of a mask come together by shifts within the bytes of a register, and the byte before
//! another is mostly in the same place of another register.

use std::arch::aarch64::{
    uint8x16_t, uint8x16x4_t, vandq_u8, vbicq_u8, vceqq_u8, vcleq_u8, vdupq_n_u8, vextq_u8,
    vget_lane_u64, vld1q_u8, vld4q_u8, vmaxq_u8, vmaxvq_u8, vorrq_u8, vqtbl1q_u8,
    vreinterpret_u64_u8, vreinterpretq_u16_u8, vshrn_n_u16, vshrq_n_u8, vsriq_n_u8, vsubq_u8,
};
use std::arch::is_aarch64_feature_detected;

use super::bytes::BLOCK_BYTES;
use super::copy::Copier;
use super::proof::{forward, proof};
use super::registers::Registers;
use super::words::WordMasks;

proof! {
    /// The proof that this processor has NEON.
    Neon, is_aarch64_feature_detected, "neon"
}

/// The registers of a block.
type Block = [uint8x16_t; 4];

impl Registers for Neon {
    type Register = uint8x16_t;
    type Block = Block;
    type Seen = Seen;

    forward! {
        fn load_block(self, bytes: &[u8; BLOCK_BYTES]) -> Block;
        fn high_bits(self, block: Block) -> u64;
        fn moved_up(self, block: Block, before: Block) -> Block;
        fn repeated(self, register: uint8x16_t) -> Block;
        fn splat_register(self, byte: u8) -> uint8x16_t;
        fn table(self, entries: &[u8; 16]) -> uint8x16_t;
        fn look_up(self, table: uint8x16_t, indices: uint8x16_t) -> uint8x16_t;
        fn look_up_low(self, table: uint8x16_t, bytes: uint8x16_t) -> uint8x16_t;
        fn high_halves(self, bytes: uint8x16_t) -> uint8x16_t;
        fn equals(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t;
        fn at_most(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t;
        fn minus(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t;
        fn and_bytes(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t;
        fn without_bits(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t;
        fn or_bytes(self, a: uint8x16_t, b: uint8x16_t) -> uint8x16_t;
        fn none_seen(self) -> Seen;
        fn seen_with(self, seen: Seen, block: Block) -> Seen;
        fn is_seen(self, seen: Seen) -> bool;
    }
}

impl WordMasks for Neon {}

impl Copier for Neon {}

#[inline]
#[target_feature(enable = "neon")]
#[expect(unsafe_code, reason = "reads through a pointer")]
fn load_block(bytes: &[u8; BLOCK_BYTES]) -> Block {
    // SAFETY: the load needs no alignment and reads the 64 bytes of `bytes`.
    let uint8x16x4_t(a, b, c, d) = unsafe { vld4q_u8(bytes.as_ptr()) };
    [a, b, c, d]
}

#[inline]
#[target_feature(enable = "neon")]
fn moved_up([a, b, c, d]: Block, [.., before]: Block) -> Block {
    [vextq_u8::<15>(before, d), a, b, c]
}

#[inline]
#[target_feature(enable = "neon")]
#[expect(unsafe_code, reason = "reads through a pointer")]
fn table(entries: &[u8; 16]) -> uint8x16_t {
    // SAFETY: the load needs no alignment and reads the 16 bytes of `entries`.
    unsafe { vld1q_u8(entries.as_ptr()) }
}

#[inline]
#[target_feature(enable = "neon")]
fn repeated(register: uint8x16_t) -> Block {
    [register; 4]
}

#[inline]
#[target_feature(enable = "neon")]
fn splat_register(byte: u8) -> uint8x16_t {
    vdupq_n_u8(byte)
}

#[inline]
#[target_feature(enable = "neon")]
fn equals(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    vceqq_u8(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn at_most(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    vcleq_u8(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn minus(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    vsubq_u8(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn and_bytes(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    vandq_u8(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn without_bits(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    vbicq_u8(a, b)
}

#[inline]
#[target_feature(enable = "neon")]
fn or_bytes(a: uint8x16_t, b: uint8x16_t) -> uint8x16_t {
    vorrq_u8(a, b)
}

/// The entries of `table` at `indices`; 0 for those of 16 and above.
#[inline]
#[target_feature(enable = "neon")]
fn look_up(table: uint8x16_t, indices: uint8x16_t) -> uint8x16_t {
    vqtbl1q_u8(table, indices)
}

#[inline]
#[target_feature(enable = "neon")]
fn look_up_low(table: uint8x16_t, bytes: uint8x16_t) -> uint8x16_t {
    vqtbl1q_u8(table, vandq_u8(bytes, vdupq_n_u8(0x8F)))
}

#[inline]
#[target_feature(enable = "neon")]
fn high_halves(bytes: uint8x16_t) -> uint8x16_t {
    vshrq_n_u8::<4>(bytes)
}

/// The highest bit of each byte.
///
/// Shifting right and inserting brings the highest bits of the four bytes that are neighbours to the
/// upper half of a byte, and once more to its lower half. Then every second half is taken.
#[inline]
#[target_feature(enable = "neon")]
fn high_bits([a, b, c, d]: Block) -> u64 {
    let (low, high) = (vsriq_n_u8::<1>(b, a), vsriq_n_u8::<1>(d, c));
    let fours = vsriq_n_u8::<2>(high, low);
    let twice = vsriq_n_u8::<4>(fours, fours);
    let halves = vshrn_n_u16::<4>(vreinterpretq_u16_u8(twice));
    vget_lane_u64::<0>(vreinterpret_u64_u8(halves))
}

// ===== what was seen =====

/// How far a byte was above a space at most; those below a space are far above.
type Seen = uint8x16_t;

#[inline]
#[target_feature(enable = "neon")]
fn none_seen() -> Seen {
    splat_register(0)
}

#[inline]
#[target_feature(enable = "neon")]
fn seen_with(mut highest: Seen, block: Block) -> Seen {
    for register in block {
        highest = vmaxq_u8(highest, minus(register, splat_register(b' ')));
    }
    highest
}

#[inline]
#[target_feature(enable = "neon")]
fn is_seen(highest: Seen) -> bool {
    vmaxvq_u8(highest) >= 0x80 - b' '
}
