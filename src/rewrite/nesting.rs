//! Which arrays and objects are open, innermost last: one bit for each.

/// How deep arrays and objects may be nested, the root object counted: 128, as serde_json has it.
///
/// A limit there must be: readers of the CDR that recurse would overflow their stack on what we let
/// through. The line of a body nests one deeper than the body.
pub(super) const DEPTH_MAX: u32 = u128::BITS;

/// An array or an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Container {
    /// `[` to `]`.
    Array,
    /// `{` to `}`.
    Object,
}

/// The open arrays and objects.
///
/// Invariant: bit 0 of `objects` is the innermost one, set for an object; bits at `depth` and above
/// are 0.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Nesting {
    objects: u128,
    depth: u32,
}

impl Nesting {
    /// How many are open.
    pub(super) const fn depth(self) -> u32 {
        self.depth
    }

    /// The innermost; an array where none is open.
    pub(super) const fn innermost(self) -> Container {
        if self.objects & 1 == 1 { Container::Object } else { Container::Array }
    }

    /// Opens one more inside the innermost. False, and nothing done, where [`DEPTH_MAX`] are open.
    #[must_use]
    pub(super) const fn open(&mut self, container: Container) -> bool {
        if self.depth == DEPTH_MAX {
            return false;
        }
        self.objects = self.objects << 1 | matches!(container, Container::Object) as u128;
        self.depth += 1;
        true
    }

    /// Closes the innermost. False, and nothing done, where that is not a `container`.
    #[must_use]
    pub(super) fn close(&mut self, container: Container) -> bool {
        if self.depth == 0 || self.innermost() != container {
            return false;
        }
        self.objects >>= 1;
        self.depth -= 1;
        true
    }
}

// ===== for the fast scan =====

/// Which arrays and objects are open, the root and 63 levels below it at most.
#[derive(Clone, Copy)]
pub(super) struct Nesting64 {
    /// Bit 0 is the innermost, set for an object. The root is the highest bit set.
    objects: u64,
    /// Wraps around where more is closed than opened, which breaks it.
    depth: u32,
    /// A bracket closed what was not its own, or the root, or there were too many levels.
    is_broken: bool,
    /// What holds for all bytes up to the next bracket.
    pub(super) levels: Levels,
}

/// Which bytes of a block are directly inside an object, and directly inside the root. An opening
/// bracket is in what it is opened in, a closing bracket in what it closes.
#[derive(Clone, Copy)]
pub(super) struct Levels {
    pub(super) in_object: u64,
    pub(super) in_root: u64,
}

impl Nesting64 {
    /// Just after the root's `{`.
    pub(super) const fn in_root() -> Self {
        let levels = Levels { in_object: u64::MAX, in_root: u64::MAX };
        Self { objects: 1, depth: 1, is_broken: false, levels }
    }

    /// Takes the brackets of the block of `text` that starts at `start`.
    #[inline(always)]
    pub(super) fn block(&mut self, start: usize, mut brackets: u64, text: &[u8]) -> Levels {
        let mut levels = self.levels;
        while brackets != 0 {
            let at = brackets.trailing_zeros();
            let rest = u64::MAX << at << 1;
            brackets &= rest;
            self.bracket(text.get(start + at as usize).copied().unwrap_or_default());
            levels.in_object = levels.in_object & !rest | self.levels.in_object & rest;
            levels.in_root = levels.in_root & !rest | self.levels.in_root & rest;
        }
        levels
    }

    /// Opens or closes by one of `{` (0x7B), `[` (0x5B), `}` (0x7D) and `]` (0x5D): bit 5 says
    /// object, bit 1 open.
    #[inline(always)]
    fn bracket(&mut self, byte: u8) {
        let is_object = u64::from(byte >> 5 & 1);
        if byte & 2 != 0 {
            self.is_broken |= self.depth == u64::BITS;
            self.objects = self.objects << 1 | is_object;
            self.depth = self.depth.wrapping_add(1);
        } else {
            self.is_broken |= self.depth <= 1 || self.objects & 1 != is_object;
            self.objects >>= 1;
            self.depth = self.depth.wrapping_sub(1);
        }
        self.levels.in_object = (self.objects & 1).wrapping_neg();
        self.levels.in_root = u64::from(self.depth == 1).wrapping_neg();
    }

    /// Every bracket matched.
    pub(super) const fn is_in_root(self) -> bool {
        self.depth == 1 && !self.is_broken
    }
}
