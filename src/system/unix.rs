//! Files on Linux, macOS and the BSDs.

use std::ffi::OsStr;
use std::fs::{DirBuilder, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::file_identity::FileIdentity;

/// The bits of a mode that can be set: permissions, set-user-id, set-group-id, sticky.
const MODE_MASK: u32 = 0o7777;

/// The user that this process runs as.
pub(crate) fn user_id() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// Creates a directory of this mode, and all missing parents.
pub(crate) fn create_directories(path: &Path, mode: u32) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(mode).create(path)
}

/// Opens a directory, to lock and examine it.
pub(crate) fn open_directory(path: &Path, follow_link: bool) -> io::Result<File> {
    let mut flags = OFlags::DIRECTORY;
    flags.set(OFlags::NOFOLLOW, !follow_link);
    OpenOptions::new().read(true).custom_flags(flags.bits().cast_signed()).open(path)
}

/// A symbolic link is an error. With `never_waits`, the other end of a FIFO is not waited for.
pub(crate) fn never_follow(options: &mut OpenOptions, never_waits: bool) {
    let mut flags = OFlags::NOFOLLOW;
    flags.set(OFlags::NONBLOCK, never_waits);
    options.custom_flags(flags.bits().cast_signed());
}

/// Opens a file for reading and for syncs.
pub(crate) fn open_reading(options: &OpenOptions, path: &Path) -> io::Result<File> {
    options.open(path)
}

/// The mode of a file that is created.
pub(crate) fn new_file_mode(options: &mut OpenOptions, mode: u32) {
    options.mode(mode);
}

/// For [`append`].
pub(crate) fn make_appending(options: &mut OpenOptions) {
    options.append(true);
}

/// Writes some of `bytes` at the end of a file, wherever that is; returns how many.
pub(crate) fn append(mut file: &File, bytes: &[u8]) -> io::Result<usize> {
    file.write(bytes)
}

/// Reads some bytes at `offset`; returns how many.
pub(crate) fn read_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
    file.read_at(bytes, offset)
}

/// Fills `bytes` from `offset`. The cursor of the file stays where it is.
#[cfg(any(feature = "reader", test))]
pub(crate) fn read_exact_at(file: &File, bytes: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(bytes, offset)
}

/// Writes some of `bytes` at `offset`; returns how many.
pub(crate) fn write_at(file: &File, bytes: &[u8], offset: u64) -> io::Result<usize> {
    file.write_at(bytes, offset)
}

/// Makes names in a directory survive a power loss.
pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Sets the permissions of a file.
pub(crate) fn set_mode(file: &File, mode: u32) -> io::Result<()> {
    file.set_permissions(Permissions::from_mode(mode & MODE_MASK))
}

/// The metadata of what is at `path`.
pub(crate) fn path_identity(
    path: &Path,
    follow_link: bool,
) -> io::Result<(Metadata, FileIdentity)> {
    let metadata = if follow_link { path.metadata() } else { path.symlink_metadata() }?;
    let identity = FileIdentity::of(&metadata);
    Ok((metadata, identity))
}

/// The metadata of an open file.
pub(crate) fn file_identity(file: &File) -> io::Result<(Metadata, FileIdentity)> {
    let metadata = file.metadata()?;
    let identity = FileIdentity::of(&metadata);
    Ok((metadata, identity))
}

impl FileIdentity {
    pub(crate) fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            owner: metadata.uid(),
            mode: metadata.mode(),
            names: metadata.nlink(),
        }
    }
}

/// Whether a file can be locked: any, directories too.
#[inline]
pub(crate) fn check_lockable(_file: &File) -> io::Result<()> {
    Ok(())
}

/// Whether the file system cannot lock this file at all.
pub(crate) fn has_no_locks(error: &io::Error) -> bool {
    let without = [Errno::BADF, Errno::OPNOTSUPP, Errno::NOLCK, Errno::INVAL];
    Errno::from_io_error(error).is_some_and(|errno| without.contains(&errno))
}

/// Whether a link, or a socket, is in the place of a file.
pub(crate) fn is_special_file(error: &io::Error) -> bool {
    let of_special_files = [Errno::LOOP, Errno::NXIO];
    Errno::from_io_error(error).is_some_and(|errno| of_special_files.contains(&errno))
}

/// The path of these bytes, as `OsStr::as_encoded_bytes` gives them.
pub(crate) fn path_from_bytes(bytes: &[u8]) -> Option<PathBuf> {
    Some(PathBuf::from(OsStr::from_bytes(bytes)))
}

/// The bytes of a UUID; zeros if `text` is empty.
#[cfg(any(target_os = "linux", target_vendor = "apple"))]
pub(super) fn uuid(text: &str) -> [u8; 16] {
    let mut id = [0; 16];
    let digits = text.bytes().filter_map(|byte| char::from(byte).to_digit(16));
    for (index, digit) in digits.take(32).enumerate() {
        if let Some(byte) = id.get_mut(index / 2) {
            *byte = *byte << 4 | digit as u8;
        }
    }
    id
}
