//! 64 bytes in four registers: SSE2, which every x86-64 processor has.

use std::arch::x86_64::{
    __m128i, _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128,
    _mm_set1_epi8, _mm_sub_epi8,
};

use super::super::fast;
use super::super::grammar::{self, Found};
use super::super::line::Copier;
use super::array_rows::array_rows;
use super::{BLOCK_BYTES, Lanes, Vector};

/// The proof that this processor has SSE2.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Sse2(());

impl Sse2 {
    /// A value, if this processor has what it stands for.
    pub(super) fn detect() -> Option<Self> {
        is_x86_feature_detected!("sse2").then_some(Self(()))
    }

    /// [`fast::rewrite`] with these instructions.
    #[expect(unsafe_code, reason = "calls a function that needs the instructions")]
    pub(super) fn rewrite(self, body: &[u8], line: &mut [u8]) -> Option<usize> {
        // SAFETY: `self` was made by `detect`, so the processor has the instructions.
        unsafe { rewrite(self, body, line) }
    }
}

#[inline(never)]
#[target_feature(enable = "sse2")]
fn find_event_in_groups(vector: Sse2, text: &[u8], guess: Option<usize>) -> Option<Found> {
    grammar::find_event_in_groups(vector, text, guess)
}

#[target_feature(enable = "sse2")]
fn rewrite(vector: Sse2, body: &[u8], line: &mut [u8]) -> Option<usize> {
    fast::rewrite(vector, body, line)
}

/// The registers of a block.
type Block = [__m128i; 4];

#[expect(clippy::indexing_slicing, reason = "by lane, of which there are as many")]
#[expect(unsafe_code, reason = "calls functions that need the instructions")]
impl Vector for Sse2 {
    type Block = Block;

    array_rows!();

    #[inline(always)]
    fn find_event_in_groups(self, text: &[u8], guess: Option<usize>) -> Option<Found> {
        // SAFETY: `self` proves the features of the function.
        unsafe { find_event_in_groups(self, text, guess) }
    }

    #[inline(always)]
    fn load(self, bytes: &[u8; BLOCK_BYTES]) -> Block {
        // SAFETY: `self` proves the features of the function.
        unsafe { load(bytes) }
    }

    #[inline(always)]
    fn equal(self, block: Block, byte: u8) -> u64 {
        // SAFETY: `self` proves the features of the function.
        unsafe { equal(block, byte) }
    }

    #[inline(always)]
    fn between(self, block: Block, first: u8, last: u8) -> u64 {
        // SAFETY: `self` proves the features of the function.
        unsafe { between(block, first, last) }
    }

    #[inline(always)]
    fn non_ascii(self, block: Block) -> u64 {
        // SAFETY: `self` proves the features of the function.
        unsafe { high_bits(block) }
    }

    #[inline(always)]
    fn lower(self, block: Block) -> Block {
        // SAFETY: `self` proves the features of the function.
        unsafe { lower(block) }
    }
}

#[inline]
#[target_feature(enable = "sse2")]
#[expect(unsafe_code, reason = "reads through a pointer")]
fn load(bytes: &[u8; BLOCK_BYTES]) -> Block {
    // SAFETY: the load needs no alignment and reads the 16 bytes of its part of `bytes`.
    let part = |part: &[u8; 16]| unsafe { _mm_loadu_si128(part.as_ptr().cast()) };
    let (parts, _) = bytes.as_chunks::<16>();
    let [a, b, c, d] = parts else { unreachable!() };
    [part(a), part(b), part(c), part(d)]
}

/// The highest bit of each byte.
#[inline]
#[target_feature(enable = "sse2")]
fn high_bits(block: Block) -> u64 {
    let [a, b, c, d] = block.map(|part| u64::from(_mm_movemask_epi8(part).cast_unsigned()));
    a | b << 16 | c << 32 | d << 48
}

#[inline]
#[target_feature(enable = "sse2")]
fn equal([a, b, c, d]: Block, byte: u8) -> u64 {
    let byte = _mm_set1_epi8(byte.cast_signed());
    high_bits([
        _mm_cmpeq_epi8(a, byte),
        _mm_cmpeq_epi8(b, byte),
        _mm_cmpeq_epi8(c, byte),
        _mm_cmpeq_epi8(d, byte),
    ])
}

#[inline]
#[target_feature(enable = "sse2")]
fn between(block: Block, first: u8, last: u8) -> u64 {
    high_bits(block.map(|part| {
        let above = _mm_sub_epi8(part, _mm_set1_epi8(first.cast_signed()));
        _mm_cmpeq_epi8(_mm_min_epu8(above, _mm_set1_epi8((last - first).cast_signed())), above)
    }))
}

#[inline]
#[target_feature(enable = "sse2")]
fn lower(block: Block) -> Block {
    block.map(|part| _mm_or_si128(part, _mm_set1_epi8(0x20)))
}

impl Copier for Sse2 {
    #[inline(always)]
    fn copy(self, from: &[u8], to: &mut [u8]) {
        to.copy_from_slice(from);
    }
}
