//! Work that is compiled once for each set of instructions.

use super::classes::Classify;
use super::copy::Copier;

/// The vector instructions of a processor. Holding a value is the proof that the processor has
/// them.
pub(crate) trait Vector: Classify + Copier {
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
