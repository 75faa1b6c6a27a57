//! Whatever happens to the thread that sees to sealed files, no line is lost, doubled or split,
//! and the manifest stays a chain that fits what is there.
//!
//! Without the order of its steps a full disk or a kill at some unlucky moment would leave half a
//! compressed file and no plain one, a file that the manifest does not know, or one that retention
//! removed and nobody can tell from one that was stolen.
//!
//! One small life with rotation, compression and retention is played again and again: the N-th call
//! of the thread to the disk fails, or all from the N-th on, or the process is killed there (a
//! child, this very program started again). Then the directory is opened on a disk that works.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use super::account::{account_for_lines, contents, measure, numbers};
use super::failing::Failing;
use super::step::{self, End};
use crate::manifest::Manifest;
use crate::storage::{Disk, FaultHook};
use crate::{Appender, Builder, Compression, MaintenanceError, Notice, SyncPolicy};

const CHILD: &str = "CDRLOG_UPKEEP_CHILD";
const DIRECTORY: &str = "CDRLOG_UPKEEP_DIRECTORY";
const STEP: &str = "CDRLOG_UPKEEP_STEP";

const THREAD: &str = "cdrlog-maint";
pub(super) const EVENTS: u64 = 60;

/// Two of its files and the one that is open: some of the files of a life are removed, whether they
/// were compressed before retention looked at them or not.
pub(super) const RETENTION_BYTES: u64 = 1500;

pub(super) fn builder(directory: &Path, retention_bytes: Option<u64>) -> Builder {
    Appender::builder(directory)
        // A process that is killed here may never be followed by an opening.
        .no_inbox()
        .segment_count(2)
        .segment_bytes(4096)
        .event_bytes_max(2048)
        .rotate_bytes(1000)
        .flush_interval(Duration::from_millis(1))
        .sync_policy(SyncPolicy::Never)
        .compression(Compression::Zstd)
        .retention_bytes(retention_bytes)
}

/// The 60 of them stay longer than `RETENTION_BYTES` when they are compressed.
pub(super) fn body(number: u64) -> String {
    let name = if number % 8 == 5 { "none" } else { "event" };
    let digits = |salt: u64| (number * 8 + salt + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let padding: String = (0..6).map(|salt| format!("{:016x}", digits(salt))).collect();
    format!(r#"{{"n":{number},"p":"{padding}","timestamp":{number},"{name}":"e"}}"#)
}

/// Sends all events; what is due for sealed files is tried twice on the way, and once more.
fn live(appender: &Appender) {
    let producer = appender.producer();
    for number in 0..EVENTS {
        producer.send_slice(body(number).as_bytes()).unwrap();
        if number % 20 == 19 {
            appender.flush().unwrap();
            // What failed is told to the callback too.
            let _ = appender.wait_for_maintenance();
        }
    }
}

pub(super) fn is_keeper() -> bool {
    std::thread::current().name() == Some(THREAD)
}

// ===== what must be there =====

/// The directory after an opening on a disk that works, with all maintenance done.
fn check(directory: &Path, retention_bytes: Option<u64>, what: &str) {
    let appender = builder(directory, retention_bytes).open().unwrap();
    // The empty file of this opening is no part of the life.
    let empty = appender.cdr_path().file_name().unwrap().to_str().unwrap().to_owned();
    appender.wait_for_maintenance().unwrap_or_else(|error| panic!("{what}: {error}"));
    appender.close().unwrap();
    let mut contents = contents(directory);
    assert!(contents.remove(&empty).is_some_and(|content| content.is_empty()), "{what}");
    let left: BTreeSet<u64> = ["CDR.", "rejected."]
        .into_iter()
        .flat_map(|prefix| {
            let numbers = numbers(&contents, prefix);
            assert!(numbers.is_sorted_by(|one, other| one < other), "{what}: {numbers:?}");
            numbers
        })
        .collect();
    let manifest = Manifest::read(directory).unwrap_or_else(|error| panic!("{what}: {error}"));
    for (name, content) in &contents {
        let listed = manifest.file(name).unwrap_or_else(|| panic!("{what}: {name} is not listed"));
        assert_eq!(listed.sealed, measure(name, content), "{what}");
        assert_eq!(listed.removed_at, None, "{what}");
    }
    let removed = manifest.files().filter(|file| file.removed_at.is_some()).count();
    assert_eq!(removed + contents.len(), manifest.files().count(), "{what}: a file is missing");
    let end = left.last().map_or(0, |last| last + 1);
    match retention_bytes {
        None => assert!(removed == 0 && left.iter().copied().eq(0..end), "{what}: {left:?}"),
        Some(_) => assert!(removed > 0 || end < EVENTS, "{what}: nothing was removed"),
    }
    let unfinished = directory.join(".cdrlog/compressing");
    assert!(!unfinished.exists(), "{what}: half a compressed file is left");
}

// ===== errors =====

/// Plays the life; gives how many calls the maintenance thread made.
fn play(watcher: &Arc<Failing>, retention_bytes: Option<u64>, what: &str) -> u64 {
    let directory = super::memory_directory();
    let told = Arc::new(AtomicBool::new(false));
    let builder = builder(directory.path(), retention_bytes).on_notice({
        let told = told.clone();
        move |notice| {
            told.fetch_or(matches!(notice, Notice::MaintenanceFails(_)), Ordering::SeqCst);
        }
    });
    let appender = builder.open_on(&Disk::with_hook(watcher.clone())).unwrap();
    live(&appender);
    let stats = appender.close().unwrap();
    assert_eq!((stats.events_accepted, stats.write_errors), (EVENTS, 0), "{what}");
    let calls = watcher.calls.load(Ordering::SeqCst);
    assert!(calls <= watcher.first || told.load(Ordering::SeqCst), "{what} and nobody is told");
    check(directory.path(), retention_bytes, what);
    calls
}

#[test]
fn one_failing_call_is_told_and_made_good() {
    let calls = play(&Failing::of(is_keeper, u64::MAX, 0), Some(RETENTION_BYTES), "no failure");
    println!("{calls} calls");
    for call in 0..calls {
        let what = format!("call {call} fails once");
        play(&Failing::of(is_keeper, call, 1), Some(RETENTION_BYTES), &what);
    }
}

#[test]
fn a_disk_that_fails_from_some_call_on_loses_nothing() {
    let calls = play(&Failing::of(is_keeper, u64::MAX, 0), None, "no failure");
    for call in 0..calls {
        play(
            &Failing::of(is_keeper, call, u64::MAX),
            None,
            &format!("all calls fail from {call} on"),
        );
    }
}

// ===== kills =====

#[test]
#[ignore = "the child of the test below; does nothing by itself"]
fn child() {
    let Ok(retention_bytes) = std::env::var(CHILD) else { return };
    let directory = PathBuf::from(std::env::var(DIRECTORY).unwrap());
    step::end_at(std::env::var(STEP).unwrap().parse().unwrap(), THREAD, End::Kill);
    let builder = builder(&directory, retention_bytes.parse().ok());
    let appender = builder.open_on(&step::disk()).unwrap();
    live(&appender);
    appender.close().unwrap();
}

fn kill_at_every_step(retention_bytes: Option<u64>) {
    let stride = std::env::var("CDRLOG_ABORT_STRIDE").map_or(13, |text| text.parse().unwrap());
    let mut killed = 0;
    for step in (u64::from(std::process::id()) % stride..).step_by(stride as usize) {
        let directory = super::memory_directory();
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::maintenance::child", "--ignored"])
            .env(CHILD, retention_bytes.map_or("none".to_owned(), |bytes| bytes.to_string()))
            .env(STEP, step.to_string())
            .env(DIRECTORY, directory.path())
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.code().is_none_or(|code| code == 0), "{status}");
        let what = format!("killed at step {step}");
        check(directory.path(), retention_bytes, &what);
        account_for_lines(directory.path(), 0, &what);
        if status.success() {
            break;
        }
        killed += 1;
    }
    println!("killed at {killed} steps");
}

#[test]
fn a_kill_at_any_step_of_manifest_and_compression_loses_nothing() {
    kill_at_every_step(None);
}

#[test]
fn a_kill_at_any_step_of_retention_leaves_no_gap_that_the_manifest_does_not_explain() {
    kill_at_every_step(Some(RETENTION_BYTES));
}

// ===== the end of the thread =====

#[test]
fn a_keeper_that_dies_takes_nothing_along() {
    struct Deadly;
    impl FaultHook for Deadly {
        fn before(&self, _action: &'static str, _path: &Path) -> io::Result<()> {
            assert!(!is_keeper(), "injected");
            Ok(())
        }
    }
    let directory = super::memory_directory();
    let appender =
        builder(directory.path(), None).open_on(&Disk::with_hook(Arc::new(Deadly))).unwrap();
    live(&appender);
    assert!(matches!(appender.wait_for_maintenance(), Err(MaintenanceError::Closed)));
    assert_eq!(appender.close().unwrap().events_accepted, EVENTS);
    check(directory.path(), None, "after the death of the maintenance thread");
}

/// Holds the maintenance thread before one of the calls that it is to be held at, until it is let go.
struct Held {
    is_one: fn(&'static str, &Path) -> bool,
    /// How many of them come before.
    before: u64,
    calls: AtomicU64,
    reached: Mutex<Sender<()>>,
    go: Mutex<Receiver<()>>,
}

impl Held {
    /// With it: what tells that the maintenance thread is held, and what lets it go.
    fn behind(
        before: u64,
        is_one: fn(&'static str, &Path) -> bool,
    ) -> (Arc<Self>, Receiver<()>, Sender<()>) {
        let ((reached, wait), (go, going)) = (channel(), channel());
        let (reached, going) = (Mutex::new(reached), Mutex::new(going));
        let held = Self { is_one, before, calls: AtomicU64::new(0), reached, go: going };
        (Arc::new(held), wait, go)
    }
}

impl FaultHook for Held {
    fn before(&self, action: &'static str, path: &Path) -> io::Result<()> {
        if is_keeper()
            && (self.is_one)(action, path)
            && self.calls.fetch_add(1, Ordering::SeqCst) == self.before
        {
            self.reached.lock().unwrap().send(()).unwrap();
            self.go.lock().unwrap().recv().unwrap();
        }
        Ok(())
    }
}

#[test]
fn a_close_ends_a_compression_between_two_blocks_and_the_next_opening_begins_it_anew() {
    let directory = super::memory_directory();
    let path = directory.path().join("CDR.2020-01-01_00-00-00.log");
    // Long, of a day long ago, and nothing that can be made shorter.
    let mut state = 1_u64;
    let mut digits = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        format!("{{\"e\":{state}}}\n")
    };
    let content: String = (0..200_000).map(|_| digits()).collect();
    fs::write(&path, &content).unwrap();
    fs::File::open(&path).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let (held, wait, go) = Held::behind(2, |action, path| {
        action == "write" && path.file_name().is_some_and(|name| name == "compressing")
    });
    let builder = builder(directory.path(), None).retention_age(None).manage_foreign(true);
    let appender = builder.clone().open_on(&Disk::with_hook(held)).unwrap();
    let producer = appender.producer();
    wait.recv().unwrap();
    let closing = std::thread::spawn(move || appender.close().unwrap());
    // A queue that is full is not closed yet.
    while producer.try_send(body(0).into()).map_or_else(|error| error.is_full(), |()| true) {
        std::thread::yield_now();
    }
    go.send(()).unwrap();
    assert_eq!(closing.join().unwrap().files_compressed, 0);
    assert!(fs::read_to_string(&path).unwrap() == content);
    assert!(!directory.path().join(".cdrlog/compressing").exists());
    let appender = builder.open().unwrap();
    appender.wait_for_maintenance().unwrap();
    // The second one is that of the opening before, which may have taken an event.
    assert!(appender.close().unwrap().files_compressed >= 1);
    assert!(!path.exists());
    let contents = contents(directory.path());
    assert!(contents["CDR.2020-01-01_00-00-00.log"] == content.as_bytes());
}

#[test]
fn a_file_that_is_finished_just_before_a_removal_is_listed_before_it_goes() {
    let directory = super::memory_directory();
    // Between what it does with sealed files and the removal of the oldest.
    let (held, wait, go) = Held::behind(1, |action, _| action == "list");
    let builder = builder(directory.path(), Some(RETENTION_BYTES));
    let appender = builder.open_on(&Disk::with_hook(held)).unwrap();
    wait.recv().unwrap();
    let producer = appender.producer();
    (0..EVENTS).for_each(|number| producer.send_slice(body(number).as_bytes()).unwrap());
    appender.flush().unwrap();
    go.send(()).unwrap();
    appender.wait_for_maintenance().unwrap();
    assert!(appender.close().unwrap().files_removed > 0);
    account_for_lines(directory.path(), EVENTS, "after the close");
}
