//! The implementations of the rewriter, and which of them this processor can run.

use std::sync::OnceLock;

use super::fast;
use super::portable;
use super::reason::Rejection;
#[cfg(target_arch = "aarch64")]
use crate::vector::Neon;
use crate::vector::Vector;
#[cfg(target_arch = "x86_64")]
use crate::vector::{Avx2, Avx512, Sse2};

/// One of the implementations that this processor can run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Implementation {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Sse2(Sse2),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    /// No vectors: the portable scan does everything.
    Portable,
}

impl Implementation {
    /// All that can run here, best first.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        [
            #[cfg(target_arch = "x86_64")]
            Avx512::detect().map(Self::Avx512),
            #[cfg(target_arch = "x86_64")]
            Avx2::detect().map(Self::Avx2),
            #[cfg(target_arch = "x86_64")]
            Sse2::detect().map(Self::Sse2),
            #[cfg(target_arch = "aarch64")]
            Neon::detect().map(Self::Neon),
            Some(Self::Portable),
        ]
        .into_iter()
        .flatten()
    }

    /// The best one, determined once per process.
    #[inline]
    pub(super) fn best() -> Self {
        static BEST: OnceLock<Implementation> = OnceLock::new();
        *BEST.get_or_init(|| Self::all().next().unwrap_or(Self::Portable))
    }

    /// The name, in lower case.
    #[cfg(any(test, fuzzing))]
    pub(super) const fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Sse2(_) => "sse2",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
            Self::Portable => "portable",
        }
    }

    /// Writes the line of `body` to the front of `line`, which is not shorter than `body`, and
    /// returns its length.
    #[inline]
    pub(super) fn rewrite(self, body: &[u8], line: &mut [u8]) -> Result<usize, Rejection> {
        match self.rewrite_fast(body, line) {
            Some(length) => Ok(length),
            None => portable::rewrite(body, line),
        }
    }

    /// The same with vectors only. `None` leaves the body to the portable scan.
    #[inline]
    pub(super) fn rewrite_fast(self, body: &[u8], line: &mut [u8]) -> Option<usize> {
        let task = fast::Rewrite { body, line };
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(vector) => vector.run(task),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(vector) => vector.run(task),
            #[cfg(target_arch = "x86_64")]
            Self::Sse2(vector) => vector.run(task),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(vector) => vector.run(task),
            Self::Portable => None,
        }
    }
}
