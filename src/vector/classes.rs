//! The classes of bytes that the grammar of JSON knows.

use super::bytes::{BLOCK_BYTES, ByteOps};
use super::mask::{Lanes, Mask, MaskOps};
use super::window::Window;

/// Classes of the bytes of a group: bit `n` is byte `n`. Where there are no bytes all are 0.
#[derive(Clone, Copy)]
pub(crate) struct Classes<V: MaskOps> {
    /// There is a byte.
    pub(crate) valid: Mask<V>,
    /// `"`
    pub(crate) quotes: Mask<V>,
    /// `\`
    pub(crate) backslashes: Mask<V>,
    /// Below 0x20.
    pub(crate) controls: Mask<V>,
    /// Tab, line feed and carriage return.
    pub(crate) control_whitespace: Mask<V>,
    /// Space, 0x20.
    pub(crate) spaces: Mask<V>,
    /// `{` and `[`
    pub(crate) opens: Mask<V>,
    /// `}` and `]`
    pub(crate) closes: Mask<V>,
    /// `{` and `}`
    pub(crate) braces: Mask<V>,
    /// `:`
    pub(crate) colons: Mask<V>,
    /// `,`
    pub(crate) commas: Mask<V>,
    /// `0` to `9`
    pub(crate) digits: Mask<V>,
    /// `0`
    pub(crate) zeros: Mask<V>,
}

/// Classes of bytes that matter in an escape.
#[derive(Clone, Copy)]
pub(crate) struct EscapeClasses<V: MaskOps> {
    /// `"`, `\`, `/`, `b`, `f`, `n`, `r` and `t`.
    pub(crate) simple: Mask<V>,
    /// `u`
    pub(crate) unicode: Mask<V>,
    /// `0` to `9`, `a` to `f`, `A` to `F`.
    pub(crate) hex: Mask<V>,
    /// `d` and `D`.
    pub(crate) d: Mask<V>,
    /// `8`, `9`, `a`, `b`, `A` and `B`.
    pub(crate) eight_to_b: Mask<V>,
    /// `c` to `f`, `C` to `F`.
    pub(crate) c_to_f: Mask<V>,
}

/// Makes the masks of all classes of a group. By default each class is compared for; a processor
/// may have a faster way.
pub(crate) trait Classify: ByteOps + MaskOps {
    /// The classes of the first group of `rest`, and whether all its bytes are ASCII. `MANY` says
    /// that there are more groups: so each use is compiled for itself.
    #[inline(always)]
    fn classes<const MANY: bool>(self, rest: &[u8]) -> (Classes<Self>, bool) {
        let [
            valid,
            quotes,
            backslashes,
            controls,
            control_whitespace,
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
            control_whitespace,
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

/// The masks of `N` classes of the bytes of one block.
trait BlockMasks<const N: usize> {
    fn of<V: ByteOps>(vector: V, block: V::Block) -> [u64; N];
}

/// The members of [`Classes`], and what is not ASCII.
struct Structure;

impl BlockMasks<14> for Structure {
    #[inline(always)]
    fn of<V: ByteOps>(vector: V, block: V::Block) -> [u64; 14] {
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
    fn of<V: ByteOps>(vector: V, block: V::Block) -> [u64; 6] {
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

/// The masks of each block of the first group of `rest`, put together.
#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "by lane and class; iterators are not inlined here")]
fn masks<V, M, const N: usize>(vector: V, rest: &[u8]) -> [Mask<V>; N]
where
    V: ByteOps + MaskOps,
    M: BlockMasks<N>,
{
    let mut lanes = [Lanes::default(); N];
    let blocks = rest.len().div_ceil(BLOCK_BYTES).min(V::GROUP_BLOCKS);
    for lane in 0..blocks {
        let window = Window::at(vector, rest, lane * BLOCK_BYTES);
        let masks = M::of(vector, window.block);
        for class in 0..N {
            lanes[class].0[lane] = masks[class] >> window.skipped & window.valid;
        }
    }
    let mut classes = [Mask::new(vector, vector.splat(0)); N];
    for class in 0..N {
        classes[class] = Mask::new(vector, vector.load_lanes(&lanes[class]));
    }
    classes
}
