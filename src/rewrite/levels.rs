//! Which bytes of a group are directly inside an object, and directly inside the root.

use crate::vector::{Mask, Vector};

/// Which bytes of a group are directly inside an object, and directly inside the root. An opening
/// bracket belongs to the level that it is opened in, a closing bracket to the level that it
/// closes.
pub(super) struct Levels<V: Vector> {
    pub(super) in_object: Mask<V>,
    pub(super) in_root: Mask<V>,
}

/// The same for the bytes of one block.
#[derive(Clone, Copy)]
pub(super) struct BlockLevels {
    pub(super) in_object: u64,
    pub(super) in_root: u64,
}

/// Which arrays and objects are open: the root and at most 63 levels below it.
#[derive(Clone, Copy)]
pub(super) struct Nesting64 {
    /// Bit 0 is the innermost, set for an object. The root is the highest bit set, so that this is
    /// [`ROOT`] in the root.
    objects: u64,
    /// A bracket closed something other than its own, or the root, or there were too many levels.
    is_broken: bool,
    /// What holds for all bytes up to the next bracket.
    levels: BlockLevels,
}

/// Nothing but the root is open.
const ROOT: u64 = 1;

impl Nesting64 {
    /// Just after the root's `{`.
    pub(super) const fn in_root() -> Self {
        let levels = BlockLevels { in_object: u64::MAX, in_root: u64::MAX };
        Self { objects: ROOT, is_broken: false, levels }
    }

    /// Every bracket matched.
    pub(super) const fn is_in_root(self) -> bool {
        self.objects == ROOT && !self.is_broken
    }

    /// Processes the brackets of the group of `text` that starts at `start`.
    #[inline(always)]
    pub(super) fn group<V: Vector>(
        &mut self,
        start: usize,
        opens: Mask<V>,
        closes: Mask<V>,
        braces: Mask<V>,
        text: &[u8],
    ) -> Levels<V> {
        let brackets = opens | closes;
        if !V::HAS_WIDE_PREFIX_XOR && brackets.is_zero() {
            return self.levels_everywhere(brackets);
        }
        // Most brackets are arrays of the root, one after the other: then this covers from each
        // opening bracket to just before its closing bracket, without examining any of them. The
        // same holds if there are no brackets.
        let (arrays, is_open) = brackets.prefix_xor(false);
        let not_arrays = brackets & braces | opens ^ brackets & arrays;
        if not_arrays.is_zero() & !is_open & self.is_in_root() {
            let in_root = !(arrays ^ brackets);
            return Levels { in_object: in_root, in_root };
        }
        self.walk(start, brackets, text)
    }

    /// What holds now, for all bytes of a group; `any` is any mask.
    #[inline(always)]
    fn levels_everywhere<V: Vector>(self, any: Mask<V>) -> Levels<V> {
        let BlockLevels { in_object, in_root } = self.levels;
        Levels { in_object: any.splat(in_object), in_root: any.splat(in_root) }
    }

    /// [`group`](Self::group), by walking over the brackets.
    #[inline(always)]
    fn walk<V: Vector>(&mut self, start: usize, brackets: Mask<V>, text: &[u8]) -> Levels<V> {
        let mut nesting = *self;
        let Levels { mut in_object, mut in_root } = nesting.levels_everywhere(brackets);
        for (lane, brackets) in brackets.blocks() {
            let block = nesting.block(start + lane * u64::BITS as usize, brackets, text);
            let after = nesting.levels;
            in_object = in_object.with_lanes_from(lane, block.in_object, after.in_object);
            in_root = in_root.with_lanes_from(lane, block.in_root, after.in_root);
        }
        *self = nesting;
        Levels { in_object, in_root }
    }

    /// Processes the brackets of the block of `text` that starts at `start`.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "a bracket outside the text is a bug of ours")]
    pub(super) fn block(&mut self, start: usize, mut brackets: u64, text: &[u8]) -> BlockLevels {
        let mut levels = self.levels;
        while brackets != 0 {
            let at = brackets.trailing_zeros();
            let rest = u64::MAX << at << 1;
            brackets &= rest;
            self.bracket(text[start + at as usize]);
            levels.in_object = levels.in_object & !rest | self.levels.in_object & rest;
            levels.in_root = levels.in_root & !rest | self.levels.in_root & rest;
        }
        levels
    }

    /// Opens or closes by one of `{` (0x7B), `[` (0x5B), `}` (0x7D) and `]` (0x5D): bit 5 means
    /// object, bit 1 means open.
    ///
    /// No branch: whether a bracket opens or closes cannot be predicted.
    #[inline(always)]
    fn bracket(&mut self, byte: u8) {
        let is_object = u64::from(byte >> 5 & 1);
        let opens = u64::from(byte >> 1 & 1).wrapping_neg();
        let is_too_deep = self.objects >> 63;
        let is_not_its_own = (self.objects ^ is_object) & 1 | u64::from(self.objects == ROOT);
        self.is_broken |= is_too_deep & opens | is_not_its_own & !opens != 0;
        let opened = self.objects << 1 | is_object;
        self.objects = opened & opens | self.objects >> 1 & !opens;
        self.levels.in_object = (self.objects & 1).wrapping_neg();
        self.levels.in_root = u64::from(self.objects == ROOT).wrapping_neg();
    }
}
