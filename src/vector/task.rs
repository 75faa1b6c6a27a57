//! Work that is compiled once for each set of instructions.

use super::classes::Classify;
use super::copy::Copier;
use super::lookup::Lookup;

/// The vector instructions of a processor. Holding a value is the proof that the processor has
/// them.
pub(crate) trait Vector: Classify + Copier + Width {
    /// Runs `task` in a function of its own that is compiled for these instructions.
    fn run<T: Task>(self, task: T) -> T::Output;
}

/// Work for [`Vector::run`].
pub(crate) trait Task {
    type Output;

    /// Does the work. To be `#[inline(always)]`, as all that it calls with `vector`: only what is
    /// inlined into the function of [`Vector::run`] is compiled for the instructions.
    fn run<V: Vector>(self, vector: V) -> Self::Output;
}

/// How wide the masks of a processor are.
pub(crate) trait Width: Copy {
    /// Does the part of `work` that is written for this width.
    fn choose<W: WorkOfWidth>(self, work: W) -> W::Output;
}

/// Work that is done in another way where a mask is no wider than a block. Both to be
/// `#[inline(always)]`, as [`Task::run`].
pub(crate) trait WorkOfWidth {
    type Output;

    /// A group is one block.
    fn narrow<V: Vector + Lookup>(self, vector: V) -> Self::Output;

    /// A group is several blocks.
    #[cfg_attr(
        not(any(target_arch = "x86_64", test, fuzzing)),
        expect(dead_code, reason = "only AVX-512 is wide, and the arrays of the tests")
    )]
    fn wide<V: Vector>(self, vector: V) -> Self::Output;
}
