//! A sync that failed is an error for good, whichever sync it was.
//!
//! The kernel tells a failed sync once, and forgets what it could not write: a second try succeeds
//! with the lines gone. A failed sync of the directory, of the list of our files or of the manifest
//! was tried again like a failed write, and so hidden.
//!
//! One life of an appender is played again and again, with one sync after the other failing once.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::storage::{Disk, FaultHook};
use crate::{Appender, Builder, CloseError, FlushError, OpenError, Stats, SyncPolicy};

/// Counts the syncs that one thread makes, and lets one of them fail.
pub(super) struct FailingSync {
    thread: &'static str,
    failing: u64,
    syncs: AtomicU64,
    failed: Mutex<Option<PathBuf>>,
}

impl FailingSync {
    /// Sync number `failing` of the threads whose names begin with `thread`.
    pub(super) fn of(thread: &'static str, failing: u64) -> Arc<Self> {
        Arc::new(Self { thread, failing, syncs: AtomicU64::new(0), failed: Mutex::new(None) })
    }

    /// What was to be synced by the sync that failed.
    fn failed(&self) -> Option<String> {
        let failed = self.failed.lock().unwrap();
        failed.as_ref().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned())
    }
}

impl FaultHook for FailingSync {
    fn before(&self, action: &'static str, path: &Path) -> io::Result<()> {
        let is_ours = std::thread::current().name().unwrap_or_default().starts_with(self.thread);
        if is_ours
            && action.starts_with("sync")
            && self.syncs.fetch_add(1, Ordering::SeqCst) == self.failing
        {
            *self.failed.lock().unwrap() = Some(path.to_owned());
            return Err(io::Error::from_raw_os_error(5));
        }
        Ok(())
    }
}

fn builder(directory: &Path) -> Builder {
    Appender::builder(directory)
        .rotate_bytes(50)
        .flush_interval(Duration::from_millis(1))
        .sync_policy(SyncPolicy::Always)
}

/// Three events in three files, one after the other, with the disk being asked for after each; a
/// reject in a file of its own.
fn live(disk: &Disk, directory: &Path) -> Result<(Result<Stats, CloseError>, bool), OpenError> {
    let appender = builder(directory).open_on(disk)?;
    let mut sync_failed = false;
    for number in 0..3 {
        let event = format!(r#"{{"event":"e","n":{number},"p":"ppppppppppppppppppppppppp"}}"#);
        appender.producer().send_slice(event.as_bytes()).unwrap();
        if number == 1 {
            appender.producer().send_slice(b"no event").unwrap();
        }
        let synced = appender.sync();
        assert!(!sync_failed || synced.is_err(), "a failed sync was forgotten");
        sync_failed |= matches!(synced, Err(FlushError::Sync { .. }));
    }
    Ok((appender.close(), sync_failed))
}

#[test]
fn every_failed_sync_of_the_flusher_is_told_by_close_for_good() {
    let mut seen = Vec::new();
    for failing in 0.. {
        let directory = super::memory_directory();
        let watcher = FailingSync::of("cdrlog-flush", failing);
        let (closed, told) = live(&Disk::with_hook(watcher.clone()), directory.path()).unwrap();
        assert_eq!(super::text_of(directory.path(), "CDR.").lines().count(), 3);
        let Some(failed) = watcher.failed() else {
            assert!(closed.is_ok() && !told);
            break;
        };
        let error = closed.expect_err(&failed);
        assert!(matches!(error.cause(), FlushError::Sync { .. }), "{failed}: {error}");
        assert!(error.sync_failure().is_some() && error.journal_is_in_place(), "{failed}");
        assert!(error.stats().sync_errors == 1, "{failed}: {:?}", error.stats());
        seen.push(failed);
    }
    let directory_name = |name: &&String| !name.contains('.');
    for what in ["begun", "control"] {
        assert!(seen.iter().any(|name| name == what), "no sync of {what}: {seen:?}");
    }
    assert!(seen.iter().any(|name| name.starts_with("CDR.")), "{seen:?}");
    assert!(seen.iter().filter(directory_name).count() > 2, "no sync of the directory: {seen:?}");
}

#[test]
fn an_opening_whose_sync_fails_is_an_error() {
    let mut failures = 0;
    for failing in 0.. {
        let directory = super::memory_directory();
        let watcher = FailingSync::of("tests::failed_sync", failing);
        let opened = builder(directory.path()).open_on(&Disk::with_hook(watcher.clone()));
        let Some(failed) = watcher.failed() else {
            opened.unwrap().close().unwrap();
            break;
        };
        let error = opened.err().unwrap_or_else(|| panic!("a failed sync of {failed} is hidden"));
        assert!(matches!(error, OpenError::Io { .. }), "{error}");
        failures += 1;
    }
    // The list of our files and its folder, the control file and the directory, at least.
    assert!(failures >= 4, "{failures}");
}

#[test]
fn a_rotation_says_that_the_file_before_could_not_be_synced() {
    let directory = super::memory_directory();
    let watcher = FailingSync::of("cdrlog-flush", 0);
    let builder = Appender::builder(directory.path()).sync_policy(SyncPolicy::Never);
    let appender = builder.open_on(&Disk::with_hook(watcher)).unwrap();
    appender.producer().send_slice(br#"{"event":"e"}"#).unwrap();
    let first = appender.cdr_path();
    assert!(matches!(appender.rotate(), Err(FlushError::Sync { .. })));
    assert_ne!(appender.cdr_path(), first);
    assert!(appender.close().is_err());
}

/// Lets writes of lines fail from the first on, and every sync.
struct Broken;

impl FaultHook for Broken {
    fn before(&self, action: &'static str, path: &Path) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_cdr = name.starts_with("CDR.");
        let is_flusher = std::thread::current().name() == Some("cdrlog-flush");
        let has_line = std::fs::metadata(path).is_ok_and(|metadata| metadata.len() > 0);
        match is_flusher && is_cdr && (action == "sync" || action == "write" && has_line) {
            true => Err(io::Error::from_raw_os_error(5)),
            false => Ok(()),
        }
    }
}

#[test]
fn giving_up_tells_a_sync_that_failed_beside_the_write_that_did() {
    let directory = super::memory_directory();
    let builder = Appender::builder(directory.path())
        .sync_policy(SyncPolicy::Never)
        .write_retry_timeout(Duration::from_millis(1));
    let appender = builder.open_on(&Disk::with_hook(Arc::new(Broken))).unwrap();
    let producer = appender.producer();
    producer.send_slice(br#"{"event":"e"}"#).unwrap();
    appender.flush().unwrap();
    producer.send_slice(br#"{"event":"e"}"#).unwrap();
    while appender.flush().is_ok() {}
    let error = appender.close().unwrap_err();
    assert!(matches!(error.cause(), FlushError::Write { .. }), "{error}");
    let failure = error.sync_failure().expect("the failed sync at the end was dropped");
    assert!(matches!(failure, FlushError::Sync { .. }), "{failure}");
    assert!(error.to_string().contains("cannot sync"), "{error}");
}

#[cfg(all(feature = "compress", feature = "manifest"))]
mod maintenance {
    use super::*;
    use crate::{Compression, MaintenanceError};

    /// The files of a life are listed and compressed, with a sync of the maintenance thread failing.
    #[test]
    fn every_failed_sync_of_the_manifest_or_of_a_compressed_file_stays_an_error() {
        let original = super::super::memory_directory();
        live(&Disk::default(), original.path()).unwrap().0.unwrap();
        let mut seen = Vec::new();
        for failing in 0.. {
            let directory = super::super::memory_directory();
            super::super::copy::copy_tree(original.path(), directory.path());
            let watcher = FailingSync::of("cdrlog-maint", failing);
            let builder = builder(directory.path()).compression(Compression::Zstd);
            let appender = builder.clone().open_on(&Disk::with_hook(watcher.clone())).unwrap();
            let outcomes = [
                appender.wait_for_maintenance(),
                appender.wait_for_maintenance(),
                appender.wait_for_maintenance(),
            ];
            appender.close().unwrap();
            let Some(failed) = watcher.failed() else {
                assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
                break;
            };
            // A file that was not finished is made anew, from a plain one that is whole.
            if failed == "compressing" {
                assert!(outcomes[1].is_ok(), "{outcomes:?}");
            } else {
                let is_sync = |outcome| matches!(outcome, &Err(MaintenanceError::Sync { .. }));
                assert!(outcomes.iter().skip(1).all(is_sync), "{failed}: {outcomes:?}");
            }
            // The next opening, on a disk that works, makes good what was left undone.
            let appender = builder.open().unwrap();
            appender.wait_for_maintenance().unwrap_or_else(|error| panic!("{failed}: {error}"));
            appender.close().unwrap();
            let contents = super::super::account::contents(directory.path());
            let numbers = super::super::account::numbers(&contents, "CDR.");
            assert_eq!(numbers, [0, 1, 2], "{failed}");
            seen.push(failed);
        }
        for what in ["manifest.jsonl", "compressing", "log.zst"] {
            assert!(seen.iter().any(|name| name.ends_with(what)), "no sync of {what}: {seen:?}");
        }
    }
}
