//! What is told of an input beside its lines.

/// Something to tell of a file, or of what a node shipped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InputRemark {
    pub(crate) text: String,
    /// Something is wrong, so that what is read may be less than what there was.
    pub(crate) is_fault: bool,
}

#[cfg(feature = "ship")]
impl InputRemark {
    pub(crate) const fn fault(text: String) -> Self {
        Self { text, is_fault: true }
    }

    pub(crate) const fn note(text: String) -> Self {
        Self { text, is_fault: false }
    }
}
