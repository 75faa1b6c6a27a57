//! The contract between an appender and where its files are.

use std::any::Any;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::file_map::FileMap;
use super::metadata::Metadata;

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenMode {
    /// To be read. It has to be there.
    Read,
    /// To be read, and written at any offset. It has to be there.
    ReadWrite,
    /// The same; an empty file is created where none is there.
    ReadWriteOrCreate,
    /// The same; the file is created, and nothing of its name may be there.
    CreateNew,
    /// The same; nobody but the owner may read or write the file, from its beginning on.
    CreateNewPrivate,
    /// To be read, and written at its end, wherever that is at each write. It has to be there.
    Append,
    /// The same; the file is created, and nothing of its name may be there.
    CreateNewAppend,
}

impl OpenMode {
    /// Whether a file may be created.
    #[must_use]
    pub const fn creates(self) -> bool {
        matches!(
            self,
            Self::ReadWriteOrCreate
                | Self::CreateNew
                | Self::CreateNewPrivate
                | Self::CreateNewAppend
        )
    }
}

/// Who else may have the lock of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Nobody.
    Exclusive,
    /// Others with the same kind of lock.
    Shared,
}

/// A file system, or what takes its place.
///
/// Methods are called from several threads at once, and may block. What they return as an error is
/// told with the path and with what was tried; [`io::ErrorKind::Interrupted`] alone is not told, the
/// call is made again. Two kinds have a meaning of their own: [`io::ErrorKind::NotFound`] where
/// nothing is at a path, and [`io::ErrorKind::AlreadyExists`] where something is.
///
/// What an appender relies on when the power fails: what a sync returned for is on the disk;
/// everything else may be there in part, in any order; a [`rename`](Self::rename) is there as a
/// whole or not at all.
pub trait Storage: fmt::Debug + Send + Sync + 'static {
    /// Creates a directory and all that are missing above it. No error where it is there already.
    ///
    /// # Errors
    ///
    /// Any; the appender is not opened.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Opens a directory, to be locked and examined. A symbolic link at the end of `path` is an
    /// error unless `follow_link`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`], [`io::ErrorKind::NotADirectory`], or any other.
    fn open_directory(&self, path: &Path, follow_link: bool) -> io::Result<Box<dyn StorageFile>>;

    /// Opens a file. A symbolic link at the end of `path` is an error, and so is whatever cannot be
    /// opened without waiting for somebody. What is opened need not be a regular file: the caller
    /// looks at its metadata before anything else.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] and [`io::ErrorKind::AlreadyExists`] as `mode` has it, or any
    /// other.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn StorageFile>>;

    /// What is at `path`, symbolic links followed.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`], or any other.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// What is at `path`; of a symbolic link, the link itself.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`], or any other.
    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// The absolute path of what is at `path`, without symbolic links.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`], or any other.
    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf>;

    /// The names in a directory, in any order, without `.` and `..`.
    ///
    /// # Errors
    ///
    /// Any; names that were found before it do not count.
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>>;

    /// Removes a file, or the link at `path`. Whoever has it open or mapped keeps it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`], or any other.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Gives the file at `from` the path `to` in one step: at any moment, what was at `to` before is
    /// there, or the file. Both are in the same directory or in one below it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`], or any other; nothing has changed then.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes every creation, renaming and removal in `directory` that returned before survive a
    /// power loss.
    ///
    /// # Errors
    ///
    /// Any. The appender does not try a sync again, and tells it as failed from then on.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;

    /// How many bytes are free in `directory` where files are in the memory of the machine (a
    /// tmpfs); `None` where they are on a disk, which a store to a mapped file may have to wait for.
    /// Asked only of the directory that is to hold the inbox.
    ///
    /// # Errors
    ///
    /// Any; the appender is opened without an inbox then.
    fn free_memory_bytes(&self, directory: &Path) -> io::Result<Option<u64>>;
}

/// An open file of a [`Storage`], or an open directory. It is closed when it is dropped.
///
/// [`std::fs::File`] is one.
pub trait StorageFile: Any + fmt::Debug + Send + Sync {
    /// What the file is now.
    ///
    /// # Errors
    ///
    /// Any.
    fn metadata(&self) -> io::Result<Metadata>;

    /// Writes some of `bytes` at the end of a file that was opened to append, where it is at this
    /// moment, whoever else appended; gives how many. Readers see them at once.
    ///
    /// # Errors
    ///
    /// Any, where nothing was written: [`io::ErrorKind::StorageFull`] for one. It is tried again
    /// later.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Reads some of what is at `offset`; gives how many bytes that was, 0 at the end of the file.
    ///
    /// # Errors
    ///
    /// Any.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of `bytes` at `offset` of a file that was not opened to append; gives how many.
    ///
    /// # Errors
    ///
    /// Any.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes the file exactly `bytes` long: cuts its end off, or adds zeros.
    ///
    /// # Errors
    ///
    /// Any.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Takes space on the disk for a range of the file, so that no later write to it, through a
    /// mapping or not, fails for want of space. The file becomes as long as the end of the range;
    /// what is new in it reads as zeros.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::StorageFull`] where there is no space, and [`io::ErrorKind::Unsupported`]
    /// where the storage cannot do this: the caller then writes zeros.
    fn allocate(&self, range: Range<u64>) -> io::Result<()>;

    /// Makes the content of the file and its length survive a power loss: what was written before,
    /// and what was stored through a mapping of it.
    ///
    /// # Errors
    ///
    /// Any. The appender does not try a sync again, and tells it as failed from then on.
    fn sync_data(&self) -> io::Result<()>;

    /// The same, with all of its metadata.
    ///
    /// # Errors
    ///
    /// As [`sync_data`](Self::sync_data).
    fn sync_all(&self) -> io::Result<()>;

    /// Takes the lock of the file, at once or not at all: `false` where somebody has it who does
    /// not share it. Another opening of the same file is somebody, in the same process too. The lock
    /// ends by [`unlock`](Self::unlock), with the file, or with the process.
    ///
    /// # Errors
    ///
    /// Any, where the storage cannot tell.
    fn try_lock(&self, kind: LockKind) -> io::Result<bool>;

    /// Gives the lock back, also where a forked child has a copy of the open file.
    ///
    /// # Errors
    ///
    /// Any; the lock ends with the file then.
    fn unlock(&self) -> io::Result<()>;

    /// Maps the first `bytes` bytes of the file, which were allocated. What is stored there is in
    /// the file at once, for [`read_at`](Self::read_at) of every process, and stays when this
    /// process is killed.
    ///
    /// Only the kernel can promise that, so the mapping is one of a real file
    /// ([`FileMap::of_file`]). A storage that keeps its files in memory can map a `memfd`, or give
    /// memory of nobody ([`FileMap::anonymous`]) and lose what was journaled with the process.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] where the file is shorter, or any other.
    fn map(&self, bytes: usize) -> io::Result<FileMap>;

    /// Sets who may read and write the file: the lower 12 bits of [`Metadata::mode`].
    ///
    /// # Errors
    ///
    /// Any.
    fn set_mode(&self, mode: u32) -> io::Result<()>;

    /// Sets when the file was written to last.
    ///
    /// # Errors
    ///
    /// Any.
    fn set_modified(&self, time: SystemTime) -> io::Result<()>;
}
