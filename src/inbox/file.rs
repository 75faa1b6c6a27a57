//! Creates and removes inbox files.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::layout::{
    FolderIdentity, HEADER_BYTES, Header, OFFSET_VOID, RECORD_HEADER_BYTES, UNIT_BYTES, Units,
};
use super::memory::Memory;
use super::pool::ChunkPool;
use crate::storage::{Disk, DiskError, DiskFile, DiskResult, LockKind};
use crate::system::{self, boot_id};

/// The default directory of inboxes.
pub(crate) const DIRECTORY_DEFAULT: &str = "/dev/shm";

/// The minimum size of an inbox.
const FILE_BYTES_MIN: usize = 64 << 10;

/// More than an eighth of a small queue: a few chunks for each of a few senders.
const SLACK_BYTES: usize = 256 << 10;

/// The maximum that a [`RecordRef`](super::RecordRef) can address.
const FILE_BYTES_MAX: usize = 32 << 30;

/// Memory is allocated in steps of this size, so that a signal does not have to wait for all of it.
const STEP_BYTES: u64 = 1 << 20;

/// The room in the control file.
pub(crate) const DIRECTORY_BYTES_MAX: usize = 416;

/// The name of an inbox, as noted in the control file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct InboxName {
    pub(crate) id: [u8; 16],
    pub(crate) directory: PathBuf,
}

impl InboxName {
    /// A name that no inbox had before.
    pub(crate) fn fresh(directory: &Path) -> DiskResult<Self> {
        let named = std::path::absolute(directory).and_then(|directory| {
            if directory.as_os_str().len() > DIRECTORY_BYTES_MAX {
                let fault = format!("its path has more than {DIRECTORY_BYTES_MAX} bytes");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, fault));
            }
            Ok(Self { id: random()?, directory })
        });
        named.map_err(|error| DiskError::new("name an inbox in", directory, error))
    }

    pub(crate) fn path(&self) -> PathBuf {
        let digits: String = self.id.iter().map(|byte| format!("{byte:02x}")).collect();
        self.directory.join(format!("cdrlog-{digits}.inbox"))
    }
}

fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    system::random(&mut bytes)?;
    Ok(bytes)
}

/// The owner of an inbox, and the limit of its events.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Owner<'a> {
    /// The CDR directory, for people.
    pub(crate) directory: &'a Path,
    pub(crate) folder: FolderIdentity,
    pub(crate) event_bytes_max: usize,
}

/// The memory of chunks for a queue of this many bytes: some more, for chunks that are partly
/// filled or partly consumed.
pub(crate) fn bytes_for_queue(queue_bytes_max: usize) -> usize {
    let bytes = queue_bytes_max.saturating_add(queue_bytes_max / 8).saturating_add(SLACK_BYTES);
    bytes.clamp(FILE_BYTES_MIN, FILE_BYTES_MAX).next_multiple_of(UNIT_BYTES)
}

/// The inbox of an open appender. If it is dropped, the file stays for the next open. Its producers
/// may still have the memory, but complete no record in it: the gate is closed.
#[derive(Debug)]
pub(crate) struct Inbox {
    /// Holds a lock, so that nobody who opens a copy of the directory takes the events of this one.
    file: DiskFile,
    disk: Disk,
    pool: Arc<ChunkPool>,
}

impl Inbox {
    /// Creates the file with all of its memory: `bytes`, but at most a quarter of what is free. If
    /// that fails, nothing is left behind.
    pub(crate) fn create(
        disk: &Disk,
        name: &InboxName,
        owner: Owner<'_>,
        bytes: usize,
    ) -> DiskResult<Self> {
        let bytes = affordable(disk, &name.directory, bytes)?;
        let file = disk.create_private(&name.path())?;
        let made = fill(&file, name, owner, bytes);
        if made.is_err() {
            // The first error is the one to report.
            let _ = disk.remove(file.path());
        }
        let pool = Arc::new(made?);
        Ok(Self { file, disk: disk.clone(), pool })
    }

    pub(crate) fn pool(&self) -> &Arc<ChunkPool> {
        &self.pool
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// The whole file.
    #[cfg(test)]
    pub(super) fn bytes(&self) -> DiskResult<Vec<u8>> {
        self.file.read_range(0..self.file.bytes()?)
    }

    /// Its content was given back to the caller: the next open recovers nothing.
    pub(crate) fn set_void(&self) {
        self.pool.memory.store(OFFSET_VOID, 1);
    }

    /// Removes the empty inbox.
    pub(crate) fn remove(&self) -> DiskResult<()> {
        self.disk.remove(self.file.path())
    }
}

impl Drop for Inbox {
    /// Unlocks explicitly: closing the file is not enough while producers that outlive the appender
    /// keep its mapping. A forked child has a copy of the lock, which belongs to its parent.
    fn drop(&mut self) {
        if !self.pool.is_in_child() {
            // If this fails, the end of the mapping releases the lock.
            let _ = self.file.unlock();
        }
    }
}

/// How many of the `wanted` bytes the tmpfs at `directory` can provide.
fn affordable(disk: &Disk, directory: &Path, wanted: usize) -> DiskResult<usize> {
    let free = disk.free_memory_bytes(directory)?;
    let limit = system::file_bytes_max();
    let bytes = usize::try_from(limit.min(free / 4)).unwrap_or(usize::MAX).min(wanted);
    if bytes < FILE_BYTES_MIN {
        let fault = "less than 256 KiB are free there, or files are limited to less than 64 KiB";
        let error = io::Error::new(io::ErrorKind::StorageFull, fault);
        return Err(DiskError::new("use for inboxes", directory, error));
    }
    Ok(bytes / UNIT_BYTES * UNIT_BYTES)
}

fn fill(
    file: &DiskFile,
    name: &InboxName,
    owner: Owner<'_>,
    bytes: usize,
) -> DiskResult<ChunkPool> {
    if !file.try_lock(LockKind::Exclusive)? {
        return Err(DiskError::new("lock", file.path(), io::ErrorKind::WouldBlock.into()));
    }
    for begin in (0..bytes as u64).step_by(STEP_BYTES as usize) {
        file.allocate_range(begin..(begin + STEP_BYTES).min(bytes as u64))?;
    }
    let map = file.map(bytes)?;
    let key = random().map_err(|error| DiskError::new("make a key for", file.path(), error))?;
    let header = Header {
        id: name.id,
        boot_id: boot_id(),
        key: u64::from_le_bytes(key),
        event_bytes_max: owner.event_bytes_max as u64,
        folder: owner.folder,
        units: Units::in_file(bytes),
    };
    let path = owner.directory.as_os_str().as_encoded_bytes();
    file.write_all_at(&header.encode(path), 0)?;
    Ok(ChunkPool::new(Memory::of_file(map), header.units, header.key, true))
}

const _: () = assert!(FILE_BYTES_MIN > HEADER_BYTES + UNIT_BYTES * 4 + RECORD_HEADER_BYTES);
