//! Copies of bytes.

/// How bytes are copied.
pub(crate) trait Copier: Copy {
    /// Copies `from` to `to`, which has the same length.
    #[inline(always)]
    fn copy(self, from: &[u8], to: &mut [u8]) {
        to.copy_from_slice(from);
    }
}

/// The system's `memcpy`.
#[derive(Clone, Copy)]
pub(crate) struct Memcpy;

impl Copier for Memcpy {}
