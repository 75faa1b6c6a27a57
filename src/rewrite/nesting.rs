//! Which arrays and objects are open, innermost last: one bit for each.

/// How deep arrays and objects may be nested, including the root object: 128, as in serde_json.
///
/// There must be a limit: recursive readers of the CDR would overflow their stack on what we
/// accept. The line of a body nests one level deeper than the body.
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
    /// The number of open arrays and objects.
    pub(super) const fn depth(self) -> u32 {
        self.depth
    }

    /// The innermost; an array if none is open.
    pub(super) const fn innermost(self) -> Container {
        if self.objects & 1 == 1 { Container::Object } else { Container::Array }
    }

    /// Opens one more inside the innermost. If [`DEPTH_MAX`] are open, does nothing and returns
    /// false.
    #[must_use]
    pub(super) const fn open(&mut self, container: Container) -> bool {
        if self.depth == DEPTH_MAX {
            return false;
        }
        self.objects = self.objects << 1 | matches!(container, Container::Object) as u128;
        self.depth += 1;
        true
    }

    /// Closes the innermost. If that is not a `container`, does nothing and returns false.
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
