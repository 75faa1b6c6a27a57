//! Metadata of a file.

use std::time::SystemTime;

use crate::system::{self, FileIdentity};

/// The type of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, a FIFO, a socket, a device.
    Other,
}

/// Metadata of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// Its type.
    pub file_type: FileType,
    /// Its length in bytes.
    pub bytes: u64,
    /// The number of its file system. Together with [`inode`](Self::inode) it identifies the file.
    pub device: u64,
    /// Its inode number in the file system.
    pub inode: u64,
    /// The user id of its owner; 0 for all files on systems without user ids.
    pub owner: u32,
    /// Its type and permissions, as in `st_mode` of `stat(2)`.
    pub mode: u32,
    /// The number of its names (hard links).
    pub names: u64,
    /// The time of the last write. `None` if the storage does not know; files of such a storage are
    /// neither compressed nor removed.
    pub modified: Option<SystemTime>,
    /// The time of its creation. `None` if the storage does not know.
    pub created: Option<SystemTime>,
}

impl Metadata {
    /// Metadata of an empty file of this type that belongs to the user of this process and has mode
    /// 0640, one name, device and inode 0, and no times.
    #[must_use]
    pub fn new(file_type: FileType) -> Self {
        Self {
            file_type,
            bytes: 0,
            device: 0,
            inode: 0,
            owner: system::user_id(),
            mode: 0o640,
            names: 1,
            modified: None,
            created: None,
        }
    }

    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.file_type == FileType::File
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.file_type == FileType::Directory
    }

    /// Whether both are of the same file.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// What a file system says of a file. Not on Windows, where this does not tell which file it is.
#[cfg(unix)]
impl From<&std::fs::Metadata> for Metadata {
    fn from(metadata: &std::fs::Metadata) -> Self {
        Self::of_file(metadata, FileIdentity::of(metadata))
    }
}

impl Metadata {
    pub(super) fn of_file(metadata: &std::fs::Metadata, identity: FileIdentity) -> Self {
        let file_type = if metadata.is_file() {
            FileType::File
        } else if metadata.is_dir() {
            FileType::Directory
        } else {
            FileType::Other
        };
        Self {
            file_type,
            bytes: metadata.len(),
            device: identity.device,
            inode: identity.inode,
            owner: identity.owner,
            mode: identity.mode,
            names: identity.names,
            modified: metadata.modified().ok(),
            created: metadata.created().ok(),
        }
    }
}
