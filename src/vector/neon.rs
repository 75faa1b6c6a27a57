//! 64 bytes in four registers: NEON, which every 64-bit ARM processor in use has.

use std::arch::aarch64::{
    uint8x16_t, vandq_u8, vceqq_u8, vcgeq_u8, vcleq_u8, vdupq_n_u8, vgetq_lane_u64, vld1q_u8,
    vorrq_u8, vpaddq_u8, vreinterpretq_u64_u8, vsubq_u8,
};
use std::arch::is_aarch64_feature_detected;

use super::array_masks::array_masks;
use super::bytes::{BLOCK_BYTES, ByteOps};
use super::classes::Classify;
use super::copy::Copier;
use super::proof::{forward, proof};

proof! {
    /// The proof that this processor has NEON.
    Neon, is_aarch64_feature_detected, "neon"
}

/// The registers of a block.
type Block = [uint8x16_t; 4];

impl ByteOps for Neon {
    type Block = Block;

    forward! {
        fn load(self, bytes: &[u8; BLOCK_BYTES]) -> Block;
        fn equal(self, block: Block, byte: u8) -> u64;
        fn between(self, block: Block, first: u8, last: u8) -> u64;
        fn non_ascii(self, block: Block) -> u64;
        fn lower(self, block: Block) -> Block;
    }
}

array_masks!(Neon);

impl Classify for Neon {}

impl Copier for Neon {}

#[inline]
#[target_feature(enable = "neon")]
#[expect(unsafe_code, reason = "reads through a pointer")]
fn load(bytes: &[u8; BLOCK_BYTES]) -> Block {
    // SAFETY: the load needs no alignment and reads the 16 bytes of its part of `bytes`.
    let part = |part: &[u8; 16]| unsafe { vld1q_u8(part.as_ptr()) };
    let (parts, _) = bytes.as_chunks::<16>();
    let [a, b, c, d] = parts else { unreachable!() };
    [part(a), part(b), part(c), part(d)]
}

/// One bit for each byte of a comparison, whose bytes are all ones or all zeros.
///
/// Each byte keeps the bit of its place in a group of eight; adding neighbours three times brings
/// the groups together.
#[inline]
#[target_feature(enable = "neon")]
#[expect(unsafe_code, reason = "reads through a pointer")]
fn bits(compared: Block) -> u64 {
    const PLACES: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];
    // SAFETY: the load reads the 16 bytes of `PLACES`.
    let places = unsafe { vld1q_u8(PLACES.as_ptr()) };
    let [a, b, c, d] = compared.map(|part| vandq_u8(part, places));
    let pairs = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
    vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(pairs, pairs)))
}

#[inline]
#[target_feature(enable = "neon")]
fn equal([a, b, c, d]: Block, byte: u8) -> u64 {
    let byte = vdupq_n_u8(byte);
    bits([vceqq_u8(a, byte), vceqq_u8(b, byte), vceqq_u8(c, byte), vceqq_u8(d, byte)])
}

#[inline]
#[target_feature(enable = "neon")]
fn between(block: Block, first: u8, last: u8) -> u64 {
    bits(block.map(|part| vcleq_u8(vsubq_u8(part, vdupq_n_u8(first)), vdupq_n_u8(last - first))))
}

#[inline]
#[target_feature(enable = "neon")]
fn non_ascii(block: Block) -> u64 {
    bits(block.map(|part| vcgeq_u8(part, vdupq_n_u8(0x80))))
}

#[inline]
#[target_feature(enable = "neon")]
fn lower(block: Block) -> Block {
    block.map(|part| vorrq_u8(part, vdupq_n_u8(0x20)))
}
