//! Each day has a file of its own, in local time, whatever the clock does.
//!
//! OpenVidu's CDR begins a new file at midnight, and people collect yesterday's by its name. A
//! clock that is set back must not make a name that was used, nor one that sorts before.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};

use jiff::Timestamp;

use crate::file::Clock;
use crate::storage::{Disk, FaultHook};
use crate::{Appender, SyncPolicy};

/// Names and contents of the CDR files.
fn cdr_files(directory: &Path) -> Vec<(String, String)> {
    let mut names = Disk::default().names(directory).unwrap();
    names.retain(|name| name.starts_with("CDR."));
    names.sort();
    let content = |name: &String| std::fs::read_to_string(directory.join(name)).unwrap();
    names.into_iter().map(|name| (name.clone(), content(&name))).collect()
}

/// A clock that tells what `now` holds, in seconds since 1970.
fn clock_of(now: &Arc<AtomicI64>) -> Clock {
    let now = now.clone();
    Clock::telling(move || Timestamp::from_second(now.load(Ordering::SeqCst)).unwrap())
}

fn open(directory: &Path, clock: Clock) -> Appender {
    let builder = Appender::builder(directory).utc(true).clock(clock);
    builder.sync_policy(SyncPolicy::Never).open().unwrap()
}

/// Sends one event at each of the given times; gives names and contents of the CDR files.
fn files_of_events_at(times: &[&str]) -> Vec<(String, String)> {
    let now = Arc::new(AtomicI64::new(0));
    let set = |time: &str| {
        now.store(time.parse::<Timestamp>().unwrap().as_second(), Ordering::SeqCst);
    };
    set(times[0]);
    let directory = super::memory_directory();
    let appender = open(directory.path(), clock_of(&now));
    let producer = appender.producer();
    for (number, time) in times.iter().enumerate() {
        set(time);
        producer.send_slice(format!(r#"{{"event":"e","n":{number}}}"#).as_bytes()).unwrap();
        appender.flush().unwrap();
    }
    appender.close().unwrap();
    cdr_files(directory.path())
}

fn line(number: usize) -> String {
    format!("{{\"e\":{{\"n\":{number}}}}}\n")
}

#[test]
fn the_first_line_of_a_new_day_begins_a_new_file() {
    let files = files_of_events_at(&[
        "2026-11-23T23:59:58Z",
        "2026-11-23T23:59:59Z",
        "2026-11-24T00:00:00Z",
        "2026-11-24T12:00:00Z",
        "2026-11-27T01:00:00Z",
    ]);
    let expected = [
        ("CDR.2026-11-23_23-59-58.log".to_owned(), line(0) + &line(1)),
        ("CDR.2026-11-24_00-00-00.log".to_owned(), line(2) + &line(3)),
        ("CDR.2026-11-27_01-00-00.log".to_owned(), line(4)),
    ];
    assert_eq!(files, expected);
}

#[test]
fn a_clock_that_is_set_back_and_forward_gives_names_that_are_unique_and_in_order() {
    let files = files_of_events_at(&[
        "2026-11-23T12:00:00Z",
        "2026-11-22T12:00:00Z",
        "2026-11-22T13:00:00Z",
        "2026-11-23T12:00:00Z",
        "2026-11-23T12:00:05Z",
    ]);
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    let expected = [
        "CDR.2026-11-23_12-00-00.log",
        "CDR.2026-11-23_12-00-01.0001.log",
        "CDR.2026-11-23_12-00-01.0002.log",
    ];
    assert_eq!(names, expected);
    let contents: String = files.iter().map(|(_, content)| content.as_str()).collect();
    assert_eq!(contents, (0..5).map(line).collect::<String>());
}

#[test]
fn a_day_that_begins_in_the_middle_of_a_record_does_not_split_it() {
    // Each look at the clock is on another day.
    let now = AtomicI64::new(0);
    let clock = Clock::telling(move || {
        Timestamp::from_second(now.fetch_add(86_400, Ordering::SeqCst)).unwrap()
    });
    let directory = super::memory_directory();
    let appender = open(directory.path(), clock);
    for _ in 0..3 {
        appender.producer().send_slice("x".repeat(1 << 20).as_bytes()).unwrap();
    }
    appender.close().unwrap();
    let mut names = Disk::default().names(directory.path()).unwrap();
    names.retain(|name| name.starts_with("rejected."));
    assert_eq!(names.len(), 3);
    for name in names {
        let record = std::fs::read(directory.path().join(name)).unwrap();
        let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
        assert_eq!(record["body"].as_str().unwrap().len(), 1 << 20);
    }
}

/// Lets calls of one kind fail while it is broken.
struct Broken {
    action: &'static str,
    is_broken: AtomicBool,
}

impl FaultHook for Broken {
    fn before(&self, action: &'static str, _path: &Path) -> io::Result<()> {
        if action == self.action && self.is_broken.load(Ordering::SeqCst) {
            return Err(io::ErrorKind::StorageFull.into());
        }
        Ok(())
    }
}

/// Sends an event on one day, and one on the next while `action` fails at first; gives names and
/// contents of the CDR files.
fn files_of_a_midnight_at_which_fails(action: &'static str) -> Vec<(String, String)> {
    let now = Arc::new(AtomicI64::new(1_795_000_000));
    let clock = clock_of(&now);
    let directory = super::memory_directory();
    let disk = Arc::new(Broken { action, is_broken: AtomicBool::new(false) });
    let builder = Appender::builder(directory.path()).utc(true).clock(clock);
    let appender = builder.open_on(&Disk::with_hook(disk.clone())).unwrap();
    let send = |number: u32| {
        let event = format!(r#"{{"event":"e","n":{number}}}"#);
        appender.producer().send_slice(event.as_bytes()).unwrap();
    };
    send(0);
    appender.flush().unwrap();
    now.fetch_add(86_400, Ordering::SeqCst);
    disk.is_broken.store(true, Ordering::SeqCst);
    send(1);
    while appender.stats().write_errors < 4 {
        std::thread::sleep(std::time::Duration::from_millis(1));
    }
    disk.is_broken.store(false, Ordering::SeqCst);
    appender.flush().unwrap();
    appender.close().unwrap();
    cdr_files(directory.path())
}

#[test]
fn a_day_whose_file_cannot_be_made_at_first_gets_one_and_no_empty_ones() {
    for action in ["create", "write"] {
        let files = files_of_a_midnight_at_which_fails(action);
        let contents: Vec<_> = files.iter().map(|(_, content)| content.clone()).collect();
        assert_eq!(contents, [line(0), line(1)], "{action} fails: {files:?}");
    }
}

#[test]
fn a_file_of_yesterday_that_holds_nothing_makes_room_for_that_of_today() {
    let now = Arc::new(AtomicI64::new(1_795_000_000));
    let clock = clock_of(&now);
    let directory = super::memory_directory();
    let appender = Appender::builder(directory.path()).utc(true).clock(clock).open().unwrap();
    let first = appender.cdr_path();
    now.fetch_add(86_400, Ordering::SeqCst);
    appender.producer().send_slice(br#"{"event":"e","n":0}"#).unwrap();
    appender.flush().unwrap();
    assert!(!first.exists());
    assert_eq!(std::fs::read_to_string(appender.cdr_path()).unwrap(), line(0));
    assert_eq!(appender.close().unwrap().rotations, 0);
}

/// Where others have the name that a file was to get, the next one is tried.
#[test]
fn a_name_that_others_took_since_the_opening_is_left_to_them() {
    let now = Arc::new(AtomicI64::new(1_795_000_000));
    let directory = super::memory_directory();
    let appender = open(directory.path(), clock_of(&now));
    appender.producer().send_slice(br#"{"event":"e","n":0}"#).unwrap();
    appender.flush().unwrap();
    let day = 86_400;
    let stamp = Timestamp::from_second(now.fetch_add(day, Ordering::SeqCst) + day).unwrap();
    let theirs = directory.path().join(format!("CDR.{}.log", stamp.strftime("%Y-%m-%d_%H-%M-%S")));
    std::fs::write(&theirs, "theirs\n").unwrap();
    appender.producer().send_slice(br#"{"event":"e","n":1}"#).unwrap();
    while appender.flush().is_err() {}
    appender.close().unwrap();
    let contents: Vec<_> = cdr_files(directory.path()).into_iter().map(|file| file.1).collect();
    assert_eq!(contents, [line(0), "theirs\n".to_owned(), line(1)]);
}

/// Counts how often the thread that writes lists a directory.
#[derive(Default)]
struct Listings(AtomicI64);

impl FaultHook for Listings {
    fn before(&self, action: &'static str, _path: &Path) -> io::Result<()> {
        let is_flusher = std::thread::current().name() == Some("cdrlog-flush");
        self.0.fetch_add(i64::from(is_flusher && action == "list"), Ordering::SeqCst);
        Ok(())
    }
}

/// With a hundred thousand files in the directory, a listing takes a third of a second, and no line
/// is written meanwhile.
#[test]
fn a_rotation_lists_no_directory_and_names_stay_a_second_ahead_of_the_clock_at_most() {
    let directory = super::memory_directory();
    let listings = Arc::new(Listings::default());
    let now = Arc::new(AtomicI64::new(1_795_000_000));
    let builder = Appender::builder(directory.path()).utc(true).clock(clock_of(&now));
    let builder = builder.rotate_bytes(1).sync_policy(SyncPolicy::Never);
    let appender = builder.open_on(&Disk::with_hook(listings.clone())).unwrap();
    for number in 0..100 {
        let event = format!(r#"{{"event":"e","n":{number}}}"#);
        appender.producer().send_slice(event.as_bytes()).unwrap();
    }
    let last = {
        appender.flush().unwrap();
        appender.cdr_path()
    };
    assert_eq!(appender.close().unwrap().rotations, 99);
    assert_eq!(listings.0.load(Ordering::SeqCst), 0);
    let second = Timestamp::from_second(now.load(Ordering::SeqCst) + 1).unwrap();
    let name = format!("CDR.{}.0099.log", second.strftime("%Y-%m-%d_%H-%M-%S"));
    assert_eq!(last.file_name().unwrap().to_str().unwrap(), name);
    let contents: String = cdr_files(directory.path()).into_iter().map(|file| file.1).collect();
    assert_eq!(contents, (0..100).map(line).collect::<String>());
}

#[test]
fn a_file_of_the_last_day_of_all_time_keeps_nobody_from_opening() {
    let directory = super::memory_directory();
    for name in ["CDR.9999-12-31_23-59-59.log", "CDR.9999-12-31_23-59-58.log"] {
        std::fs::write(directory.path().join(name), "").unwrap();
    }
    let now = Arc::new(AtomicI64::new(1_795_000_000));
    for _ in 0..2 {
        let appender = open(directory.path(), clock_of(&now));
        let path = appender.cdr_path();
        let name = path.file_name().unwrap().to_str().unwrap();
        assert!(name.starts_with("CDR.2026-11-18_"), "{name}");
        appender.close().unwrap();
    }
}
