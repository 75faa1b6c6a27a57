//! The implementations of the rewriter, and which of them this processor can run.

use std::env;
use std::error::Error;
use std::ffi::OsString;
use std::fmt::{self, Display};
use std::sync::OnceLock;

use super::fast;
use super::portable;
use super::reason::Rejection;
use super::walk;
#[cfg(any(test, fuzzing))]
use crate::vector::Arrays;
#[cfg(target_arch = "aarch64")]
use crate::vector::Neon;
use crate::vector::Vector;
#[cfg(target_arch = "x86_64")]
use crate::vector::{Avx2, Avx512, Ssse3};

/// The variable that names the instructions to use.
const VARIABLE: &str = "CDRLOG_VECTOR";

/// The vector instructions of a processor with which a [`Rewriter`](super::Rewriter) works. What it
/// makes is the same with all of them; how fast is not.
#[derive(Clone, Copy, Debug)]
pub struct Instructions(Implementation);

impl Instructions {
    /// All that this processor has, the fastest first. `portable`, the last, is on every processor.
    pub fn available() -> impl Iterator<Item = Self> {
        Implementation::all().map(Self)
    }

    /// What a rewriter uses unless it is told otherwise: the fastest, or those that the variable
    /// `CDRLOG_VECTOR` names.
    ///
    /// The variable is looked at once for each process, and is for tests and for troubleshooting. A name
    /// that [`named_by_variable`](Self::named_by_variable) refuses is not used.
    #[must_use]
    pub fn in_use() -> Self {
        Self(Implementation::best())
    }

    /// Those that the variable `CDRLOG_VECTOR` names; `None` where it is not set, or empty.
    ///
    /// # Errors
    ///
    /// This processor has no instructions of that name.
    pub fn named_by_variable() -> Result<Option<Self>, UnknownInstructions> {
        let Some(name) = env::var_os(VARIABLE).filter(|name| !name.is_empty()) else {
            return Ok(None);
        };
        let named = Self::available().find(|known| name == known.name());
        named.map(Some).ok_or(UnknownInstructions { name })
    }

    /// Their name, in lower case: `avx512`, `avx2`, `ssse3`, `neon` or `portable`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.0.name()
    }

    pub(super) const fn implementation(self) -> Implementation {
        self.0
    }
}

impl Display for Instructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The variable `CDRLOG_VECTOR` names instructions that this processor does not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownInstructions {
    name: OsString,
}

impl Display for UnknownInstructions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<_> = Instructions::available().map(Instructions::name).collect();
        let name = self.name.display();
        write!(
            f,
            "{VARIABLE} is {name}, which this processor does not have; it has {}",
            known.join(", ")
        )
    }
}

impl Error for UnknownInstructions {}

/// One of the implementations that this processor can run.
#[derive(Clone, Copy, Debug)]
pub(super) enum Implementation {
    #[cfg(target_arch = "x86_64")]
    Avx512(Avx512),
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    #[cfg(target_arch = "x86_64")]
    Ssse3(Ssse3),
    #[cfg(target_arch = "aarch64")]
    Neon(Neon),
    /// Masks of 512 bits without AVX-512, only for tests.
    #[cfg(any(test, fuzzing))]
    Arrays(Arrays),
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
            Ssse3::detect().map(Self::Ssse3),
            #[cfg(target_arch = "aarch64")]
            Neon::detect().map(Self::Neon),
            Some(Self::Portable),
        ]
        .into_iter()
        .flatten()
    }

    fn fastest() -> Self {
        Self::all().next().unwrap_or(Self::Portable)
    }

    /// The best one, or the one that the variable names; determined once per process.
    #[inline]
    pub(super) fn best() -> Self {
        static BEST: OnceLock<Implementation> = OnceLock::new();
        *BEST.get_or_init(|| {
            let named = Instructions::named_by_variable().ok().flatten();
            named.map_or_else(Self::fastest, Instructions::implementation)
        })
    }

    /// The name, in lower case.
    pub(super) const fn name(self) -> &'static str {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(_) => "avx512",
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(_) => "avx2",
            #[cfg(target_arch = "x86_64")]
            Self::Ssse3(_) => "ssse3",
            #[cfg(target_arch = "aarch64")]
            Self::Neon(_) => "neon",
            #[cfg(any(test, fuzzing))]
            Self::Arrays(_) => "arrays",
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

    /// The same without the scan that knows the reason. `None` leaves the body to that.
    #[inline]
    pub(super) fn rewrite_fast(self, body: &[u8], line: &mut [u8]) -> Option<usize> {
        match self {
            #[cfg(target_arch = "x86_64")]
            Self::Avx512(vector) => vector.run(fast::Rewrite { body, line }),
            #[cfg(target_arch = "x86_64")]
            Self::Avx2(vector) => vector.run(fast::Rewrite { body, line }),
            #[cfg(target_arch = "x86_64")]
            Self::Ssse3(vector) => vector.run(fast::Rewrite { body, line }),
            #[cfg(target_arch = "aarch64")]
            Self::Neon(vector) => vector.run(fast::Rewrite { body, line }),
            #[cfg(any(test, fuzzing))]
            Self::Arrays(vector) => vector.run(fast::Rewrite { body, line }),
            Self::Portable => walk::rewrite(body, line),
        }
    }
}
