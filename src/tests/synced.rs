//! Only what is synced is returned, on disks that fail and lose power, and names never come back.
//!
//! A cursor that returned what is written would send lines that a power loss takes back. One that
//! believed the control file after a sync that failed at a rotation would send the lines of a file
//! that nobody knows to be on the disk. And new files that sort before a position never leave.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;

use super::copy::copy_tree;
use super::failed_sync::FailingSync;
use super::lossy_disk::{LossyDisk, Random, outcomes, put};
use crate::file::Clock;
use crate::storage::{Disk, FaultHook};
use crate::synced::{NextBlock, Pin, Stream, SyncedCursor, Wait};
use crate::{Appender, SyncPolicy};

fn body(number: u64) -> String {
    let padding = "p".repeat((number * 37 % 400) as usize);
    format!(r#"{{"n":{number},"p":"{padding}","event":"e"}}"#)
}

fn send(appender: &Appender, numbers: std::ops::Range<u64>) {
    let producer = appender.producer();
    numbers.for_each(|number| producer.send_slice(body(number).as_bytes()).unwrap());
}

fn cursor(directory: &Path) -> SyncedCursor {
    SyncedCursor::open(directory, Stream::Lines, None).unwrap()
}

/// What the cursor returns now, and what it waits for.
fn take_all(cursor: &mut SyncedCursor, mut pin: Option<&mut Pin>) -> (String, Wait) {
    let mut text = String::new();
    loop {
        match cursor.next_block(3000).unwrap() {
            NextBlock::Wait(wait) => return (text, wait),
            NextBlock::Block(block) => {
                if let Some(pin) = &mut pin {
                    pin.set_floor(&block).unwrap();
                }
                text.push_str(std::str::from_utf8(&block.bytes).unwrap());
            }
        }
    }
}

fn lines(numbers: std::ops::Range<u64>) -> String {
    let mut lines = Vec::new();
    for number in numbers {
        crate::Rewriter::new().rewrite(body(number).as_bytes(), &mut lines).unwrap();
    }
    String::from_utf8(lines).unwrap()
}

#[test]
fn after_a_sync_that_failed_at_a_rotation_nothing_is_returned_and_that_is_told() {
    let directory = super::memory_directory();
    let builder = Appender::builder(directory.path()).sync_policy(SyncPolicy::Never);
    let disk = Disk::with_hook(FailingSync::of("cdrlog-flush", 0));
    let appender = builder.clone().open_on(&disk).unwrap();
    let mut cursor = cursor(directory.path());
    send(&appender, 0..5);
    appender.flush().unwrap();
    assert_eq!(take_all(&mut cursor, None), (String::new(), Wait::Writer));
    appender.rotate().unwrap_err();
    send(&appender, 5..10);
    appender.flush().unwrap();
    assert_eq!(take_all(&mut cursor, None), (String::new(), Wait::SyncFailed));
    appender.close().unwrap_err();
    assert_eq!(take_all(&mut cursor, None), (String::new(), Wait::Recovery));
    builder.open().unwrap().close().unwrap();
    assert_eq!(take_all(&mut cursor, None), (lines(0..10), Wait::Open));
}

#[test]
fn after_a_failed_sync_what_was_synced_before_is_returned_and_no_more() {
    let directory = super::memory_directory();
    let builder = Appender::builder(directory.path()).sync_policy(SyncPolicy::Never);
    let disk = Disk::with_hook(FailingSync::of("cdrlog-flush", 1));
    let appender = builder.time_marks(true).open_on(&disk).unwrap();
    send(&appender, 0..5);
    appender.sync().unwrap();
    send(&appender, 5..10);
    appender.sync().unwrap_err();
    let mut cursor = cursor(directory.path());
    assert_eq!(take_all(&mut cursor, None), (lines(0..5), Wait::SyncFailed));
    appender.close().unwrap_err();
}

/// The calls after the creation of a file in which its stream is anchored to it, and some more.
const CALLS_OF_A_CREATION: u64 = 8;

/// A cursor for each stream that looks once, before one of the calls that follow the creation of a
/// file.
struct Looking {
    directory: std::path::PathBuf,
    at_call: u64,
    calls: AtomicU64,
    /// How many calls still belong to the last creation.
    calls_left: AtomicU64,
    cursors: Mutex<[(Stream, Option<SyncedCursor>, String); 2]>,
}

impl Looking {
    fn at(directory: &Path, at_call: u64) -> Arc<Self> {
        let cursors = [Stream::Lines, Stream::Rejects].map(|stream| (stream, None, String::new()));
        Arc::new(Self {
            directory: directory.to_owned(),
            at_call,
            calls: AtomicU64::new(0),
            calls_left: AtomicU64::new(0),
            cursors: Mutex::new(cursors),
        })
    }

    fn look(&self) {
        for (stream, cursor, text) in self.cursors.lock().unwrap().iter_mut() {
            if cursor.is_none() {
                // Not before there is a state directory.
                *cursor = SyncedCursor::open(&self.directory, *stream, None).ok();
            }
            if let Some(cursor) = cursor {
                text.push_str(&take_all(cursor, None).0);
            }
        }
    }

    fn texts(&self) -> [String; 2] {
        self.cursors.lock().unwrap().each_ref().map(|(_, _, text)| text.clone())
    }
}

impl FaultHook for Looking {
    fn before(&self, _action: &'static str, _path: &Path) -> std::io::Result<()> {
        let less = |calls: u64| calls.checked_sub(1);
        let counts = self.calls_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok();
        if counts && self.calls.fetch_add(1, Ordering::SeqCst) == self.at_call {
            self.look();
        }
        Ok(())
    }

    fn after(&self, action: &'static str, path: &Path) {
        if action == "create" && path.parent() == Some(&self.directory) {
            self.calls_left.store(CALLS_OF_A_CREATION, Ordering::SeqCst);
        }
    }
}

/// A file is created before its stream is anchored to it. One who passed over it then, because it
/// was empty, never came back to it.
#[test]
fn a_cursor_that_looks_at_any_step_of_a_creation_misses_and_doubles_nothing() {
    for at_call in 0.. {
        let directory = super::memory_directory();
        let looking = Looking::at(directory.path(), at_call);
        let options = Appender::builder(directory.path()).sync_policy(SyncPolicy::Always);
        let appender = options.open_on(&Disk::with_hook(looking.clone())).unwrap();
        for number in 0..2 {
            send(&appender, number..number + 1);
            appender.producer().send_slice(b"no event").unwrap();
            appender.rotate().unwrap();
        }
        appender.close().unwrap();
        looking.look();
        let record = ["CDR.", "rejected."].map(|prefix| super::text_of(directory.path(), prefix));
        assert!(looking.texts() == record, "call {at_call}: what was returned is not the record");
        assert_eq!((record[0].lines().count(), record[1].lines().count()), (2, 2));
        if looking.calls.load(Ordering::SeqCst) <= at_call {
            assert!(at_call > 20, "an appender creates more files");
            break;
        }
    }
}

/// Sends, syncs and ships as chance will have it; gives the disk, the pins and what was shipped.
fn ship(directory: &Path, random: &mut Random) -> (LossyDisk, tempfile::TempDir, String) {
    let disk = Arc::new(LossyDisk::new(directory));
    let appender = Appender::builder(directory)
        .no_inbox()
        .segment_bytes(8192)
        .event_bytes_max(1024)
        .rotate_bytes(2000 + random.below(20_000))
        .flush_interval(Duration::from_millis(1))
        .sync_policy(SyncPolicy::Never)
        .open_on(&Disk::with_hook(disk.clone()))
        .unwrap();
    let mut pin = Pin::create(directory, "archive", Stream::Lines, true).unwrap();
    let mut cursor = cursor(directory);
    let (mut sent, mut shipped) = (0, String::new());
    for _ in 0..2 + random.below(8) {
        let count = random.below(40);
        send(&appender, sent..sent + count);
        sent += count;
        match random.below(3) {
            0 => appender.sync().unwrap(),
            _ => appender.flush().unwrap(),
        }
        disk.note_all();
        shipped += &take_all(&mut cursor, Some(&mut pin)).0;
    }
    disk.note_all();
    let pins = super::memory_directory();
    copy_tree(&directory.join(".cdrlog/pins"), pins.path());
    let killed = disk.moved_to(directory);
    appender.close().unwrap();
    (killed, pins, shipped)
}

#[test]
fn what_was_returned_is_there_whatever_pages_a_power_loss_takes() {
    const OUTCOMES_A_LIFE: u64 = 50;
    let mut shipped_bytes = 0;
    for number in 0..outcomes(500).div_ceil(OUTCOMES_A_LIFE) {
        let mut random = Random(number);
        let directory = super::memory_directory();
        let (disk, pins, shipped) = ship(directory.path(), &mut random);
        shipped_bytes += shipped.len();
        for outcome in 0..OUTCOMES_A_LIFE {
            let directory = super::memory_directory();
            put(disk.survivors(&mut random), directory.path());
            fs::create_dir_all(directory.path().join(".cdrlog/pins")).unwrap();
            copy_tree(pins.path(), &directory.path().join(".cdrlog/pins"));
            let options = Appender::builder(directory.path()).no_inbox().event_bytes_max(1024);
            options.segment_bytes(8192).open().unwrap().close().unwrap();
            let found = super::text_of(directory.path(), "CDR.");
            let what = format!("life {number}, outcome {outcome}");
            assert!(found.starts_with(&shipped), "{what}: lines that were returned are gone");
            assert_eq!(
                take_all(&mut cursor(directory.path()), None),
                (found, Wait::Open),
                "{what}"
            );
        }
    }
    assert!(shipped_bytes > 0, "nothing was returned");
}

/// The name of the first file of an opening at a time.
fn name_at(directory: &Path, time: &str) -> String {
    let time: Timestamp = time.parse().unwrap();
    let builder = Appender::builder(directory).utc(true).clock(Clock::telling(move || time));
    let appender = builder.open().unwrap();
    send(&appender, 0..1);
    let path = appender.cdr_path();
    appender.close().unwrap();
    path.file_name().unwrap().to_str().unwrap().to_owned()
}

/// Without this, the lines of a node whose directory was emptied come to lie before what was shipped
/// of it, and never leave.
#[test]
fn a_name_never_comes_back_in_an_emptied_directory_with_the_clock_set_back() {
    let state_files: [&[&str]; 4] = [
        &[],
        &["begun"],
        &["control", "journal-0", "journal-1", "journal-2", "journal-3"],
        &[
            "begun",
            "control",
            "journal-0",
            "journal-1",
            "journal-2",
            "journal-3",
            "rejects-0",
            "rejects-1",
        ],
    ];
    for removed in state_files {
        let directory = super::memory_directory();
        let first = name_at(directory.path(), "2026-11-23T12:00:00Z");
        let mut pin = Pin::create(directory.path(), "archive", Stream::Lines, true).unwrap();
        let NextBlock::Block(block) = cursor(directory.path()).next_block(1000).unwrap() else {
            panic!("there is no block")
        };
        pin.set_floor(&block).unwrap();
        fs::remove_file(directory.path().join(&first)).unwrap();
        for name in removed {
            fs::remove_file(directory.path().join(".cdrlog").join(name)).unwrap();
        }
        let next = name_at(directory.path(), "2020-01-01T00:00:00Z");
        assert!(next > first, "{removed:?}: {next} after {first}");
    }
}
