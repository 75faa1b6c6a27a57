//! Whether files have changed since they were read: renewed certificates, replaced secrets.
//!
//! A timer checks it. The file system's notices (inotify) say nothing about a link further up that
//! now leads elsewhere, which is how Kubernetes and certbot replace files.

use std::fmt;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// How often files are checked. They are read once two checks found the same state, so that a file
/// that is being written is not read halfway, nor a certificate without its key.
pub(super) const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// Tells whether a file was replaced or written to. A missing file has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let file = fs::metadata(path).ok()?;
        Some(Self {
            device: file.dev(),
            inode: file.ino(),
            bytes: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
            changed: (file.ctime(), file.ctime_nsec()),
        })
    }
}

/// Files that are read together, and again once they have changed. Nothing is locked while they are
/// read, which may take long.
#[derive(Debug)]
pub(super) struct FileWatch(Mutex<Files>);

impl FileWatch {
    /// Create it before the files are read: what changes meanwhile is then read once more.
    pub(super) fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        Self(Mutex::new(Files::new(paths)))
    }

    /// Reads the files, whether they have changed or not.
    pub(super) fn reload<E: fmt::Display>(
        &self,
        read: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        self.files().note_reading();
        let result = read();
        self.files().note_result(&result);
        result
    }

    /// Reads them if they have changed since, or could not be read. The result, if it is not the
    /// failure of the last time.
    pub(super) fn reload_changed<E: fmt::Display>(
        &self,
        read: impl FnOnce() -> Result<(), E>,
    ) -> Option<Result<(), E>> {
        if !self.files().should_be_read() {
            return None;
        }
        let result = read();
        self.files().note_result(&result).then_some(result)
    }

    fn files(&self) -> MutexGuard<'_, Files> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What is known of the files.
#[derive(Debug)]
struct Files {
    paths: Vec<PathBuf>,
    /// Their state before they were last read, even if that failed.
    read: Vec<Option<Stamp>>,
    /// Their state at the last check.
    looked: Vec<Option<Stamp>>,
    /// Why they could not be read the last time.
    failure: Option<String>,
}

impl Files {
    fn new(paths: impl IntoIterator<Item = PathBuf>) -> Self {
        let mut watch = Self {
            paths: paths.into_iter().collect(),
            read: Vec::new(),
            looked: Vec::new(),
            failure: None,
        };
        watch.note_reading();
        watch
    }

    /// The files are about to be read.
    fn note_reading(&mut self) {
        self.read = self.stamps();
        self.looked.clone_from(&self.read);
    }

    /// Whether the files should be read again: they have changed since they were read, or could not
    /// be read, and nobody has written to them since the last check. Followed by
    /// [`Self::note_result`].
    fn should_be_read(&mut self) -> bool {
        let now = self.stamps();
        let is_settled = now == self.looked;
        self.looked = now;
        if !is_settled || (self.looked == self.read && self.failure.is_none()) {
            return false;
        }
        self.read.clone_from(&self.looked);
        true
    }

    /// How reading the files went. Whether that is new: files that cannot be read are tried again
    /// at each check, because the reason may not lie in them (no descriptor was left, the network
    /// was gone), and the same failure is not told each time.
    fn note_result<E: fmt::Display>(&mut self, result: &Result<(), E>) -> bool {
        let failure = result.as_ref().err().map(E::to_string);
        let is_new = failure.is_none() || failure != self.failure;
        self.failure = failure;
        is_new
    }

    fn stamps(&self) -> Vec<Option<Stamp>> {
        self.paths.iter().map(|path| Stamp::of(path)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched(directory: &tempfile::TempDir) -> (Files, [PathBuf; 2]) {
        let paths = ["cert", "key"].map(|name| directory.path().join(name));
        paths.iter().for_each(|path| fs::write(path, "1").unwrap());
        (Files::new(paths.clone()), paths)
    }

    /// Whether a check finds something to read, which succeeds.
    fn is_told(watch: &mut Files) -> bool {
        watch.should_be_read() && watch.note_result::<&str>(&Ok(()))
    }

    #[test]
    fn files_that_cannot_be_read_are_tried_again_and_each_failure_is_told_once() {
        let directory = tempfile::tempdir().unwrap();
        let (mut watch, [cert, _]) = watched(&directory);
        fs::write(cert, "another").unwrap();
        assert!(!watch.should_be_read(), "it may still be written to");
        for (result, is_new) in [
            (Err("no descriptor"), true),
            (Err("no descriptor"), false),
            (Err("no memory"), true),
            (Ok(()), true),
        ] {
            assert!(watch.should_be_read(), "{result:?}");
            assert_eq!(watch.note_result(&result), is_new, "{result:?}");
        }
        assert!(!watch.should_be_read());
    }

    #[test]
    fn a_file_that_was_written_or_replaced_or_removed_is_told_once_it_has_settled() {
        let directory = tempfile::tempdir().unwrap();
        let (mut watch, [cert, key]) = watched(&directory);
        assert_eq!([(); 3].map(|()| is_told(&mut watch)), [false; 3]);
        let changes: [&dyn Fn(); 4] = [
            &|| fs::write(&cert, "another").unwrap(),
            &|| {
                fs::write(directory.path().join("new"), "1").unwrap();
                fs::rename(directory.path().join("new"), &key).unwrap();
            },
            &|| fs::remove_file(&key).unwrap(),
            &|| fs::write(&key, "1").unwrap(),
        ];
        for (number, change) in changes.into_iter().enumerate() {
            change();
            let told = [(); 4].map(|()| is_told(&mut watch));
            assert_eq!(told, [false, true, false, false], "change {number}");
        }
    }

    #[test]
    fn files_that_go_on_to_change_are_told_together_at_the_end() {
        let directory = tempfile::tempdir().unwrap();
        let (mut watch, [cert, key]) = watched(&directory);
        for bytes in 2..10 {
            fs::write(if bytes % 2 == 0 { &cert } else { &key }, "x".repeat(bytes)).unwrap();
            assert!(!is_told(&mut watch), "it is read in the middle");
        }
        assert_eq!([(); 2].map(|()| is_told(&mut watch)), [true, false]);
    }

    #[test]
    fn what_was_read_on_demand_is_not_told_again() {
        let directory = tempfile::tempdir().unwrap();
        let (mut watch, [cert, _]) = watched(&directory);
        fs::write(&cert, "another").unwrap();
        watch.note_reading();
        assert_eq!([(); 3].map(|()| is_told(&mut watch)), [false; 3]);
    }

    #[test]
    fn a_link_further_up_that_leads_elsewhere_is_a_change() {
        let directory = tempfile::tempdir().unwrap();
        let live = directory.path().join("live");
        for name in ["1", "2"] {
            fs::create_dir(directory.path().join(name)).unwrap();
            fs::write(directory.path().join(name).join("cert"), "same").unwrap();
        }
        std::os::unix::fs::symlink("1", &live).unwrap();
        let mut watch = Files::new([live.join("cert")]);
        fs::remove_file(&live).unwrap();
        std::os::unix::fs::symlink("2", &live).unwrap();
        assert_eq!([(); 3].map(|()| is_told(&mut watch)), [false, true, false]);
    }
}
