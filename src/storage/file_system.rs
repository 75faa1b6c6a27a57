//! The real file system.

use std::ffi::OsString;
use std::fs::{DirBuilder, File, FileTimes, OpenOptions, Permissions, TryLockError};
use std::io::{self, Write};
use std::ops::Range;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use rustix::fs::{FallocateFlags, IFlags, OFlags};

use super::contract::{LockKind, OpenMode, Storage, StorageFile};
use super::file_map::FileMap;
use super::metadata::Metadata;

/// Read and write for the owner, read for the group: a CDR holds personal data.
const FILE_MODE: u32 = 0o640;

/// Read and write for the owner only: an inbox holds bodies of events.
const PRIVATE_FILE_MODE: u32 = 0o600;
const DIRECTORY_MODE: u32 = 0o750;

/// The bits of a mode that can be set: permissions, set-user-id, set-group-id, sticky.
const MODE_MASK: u32 = 0o7777;

/// `f_type` of tmpfs: `TMPFS_MAGIC` of `linux/magic.h`.
const TMPFS_MAGIC: u64 = 0x0102_1994;

/// The real file system: the default storage.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSystem;

impl Storage for FileSystem {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
    }

    fn open_directory(&self, path: &Path, follow_link: bool) -> io::Result<Box<dyn StorageFile>> {
        let mut flags = OFlags::DIRECTORY;
        flags.set(OFlags::NOFOLLOW, !follow_link);
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags.bits().cast_signed());
        Ok(Box::new(options.open(path)?))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn StorageFile>> {
        // Do not wait for the other end of a FIFO, which is not one of our files anyway.
        let flags = match mode {
            OpenMode::Read => OFlags::NOFOLLOW | OFlags::NONBLOCK,
            _ => OFlags::NOFOLLOW,
        };
        let mut options = OpenOptions::new();
        options.read(true).mode(FILE_MODE).custom_flags(flags.bits().cast_signed());
        match mode {
            OpenMode::Read => &mut options,
            OpenMode::ReadWrite => options.write(true),
            OpenMode::ReadWriteOrCreate => options.write(true).create(true).truncate(false),
            OpenMode::CreateNew => options.write(true).create_new(true),
            OpenMode::CreateNewPrivate => {
                options.write(true).create_new(true).mode(PRIVATE_FILE_MODE)
            }
            OpenMode::Append => options.append(true),
            OpenMode::CreateNewAppend => options.append(true).create_new(true),
        };
        Ok(Box::new(options.open(path)?))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        Ok(Metadata::from(&std::fs::metadata(path)?))
    }

    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata> {
        Ok(Metadata::from(&std::fs::symlink_metadata(path)?))
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
        File::open(directory)?.sync_all()
    }

    fn free_memory_bytes(&self, directory: &Path) -> io::Result<Option<u64>> {
        let info = rustix::fs::statfs(directory)?;
        let is_memory = info.f_type as u64 == TMPFS_MAGIC;
        let free = (info.f_bavail as u64).saturating_mul(info.f_bsize as u64);
        Ok(is_memory.then_some(free))
    }
}

impl StorageFile for File {
    fn metadata(&self) -> io::Result<Metadata> {
        Ok(Metadata::from(&Self::metadata(self)?))
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        let mut file = self;
        file.write(bytes)
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, bytes, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        FileExt::write_at(self, bytes, offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        Self::set_len(self, bytes)
    }

    /// By `fallocate(2)`. `posix_fallocate` is not enough: it writes bytes if the file system
    /// cannot allocate.
    fn allocate(&self, range: Range<u64>) -> io::Result<()> {
        if Self::metadata(self)?.len() == 0 {
            disable_copy_on_write(self);
        }
        let bytes = range.end.saturating_sub(range.start);
        match rustix::fs::fallocate(self, FallocateFlags::empty(), range.start, bytes) {
            Err(rustix::io::Errno::OPNOTSUPP) => Err(io::ErrorKind::Unsupported.into()),
            other => Ok(other?),
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        Self::sync_data(self)
    }

    fn sync_all(&self) -> io::Result<()> {
        Self::sync_all(self)
    }

    /// By `flock(2)`.
    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
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
        self.set_permissions(Permissions::from_mode(mode & MODE_MASK))
    }

    fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time))
    }
}

/// On btrfs, storing into a page again needs a new block, whatever was allocated. Only an empty
/// file can get NOCOW. File systems without the flag do not need it, so its error means nothing.
fn disable_copy_on_write(file: &File) {
    if let Ok(flags) = rustix::fs::ioctl_getflags(file)
        && !flags.contains(IFlags::NOCOW)
    {
        let _ = rustix::fs::ioctl_setflags(file, flags | IFlags::NOCOW);
    }
}
