//! A storage that shows a test every call, and lets it fail some of them.

use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, Weak};
use std::time::SystemTime;

use super::contract::{LockKind, OpenMode, Storage, StorageFile};
use super::file_map::FileMap;
use super::metadata::Metadata;
use crate::sync::lock;

/// Sees every call to the storage before it is made.
pub(crate) trait FaultHook: Send + Sync {
    /// `action` is the word that an error would have: "write", "sync". If this returns an error,
    /// the call is not made.
    fn before(&self, action: &'static str, path: &Path) -> io::Result<()>;

    /// The call was made and succeeded.
    fn after(&self, _action: &'static str, _path: &Path) {}
}

/// The underlying storage, with a hook at each call.
#[derive(Clone)]
pub(super) struct Hooked {
    below: Arc<dyn Storage>,
    hook: Arc<dyn FaultHook>,
    /// The paths of the open files, updated when the files are renamed.
    open: Arc<Mutex<Vec<Weak<Mutex<PathBuf>>>>>,
}

impl std::fmt::Debug for Hooked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooked").finish_non_exhaustive()
    }
}

impl Hooked {
    pub(super) fn over(below: Arc<dyn Storage>, hook: Arc<dyn FaultHook>) -> Self {
        Self { below, hook, open: Arc::default() }
    }

    fn call<T>(
        &self,
        action: &'static str,
        path: &Path,
        call: impl FnOnce(&dyn Storage) -> io::Result<T>,
    ) -> io::Result<T> {
        self.hook.before(action, path)?;
        let value = call(self.below.as_ref())?;
        self.hook.after(action, path);
        Ok(value)
    }

    fn wrap(&self, file: Box<dyn StorageFile>, path: &Path) -> Box<dyn StorageFile> {
        let path = Arc::new(Mutex::new(path.to_owned()));
        let mut open = lock(&self.open);
        open.retain(|path| path.strong_count() > 0);
        open.push(Arc::downgrade(&path));
        Box::new(HookedFile { below: file, path, hook: self.hook.clone() })
    }
}

impl Storage for Hooked {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        self.call("create directory", path, |below| below.create_directory(path))
    }

    fn open_directory(&self, path: &Path, follow_link: bool) -> io::Result<Box<dyn StorageFile>> {
        let opened =
            self.call("open directory", path, |below| below.open_directory(path, follow_link));
        Ok(self.wrap(opened?, path))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn StorageFile>> {
        let is_new = matches!(mode, OpenMode::CreateNew | OpenMode::CreateNewAppend);
        let action = if is_new { "create" } else { "open" };
        let opened = self.call(action, path, |below| below.open(path, mode));
        Ok(self.wrap(opened?, path))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.call("examine", path, |below| below.metadata(path))
    }

    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.call("examine", path, |below| below.symlink_metadata(path))
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        self.call("resolve", path, |below| below.canonicalize(path))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.call("list", directory, |below| below.list(directory))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.call("remove", path, |below| below.remove_file(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.call("move a file to", to, |below| {
            below.rename(from, to)?;
            for path in lock(&self.open).iter().filter_map(Weak::upgrade) {
                let mut path = lock(&path);
                if *path == from {
                    to.clone_into(&mut path);
                }
            }
            Ok(())
        })
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        self.call("sync directory", directory, |below| below.sync_directory(directory))
    }

    fn free_memory_bytes(&self, directory: &Path) -> io::Result<Option<u64>> {
        self.call("use for inboxes", directory, |below| below.free_memory_bytes(directory))
    }
}

struct HookedFile {
    below: Box<dyn StorageFile>,
    path: Arc<Mutex<PathBuf>>,
    hook: Arc<dyn FaultHook>,
}

impl std::fmt::Debug for HookedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "HookedFile({})", lock(&self.path).display())
    }
}

impl HookedFile {
    fn call<T>(
        &self,
        action: &'static str,
        call: impl FnOnce(&dyn StorageFile) -> io::Result<T>,
    ) -> io::Result<T> {
        let path = lock(&self.path).clone();
        self.hook.before(action, &path)?;
        let value = call(self.below.as_ref())?;
        self.hook.after(action, &path);
        Ok(value)
    }
}

impl StorageFile for HookedFile {
    fn metadata(&self) -> io::Result<Metadata> {
        self.call("examine", |below| below.metadata())
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        self.call("write", |below| below.append(bytes))
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        self.call("read", |below| below.read_at(bytes, offset))
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        self.call("write", |below| below.write_at(bytes, offset))
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.call("shorten", |below| below.set_len(bytes))
    }

    fn allocate(&self, range: Range<u64>) -> io::Result<()> {
        self.call("allocate space for", |below| below.allocate(range))
    }

    fn sync_data(&self) -> io::Result<()> {
        self.call("sync", |below| below.sync_data())
    }

    fn sync_all(&self) -> io::Result<()> {
        self.call("sync", |below| below.sync_all())
    }

    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        self.call("lock", |below| below.try_lock(kind))
    }

    fn unlock(&self) -> io::Result<()> {
        self.call("unlock", |below| below.unlock())
    }

    fn map(&self, bytes: usize) -> io::Result<FileMap> {
        self.call("map", |below| below.map(bytes))
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.call("set the mode of", |below| below.set_mode(mode))
    }

    fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.call("set the time of", |below| below.set_modified(time))
    }
}
