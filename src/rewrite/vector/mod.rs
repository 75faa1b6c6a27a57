//! Classes of bytes, 64 at once: the only part that depends on the processor, and the only one with
//! unsafe code.
//!
//! Each processor extension is a type that can only be had where the extension is there
//! ([`Avx512::detect`] and the like): holding a value of it is the proof that its instructions may
//! be used. It implements [`Vector`], and the grammar is compiled once for each of them. Which one
//! is used is decided at run time, once ([`Choice::best`]).

#[cfg(target_arch = "aarch64")]
mod array_rows;
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

pub(super) use word::{GROUP_BLOCKS, GROUP_BYTES, Lanes, Word};

use super::escapes::EscapeClasses;
use super::grammar::{Classes, Found};
use super::line::Copier;

/// How many bytes are looked at together: one for each bit of a word.
pub(super) const BLOCK_BYTES: usize = 64;

/// The vector instructions of a processor. Holding a value is the proof that the processor has
/// them.
///
/// A processor says how to load and compare; what is compared with what is said once, here.
pub(super) trait Vector: Copier {
    /// A block in registers.
    type Block: Copy;

    /// The masks of one class for a group of blocks, in registers.
    type Row: Copy;

    /// Whether a prefix XOR of a row costs no more than one of a word.
    const HAS_WIDE_PREFIX_XOR: bool = false;

    fn load(self, bytes: &[u8; BLOCK_BYTES]) -> Self::Block;

    /// The bytes that are `byte`.
    fn equal(self, block: Self::Block, byte: u8) -> u64;

    /// The bytes from `first` to `last`.
    fn between(self, block: Self::Block, first: u8, last: u8) -> u64;

    /// The bytes that are one of `bytes`.
    #[inline(always)]
    fn any_of<const N: usize>(self, block: Self::Block, bytes: [u8; N]) -> u64 {
        let mut mask = 0;
        for byte in bytes {
            mask |= self.equal(block, byte);
        }
        mask
    }

    /// The bytes of 0x80 and above.
    fn non_ascii(self, block: Self::Block) -> u64;

    /// Each byte with bit 5 set: lower case, and braces for brackets.
    fn lower(self, block: Self::Block) -> Self::Block;

    /// The lanes in registers.
    fn row(self, lanes: &Lanes) -> Self::Row;

    /// The same mask for every block.
    fn splat(self, mask: u64) -> Self::Row;

    fn lanes(self, row: Self::Row) -> Lanes;

    /// A row of which only this bit is set; none if it has no such bit.
    #[inline(always)]
    fn one_bit(self, bit: usize) -> Self::Row {
        let mut lanes = Lanes::default();
        if let Some(lane) = lanes.0.get_mut(bit / BLOCK_BYTES) {
            *lane = 1 << (bit % BLOCK_BYTES);
        }
        self.row(&lanes)
    }

    /// The row with another `mask` in one lane, and `above` in all lanes above.
    #[inline(always)]
    fn with_lanes_from(self, row: Self::Row, lane: usize, mask: u64, above: u64) -> Self::Row {
        let mut lanes = self.lanes(row);
        if let Some([first, rest @ ..]) = lanes.0.get_mut(lane..) {
            *first = mask;
            rest.fill(above);
        }
        self.row(&lanes)
    }

    fn row_and(self, a: Self::Row, b: Self::Row) -> Self::Row;

    fn row_or(self, a: Self::Row, b: Self::Row) -> Self::Row;

    fn row_xor(self, a: Self::Row, b: Self::Row) -> Self::Row;

    fn row_not(self, a: Self::Row) -> Self::Row;

    /// Bit `n` is set where lane `n` is not 0.
    fn nonzero(self, row: Self::Row) -> u32;

    #[inline(always)]
    fn is_zero(self, row: Self::Row) -> bool {
        self.nonzero(row) == 0
    }

    /// The row as one number of 512 bits shifted left by `BITS`, which is from 1 to 63, with
    /// `carry` in the bits set free.
    fn shifted<const BITS: u32>(self, row: Self::Row, carry: u64) -> Self::Row;

    /// The highest lane.
    fn highest(self, row: Self::Row) -> u64;

    /// Each bit becomes the XOR of all bits up to it, and of `carry`. Also gives that for the bit
    /// after the last.
    #[inline(always)]
    fn prefix_xor(self, row: Self::Row, mut carry: bool) -> (Self::Row, bool) {
        let mut lanes = self.lanes(row);
        for lane in &mut lanes.0 {
            *lane = self.prefix_xor_lane(*lane) ^ u64::from(carry).wrapping_neg();
            carry = *lane >> 63 == 1;
        }
        (self.row(&lanes), carry)
    }

    /// Each bit becomes the XOR of all bits up to it.
    #[inline(always)]
    fn prefix_xor_lane(self, mut lane: u64) -> u64 {
        lane ^= lane << 1;
        lane ^= lane << 2;
        lane ^= lane << 4;
        lane ^= lane << 8;
        lane ^= lane << 16;
        lane ^ lane << 32
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

    /// Loads `tail`, the last bytes of `body`: at least one and at most a block. Gives the block
    /// and the number of bytes in it that come before them.
    ///
    /// This way does so for any vectors: a block that ends with the body, which never reads past
    /// it. Only a body that is shorter than a block is copied.
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

    /// [`grammar::find_event_in_groups`](super::grammar::find_event_in_groups) with these
    /// instructions, in a function of its own.
    fn find_event_in_groups(self, text: &[u8], guess: Option<usize>) -> Option<Found>;

    /// The classes of the first group of `rest`, and whether all its bytes are ASCII. `MANY` says
    /// that there are more groups: so each use is compiled for itself.
    #[inline(always)]
    fn classes<const MANY: bool>(self, rest: &[u8]) -> (Classes<Self>, bool) {
        let [
            valid,
            quotes,
            backslashes,
            controls,
            control_blanks,
            spaces,
            opens,
            closes,
            braces,
            colons,
            commas,
            digits,
            zeros,
            non_ascii,
        ] = masks::<Self, Structure, 14>(self, rest);
        let classes = Classes {
            valid,
            quotes,
            backslashes,
            controls,
            control_blanks,
            spaces,
            opens,
            closes,
            braces,
            colons,
            commas,
            digits,
            zeros,
        };
        (classes, non_ascii.is_zero())
    }

    /// The same for the classes of escapes.
    #[inline(always)]
    fn escape_classes<const MANY: bool>(self, rest: &[u8]) -> EscapeClasses<Self> {
        let [simple, unicode, hex, d, eight_to_b, c_to_f] = masks::<Self, Escape, 6>(self, rest);
        EscapeClasses { simple, unicode, hex, d, eight_to_b, c_to_f }
    }
}

// ===== classes by comparing =====

/// The masks of `N` classes of the bytes of one block.
trait BlockMasks<const N: usize> {
    fn of<V: Vector>(vector: V, block: V::Block) -> [u64; N];
}

/// The members of [`Classes`], and what is not ASCII.
struct Structure;

impl BlockMasks<14> for Structure {
    #[inline(always)]
    fn of<V: Vector>(vector: V, block: V::Block) -> [u64; 14] {
        // Brackets differ from braces in bit 5 only, and no other byte becomes a brace by setting
        // it.
        let braces = vector.lower(block);
        [
            u64::MAX,
            vector.equal(block, b'"'),
            vector.equal(block, b'\\'),
            vector.between(block, 0, 0x1F),
            vector.any_of(block, *b"\t\n\r"),
            vector.equal(block, b' '),
            vector.equal(braces, b'{'),
            vector.equal(braces, b'}'),
            vector.any_of(block, *b"{}"),
            vector.equal(block, b':'),
            vector.equal(block, b','),
            vector.between(block, b'0', b'9'),
            vector.equal(block, b'0'),
            vector.non_ascii(block),
        ]
    }
}

/// The members of [`EscapeClasses`].
struct Escape;

impl BlockMasks<6> for Escape {
    #[inline(always)]
    fn of<V: Vector>(vector: V, block: V::Block) -> [u64; 6] {
        let lower = vector.lower(block);
        [
            vector.any_of(block, *b"\"\\/bfnrt"),
            vector.equal(block, b'u'),
            vector.between(block, b'0', b'9') | vector.between(lower, b'a', b'f'),
            vector.equal(lower, b'd'),
            vector.between(block, b'8', b'9') | vector.between(lower, b'a', b'b'),
            vector.between(lower, b'c', b'f'),
        ]
    }
}

/// The masks of each block of the first group of `rest`, as words.
#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "by lane and class; iterators are not inlined here")]
fn masks<V: Vector, M: BlockMasks<N>, const N: usize>(vector: V, rest: &[u8]) -> [Word<V>; N] {
    let mut rows = [Lanes::default(); N];
    let blocks = rest.len().div_ceil(BLOCK_BYTES).min(GROUP_BLOCKS);
    for lane in 0..blocks {
        let window = Window::at(vector, rest, lane * BLOCK_BYTES);
        let masks = M::of(vector, window.block);
        for class in 0..N {
            rows[class].0[lane] = masks[class] >> window.skipped & window.valid;
        }
    }
    let mut words = [Word::new(vector, vector.splat(0)); N];
    for class in 0..N {
        words[class] = Word::new(vector, vector.row(&rows[class]));
    }
    words
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

    /// The window on the bytes of `body` from `start` on, where there are any: a whole block or the
    /// tail.
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
