//! A storage whose errors say what failed and where, and which trusts no file that it did not
//! create.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::contract::{OpenMode, Storage};
use super::disk_file::DiskFile;
use super::dry_run::DryRun;
use super::error::{DiskError, DiskResult, call};
use super::file_system::FileSystem;
use super::metadata::Metadata;
use crate::system::user_id;

/// The storage of an appender.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    storage: Arc<dyn Storage>,
}

impl Default for Disk {
    fn default() -> Self {
        Self::new(FileSystem)
    }
}

impl Disk {
    pub(crate) fn new(storage: impl Storage) -> Self {
        Self { storage: Arc::new(storage) }
    }

    /// The same disk with `hook` called at each call.
    #[cfg(test)]
    pub(crate) fn with_hook(hook: Arc<dyn super::hook::FaultHook>) -> Self {
        Self::new(super::hook::Hooked::over(Arc::new(FileSystem), hook))
    }

    /// A disk that reads what is on this one, and accepts every change without making it.
    pub(crate) fn dry_run(&self) -> Self {
        Self::new(DryRun::over(self.storage.clone()))
    }

    fn call<T>(
        &self,
        action: &'static str,
        path: &Path,
        make: impl Fn(&dyn Storage) -> io::Result<T>,
    ) -> DiskResult<T> {
        call(action, path, || make(self.storage.as_ref()))
    }

    /// Creates a directory and its missing parents.
    pub(crate) fn create_directory(&self, path: &Path) -> DiskResult<()> {
        self.call("create directory", path, |storage| storage.create_directory(path))
    }

    /// Opens a directory for locking. A symbolic link is followed only if `follow_link`.
    pub(crate) fn open_directory(&self, path: &Path, follow_link: bool) -> DiskResult<DiskFile> {
        let open = |storage: &dyn Storage| storage.open_directory(path, follow_link);
        let file = self.call("open directory", path, open)?;
        Ok(DiskFile::new(file, path, self.storage.clone()))
    }

    /// Opens a private file for reading and writing; creates it if it does not exist. Never follows
    /// a symbolic link.
    pub(crate) fn open_or_create(&self, path: &Path) -> DiskResult<DiskFile> {
        self.open(path, OpenMode::ReadWriteOrCreate, check_private)
    }

    /// Opens a private file for reading and writing; `None` if it does not exist.
    pub(crate) fn open_existing(&self, path: &Path) -> DiskResult<Option<DiskFile>> {
        found(self.open(path, OpenMode::ReadWrite, check_private))
    }

    /// Creates a private file. An existing file of that name is removed first and never written to:
    /// another process may still have it mapped.
    pub(crate) fn create_anew(&self, path: &Path) -> DiskResult<DiskFile> {
        if let Some(metadata) = self.examine(path)? {
            check_private(&metadata).map_err(|source| DiskError::new("replace", path, source))?;
            self.remove(path)?;
        }
        self.open(path, OpenMode::CreateNew, check_regular)
    }

    /// Creates a file that nobody else may read. It is an error if anything of that name exists.
    pub(crate) fn create_private(&self, path: &Path) -> DiskResult<DiskFile> {
        self.open(path, OpenMode::CreateNewPrivate, check_regular)
    }

    /// Creates a file for appending. It is an error if anything of that name exists.
    pub(crate) fn create_appending(&self, path: &Path) -> DiskResult<DiskFile> {
        self.open(path, OpenMode::CreateNewAppend, check_regular)
    }

    /// Opens a file for appending; `None` if it does not exist.
    pub(crate) fn open_appending(&self, path: &Path) -> DiskResult<Option<DiskFile>> {
        found(self.open(path, OpenMode::Append, check_regular))
    }

    /// Opens a file for appending; creates it if it does not exist.
    pub(crate) fn open_or_create_appending(&self, path: &Path) -> DiskResult<DiskFile> {
        match self.open_appending(path)? {
            Some(file) => Ok(file),
            None => self.create_appending(path),
        }
    }

    /// Opens a file for reading; `None` if it does not exist. Never follows a symbolic link.
    pub(crate) fn open_reading(&self, path: &Path) -> DiskResult<Option<DiskFile>> {
        found(self.open(path, OpenMode::Read, check_regular))
    }

    fn open(
        &self,
        path: &Path,
        mode: OpenMode,
        check: fn(&Metadata) -> io::Result<()>,
    ) -> DiskResult<DiskFile> {
        let is_new = mode.creates() && mode != OpenMode::ReadWriteOrCreate;
        let action = if is_new { "create" } else { "open" };
        let file = self.call(action, path, |storage| storage.open(path, mode))?;
        let file = DiskFile::new(file, path, self.storage.clone());
        check(&file.metadata()?).map_err(|source| DiskError::new(action, path, source))?;
        Ok(file)
    }

    /// The metadata of what is at `path`, without following a symbolic link; `None` if nothing is.
    pub(crate) fn examine(&self, path: &Path) -> DiskResult<Option<Metadata>> {
        found(self.call("examine", path, |storage| storage.symlink_metadata(path)))
    }

    /// The metadata of what is at `path`, following symbolic links.
    pub(crate) fn examine_target(&self, path: &Path) -> DiskResult<Metadata> {
        self.call("examine", path, |storage| storage.metadata(path))
    }

    /// The path that `path` resolves to.
    pub(crate) fn resolve(&self, path: &Path) -> DiskResult<PathBuf> {
        self.call("resolve", path, |storage| storage.canonicalize(path))
    }

    /// The names in a directory, those that are UTF-8.
    pub(crate) fn names(&self, directory: &Path) -> DiskResult<Vec<String>> {
        let names = self.call("list", directory, |storage| storage.list(directory))?;
        Ok(names.into_iter().filter_map(|name| name.into_string().ok()).collect())
    }

    /// Removes a file, if it exists.
    pub(crate) fn remove(&self, path: &Path) -> DiskResult<()> {
        found(self.call("remove", path, |storage| storage.remove_file(path))).map(drop)
    }

    /// Renames the file at `from` to `to`.
    #[cfg(any(feature = "compress", test))]
    pub(crate) fn rename(&self, from: &Path, to: &Path) -> DiskResult<()> {
        self.call("move a file to", to, |storage| storage.rename(from, to))
    }

    /// Makes creations, renames and removals of files in `directory` survive a power loss.
    pub(crate) fn sync_directory(&self, directory: &Path) -> DiskResult<()> {
        self.call("sync directory", directory, |storage| storage.sync_directory(directory))
    }

    /// How many bytes are free in `directory`, which is to be in the memory of the machine.
    pub(crate) fn free_memory_bytes(&self, directory: &Path) -> DiskResult<u64> {
        let action = "use for inboxes";
        let free = self.call(action, directory, |storage| storage.free_memory_bytes(directory))?;
        free.ok_or_else(|| {
            let fault = "it is not a tmpfs: a store to it could wait for a disk";
            DiskError::new(action, directory, io::Error::new(io::ErrorKind::InvalidInput, fault))
        })
    }

    /// Writes a new file next to `path`, syncs it and moves it there, so that either the old file
    /// or the new one is there at any moment, even after a power loss.
    pub(crate) fn replace(&self, path: &Path, content: &[u8]) -> DiskResult<DiskFile> {
        let beside = path.with_extension("new");
        let file = self.create_anew(&beside)?;
        file.allocate(content.len() as u64)?;
        file.write_all_at(content, 0)?;
        file.sync_all()?;
        self.call("move the new file to", path, |storage| storage.rename(&beside, path))?;
        if let Some(directory) = path.parent() {
            self.sync_directory(directory)?;
        }
        Ok(file.renamed(path))
    }
}

/// A FIFO or a device accepts bytes and keeps none: lines would be gone, and counted as written.
fn check_regular(metadata: &Metadata) -> io::Result<()> {
    if metadata.is_file() {
        return Ok(());
    }
    Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"))
}

/// A file that only we write to. Another owner could change it at any time, and a file with two
/// names can be changed through the other one.
fn check_private(metadata: &Metadata) -> io::Result<()> {
    check_regular(metadata)?;
    check_owner(metadata)?;
    match metadata.names {
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
    let (owner, user) = (metadata.owner, user_id());
    if owner == user {
        return Ok(());
    }
    let fault = format!(
        "it belongs to user {owner}, and this process runs as user {user}; run as its owner, or make this user the owner (chown)"
    );
    Err(io::Error::new(io::ErrorKind::PermissionDenied, fault))
}

/// Turns "it does not exist" into a value.
fn found<T>(result: DiskResult<T>) -> DiskResult<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
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

    #[cfg(unix)]
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
