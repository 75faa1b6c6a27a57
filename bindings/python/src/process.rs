//! A forked child has the objects of its parent, and none of the threads that work for them: locks
//! may be held for ever in it.

use pyo3::PyResult;

use crate::errors;

/// The process that made an object.
#[derive(Clone, Copy, PartialEq)]
pub struct Process(u32);

impl Process {
    pub fn this() -> Self {
        Self(std::process::id())
    }

    /// # Errors
    ///
    /// `Closed` in a forked child.
    pub fn must_be_this(self) -> PyResult<()> {
        if self == Self::this() { Ok(()) } else { Err(errors::closed()) }
    }
}
