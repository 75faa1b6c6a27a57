//! Bytes as masks: the only part of the rewriter that depends on the processor, and the only one
//! with unsafe code. It knows the characters of JSON, but not its grammar.
//!
//! Each set of instructions is a type that can only be had where the processor has them
//! ([`Avx2::detect`] and the like): holding a value of it is the proof that they may be used. It
//! implements
//!
//! - [`ByteOps`](bytes::ByteOps): loads a block of 64 bytes and compares it into a mask of 64 bits;
//! - [`MaskOps`](mask::MaskOps): computes with the mask of a group of blocks as one number, which [`Mask`] gives
//!   operators. A group is eight blocks where a register holds as many bits, and one elsewhere
//!   ([`WordMasks`](words::WordMasks));
//!   Tests have a processor of plain arrays whose groups are eight blocks on every machine;
//! - [`Lookup`], where a group is one block: looks bytes up by their halves;
//! - [`Classify`](classes::Classify): makes the masks of all classes of bytes of a group ([`Classes`],
//!   [`EscapeClasses`]);
//! - [`Copier`]: copies bytes;
//! - [`Vector`]: all of these, and a way to run a [`Task`] that is compiled for the instructions.

#[cfg(any(test, fuzzing))]
mod arrays;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bytes;
mod classes;
#[cfg(target_arch = "x86_64")]
mod clmul;
mod copy;
mod escapes;
mod lookup;
mod mask;
#[cfg(target_arch = "aarch64")]
mod neon;
mod proof;
mod registers;
#[cfg(target_arch = "x86_64")]
mod ssse3;
mod task;
#[cfg(test)]
mod tests;
mod window;
mod words;

#[cfg(any(test, fuzzing))]
pub(crate) use arrays::Arrays;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use bytes::BLOCK_BYTES;
pub(crate) use classes::{Classes, EscapeClasses};
pub(crate) use copy::{Copier, Memcpy};
pub(crate) use lookup::{HalfTables, Lookup};
pub(crate) use mask::{Mask, carrying_add};
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
#[cfg(target_arch = "x86_64")]
pub(crate) use ssse3::Ssse3;
pub(crate) use task::{Task, Vector, WorkOfWidth};
pub(crate) use window::Window;
