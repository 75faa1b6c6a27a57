//! Bytes as masks: the only part of the rewriter that depends on the processor, and the only one
//! with unsafe code. It knows the characters of JSON, but not its grammar.
//!
//! Each set of instructions is a type that can only be had where the processor has them
//! ([`Avx2::detect`] and the like): holding a value of it is the proof that they may be used. It
//! implements
//!
//! - [`ByteOps`](bytes::ByteOps): loads a block of 64 bytes and compares it into a mask of 64 bits;
//! - [`MaskOps`](mask512::MaskOps): computes with the masks of a group of eight blocks as numbers of 512 bits, which
//!   [`Mask512`] gives operators;
//! - [`Classify`](classes::Classify): makes the masks of all classes of bytes of a group ([`Classes`],
//!   [`EscapeClasses`]);
//! - [`Copier`]: copies bytes;
//! - [`Vector`]: all of these, and a way to run a [`Task`] that is compiled for the instructions.

#[cfg(target_arch = "aarch64")]
mod array_masks;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod bytes;
mod classes;
#[cfg(target_arch = "x86_64")]
mod clmul;
mod copy;
mod mask512;
#[cfg(target_arch = "aarch64")]
mod neon;
mod proof;
#[cfg(target_arch = "x86_64")]
mod sse2;
mod task;
#[cfg(test)]
mod tests;
mod window;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512;
pub(crate) use bytes::BLOCK_BYTES;
pub(crate) use classes::{Classes, EscapeClasses};
pub(crate) use copy::{Copier, Memcpy};
pub(crate) use mask512::{GROUP_BYTES, Mask512};
#[cfg(target_arch = "aarch64")]
pub(crate) use neon::Neon;
#[cfg(target_arch = "x86_64")]
pub(crate) use sse2::Sse2;
pub(crate) use task::{Task, Vector};
pub(crate) use window::Window;
