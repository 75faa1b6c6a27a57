//! 64 bytes in four registers: NEON, which every 64-bit ARM processor in use has.

use std::arch::aarch64::{
    uint8x16_t, vandq_u8, vceqq_u8, vcgeq_u8, vcleq_u8, vdupq_n_u8, vgetq_lane_u64, vld1q_u8,
    vorrq_u8, vpaddq_u8, vreinterpretq_u64_u8, vsubq_u8,
};
use std::arch::is_aarch64_feature_detected;

use super::{BLOCK_BYTES, Event, Vector, grammar};

/// The proof that this processor has NEON.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Neon(());

impl Neon {
    /// A value, if this processor has what it stands for.
    pub(in super::super) fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    /// [`grammar::scan`] with these instructions.
    #[expect(unsafe_code, reason = "calls a function that needs the instructions")]
    pub(in super::super) fn scan(self, body: &[u8]) -> Option<Event> {
        // SAFETY: `self` was made by `detect`, so the processor has the instructions.
        unsafe { scan(self, body) }
    }
}

#[target_feature(enable = "neon")]
fn scan(vector: Neon, body: &[u8]) -> Option<Event> {
    grammar::scan(vector, body)
}

/// The registers of a block.
type Block = [uint8x16_t; 4];

#[expect(unsafe_code, reason = "calls functions that need the instructions")]
impl Vector for Neon {
    type Block = Block;

    #[inline(always)]
    fn load(self, bytes: &[u8; BLOCK_BYTES]) -> Block {
        // SAFETY: `self` proves the features of the function.
        unsafe { load(bytes) }
    }

    #[inline(always)]
    fn equal(self, block: Block, byte: u8) -> u64 {
        // SAFETY: `self` proves the features of the function.
        unsafe { any_of(block, [byte]) }
    }

    #[inline(always)]
    fn between(self, block: Block, first: u8, last: u8) -> u64 {
        // SAFETY: `self` proves the features of the function.
        unsafe { between(block, first, last) }
    }

    #[inline(always)]
    fn any_of<const N: usize>(self, block: Block, bytes: [u8; N]) -> u64 {
        // SAFETY: `self` proves the features of the function.
        unsafe { any_of(block, bytes) }
    }

    #[inline(always)]
    fn non_ascii(self, block: Block) -> u64 {
        // SAFETY: `self` proves the features of the function.
        unsafe { non_ascii(block) }
    }

    #[inline(always)]
    fn lower(self, block: Block) -> Block {
        // SAFETY: `self` proves the features of the function.
        unsafe { lower(block) }
    }
}

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
/// Each byte keeps the bit of its place in a group of eight; adding neighbours three times brings the groups together.
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
fn any_of<const N: usize>(block: Block, bytes: [u8; N]) -> u64 {
    bits(block.map(|part| {
        bytes
            .iter()
            .fold(vdupq_n_u8(0), |found, &byte| vorrq_u8(found, vceqq_u8(part, vdupq_n_u8(byte))))
    }))
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
