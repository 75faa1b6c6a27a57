//! Classes of bytes, 64 at once: the only part that depends on the processor, and the only one with unsafe code.
//!
//! Each processor extension is a type that can only be had where the extension is there ([`Avx512::detect`] and the like):
//! holding a value of it is the proof that its instructions may be used. It implements [`Vector`], and the grammar is
//! compiled once for each of them. Which one is used is decided at run time, once ([`scan`]).

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod clmul;
#[cfg(target_arch = "aarch64")]
mod neon;
#[cfg(target_arch = "x86_64")]
mod sse2;

use super::escapes::{EscapeMasks, HexMasks};
use super::grammar::{self, Masks};
use super::scan::Event;

/// How many bytes are looked at together: one for each bit of a word.
pub(super) const BLOCK_BYTES: usize = 64;

/// The vector instructions of a processor. Holding a value is the proof that the processor has them.
///
/// A processor says how to load and compare; what is compared with what is said once, here.
pub(super) trait Vector: Copy {
    /// A block in registers.
    type Block: Copy;

    fn load(self, bytes: &[u8; BLOCK_BYTES]) -> Self::Block;

    /// The bytes that are `byte`.
    fn equal(self, block: Self::Block, byte: u8) -> u64;

    /// The bytes from `first` to `last`.
    fn between(self, block: Self::Block, first: u8, last: u8) -> u64;

    /// The bytes that are one of `bytes`.
    #[inline(always)]
    fn any_of<const N: usize>(self, block: Self::Block, bytes: [u8; N]) -> u64 {
        bytes.iter().fold(0, |mask, &byte| mask | self.equal(block, byte))
    }

    /// The bytes of 0x80 and above.
    fn non_ascii(self, block: Self::Block) -> u64;

    /// Each byte with bit 5 set: lower case, and braces for brackets.
    fn lower(self, block: Self::Block) -> Self::Block;

    /// Each bit is the XOR of all bits of `word` up to it.
    #[inline(always)]
    fn prefix_xor(self, mut word: u64) -> u64 {
        word ^= word << 1;
        word ^= word << 2;
        word ^= word << 4;
        word ^= word << 8;
        word ^= word << 16;
        word ^ word << 32
    }

    /// Loads the last bytes of `body`, at least one and fewer than a block. Gives the block and the number of bytes in it
    /// that come before them.
    ///
    /// This way does so for any vectors: a block that ends with the body, which never reads past it. Only a body that is
    /// shorter than a block is copied.
    #[inline(always)]
    fn load_tail(self, body: &[u8], tail: &[u8]) -> (Self::Block, u32) {
        if let Some(last) = body.last_chunk::<BLOCK_BYTES>() {
            return (self.load(last), (BLOCK_BYTES - tail.len()) as u32);
        }
        let mut padded = [0; BLOCK_BYTES];
        for (to, from) in padded.iter_mut().zip(tail) {
            *to = *from;
        }
        (self.load(&padded), 0)
    }

    #[inline(always)]
    fn masks(self, block: Self::Block) -> Masks {
        // Brackets differ from braces in bit 5 only, and no other byte becomes a brace by setting it.
        let braces = self.lower(block);
        Masks {
            quotes: self.equal(block, b'"'),
            backslashes: self.equal(block, b'\\'),
            controls: self.between(block, 0, 0x1F),
            opens: self.equal(braces, b'{'),
            closes: self.equal(braces, b'}'),
            colons: self.equal(block, b':'),
            commas: self.equal(block, b','),
            spaces: self.equal(block, b' '),
            digits: self.between(block, b'0', b'9'),
            zeros: self.equal(block, b'0'),
            non_ascii: self.non_ascii(block),
        }
    }

    /// Tab, line feed and carriage return.
    #[inline(always)]
    fn control_blanks(self, block: Self::Block) -> u64 {
        self.any_of(block, *b"\t\n\r")
    }

    #[inline(always)]
    fn escapes(self, block: Self::Block) -> EscapeMasks {
        EscapeMasks { simple: self.any_of(block, *b"\"\\/bfnrt"), unicode: self.equal(block, b'u') }
    }

    #[inline(always)]
    fn hex(self, block: Self::Block) -> HexMasks {
        let lower = self.lower(block);
        HexMasks {
            digits: self.between(block, b'0', b'9') | self.between(lower, b'a', b'f'),
            d: self.equal(lower, b'd'),
            eight_to_b: self.between(block, b'8', b'9') | self.between(lower, b'a', b'b'),
            c_to_f: self.between(lower, b'c', b'f'),
        }
    }
}

/// A block and which of its bytes are the body's: all of them, or those of the tail.
pub(super) struct Window<V: Vector> {
    vector: V,
    block: V::Block,
    /// Bytes at the start of the block that were in the block before.
    skipped: u32,
    valid: u64,
}

impl<V: Vector> Window<V> {
    #[inline(always)]
    pub(super) fn whole(vector: V, bytes: &[u8; BLOCK_BYTES]) -> Self {
        Self { vector, block: vector.load(bytes), skipped: 0, valid: u64::MAX }
    }

    /// The window on `tail`, the last bytes of `body`: at least one and fewer than a block.
    #[inline(always)]
    pub(super) fn tail(vector: V, body: &[u8], tail: &[u8]) -> Self {
        debug_assert!(!tail.is_empty() && tail.len() < BLOCK_BYTES, "a tail is a part of a block");
        let (block, skipped) = vector.load_tail(body, tail);
        Self {
            vector,
            block,
            skipped,
            valid: u64::MAX >> ((BLOCK_BYTES - tail.len()) % BLOCK_BYTES),
        }
    }

    /// The bits that are bytes of the body.
    #[inline(always)]
    pub(super) const fn valid(&self) -> u64 {
        self.valid
    }

    #[inline(always)]
    pub(super) fn prefix_xor(&self, word: u64) -> u64 {
        self.vector.prefix_xor(word)
    }

    #[inline(always)]
    pub(super) fn masks(&self) -> Masks {
        let masks = self.vector.masks(self.block);
        Masks {
            quotes: masks.quotes >> self.skipped,
            backslashes: masks.backslashes >> self.skipped,
            controls: masks.controls >> self.skipped,
            opens: masks.opens >> self.skipped,
            closes: masks.closes >> self.skipped,
            colons: masks.colons >> self.skipped,
            commas: masks.commas >> self.skipped,
            spaces: masks.spaces >> self.skipped,
            digits: masks.digits >> self.skipped,
            zeros: masks.zeros >> self.skipped,
            non_ascii: masks.non_ascii,
        }
    }

    #[inline(always)]
    pub(super) fn control_blanks(&self) -> u64 {
        self.vector.control_blanks(self.block) >> self.skipped
    }

    #[inline(always)]
    pub(super) fn escapes(&self) -> EscapeMasks {
        let masks = self.vector.escapes(self.block);
        EscapeMasks { simple: masks.simple >> self.skipped, unicode: masks.unicode >> self.skipped }
    }

    #[inline(always)]
    pub(super) fn hex(&self) -> HexMasks {
        let masks = self.vector.hex(self.block);
        HexMasks {
            digits: masks.digits >> self.skipped,
            d: masks.d >> self.skipped,
            eight_to_b: masks.eight_to_b >> self.skipped,
            c_to_f: masks.c_to_f >> self.skipped,
        }
    }
}

// ===== the choice =====

/// Finds the event in `body` with the best instructions there are. `None` leaves it to the portable scan.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn scan(body: &[u8]) -> Option<Event> {
    // Feature detection is a load and a test each: std caches what it finds.
    if let Some(vector) = avx512::Avx512::detect() {
        vector.scan(body)
    } else if let Some(vector) = avx2::Avx2::detect() {
        vector.scan(body)
    } else {
        sse2::Sse2::detect()?.scan(body)
    }
}

#[cfg(target_arch = "aarch64")]
#[inline]
pub(super) fn scan(body: &[u8]) -> Option<Event> {
    neon::Neon::detect()?.scan(body)
}

/// There is nothing faster than the portable scan here.
#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(super) fn scan(_body: &[u8]) -> Option<Event> {
    None
}
