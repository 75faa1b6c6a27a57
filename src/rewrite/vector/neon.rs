//! 64 bytes in four registers: NEON, which every 64-bit ARM processor in use has.

use std::arch::aarch64::{
    uint8x16_t, vandq_u8, vceqq_u8, vcgeq_u8, vcleq_u8, vdupq_n_u8, vgetq_lane_u64, vld1q_u8,
    vorrq_u8, vpaddq_u8, vreinterpretq_u64_u8, vsubq_u8,
};
use std::arch::is_aarch64_feature_detected;

use super::super::fast;
use super::super::line::Copier;
use super::{BLOCK_BYTES, Lanes, Vector};

/// The proof that this processor has NEON.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Neon(());

impl Neon {
    /// A value, if this processor has what it stands for.
    pub(super) fn detect() -> Option<Self> {
        is_aarch64_feature_detected!("neon").then_some(Self(()))
    }

    /// [`fast::rewrite`] with these instructions.
    #[expect(unsafe_code, reason = "calls a function that needs the instructions")]
    pub(super) fn rewrite(self, body: &[u8], line: &mut [u8]) -> Option<usize> {
        // SAFETY: `self` was made by `detect`, so the processor has the instructions.
        unsafe { rewrite(self, body, line) }
    }
}

#[target_feature(enable = "neon")]
fn rewrite(vector: Neon, body: &[u8], line: &mut [u8]) -> Option<usize> {
    fast::rewrite(vector, body, line)
}

/// The registers of a block.
type Block = [uint8x16_t; 4];

#[expect(unsafe_code, reason = "calls functions that need the instructions")]
impl Vector for Neon {
    type Block = Block;

    type Row = [u64; 8];

    #[inline(always)]
    fn row(self, lanes: &Lanes) -> [u64; 8] {
        lanes.0
    }

    #[inline(always)]
    fn splat(self, mask: u64) -> [u64; 8] {
        [mask; 8]
    }

    #[inline(always)]
    fn lanes(self, row: [u64; 8]) -> Lanes {
        Lanes(row)
    }

    #[inline(always)]
    fn row_and(self, a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
        std::array::from_fn(|lane| a[lane] & b[lane])
    }

    #[inline(always)]
    fn row_or(self, a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
        std::array::from_fn(|lane| a[lane] | b[lane])
    }

    #[inline(always)]
    fn row_xor(self, a: [u64; 8], b: [u64; 8]) -> [u64; 8] {
        std::array::from_fn(|lane| a[lane] ^ b[lane])
    }

    #[inline(always)]
    fn row_not(self, a: [u64; 8]) -> [u64; 8] {
        a.map(|lane| !lane)
    }

    #[inline(always)]
    fn nonzero(self, row: [u64; 8]) -> u32 {
        (0..8).fold(0, |mask, lane| mask | u32::from(row[lane] != 0) << lane)
    }

    #[inline(always)]
    fn shifted<const BITS: u32>(self, row: [u64; 8], carry: u64) -> [u64; 8] {
        std::array::from_fn(|lane| {
            let below = if lane == 0 { carry } else { row[lane - 1] >> (64 - BITS) };
            row[lane] << BITS | below
        })
    }

    #[inline(always)]
    fn highest(self, row: [u64; 8]) -> u64 {
        row[7]
    }

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
    fn or(self, a: Block, b: Block) -> Block {
        // SAFETY: `self` proves the features of the function.
        unsafe { or(a, b) }
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

#[inline]
#[target_feature(enable = "neon")]
fn or(a: Block, b: Block) -> Block {
    [vorrq_u8(a[0], b[0]), vorrq_u8(a[1], b[1]), vorrq_u8(a[2], b[2]), vorrq_u8(a[3], b[3])]
}

impl Copier for Neon {
    #[inline(always)]
    fn copy(self, from: &[u8], to: &mut [u8]) {
        to.copy_from_slice(from);
    }
}
