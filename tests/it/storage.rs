//! A program can bring its own storage, and everything that an appender does goes through it.
//!
//! Without this, a call that goes around the storage would be found by nobody: the file system of the
//! machine is nearly always there.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, SystemTime};

use cdrlog::storage::{FileMap, FileSystem, LockKind, Metadata, OpenMode, Storage, StorageFile};
use cdrlog::{Appender, CloseError, FlushError, Notice, OpenError, Recovery, SyncPolicy};

/// What fails now.
#[derive(Debug, Default)]
struct Faults {
    /// Nothing can be appended.
    is_full: AtomicBool,
    /// Every sync of a file fails.
    syncs_fail: AtomicBool,
    /// No byte is free in memory.
    memory_is_full: AtomicBool,
    /// This many bytes are appended at most by one call; 0 is as many as there are.
    append_bytes_max: AtomicU64,
}

/// Keeps the files of `at` in `instead`, and fails as it is told.
#[derive(Clone, Debug)]
struct Elsewhere {
    at: PathBuf,
    instead: PathBuf,
    faults: Arc<Faults>,
}

impl Elsewhere {
    fn new(at: &Path, instead: &Path) -> Self {
        Self { at: at.to_owned(), instead: instead.to_owned(), faults: Arc::default() }
    }

    fn place(&self, path: &Path) -> PathBuf {
        match path.strip_prefix(&self.at) {
            Ok(inside) if inside.as_os_str().is_empty() => self.instead.clone(),
            Ok(inside) => self.instead.join(inside),
            Err(_) => path.to_owned(),
        }
    }

    fn wrap(&self, file: Box<dyn StorageFile>) -> Box<dyn StorageFile> {
        Box::new(FaultyFile { file, faults: self.faults.clone() })
    }
}

impl Storage for Elsewhere {
    fn create_directory(&self, path: &Path) -> io::Result<()> {
        FileSystem.create_directory(&self.place(path))
    }

    fn open_directory(&self, path: &Path, follow_link: bool) -> io::Result<Box<dyn StorageFile>> {
        Ok(self.wrap(FileSystem.open_directory(&self.place(path), follow_link)?))
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Box<dyn StorageFile>> {
        Ok(self.wrap(FileSystem.open(&self.place(path), mode)?))
    }

    fn metadata(&self, path: &Path) -> io::Result<Metadata> {
        FileSystem.metadata(&self.place(path))
    }

    fn symlink_metadata(&self, path: &Path) -> io::Result<Metadata> {
        FileSystem.symlink_metadata(&self.place(path))
    }

    fn canonicalize(&self, path: &Path) -> io::Result<PathBuf> {
        FileSystem.canonicalize(&self.place(path))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        FileSystem.list(&self.place(directory))
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        FileSystem.remove_file(&self.place(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        FileSystem.rename(&self.place(from), &self.place(to))
    }

    fn sync_directory(&self, directory: &Path) -> io::Result<()> {
        FileSystem.sync_directory(&self.place(directory))
    }

    fn free_memory_bytes(&self, directory: &Path) -> io::Result<Option<u64>> {
        match self.faults.memory_is_full.load(Ordering::SeqCst) {
            true => Ok(Some(0)),
            false => FileSystem.free_memory_bytes(&self.place(directory)),
        }
    }
}

#[derive(Debug)]
struct FaultyFile {
    file: Box<dyn StorageFile>,
    faults: Arc<Faults>,
}

impl FaultyFile {
    fn check_sync(&self) -> io::Result<()> {
        if self.faults.syncs_fail.load(Ordering::SeqCst) {
            return Err(io::Error::other("the disk is dying"));
        }
        Ok(())
    }
}

impl StorageFile for FaultyFile {
    fn metadata(&self) -> io::Result<Metadata> {
        self.file.metadata()
    }

    fn append(&self, bytes: &[u8]) -> io::Result<usize> {
        if self.faults.is_full.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        match self.faults.append_bytes_max.load(Ordering::SeqCst) {
            0 => self.file.append(bytes),
            max => self.file.append(&bytes[..bytes.len().min(max as usize)]),
        }
    }

    fn read_at(&self, bytes: &mut [u8], offset: u64) -> io::Result<usize> {
        // As little as a storage may give.
        let some = bytes.len().min(1000);
        self.file.read_at(&mut bytes[..some], offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        let some = bytes.len().min(1000);
        self.file.write_at(&bytes[..some], offset)
    }

    fn set_len(&self, bytes: u64) -> io::Result<()> {
        self.file.set_len(bytes)
    }

    fn allocate(&self, range: Range<u64>) -> io::Result<()> {
        self.file.allocate(range)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.check_sync()?;
        self.file.sync_data()
    }

    fn sync_all(&self) -> io::Result<()> {
        self.check_sync()?;
        self.file.sync_all()
    }

    fn try_lock(&self, kind: LockKind) -> io::Result<bool> {
        self.file.try_lock(kind)
    }

    fn unlock(&self) -> io::Result<()> {
        self.file.unlock()
    }

    fn map(&self, bytes: usize) -> io::Result<FileMap> {
        self.file.map(bytes)
    }

    fn set_mode(&self, mode: u32) -> io::Result<()> {
        self.file.set_mode(mode)
    }

    fn set_modified(&self, time: SystemTime) -> io::Result<()> {
        self.file.set_modified(time)
    }
}

/// A directory that is never made, and a storage that keeps its files in another one.
struct Place {
    _parent: tempfile::TempDir,
    directory: PathBuf,
    storage: Elsewhere,
}

impl Place {
    fn new() -> Self {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("nowhere").join("cdr");
        let storage = Elsewhere::new(&directory, &parent.path().join("elsewhere"));
        // The lock of a name looks up the directory above.
        fs::create_dir(parent.path().join("nowhere")).unwrap();
        Self { _parent: parent, directory, storage }
    }

    fn builder(&self) -> cdrlog::Builder {
        Appender::builder(&self.directory).storage(self.storage.clone())
    }

    /// All CDR lines that the storage keeps.
    fn lines(&self) -> String {
        let entries =
            fs::read_dir(&self.storage.instead).unwrap().map(|entry| entry.unwrap().path());
        let is_cdr = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "log");
        let mut paths: Vec<_> = entries.filter(is_cdr).collect();
        paths.sort();
        paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect()
    }
}

fn body(number: u32) -> String {
    format!(r#"{{"event":"e","n":{number}}}"#)
}

fn expected(numbers: Range<u32>) -> String {
    numbers.map(|number| format!("{{\"e\":{{\"n\":{number}}}}}\n")).collect()
}

#[test]
fn everything_goes_through_the_storage_and_nothing_around_it() {
    let place = Place::new();
    for round in 0..2 {
        let appender = place.builder().open().unwrap();
        let producer = appender.producer();
        for number in round * 4..round * 4 + 4 {
            producer.send_slice(body(number).as_bytes()).unwrap();
            appender.rotate().unwrap();
        }
        producer.send_slice(b"no event").unwrap();
        appender.sync().unwrap();
        appender.wait_for_maintenance().unwrap();
        assert!(appender.cdr_path().starts_with(&place.directory), "the storage shows in a path");
        appender.close().unwrap();
        assert_eq!(place.builder().plan_recovery().unwrap(), Recovery::default());
        assert_eq!(place.builder().recover().unwrap(), Recovery::default());
    }
    assert_eq!(place.lines(), expected(0..8));
    assert!(place.storage.instead.join(".cdrlog/control").is_file());
    assert!(!place.directory.exists(), "something went around the storage");
}

#[test]
fn a_storage_without_memory_for_the_inbox_is_told_and_lines_are_written() {
    let place = Place::new();
    place.storage.faults.memory_is_full.store(true, Ordering::SeqCst);
    let (sender, notices) = mpsc::channel();
    let builder = place.builder().on_notice(move |notice| sender.send(notice.clone()).unwrap());
    let appender = builder.open().unwrap();
    let notice = notices.try_recv().expect("the missing inbox is not told");
    let Notice::NoInbox { source, .. } = &notice else { panic!("{notice:?}") };
    assert_eq!(source.kind(), io::ErrorKind::StorageFull);
    assert_eq!(appender.inbox_path(), None);
    appender.producer().send_slice(body(0).as_bytes()).unwrap();
    assert_eq!(appender.close().unwrap().events_unprotected, 1);
    assert_eq!(place.lines(), expected(0..1));
}

#[test]
fn one_directory_has_one_writer_in_a_storage_too() {
    let place = Place::new();
    let _appender = place.builder().open().unwrap();
    assert!(matches!(place.builder().open(), Err(OpenError::Locked { .. })));
    assert!(matches!(place.builder().plan_recovery(), Err(OpenError::Locked { .. })));
}

#[test]
fn a_full_storage_delays_lines_and_loses_none_however_few_bytes_it_takes_at_once() {
    let place = Place::new();
    let appender = place.builder().open().unwrap();
    let producer = appender.producer();
    place.storage.faults.is_full.store(true, Ordering::SeqCst);
    place.storage.faults.append_bytes_max.store(7, Ordering::SeqCst);
    for number in 0..100 {
        producer.send_slice(body(number).as_bytes()).unwrap();
    }
    let error = appender.flush().unwrap_err();
    let FlushError::Write { path, source } = &error else { panic!("{error:?}") };
    assert_eq!((path, source.kind()), (&appender.cdr_path(), io::ErrorKind::StorageFull));
    place.storage.faults.is_full.store(false, Ordering::SeqCst);
    appender.close().unwrap();
    assert_eq!(place.lines(), expected(0..100));
}

#[test]
fn a_failed_sync_of_the_storage_is_told_for_good() {
    let place = Place::new();
    let appender = place.builder().sync_policy(SyncPolicy::Never).open().unwrap();
    appender.producer().send_slice(body(0).as_bytes()).unwrap();
    place.storage.faults.syncs_fail.store(true, Ordering::SeqCst);
    let error = appender.sync().unwrap_err();
    assert!(matches!(&error, FlushError::Sync { .. }), "{error:?}");
    place.storage.faults.syncs_fail.store(false, Ordering::SeqCst);
    assert!(matches!(appender.sync(), Err(FlushError::Sync { .. })));
    let closed: CloseError = appender.close().unwrap_err();
    assert!(closed.to_string().contains("the disk is dying"), "{closed}");
    assert_eq!(place.lines(), expected(0..1));
}

#[test]
fn what_a_full_storage_left_in_the_journal_is_planned_and_recovered_through_it() {
    let place = Place::new();
    let appender = place.builder().close_timeout(Duration::ZERO).open().unwrap();
    appender.flush().unwrap();
    place.storage.faults.is_full.store(true, Ordering::SeqCst);
    appender.producer().send_slice(body(0).as_bytes()).unwrap();
    assert!(appender.close().is_err(), "a close without its lines went well");
    assert_eq!(place.lines(), "");
    let plan = place.builder().plan_recovery().unwrap();
    assert_eq!(plan.lines_bytes, expected(0..1).len() as u64);
    assert!(matches!(place.builder().recover(), Err(OpenError::Io { action: "write", .. })));
    place.storage.faults.is_full.store(false, Ordering::SeqCst);
    assert_eq!(place.builder().recover().unwrap(), plan);
    assert_eq!(place.lines(), expected(0..1));
}

#[cfg(all(feature = "compress", feature = "manifest"))]
#[test]
fn sealed_files_are_listed_compressed_and_removed_through_the_storage() {
    let place = Place::new();
    let builder = place.builder().compression(cdrlog::Compression::Zstd).retention_bytes(Some(1));
    let appender = builder.open().unwrap();
    appender.producer().send_slice(body(0).as_bytes()).unwrap();
    appender.rotate().unwrap();
    appender.wait_for_maintenance().unwrap();
    let stats = appender.close().unwrap();
    assert_eq!((stats.files_listed, stats.files_compressed, stats.files_removed), (1, 1, 1));
    let manifest = cdrlog::manifest::Manifest::read(&place.storage.instead).unwrap();
    assert_eq!(manifest.entries(), 2, "the file and its removal are not in the manifest");
    assert!(!place.directory.exists(), "something went around the storage");
}
