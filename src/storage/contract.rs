//! The contract between an appender and its storage.

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
    /// For reading, and for syncs of what others wrote. The file must exist.
    Read,
    /// For reading, and writing at any offset. The file must exist.
    ReadWrite,
    /// As `ReadWrite`; if the file does not exist, it is created empty.
    ReadWriteOrCreate,
    /// As `ReadWrite`; the file is created, and nothing of its name may exist.
    CreateNew,
    /// As `CreateNew`; nobody but the owner may read or write the file, from its creation on.
    CreateNewPrivate,
    /// For reading, and writing at its end, wherever that is at each write. The file must exist.
    Append,
    /// As `Append`; the file is created, and nothing of its name may exist.
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

/// Who else may hold the lock of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockKind {
    /// Nobody.
    Exclusive,
    /// Holders of the same kind of lock.
    Shared,
}

/// A file system, or a replacement for it.
///
/// Methods are called from several threads at once, and may block. The appender reports an error
/// with the path and the action that failed; after [`io::ErrorKind::Interrupted`] it repeats the
/// call. Two kinds have a special meaning: [`io::ErrorKind::NotFound`] if nothing is at a path, and
/// [`io::ErrorKind::AlreadyExists`] if something is.
///
/// What an appender relies on when the power fails: what a sync returned for is on the disk;
/// everything else may be there in part, in any order; a [`rename`](Self::rename) is there as a
/// whole or not at all.
pub trait Storage: fmt::Debug + Send + Sync + 'static {
    /// Creates a directory and all missing parents. It is not an error if the directory exists.
    ///
    /// # Errors
    ///
    /// Any; the appender is then not opened.
    fn create_directory(&self, path: &Path) -> io::Result<()>;

    /// Opens a directory, for locking and metadata. A symbolic link at the end of `path` is an
    /// error unless `follow_link`.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`], [`io::ErrorKind::NotADirectory`], or any other.
    fn open_directory(&self, path: &Path, follow_link: bool) -> io::Result<Box<dyn StorageFile>>;

    /// Opens a file. A symbolic link at the end of `path` is an error, and so is anything that
    /// cannot be opened without waiting for another process. It need not be a regular file: the
    /// caller checks the metadata before anything else.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] and [`io::ErrorKind::AlreadyExists`] as `mode` says, or any
    /// other.
    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn StorageFile>>;

    /// The metadata of what is at `path`, following symbolic links.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`], or any other.
    fn metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// The metadata of what is at `path`, without following a symbolic link.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`], or any other.
    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata>;

    /// The absolute path of what is at `path`, with symbolic links resolved.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`], or any other.
    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf>;

    /// The names in a directory, in any order, without `.` and `..`.
    ///
    /// # Errors
    ///
    /// Any; names that were found before the error are discarded.
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>>;

    /// Removes a file, or the symbolic link at `path`. Processes that have it open or mapped keep
    /// it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`], or any other.
    fn remove_file(&self, path: &Path) -> io::Result<()>;

    /// Moves the file at `from` to `to` atomically: at any moment, either what was at `to` before
    /// is there, or the file. Both are in the same directory or in one below it.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`], or any other; nothing is changed then.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// Makes every creation, rename and removal in `directory` that returned before this call
    /// survive a power loss.
    ///
    /// # Errors
    ///
    /// Any. The appender does not retry a sync, and reports it as failed from then on.
    fn sync_directory(&self, directory: &Path) -> io::Result<()>;

    /// How many bytes are free in `directory` where files are in the memory of the machine (a
    /// tmpfs); `None` where they are on a disk, which a store to a mapped file may have to wait
    /// for. Asked only of the directory that is to hold the inbox.
    ///
    /// # Errors
    ///
    /// Any; the appender is opened without an inbox then.
    fn free_memory_bytes(&self, directory: &Path) -> io::Result<Option<u64>>;
}

/// An open file or directory of a [`Storage`]. Dropping it closes it.
///
/// [`std::fs::File`] implements it.
pub trait StorageFile: Any + fmt::Debug + Send + Sync {
    /// The current metadata of the file.
    ///
    /// # Errors
    ///
    /// Any.
    fn metadata(&self) -> io::Result<Metadata>;

    /// Writes some of `bytes` at the end of a file that was opened for appending, wherever the end
    /// is at this moment, and returns how many. Readers see them at once.
    ///
    /// # Errors
    ///
    /// Any, if nothing was written: for example [`io::ErrorKind::StorageFull`]. The appender
    /// retries later.
    fn append(&self, bytes: &[u8]) -> io::Result<usize>;

    /// Reads some bytes at `offset` and returns how many; 0 at the end of the file.
    ///
    /// # Errors
    ///
    /// Any.
    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes some of `bytes` at `offset` of a file that was not opened for appending, and returns
    /// how many.
    ///
    /// # Errors
    ///
    /// Any.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize>;

    /// Makes the file exactly `bytes` long: truncates it, or appends zeros.
    ///
    /// # Errors
    ///
    /// Any.
    fn set_len(&self, bytes: u64) -> io::Result<()>;

    /// Allocates disk space for a range of the file, so that no later write to it, through a
    /// mapping or not, fails for lack of space. The file becomes at least as long as the end of the
    /// range; new bytes read as zeros.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::StorageFull`] if there is no space, and [`io::ErrorKind::Unsupported`] if
    /// the storage cannot do this: the caller then writes zeros.
    fn allocate(&self, range: Range<u64>) -> io::Result<()>;

    /// Makes the content of the file and its length survive a power loss: what was written before,
    /// and what was stored through a mapping of it.
    ///
    /// # Errors
    ///
    /// Any. The appender does not retry a sync, and reports it as failed from then on.
    fn sync_data(&self) -> io::Result<()>;

    /// The same, with all of its metadata.
    ///
    /// # Errors
    ///
    /// As [`sync_data`](Self::sync_data).
    fn sync_all(&self) -> io::Result<()>;

    /// Locks the file without waiting: `false` if somebody else holds a conflicting lock. Another
    /// open of the same file counts as somebody else, even in the same process. The lock ends with
    /// [`unlock`](Self::unlock), with the file, or with the process.
    ///
    /// # Errors
    ///
    /// Any, if the storage cannot tell.
    fn try_lock(&self, kind: LockKind) -> io::Result<bool>;

    /// Releases the lock, even if a forked child has a copy of the open file.
    ///
    /// # Errors
    ///
    /// Any; the lock then ends with the file.
    fn unlock(&self) -> io::Result<()>;

    /// Maps the first `bytes` bytes of the file, which are allocated. What is stored there is in
    /// the file at once, for [`read_at`](Self::read_at) in every process, and stays if this process
    /// is killed.
    ///
    /// Only the kernel can promise that, so the mapping is one of a real file
    /// ([`FileMap::of_file`]). A storage that keeps its files in memory can map a `memfd`, or
    /// return anonymous memory ([`FileMap::anonymous`]) and lose what was journaled with the
    /// process.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] if the file is shorter, or any other.
    fn map(&self, bytes: usize) -> io::Result<FileMap>;

    /// Sets the permissions of the file: the lower 12 bits of [`Metadata::mode`].
    ///
    /// # Errors
    ///
    /// Any.
    fn set_mode(&self, mode: u32) -> io::Result<()>;

    /// Sets the time of the last write to the file.
    ///
    /// # Errors
    ///
    /// Any.
    fn set_modified(&self, time: SystemTime) -> io::Result<()>;
}
