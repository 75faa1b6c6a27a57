//! Who holds the name of a directory.

/// The process that holds the name of a directory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NameHolder {
    pub(crate) user_id: u32,
    /// `None` if this process cannot see it.
    pub(crate) process_id: Option<u32>,
}
