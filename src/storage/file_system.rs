//! The real file system.

use std::ffi::OsString;
use std::fs::{File, FileTimes, OpenOptions, TryLockError};
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::contract::{LockKind, OpenMode, Storage, StorageFile};
use super::file_map::FileMap;
use super::metadata::Metadata;
use crate::system;

/// Read and write for the owner, read for the group: a CDR holds personal data.
const FILE_MODE: u32 = 0o640;

/// Read and write for the owner only: an inbox holds bodies of events.
const PRIVATE_FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o750;

/// The real file system: the default storage.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystem;

impl Storage for FileSystem {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        system::create_directories(path, DIRECTORY_MODE)
    }

    fn open_directory(&self, path: &Path, follow_link: bool) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(system::open_directory(path, follow_link)?))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn StorageFile>> {
        let mut options = OpenOptions::new();
        options.read(true);
        // Do not wait for the other end of a FIFO, which is not one of our files anyway.
        system::never_follow(&mut options, mode == OpenMode::Read);
        let is_private = mode == OpenMode::CreateNewPrivate;
        system::new_file_mode(&mut options, if is_private { PRIVATE_FILE_MODE } else { FILE_MODE });
        match mode {
            OpenMode::Read => return Ok(Box::new(system::open_reading(&options, path)?)),
            OpenMode::ReadWrite => {
                options.write(true);
            }
            OpenMode::ReadWriteOrCreate => {
                options.write(true).create(true).truncate(false);
            }
            OpenMode::CreateNew | OpenMode::CreateNewPrivate => {
                options.write(true).create_new(true);
            }
            OpenMode::Append => system::make_appending(&mut options),
            OpenMode::CreateNewAppend => {
                system::make_appending(&mut options);
                options.create_new(true);
            }
        }
        Ok(Box::new(options.open(path)?))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        let (metadata, identity) = system::path_identity(path, true)?;
        Ok(Metadata::of_file(&metadata, identity))
    }

    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata> {
        let (metadata, identity) = system::path_identity(path, false)?;
        Ok(Metadata::of_file(&metadata, identity))
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::canonicalize(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        std::fs::read_dir(directory)?.map(|entry| Ok(entry?.file_name())).collect()
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        std::fs::remove_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        std::fs::rename(from, to)
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        system::sync_directory(directory)
    }

    fn free_memory_bytes(&self, directory: &Path) -> io::Result<Option<u64>> {
        system::free_memory_bytes(directory)
    }
}

impl StorageFile for File {
    fn metadata(&self) -> io::Result<Metadata> {
        let (metadata, identity) = system::file_identity(self)?;
        Ok(Metadata::of_file(&metadata, identity))
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        system::append(self, bytes)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        system::read_at(self, bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        system::write_at(self, bytes, offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        Self::set_len(self, bytes)
    }

    fn allocate(&self, range: Range<u64>) -> io::Result<()> {
        system::allocate(self, range)
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        Self::sync_all(self)
    }

    /// By `flock(2)`, or `LockFileEx`.
    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        system::check_lockable(self)?;
        let taken = match kind {
            LockKind::Exclusive => Self::try_lock(self),
            LockKind::Shared => self.try_lock_shared(),
        };
        match taken {
            Ok(()) => Ok(true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(error),
        }
    }

    fn unlock(&self) -> io::Result<()> {
        Self::unlock(self)
    }

    fn map(&self, bytes: usize) -> io::Result<FileMap> {
        FileMap::of_file(self, bytes)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        system::set_mode(self, mode)
    }

    fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time))
    }
}
