//! What tells one file from another.

/// What identifies a file and says who may change it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileIdentity {
    /// The number of its file system.
    pub(crate) device: u64,
    /// Its number in the file system.
    pub(crate) inode: u64,
    /// The user id of its owner; 0 where files have none.
    pub(crate) owner: u32,
    /// Type and permissions, as in `st_mode`.
    pub(crate) mode: u32,
    /// The number of its names.
    pub(crate) names: u64,
}

#[cfg(any(test, feature = "reader"))]
impl FileIdentity {
    /// Whether both are of the same file.
    pub(crate) fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}
