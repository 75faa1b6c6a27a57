//! A mapped file.

use std::fmt;
use std::fs::File;
use std::io;

use memmap2::{MmapMut, MmapOptions, MmapRaw};

use crate::system;

/// The first bytes of a file, mapped into memory by [`StorageFile::map`](super::StorageFile::map).
///
/// Only this crate can access its bytes. As with every mapping, a write to the file changes them,
/// and if the file is shortened, a later access kills the process by SIGBUS: a storage must map a
/// file only once, and leave it alone until the map is dropped.
pub struct FileMap(MmapRaw);

impl FileMap {
    /// Maps the first `bytes` bytes of `file`, which are allocated. On Linux, every page is faulted
    /// in for writing: one that cannot be had (on a full copy-on-write file system) is an error
    /// here, and not a SIGBUS later.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] if the file is shorter, or the error of the system.
    pub fn of_file(file: &File, bytes: usize) -> io::Result<Self> {
        if file.metadata()?.len() < bytes as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let map = MmapOptions::new().len(bytes).map_raw(file)?;
        system::populate(&map)?;
        Ok(Self(map))
    }

    /// Anonymous zeroed memory: what is stored there is lost when the map is dropped.
    ///
    /// # Errors
    ///
    /// The error of the system.
    pub fn anonymous(bytes: usize) -> io::Result<Self> {
        Ok(Self(MmapMut::map_anon(bytes)?.into()))
    }

    /// Its length in bytes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len()
    }

    /// Hands what was stored to the file, which a sync of it then makes survive a power loss.
    pub(crate) fn write_back(&self) -> io::Result<()> {
        system::write_back(&self.0)
    }

    /// Its first byte, on a page boundary.
    pub(crate) fn as_mut_ptr(&self) -> *mut u8 {
        self.0.as_mut_ptr()
    }
}

impl fmt::Debug for FileMap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FileMap({} bytes)", self.bytes())
    }
}
