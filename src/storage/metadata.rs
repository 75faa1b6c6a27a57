//! What is known of a file without reading it.

use std::os::unix::fs::MetadataExt;
use std::time::SystemTime;

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link, a FIFO, a socket, a device.
    Other,
}

/// What is known of a file without reading it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Metadata {
    /// What it is.
    pub file_type: FileType,
    /// Its length in bytes.
    pub bytes: u64,
    /// The number of its file system. With [`inode`](Self::inode), it tells one file from any other.
    pub device: u64,
    /// Its number in the file system.
    pub inode: u64,
    /// The numeric id of the user it belongs to.
    pub owner: u32,
    /// Who may read and write it, as in `st_mode` of `stat(2)`.
    pub mode: u32,
    /// How many names it has.
    pub names: u64,
    /// When it was written to last. `None` where the storage does not tell; files of such a storage
    /// are neither compressed nor removed.
    pub modified: Option<SystemTime>,
    /// When it was created. `None` where the storage does not tell.
    pub created: Option<SystemTime>,
}

impl Metadata {
    /// Of something empty that belongs to this process, has one name, no numbers, and no times.
    #[must_use]
    pub fn new(file_type: FileType) -> Self {
        Self {
            file_type,
            bytes: 0,
            device: 0,
            inode: 0,
            owner: rustix::process::geteuid().as_raw(),
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

    /// Whether both are of one file.
    #[must_use]
    pub fn is_same_file(&self, other: &Self) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

impl From<&std::fs::Metadata> for Metadata {
    fn from(metadata: &std::fs::Metadata) -> Self {
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
            device: metadata.dev(),
            inode: metadata.ino(),
            owner: metadata.uid(),
            mode: metadata.mode(),
            names: metadata.nlink(),
            modified: metadata.modified().ok(),
            created: metadata.created().ok(),
        }
    }
}
