//! Classes of bytes, 64 at once: the only part that depends on the processor, and the only one with unsafe code.
//!
//! Each processor extension is a type that can only be had where the extension is there ([`Avx512::detect`] and the like):
//! holding a value of it is the proof that its instructions may be used. It implements [`Vector`], and the grammar is
//! compiled once for each of them. Which one is used is decided at run time, once ([`Choice::best`]).

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
mod word;

use std::sync::OnceLock;

pub(super) use word::{GROUP_BLOCKS, Lanes, Word};

use super::escapes::{EscapeMasks, HexMasks};
use super::fast;
use super::line::Copier;

/// How many bytes are looked at together: one for each bit of a word.
pub(super) const BLOCK_BYTES: usize = 64;

/// Classes of the bytes of a block: bit `n` is byte `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BlockMasks {
    /// `"`
    pub(super) quotes: u64,
    /// The prefix XOR of the quotes: from each opening quote to before its closing quote, if the block starts outside a
    /// string and has no escapes.
    pub(super) inside: u64,
    /// `\`
    pub(super) backslashes: u64,
    /// Below 0x20.
    pub(super) controls: u64,
    /// Space, 0x20.
    pub(super) spaces: u64,
    /// `{` and `[`
    pub(super) opens: u64,
    /// `}` and `]`
    pub(super) closes: u64,
    /// `:`
    pub(super) colons: u64,
    /// `,`
    pub(super) commas: u64,
    /// `0` to `9`
    pub(super) digits: u64,
    /// `0`
    pub(super) zeros: u64,
}

/// The vector instructions of a processor. Holding a value is the proof that the processor has them.
///
/// A processor says how to load and compare; what is compared with what is said once, here.
pub(super) trait Vector: Copier {
    /// A block in registers.
    type Block: Copy;

    /// The masks of one class for a group of blocks, in registers.
    type Row: Copy;

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

    /// The OR of two blocks, byte by byte.
    fn or(self, a: Self::Block, b: Self::Block) -> Self::Block;

    /// Each byte with bit 5 set: lower case, and braces for brackets.
    fn lower(self, block: Self::Block) -> Self::Block;

    /// The lanes in registers.
    fn row(self, lanes: &Lanes) -> Self::Row;

    /// Runs `work` in a function of its own that may use the instructions: for what is rare and shall not be in the way.
    fn apart<R>(self, work: impl FnOnce() -> R) -> R;

    /// The same mask for every block.
    fn splat(self, mask: u64) -> Self::Row;

    fn lanes(self, row: Self::Row) -> Lanes;

    fn row_and(self, a: Self::Row, b: Self::Row) -> Self::Row;

    fn row_or(self, a: Self::Row, b: Self::Row) -> Self::Row;

    fn row_not(self, a: Self::Row) -> Self::Row;

    /// Bit `n` is set where lane `n` is not 0.
    fn nonzero(self, row: Self::Row) -> u32;

    /// The row as one number of 512 bits shifted left by `BITS`, which is from 1 to 63, with `carry` in the bits set free.
    fn shifted<const BITS: u32>(self, row: Self::Row, carry: u64) -> Self::Row;

    /// The highest lane.
    fn highest(self, row: Self::Row) -> u64;

    /// Inverts each lane that starts inside a string, as the first does if `in_string`: each one whose highest bit is set,
    /// once inverted where need be, makes the next one start so. Gives that for the lane after the last.
    #[inline(always)]
    fn continued(self, row: Self::Row, mut in_string: bool) -> (Self::Row, bool) {
        let mut lanes = self.lanes(row);
        for lane in &mut lanes.0 {
            *lane ^= u64::from(in_string).wrapping_neg();
            in_string = *lane >> 63 == 1;
        }
        (self.row(&lanes), in_string)
    }

    /// The sum of two rows as numbers of 512 bits, and its carry.
    #[inline(always)]
    fn add(self, a: Self::Row, b: Self::Row, mut carry: bool) -> (Self::Row, bool) {
        let mut sums = self.lanes(a);
        for (sum, b) in sums.0.iter_mut().zip(self.lanes(b).0) {
            (*sum, carry) = sum.carrying_add(b, carry);
        }
        (self.row(&sums), carry)
    }

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

    /// Loads `tail`, the last bytes of `body`: at least one and at most a block. Gives the block and the number of bytes in
    /// it that come before them.
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
    fn masks(self, block: Self::Block) -> BlockMasks {
        // Brackets differ from braces in bit 5 only, and no other byte becomes a brace by setting it.
        let braces = self.lower(block);
        let quotes = self.equal(block, b'"');
        BlockMasks {
            quotes,
            inside: self.prefix_xor(quotes),
            backslashes: self.equal(block, b'\\'),
            controls: self.between(block, 0, 0x1F),
            spaces: self.equal(block, b' '),
            opens: self.equal(braces, b'{'),
            closes: self.equal(braces, b'}'),
            colons: self.equal(block, b':'),
            commas: self.equal(block, b','),
            digits: self.between(block, b'0', b'9'),
            zeros: self.equal(block, b'0'),
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

    /// The window on the bytes of `body` from `start` on, where there are any: a whole block or the tail.
    #[inline(always)]
    pub(super) fn at(vector: V, body: &[u8], start: usize) -> Self {
        match body.get(start..).and_then(<[u8]>::first_chunk) {
            Some(block) => Self::whole(vector, block),
            None => Self::tail(vector, body, start),
        }
    }

    /// The window on the bytes of `body` from `start` on: at least one and at most a block.
    #[inline(always)]
    pub(super) fn tail(vector: V, body: &[u8], start: usize) -> Self {
        let tail = body.get(start..).unwrap_or_default();
        debug_assert!(!tail.is_empty() && tail.len() <= BLOCK_BYTES, "a tail is a part of a block");
        let (block, skipped) = vector.load_tail(body, tail);
        Self {
            vector,
            block,
            skipped,
            valid: u64::MAX >> ((BLOCK_BYTES - tail.len()) % BLOCK_BYTES),
        }
    }

    /// The whole block.
    #[inline(always)]
    pub(super) const fn bytes(&self) -> V::Block {
        self.block
    }

    /// The bits that are bytes of the body.
    #[inline(always)]
    pub(super) const fn valid(&self) -> u64 {
        self.valid
    }

    #[inline(always)]
    pub(super) fn masks(&self) -> BlockMasks {
        let masks = self.vector.masks(self.block);
        if self.valid == u64::MAX {
            return masks;
        }
        let quotes = masks.quotes >> self.skipped;
        BlockMasks {
            quotes,
            inside: self.vector.prefix_xor(quotes),
            backslashes: masks.backslashes >> self.skipped,
            controls: masks.controls >> self.skipped & self.valid,
            spaces: masks.spaces >> self.skipped,
            opens: masks.opens >> self.skipped,
            closes: masks.closes >> self.skipped,
            colons: masks.colons >> self.skipped,
            commas: masks.commas >> self.skipped,
            digits: masks.digits >> self.skipped,
            zeros: masks.zeros >> self.skipped,
        }
    }

    #[inline(always)]
    pub(super) fn quotes(&self) -> u64 {
        self.vector.equal(self.block, b'"') >> self.skipped
    }

    /// The first quote, if there is no backslash before it.
    #[inline(always)]
    pub(super) fn first_quote(&self) -> Option<usize> {
        let quotes = self.quotes();
        let backslashes = self.vector.equal(self.block, b'\\') >> self.skipped;
        let before = quotes.wrapping_sub(1) & !quotes;
        (quotes != 0 && backslashes & before == 0).then_some(quotes.trailing_zeros() as usize)
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

/// One of the implementations that this processor can run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Choice {
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(avx2::Avx2),
    #[cfg(target_arch = "x86_64")]
    Sse2(sse2::Sse2),
    #[cfg(target_arch = "aarch64")]
    Neon(neon::Neon),
    /// None: everything is left to the portable scan.
    Portable,
}

impl Choice {
    /// All there are here, the best first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [
            #[cfg(target_arch = "x86_64")]
            avx512::Avx512::detect().map(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            avx2::Avx2::detect().map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            sse2::Sse2::detect().map(Self::Sse2),
            #[cfg(target_arch = "aarch64")]
            neon::Neon::detect().map(Self::Neon),
            Some(Self::Portable),
        ]
        .into_iter()
        .flatten()
    }

    /// The best, looked for once for each process.
    #[inline]
    pub(super) fn best() -> Self {
        static BEST: OnceLock<Choice> = OnceLock::new();
        *BEST.get_or_init(|| Self::all().next().unwrap_or(Self::Portable))
    }

    /// [`fast::rewrite`] with this one.
    #[inline]
    pub(super) fn rewrite(self, body: &[u8], line: &mut [u8]) -> Option<usize> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(vector) => vector.rewrite(body, line),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(vector) => vector.rewrite(body, line),
            #[cfg(target_arch = "x86_64")]
            Self::Sse2(vector) => vector.rewrite(body, line),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(vector) => vector.rewrite(body, line),
            Self::Portable => None,
        }
    }
}
