//! A storage that accepts every change and makes none.

use std::ffi::OsString;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::contract::{LockKind, OpenMode, Storage, StorageFile};
use super::file_map::FileMap;
use super::metadata::{FileType, Metadata};

/// Reads what the underlying storage has, and accepts every change without making it. Changes are
/// not read back: this is for code that reads first and then writes, as recovery does.
#[derive(Debug)]
pub(super) struct DryRun {
    below: Arc<dyn Storage>,
}

impl DryRun {
    pub(super) fn over(below: Arc<dyn Storage>) -> Self {
        Self { below }
    }

    fn open_below(&self, path: &Path) -> io::Result<Box<dyn StorageFile>> {
        Ok(Box::new(DryRunFile { below: Some(self.below.open(path, OpenMode::Read)?) }))
    }
}

impl Storage for DryRun {
    fn create_directory(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn open_directory(&self, path: &Path, follow_link: bool) -> io::Result<Box<dyn StorageFile>> {
        let directory = self.below.open_directory(path, follow_link)?;
        Ok(Box::new(DryRunFile { below: Some(directory) }))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn StorageFile>> {
        let created = || Box::new(DryRunFile { below: None }) as Box<dyn StorageFile>;
        match mode {
            OpenMode::Read | OpenMode::ReadWrite | OpenMode::Append => self.open_below(path),
            OpenMode::ReadWriteOrCreate => match self.open_below(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(created()),
                other => other,
            },
            OpenMode::CreateNew | OpenMode::CreateNewPrivate | OpenMode::CreateNewAppend => {
                match self.below.symlink_metadata(path) {
                    Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(created()),
                    Err(error) => Err(error),
                }
            }
        }
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.below.metadata(path)
    }

    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata> {
        self.below.symlink_metadata(path)
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        self.below.canonicalize(path)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.below.list(directory)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        self.below.symlink_metadata(path).map(drop)
    }

    fn rename(&self, _from: &Path, _to: &Path) -> io::Result<()> {
        Ok(())
    }

    fn sync_directory(&self, _directory: &Path) -> io::Result<()> {
        Ok(())
    }

    fn free_memory_bytes(&self, directory: &Path) -> io::Result<Option<u64>> {
        self.below.free_memory_bytes(directory)
    }
}

/// A file that is read and not changed.
#[derive(Debug)]
struct DryRunFile {
    /// `None` if it would have been created.
    below: Option<Box<dyn StorageFile>>,
}

impl StorageFile for DryRunFile {
    fn metadata(&self) -> io::Result<Metadata> {
        match &self.below {
            Some(below) => below.metadata(),
            None => Ok(Metadata::new(FileType::File)),
        }
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        match &self.below {
            Some(below) => below.read_at(bytes, offset),
            None => Ok(0),
        }
    }

    fn write_at(&self, bytes: &[u8], _offset: u64) -> io::Result<usize> {
        Ok(bytes.len())
    }

    fn set_len(&self, _bytes: u64) -> io::Result<()> {
        Ok(())
    }

    fn allocate(&self, _range: Range<u64>) -> io::Result<()> {
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn sync_all(&self) -> io::Result<()> {
        Ok(())
    }

    /// A lock changes nothing that outlives it, and keeps writers away.
    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        match &self.below {
            Some(below) => below.try_lock(kind),
            None => Ok(true),
        }
    }

    fn unlock(&self) -> io::Result<()> {
        match &self.below {
            Some(below) => below.unlock(),
            None => Ok(()),
        }
    }

    /// Anonymous memory: what is stored is lost.
    fn map(&self, bytes: usize) -> io::Result<FileMap> {
        if self.metadata()?.bytes < bytes as u64 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        FileMap::anonymous(bytes)
    }

    fn set_mode(&self, _mode: u32) -> io::Result<()> {
        Ok(())
    }

    fn set_modified(&self, _time: SystemTime) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{Disk, FileSystem};
    use std::collections::BTreeMap;
    use std::fs;

    fn content(directory: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
        let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| (path.clone(), fs::read(path).unwrap())).collect()
    }

    /// Without this, a call that forgets the dry run would write to the directory that was only to
    /// be examined.
    #[test]
    fn no_call_changes_anything() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("a"), "a line\n").unwrap();
        fs::write(at("b"), "another line\n").unwrap();
        let before = content(directory.path());
        let disk = Disk::default().dry_run();
        disk.create_directory(&at("directory")).unwrap();
        disk.replace(&at("e"), b"new").unwrap();
        disk.create_anew(&at("f")).unwrap();
        disk.create_appending(&at("c")).unwrap().append_all(b"line\n").unwrap();
        disk.open_or_create(&at("d")).unwrap().allocate(4096).unwrap();
        disk.remove(&at("b")).unwrap();
        disk.rename(&at("a"), &at("b")).unwrap();
        disk.sync_directory(directory.path()).unwrap();
        let appended = disk.open_appending(&at("a")).unwrap().unwrap();
        assert_eq!(appended.append(b"line\n").unwrap(), 5);
        let file = disk.open_existing(&at("b")).unwrap().unwrap();
        file.write_all_at(b"x", 0).unwrap();
        file.set_len(0).unwrap();
        file.allocate(1 << 20).unwrap();
        file.sync_data().unwrap();
        file.sync_all().unwrap();
        file.set_mode(0o777).unwrap();
        file.set_modified(SystemTime::UNIX_EPOCH).unwrap();
        assert!(file.try_lock(LockKind::Exclusive).unwrap());
        drop(file.map(7).unwrap());
        assert_eq!(content(directory.path()), before);
        assert_eq!(fs::metadata(at("b")).unwrap().modified().unwrap(), {
            let below = FileSystem.metadata(&at("b")).unwrap();
            assert_ne!(below.mode & 0o777, 0o777);
            below.modified.unwrap()
        });
    }

    #[test]
    fn what_would_fail_on_the_disk_fails_here_too() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("a"), "short").unwrap();
        let disk = Disk::default().dry_run();
        let error = disk.create_appending(&at("a")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        assert!(disk.open_existing(&at("b")).unwrap().is_none());
        let error = disk.open_existing(&at("a")).unwrap().unwrap().map(4096).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
