//! Every call that changes the file system, each with its path in the error.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FallocateFlags, IFlags};

/// Read and write for the owner, read for the group: a CDR holds personal data.
const FILE_MODE: u32 = 0o640;
const DIRECTORY_MODE: u32 = 0o750;

/// What could not be done, where, and what the system said.
#[derive(Clone, Debug)]
pub(crate) struct DiskError {
    pub(crate) action: &'static str,
    pub(crate) path: PathBuf,
    pub(crate) source: Arc<io::Error>,
}

impl DiskError {
    pub(crate) fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self { action, path: path.to_owned(), source: Arc::new(source) }
    }
}

pub(crate) type DiskResult<T> = Result<T, DiskError>;

/// Attaches the action and the path to an I/O result.
pub(crate) trait At<T> {
    fn at(self, action: &'static str, path: &Path) -> DiskResult<T>;
}

impl<T> At<T> for io::Result<T> {
    fn at(self, action: &'static str, path: &Path) -> DiskResult<T> {
        self.map_err(|source| DiskError::new(action, path, source))
    }
}

/// Creates a directory and those above it, unless they are there.
pub(crate) fn create_directory(path: &Path) -> DiskResult<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path).at("create directory", path)
}

/// Opens a file of ours for reading and writing; creates it where it is not there. Never follows a symbolic link.
pub(crate) fn open_or_create(path: &Path) -> DiskResult<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
        .at("open", path)
}

/// Opens a file of ours for reading and writing; `None` where it is not there.
pub(crate) fn open_existing(path: &Path) -> DiskResult<Option<File>> {
    let opened = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path);
    match opened {
        Ok(file) => Ok(Some(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(DiskError::new("open", path, error)),
    }
}

/// Creates a file to append to. An error where anything of that name is there.
pub(crate) fn create_appending(path: &Path) -> DiskResult<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .at("create", path)
}

/// Opens a file to append to.
pub(crate) fn open_appending(path: &Path) -> io::Result<File> {
    OpenOptions::new()
        .read(true)
        .append(true)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)
}

/// Gives a file exactly `bytes` bytes of allocated space.
///
/// `set_len` would not do: a sparse file on a full disk is SIGBUS under a mapping. Nor would `posix_fallocate`, which
/// writes the bytes where the file system cannot allocate. A file system without `fallocate` gets zeros written here,
/// knowingly. After a failure the file is unlinked, because ext4 keeps the space that it got.
pub(crate) fn allocate(file: &File, path: &Path, bytes: u64) -> DiskResult<()> {
    let allocated = allocate_or_zero(file, bytes);
    if allocated.is_err() {
        // The first error is the one to report; the space is given back as far as it can be.
        let _ = std::fs::remove_file(path);
    }
    allocated.at("allocate space for", path)
}

fn allocate_or_zero(file: &File, bytes: u64) -> io::Result<()> {
    if file.metadata()?.len() != bytes {
        file.set_len(0)?;
        disable_copy_on_write(file);
    }
    match rustix::fs::fallocate(file, FallocateFlags::empty(), 0, bytes) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::OPNOTSUPP) => write_zeros(file, bytes),
        Err(error) => Err(error.into()),
    }
}

fn write_zeros(file: &File, bytes: u64) -> io::Result<()> {
    let zeros = [0_u8; 1 << 16];
    let mut offset = file.metadata()?.len();
    while offset < bytes {
        let step = usize::try_from(bytes - offset).unwrap_or(zeros.len()).min(zeros.len());
        file.write_all_at(zeros.get(..step).unwrap_or_default(), offset)?;
        offset += step as u64;
    }
    Ok(())
}

/// On btrfs a page that is stored into again needs a new block, whatever was allocated. Only an empty file can be told
/// otherwise. File systems that do not know the flag do not need it, so its error means nothing.
fn disable_copy_on_write(file: &File) {
    if let Ok(flags) = rustix::fs::ioctl_getflags(file)
        && !flags.contains(IFlags::NOCOW)
    {
        let _ = rustix::fs::ioctl_setflags(file, flags | IFlags::NOCOW);
    }
}

/// Makes the creation, the renaming and the removal of files in `directory` survive a power loss.
pub(crate) fn sync_directory(directory: &Path) -> DiskResult<()> {
    File::open(directory).and_then(|handle| handle.sync_all()).at("sync directory", directory)
}

/// Writes a new file beside `path` and moves it there, so that the old one or the new one is there at any moment.
pub(crate) fn replace(path: &Path, content: &[u8]) -> DiskResult<File> {
    let beside = path.with_extension("new");
    let file = open_or_create(&beside)?;
    file.set_len(0).at("empty", &beside)?;
    allocate(&file, &beside, content.len() as u64)?;
    file.write_all_at(content, 0).at("write", &beside)?;
    std::fs::rename(&beside, path).at("move the new file to", path)?;
    Ok(file)
}

/// The boot id of the running kernel; zeros where the system does not tell.
pub(crate) fn boot_id() -> [u8; 16] {
    let text = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let mut id = [0; 16];
    let digits = text.bytes().filter_map(|byte| char::from(byte).to_digit(16));
    for (index, digit) in digits.take(32).enumerate() {
        if let Some(byte) = id.get_mut(index / 2) {
            *byte = *byte << 4 | digit as u8;
        }
    }
    id
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocated_file_has_its_length_and_its_blocks() {
        use std::os::unix::fs::MetadataExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("segment");
        let file = open_or_create(&path).unwrap();
        allocate(&file, &path, 1 << 16).unwrap();
        let metadata = file.metadata().unwrap();
        assert_eq!(metadata.len(), 1 << 16);
        assert!(metadata.blocks() * 512 >= 1 << 16, "the file is sparse");
    }

    #[test]
    fn an_error_names_what_was_tried_and_where() {
        let path = Path::new("/proc/no-such-directory/file");
        let error = create_appending(path).unwrap_err();
        assert_eq!((error.action, error.path.as_path()), ("create", path));
    }

    #[test]
    fn the_boot_id_is_read_on_linux() {
        assert_ne!(boot_id(), [0; 16]);
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        drop(replace(&path, b"long old content").unwrap());
        drop(replace(&path, b"new").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
    }
}
