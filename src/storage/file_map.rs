//! Memory that a file shares.

use std::fmt;
use std::fs::File;
use std::io;

use memmap2::{Advice, MmapMut, MmapOptions, MmapRaw};

/// The first bytes of a file in memory, made by [`StorageFile::map`](super::StorageFile::map).
///
/// It gives nobody but the journal access to its bytes. As with every mapping, whoever writes to the
/// file changes them, and who shortens it lets a later access end the process by SIGBUS: a storage
/// maps a file only once, and leaves it alone until the map is dropped.
pub struct FileMap(MmapRaw);

impl FileMap {
    /// Maps the first `bytes` bytes of `file`, which are allocated, and faults every page in for
    /// writing: a page that cannot be had (a copy-on-write file system on a full disk) is an error
    /// here, and no SIGBUS later.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] where the file is shorter, or what the system says.
    pub fn of_file(file: &File, bytes: usize) -> io::Result<Self> {
        if file.metadata()?.len() < bytes as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let map = MmapOptions::new().len(bytes).map_raw(file)?;
        match map.advise(Advice::PopulateWrite) {
            // Kernels before 5.14 do not know the advice: their pages are faulted in by their first
            // use.
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
            other => other?,
        }
        Ok(Self(map))
    }

    /// Zeroed memory of no file: what is stored there is forgotten.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn anonymous(bytes: usize) -> io::Result<Self> {
        Ok(Self(MmapMut::map_anon(bytes)?.into()))
    }

    /// How many bytes it has.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.len()
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
