//! Windows.

use std::fs::{File, Metadata, OpenOptions};
use std::io;
#[cfg(any(feature = "reader", test))]
use std::io::{Seek, SeekFrom};
use std::os::windows::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::file_identity::FileIdentity;

/// What does not hold here.
pub(super) const WEAKNESSES: &[&str] = &[
    "after a power loss, new and renamed files may be gone, because directories cannot be synced",
    "only the lock file keeps a second appender out",
    "files of other users are used, because owners are not compared",
];

/// The access that reads, and the one that appends.
const GENERIC_READ: u32 = 0x8000_0000;
const FILE_APPEND_DATA: u32 = 0x4;

/// Why a file cannot be opened for writing: its rights, its volume, and others who have it open.
const ERROR_ACCESS_DENIED: i32 = 5;
const ERROR_WRITE_PROTECT: i32 = 19;
const ERROR_SHARING_VIOLATION: i32 = 32;

/// Opens directories too.
const FILE_FLAG_BACKUP_SEMANTICS: u32 = 0x0200_0000;
/// Opens a symbolic link itself.
const FILE_FLAG_OPEN_REPARSE_POINT: u32 = 0x0020_0000;

/// `FILE_WRITE_TO_END_OF_FILE`, the offset of a write at the end of a file.
const END_OF_FILE: u64 = u64::MAX;

/// What files and directories have where there are no modes: read and write for the owner.
const MODE: u32 = 0o640;

/// No process is a forked child.
#[derive(Debug)]
pub(crate) enum ForkGuard {}

impl ForkGuard {
    pub(crate) fn new() -> io::Result<Self> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(crate) fn is_child(&self) -> bool {
        match *self {}
    }
}

/// The boot id of the running kernel, which has none: zeros.
pub(crate) fn boot_id() -> [u8; 16] {
    [0; 16]
}

/// The user that this process runs as: the one that all files belong to.
pub(crate) fn user_id() -> u32 {
    0
}

/// Creates a directory and all missing parents.
pub(crate) fn create_directories(path: &Path, _mode: u32) -> io::Result<()> {
    std::fs::create_dir_all(path)
}

/// Opens a directory, to examine it.
pub(crate) fn open_directory(path: &Path, follow_link: bool) -> io::Result<File> {
    let file = open_any(path, follow_link, OpenOptions::new().read(true))?;
    if file.metadata()?.is_dir() { Ok(file) } else { Err(io::ErrorKind::NotADirectory.into()) }
}

fn open_any(path: &Path, follow_link: bool, options: &mut OpenOptions) -> io::Result<File> {
    let of_link = if follow_link { 0 } else { FILE_FLAG_OPEN_REPARSE_POINT };
    options.custom_flags(FILE_FLAG_BACKUP_SEMANTICS | of_link).open(path)
}

/// A symbolic link is opened itself: it is not a regular file, which the caller finds out.
pub(crate) fn never_follow(options: &mut OpenOptions, _never_waits: bool) {
    options.custom_flags(FILE_FLAG_OPEN_REPARSE_POINT);
}

/// Opens a file for reading and for syncs. Windows syncs only what may be written to, so this asks for
/// the right to append. Where that is refused, the file can be read, and a sync of it is an error.
pub(crate) fn open_reading(options: &OpenOptions, path: &Path) -> io::Result<File> {
    match options.clone().access_mode(GENERIC_READ | FILE_APPEND_DATA).open(path) {
        Err(error) if refuses_writing(&error) => options.open(path),
        other => other,
    }
}

fn refuses_writing(error: &io::Error) -> bool {
    let refusals = [ERROR_ACCESS_DENIED, ERROR_WRITE_PROTECT, ERROR_SHARING_VIOLATION];
    error.raw_os_error().is_some_and(|code| refusals.contains(&code))
}

/// The mode of a file that is created: files have none.
pub(crate) fn new_file_mode(_options: &mut OpenOptions, _mode: u32) {}

/// For [`append`]. A file that is opened only for appending could not be shortened.
pub(crate) fn make_appending(options: &mut OpenOptions) {
    options.write(true);
}

/// Writes some of `bytes` at the end of a file, wherever that is; returns how many.
pub(crate) fn append(file: &File, bytes: &[u8]) -> io::Result<usize> {
    file.seek_write(bytes, END_OF_FILE)
}

/// Reads some bytes at `offset`; returns how many.
pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    match file.seek_read(bytes, offset) {
        // The end of the file.
        Err(error) if error.raw_os_error() == Some(ERROR_HANDLE_EOF) => Ok(0),
        other => other,
    }
}

/// What a read that begins at the end of the file returns.
const ERROR_HANDLE_EOF: i32 = 38;

/// Fills `bytes` from `offset`. The cursor of the file stays where it is.
#[cfg(any(feature = "reader", test))]
pub(crate) fn read_exact_at(mut file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    let cursor = file.stream_position()?;
    let filled = fill_at(file, bytes, offset);
    file.seek(SeekFrom::Start(cursor))?;
    filled
}

#[cfg(any(feature = "reader", test))]
fn fill_at(file: &File, mut bytes: &mut [u8], mut offset: u64) -> io::Result<()> {
    while !bytes.is_empty() {
        match read_at(file, bytes, offset)? {
            0 => return Err(io::ErrorKind::UnexpectedEof.into()),
            read => {
                (_, bytes) = bytes.split_at_mut(read);
                offset += read as u64;
            }
        }
    }
    Ok(())
}

/// Writes some of `bytes` at `offset`; returns how many.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.seek_write(bytes, offset)
}

/// Makes names in a directory survive a power loss, which only the file system can do here, when it
/// likes. It is still an error if the directory is missing.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    path.metadata().map(drop)
}

/// Sets the permissions of a file, of which there are none.
pub(crate) fn set_mode(_file: &File, _mode: u32) -> io::Result<()> {
    Ok(())
}

/// The metadata of what is at `path`.
pub(crate) fn path_identity(
    path: &Path,
    follow_link: bool,
) -> io::Result<(Metadata, FileIdentity)> {
    // To ask, no access is needed.
    file_identity(&open_any(path, follow_link, OpenOptions::new().access_mode(0))?)
}

/// The metadata of an open file.
pub(crate) fn file_identity(file: &File) -> io::Result<(Metadata, FileIdentity)> {
    let information = winapi_util::file::information(file)?;
    let identity = FileIdentity {
        device: information.volume_serial_number(),
        inode: information.file_index(),
        owner: user_id(),
        mode: MODE,
        names: information.number_of_links(),
    };
    Ok((file.metadata()?, identity))
}

/// Whether a file can be locked: an error if it is a directory, which has no bytes to lock.
pub(crate) fn check_lockable(file: &File) -> io::Result<()> {
    if file.metadata()?.is_dir() { Err(io::ErrorKind::Unsupported.into()) } else { Ok(()) }
}

/// Whether the file system cannot lock this file at all.
pub(crate) fn has_no_locks(error: &io::Error) -> bool {
    const ERROR_INVALID_FUNCTION: i32 = 1;
    error.kind() == io::ErrorKind::Unsupported
        || error.raw_os_error() == Some(ERROR_INVALID_FUNCTION)
}

/// Whether a link, or a socket, is in the place of a file: the metadata of what was opened says so.
pub(crate) fn is_special_file(_error: &io::Error) -> bool {
    false
}

/// The path of these bytes, as `OsStr::as_encoded_bytes` gives them for text.
pub(crate) fn path_from_bytes(bytes: &[u8]) -> Option<PathBuf> {
    Some(PathBuf::from(std::str::from_utf8(bytes).ok()?))
}
