//! What systems other than Linux do instead: they are for development.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::Path;

use memmap2::MmapRaw;

use super::name_holder::NameHolder;

/// There are no names that end with their process.
#[derive(Debug)]
pub(crate) enum NameSocket {}

impl NameSocket {
    pub(crate) fn take(_name: &str) -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn holder(_name: &str) -> Option<NameHolder> {
        None
    }

    pub(crate) fn release(&self) {
        match *self {}
    }
}

/// Memory that outlives its process, and that no store has to wait for: Linux has tmpfs.
fn no_inbox() -> io::Error {
    io::Error::new(io::ErrorKind::Unsupported, "an inbox needs the tmpfs of Linux")
}

/// Fills `bytes` with random ones; only an inbox needs them.
pub(crate) fn random(_bytes: &mut [u8]) -> io::Result<()> {
    Err(no_inbox())
}

/// How many bytes are free in a directory whose files are in memory.
pub(crate) fn free_memory_bytes(_directory: &Path) -> io::Result<Option<u64>> {
    Err(no_inbox())
}

/// How long a file of this process may be.
pub(crate) fn file_bytes_max() -> u64 {
    u64::MAX
}

/// Gives the calling thread a low priority: only Linux has this for one thread.
pub(crate) fn lower_priority() {}

/// Reserves space for a range of a file. The caller writes zeros instead.
pub(crate) fn allocate(_file: &File, _range: Range<u64>) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Faults in every page of a mapped file for writing. Here its first use does it.
pub(crate) fn populate(_map: &MmapRaw) -> io::Result<()> {
    Ok(())
}

/// Hands what was stored through a mapping to the file, for the sync that follows.
pub(crate) fn write_back(map: &MmapRaw) -> io::Result<()> {
    map.flush()
}
