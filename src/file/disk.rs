//! Every call that touches the file system goes through a [`Disk`], each with its path in the
//! error.
//!
//! That is also the seam for tests: a [`Watcher`] sees every call before it is made and may let it
//! fail.

use std::fmt;
use std::fs::{DirBuilder, File, Metadata, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::disk_file::DiskFile;

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

/// For the traits of `std`. The path is told by whoever called them.
impl From<DiskError> for io::Error {
    fn from(error: DiskError) -> Self {
        match Arc::try_unwrap(error.source) {
            Ok(source) => source,
            Err(source) => Self::new(source.kind(), source),
        }
    }
}

pub(crate) type DiskResult<T> = Result<T, DiskError>;

/// Sees every call to the file system before it is made.
pub(crate) trait Watcher: Send + Sync {
    /// `action` is the word that an error would have: "write", "sync". An error is returned instead
    /// of the call.
    fn before(&self, action: &'static str, path: &Path) -> io::Result<()>;

    /// The call was made and went well.
    fn after(&self, _action: &'static str, _path: &Path) {}
}

/// The file system.
#[derive(Clone, Default)]
pub(crate) struct Disk {
    watcher: Option<Arc<dyn Watcher>>,
    dry_run: bool,
}

impl fmt::Debug for Disk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Disk").finish_non_exhaustive()
    }
}

impl Disk {
    /// A disk whose calls `watcher` sees.
    #[cfg(test)]
    pub(crate) fn watched(watcher: Arc<dyn Watcher>) -> Self {
        Self { watcher: Some(watcher), dry_run: false }
    }

    /// A disk that reads what is there, and takes every change without making it. What was changed
    /// is not read back: it is for code that first reads and then writes, as recovery does.
    pub(crate) fn dry_run() -> Self {
        Self { watcher: None, dry_run: true }
    }

    pub(crate) fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    /// Makes one call, again where a signal interrupted it.
    pub(crate) fn call<T>(
        &self,
        action: &'static str,
        path: &Path,
        mut call: impl FnMut() -> io::Result<T>,
    ) -> DiskResult<T> {
        loop {
            match self.call_once(action, path, &mut call) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return done.map_err(|source| DiskError::new(action, path, source)),
            }
        }
    }

    fn call_once<T>(
        &self,
        action: &'static str,
        path: &Path,
        call: impl FnOnce() -> io::Result<T>,
    ) -> io::Result<T> {
        let Some(watcher) = &self.watcher else { return call() };
        let value = watcher.before(action, path).and_then(|()| call())?;
        watcher.after(action, path);
        Ok(value)
    }

    /// Creates a directory and those above it, unless they are there.
    pub(crate) fn create_directory(&self, path: &Path) -> DiskResult<()> {
        self.call("create directory", path, || {
            DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
        })
    }

    /// Opens a directory, to be locked. A symbolic link is followed where `follow` says so.
    pub(crate) fn open_directory(&self, path: &Path, follow: bool) -> DiskResult<DiskFile> {
        let mut flags = rustix::fs::OFlags::DIRECTORY;
        flags.set(rustix::fs::OFlags::NOFOLLOW, !follow);
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(flags.bits().cast_signed());
        let file = self.call("open directory", path, || options.open(path))?;
        Ok(DiskFile::new(file, path, self.clone()))
    }

    /// Opens a private file for reading and writing; creates it where it is not there. Never
    /// follows a symbolic link.
    pub(crate) fn open_or_create(&self, path: &Path) -> DiskResult<DiskFile> {
        let mut options = own_file();
        options.write(true).create(true).truncate(false);
        self.open_checked(path, "open", || private(options.open(path)?))
    }

    /// Creates a file that nobody else may read. An error where anything of that name is there.
    pub(crate) fn create_private(&self, path: &Path) -> DiskResult<DiskFile> {
        let mut options = own_file();
        self.open(path, "create", options.write(true).create_new(true).mode(0o600))
    }

    /// Opens a private file for reading and writing; `None` where it is not there.
    pub(crate) fn open_existing(&self, path: &Path) -> DiskResult<Option<DiskFile>> {
        if self.dry_run {
            return self.open_reading(path);
        }
        let mut options = own_file();
        options.write(true);
        found(self.open_checked(path, "open", || private(options.open(path)?)))
    }

    /// Creates a private file. One of that name is removed first and never written to: others may
    /// still have it mapped.
    pub(crate) fn create_anew(&self, path: &Path) -> DiskResult<DiskFile> {
        if let Some(metadata) = self.examine(path)? {
            check_private(&metadata).map_err(|source| DiskError::new("replace", path, source))?;
            self.remove(path)?;
        }
        self.open(path, "create", own_file().write(true).create_new(true))
    }

    /// Creates a file to append to. An error where anything of that name is there.
    pub(crate) fn create_appending(&self, path: &Path) -> DiskResult<DiskFile> {
        if self.dry_run {
            return self.pretend_to_create(path);
        }
        self.open(path, "create", own_file().append(true).create_new(true))
    }

    /// Opens a file to append to; `None` where it is not there.
    pub(crate) fn open_appending(&self, path: &Path) -> DiskResult<Option<DiskFile>> {
        if self.dry_run {
            return self.open_reading(path);
        }
        found(self.open(path, "open", own_file().append(true)))
    }

    /// A file that is empty and takes anything.
    fn pretend_to_create(&self, path: &Path) -> DiskResult<DiskFile> {
        if self.examine(path)?.is_some() {
            return Err(DiskError::new("create", path, io::ErrorKind::AlreadyExists.into()));
        }
        let file = self.call("create", path, || File::open("/dev/null"))?;
        Ok(DiskFile::new(file, path, self.clone()))
    }

    /// Opens a file to be read; `None` where it is not there. Never follows a symbolic link.
    pub(crate) fn open_reading(&self, path: &Path) -> DiskResult<Option<DiskFile>> {
        let mut options = OpenOptions::new();
        // Not to wait for the other end of a FIFO, before it is found to be none of ours.
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.read(true).custom_flags(flags.bits().cast_signed());
        found(self.open(path, "open", &options))
    }

    fn open(
        &self,
        path: &Path,
        action: &'static str,
        options: &OpenOptions,
    ) -> DiskResult<DiskFile> {
        self.open_checked(path, action, || regular(options.open(path)?))
    }

    fn open_checked(
        &self,
        path: &Path,
        action: &'static str,
        open: impl FnMut() -> io::Result<File>,
    ) -> DiskResult<DiskFile> {
        Ok(DiskFile::new(self.call(action, path, open)?, path, self.clone()))
    }

    /// What is at `path`, a symbolic link not followed; `None` where nothing is.
    pub(crate) fn examine(&self, path: &Path) -> DiskResult<Option<Metadata>> {
        found(self.call("examine", path, || std::fs::symlink_metadata(path)))
    }

    /// What is at `path`, symbolic links followed.
    pub(crate) fn examine_target(&self, path: &Path) -> DiskResult<Metadata> {
        self.call("examine", path, || std::fs::metadata(path))
    }

    /// The names in a directory, those that are UTF-8.
    pub(crate) fn names(&self, directory: &Path) -> DiskResult<Vec<String>> {
        self.call("list", directory, || {
            // From the beginning after an interruption: what came before it is not kept.
            let names = std::fs::read_dir(directory)?
                .map(|entry| entry.map(|entry| entry.file_name().into_string().ok()));
            names.filter_map(Result::transpose).collect()
        })
    }

    /// Removes a file, if it is there.
    pub(crate) fn remove(&self, path: &Path) -> DiskResult<()> {
        found(self.call("remove", path, || std::fs::remove_file(path))).map(drop)
    }

    /// Gives the file at `from` the name `to`.
    #[cfg(feature = "compress")]
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        self.call("move a file to", to, || std::fs::rename(from, to))
    }

    /// Makes the creation, the renaming and the removal of files in `directory` survive a power
    /// loss.
    pub(crate) fn sync_directory(&self, directory: &Path) -> DiskResult<()> {
        if self.dry_run {
            return Ok(());
        }
        self.call("sync directory", directory, || File::open(directory)?.sync_all())
    }

    /// Writes a new file beside `path`, syncs it and moves it there, so that the old one or the
    /// new one is there at any moment, also after a power loss.
    pub(crate) fn replace(&self, path: &Path, content: &[u8]) -> DiskResult<DiskFile> {
        let beside = path.with_extension("new");
        let file = self.create_anew(&beside)?;
        file.allocate(content.len() as u64)?;
        file.write_all_at(content, 0)?;
        file.sync_all()?;
        self.call("move the new file to", path, || std::fs::rename(&beside, path))?;
        if let Some(directory) = path.parent() {
            self.sync_directory(directory)?;
        }
        Ok(file.renamed(path))
    }
}

/// A FIFO or a device takes bytes and keeps none: lines would be gone, and told as written.
fn regular(file: File) -> io::Result<File> {
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular()) }
}

fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file")
}

/// As [`check_private`].
fn private(file: File) -> io::Result<File> {
    check_private(&file.metadata()?)?;
    Ok(file)
}

/// A file that only we write to. Another owner could change it under us, and what is written to a
/// file of two names changes under the other one too.
fn check_private(metadata: &Metadata) -> io::Result<()> {
    if !metadata.is_file() {
        return Err(not_regular());
    }
    check_owner(metadata)?;
    match metadata.nlink() {
        0 | 1 => Ok(()),
        names => {
            let fault = format!(
                "it has {names} names (hard links), and what is written to it changes under all of them; put a copy in its place"
            );
            Err(io::Error::new(io::ErrorKind::InvalidInput, fault))
        }
    }
}

/// Whether a file or directory belongs to the user that this process runs as.
pub(crate) fn check_owner(metadata: &Metadata) -> io::Result<()> {
    let (owner, user) = (metadata.uid(), rustix::process::geteuid().as_raw());
    if owner == user {
        return Ok(());
    }
    let fault = format!(
        "it belongs to user {owner}, and this process runs as user {user}; run as its owner, or remove it"
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, fault))
}

fn own_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .read(true)
        .mode(FILE_MODE)
        .custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed());
    options
}

/// Makes "it is not there" a value.
fn found<T>(result: DiskResult<T>) -> DiskResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.source.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
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
    fn an_error_names_what_was_tried_and_where() {
        let path = Path::new("/proc/no-such-directory/file");
        let error = Disk::default().create_appending(path).unwrap_err();
        assert_eq!((error.action, error.path.as_path()), ("create", path));
    }

    #[test]
    fn the_boot_id_is_read_on_linux() {
        assert_ne!(boot_id(), [0; 16]);
    }

    #[test]
    fn a_file_is_replaced_whole() {
        let disk = Disk::default();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control");
        drop(disk.replace(&path, b"long old content").unwrap());
        drop(disk.replace(&path, b"new").unwrap());
        assert_eq!(std::fs::read(&path).unwrap(), b"new");
        assert_eq!(disk.names(directory.path()).unwrap(), ["control"]);
    }

    #[test]
    fn what_is_not_there_is_no_error() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("nothing");
        let disk = Disk::default();
        assert!(disk.open_existing(&path).unwrap().is_none());
        assert!(disk.examine(&path).unwrap().is_none());
        disk.remove(&path).unwrap();
    }

    #[test]
    fn a_link_in_the_place_of_a_file_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", &link).unwrap();
        let disk = Disk::default();
        assert!(disk.open_or_create(&link).is_err());
        assert!(disk.open_appending(&link).is_err());
    }
}
