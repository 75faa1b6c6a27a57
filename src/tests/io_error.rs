//! No I/O error is hidden, and none loses or doubles a line.
//!
//! Without retries, latches and the way back of unjournaled events, an error of the system at some
//! unlucky call would lose what was accepted before it, and say nothing.
//!
//! One small life of an appender is played again and again: the N-th call to the disk fails once,
//! and then the N-th call and all after it, for every N there is. What was accepted must be in the
//! files after the next opening, or have been given back, each exactly once and in order.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use super::failing::Failing;
use crate::storage::{Disk, FaultHook};
use crate::{Appender, Builder, FlushError, OpenError, SyncPolicy};

const EVENTS: u64 = 60;

fn builder(directory: &Path) -> Builder {
    Appender::builder(directory)
        // A small inbox, which is quickly made.
        .queue_bytes_max(512 << 10)
        .segment_count(2)
        .segment_bytes(4096)
        .event_bytes_max(2048)
        .rotate_bytes(3000)
        .flush_interval(Duration::from_millis(1))
        .sync_policy(SyncPolicy::Interval(Duration::from_millis(2)))
}

fn body(number: u64) -> String {
    let name = if number % 8 == 5 { "none" } else { "event" };
    format!(r#"{{"n":{number},"p":"{}","{name}":"e"}}"#, "p".repeat(100))
}

/// What became of a life.
struct Life {
    /// Numbers of the events that were accepted and not given back.
    kept: Vec<u64>,
    error: Option<FlushError>,
}

/// Opens, sends, flushes, syncs and closes. `None` where the opening failed.
fn live(builder: Builder, disk: &Disk) -> Option<Life> {
    let appender = builder.open_on(disk).ok()?;
    let producer = appender.producer();
    let mut kept: Vec<u64> = Vec::new();
    for number in 0..EVENTS {
        match producer.send_slice(body(number).as_bytes()) {
            Ok(()) => kept.push(number),
            Err(error) => assert_eq!(error.into_event(), body(number)),
        }
        if number == EVENTS / 2 {
            // Errors of these show again in the one of `close`, or were made good by then.
            let _ = appender.flush();
            let _ = appender.sync();
        }
    }
    match appender.close() {
        Ok(_) => Some(Life { kept, error: None }),
        Err(error) => {
            let back = error.events().len();
            for (event, number) in error.events().iter().zip(&kept[kept.len() - back..]) {
                assert_eq!(event, body(*number).as_bytes());
            }
            kept.truncate(kept.len() - back);
            Some(Life { kept, error: Some(error.cause().clone()) })
        }
    }
}

/// The numbers in the CDR and in the rejects, in the order of the files.
fn numbers(directory: &Path) -> (Vec<u64>, Vec<u64>) {
    let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let lines = super::text_of(directory, "CDR.");
    let rejects = super::text_of(directory, "rejected.");
    let of_reject = |line| parse(parse(line)["body"].as_str().unwrap())["n"].as_u64().unwrap();
    (
        lines.lines().map(|line| parse(line)["e"]["n"].as_u64().unwrap()).collect(),
        rejects.lines().map(of_reject).collect(),
    )
}

fn check(directory: &Path, kept: &[u64], what: &str) {
    // The next opening finds a disk that works again. The unlocking failed too: until a child that
    // another test just forked has become its program, it has a copy of the lock.
    let deadline = Instant::now() + Duration::from_secs(10);
    let appender = loop {
        match builder(directory).open() {
            Err(OpenError::Locked { .. }) if Instant::now() < deadline => std::thread::yield_now(),
            opened => break opened.unwrap_or_else(|error| panic!("{what}: {error}")),
        }
    };
    appender.close().unwrap();
    let (rejects, lines): (Vec<u64>, Vec<u64>) = kept.iter().partition(|&number| number % 8 == 5);
    assert_eq!(numbers(directory), (lines, rejects), "{what}");
}

/// Plays the life with calls failing as `watcher` says; gives what `close` said.
fn play(watcher: Arc<Failing>, what: &str) -> Option<FlushError> {
    let directory = super::memory_directory();
    let mut builder = builder(directory.path());
    if watcher.count == u64::MAX {
        // It never gets better. A call that fails once is waited for: however late the thread gets
        // to its second try on a loaded machine, that one works.
        builder = builder
            .write_retry_timeout(Duration::from_millis(10))
            .close_timeout(Duration::from_millis(5));
    }
    let life = live(builder, &Disk::with_hook(watcher));
    let kept = life.as_ref().map_or(&[][..], |life| &life.kept);
    check(directory.path(), kept, what);
    life.and_then(|life| life.error)
}

/// About how many calls a life makes: they differ a little by the timing of the threads.
fn calls_of_a_life() -> u64 {
    let watcher = Failing::from(u64::MAX, 0);
    assert!(play(watcher.clone(), "no failure").is_none());
    watcher.calls.load(Ordering::SeqCst)
}

#[test]
fn one_failing_call_is_made_good_or_told_and_loses_nothing() {
    let calls = calls_of_a_life();
    println!("{calls} calls");
    for call in 0..calls {
        match play(Failing::from(call, 1), &format!("call {call} fails once")) {
            None => {}
            Some(FlushError::Sync { source, .. }) => {
                assert!(source.to_string().starts_with("injected at sync"), "{source}");
            }
            Some(other) => panic!("call {call}: {other}"),
        }
    }
}

#[test]
fn a_disk_that_fails_from_some_call_on_loses_nothing_that_was_accepted() {
    for call in 0..calls_of_a_life() {
        play(Failing::from(call, u64::MAX), &format!("all calls fail from {call} on"));
    }
}

/// Fails so many writes to the CDR file from the time on that it is told how many.
#[derive(Default)]
struct FailingWrites(AtomicU64);

impl FaultHook for FailingWrites {
    fn before(&self, action: &'static str, path: &Path) -> io::Result<()> {
        let is_cdr = path.extension().is_some_and(|extension| extension == "log");
        let one_less = |left: u64| left.checked_sub(1);
        let failing = action == "write" && is_cdr;
        match failing && self.0.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            true => Err(io::Error::other("injected")),
            false => Ok(()),
        }
    }
}

/// The line feed that ends half a line of others is a write of its own.
#[test]
fn half_a_line_of_others_is_ended_even_where_that_fails_at_first() {
    for failures in 0..3 {
        let directory = super::memory_directory();
        let disk = Arc::new(FailingWrites::default());
        let builder = builder(directory.path()).close_timeout(Duration::from_secs(60));
        let appender = builder.open_on(&Disk::with_hook(disk.clone())).unwrap();
        std::fs::write(appender.cdr_path(), "theirs").unwrap();
        disk.0.store(failures, Ordering::SeqCst);
        appender.producer().send_slice(body(0).as_bytes()).unwrap();
        let stats = appender.close().unwrap();
        assert_eq!((stats.write_errors, stats.files_changed_by_others), (failures, 1));
        let text = super::text_of(directory.path(), "CDR.");
        let (theirs, ours) = text.split_once('\n').unwrap();
        assert_eq!(theirs, "theirs");
        assert!(ours.starts_with("{\"e\":{\"n\":0,") && ours.ends_with("}}\n"), "{text}");
    }
}

/// Lets the first write of a line last longer than any timeout, and fail then.
#[derive(Default)]
struct SlowFailure(AtomicU64);

impl FaultHook for SlowFailure {
    fn before(&self, action: &'static str, path: &Path) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if action == "write"
            && name.starts_with("CDR.")
            && self.0.fetch_add(1, Ordering::SeqCst) == 0
        {
            std::thread::sleep(Duration::from_millis(150));
            return Err(io::Error::other("injected"));
        }
        Ok(())
    }
}

#[test]
fn a_single_failure_is_never_the_end_of_a_timeout_however_long_the_try_took() {
    let directory = super::memory_directory();
    let timeout = Duration::from_millis(1);
    let builder = builder(directory.path()).write_retry_timeout(timeout).close_timeout(timeout);
    let appender = builder.open_on(&Disk::with_hook(Arc::new(SlowFailure::default()))).unwrap();
    appender.producer().send_slice(body(0).as_bytes()).unwrap();
    assert_eq!(appender.close().unwrap().write_errors, 1);
    assert_eq!(super::text_of(directory.path(), "CDR.").lines().count(), 1);
}

/// Lets every second write of a line fail.
#[derive(Default)]
struct EverySecond(AtomicU64);

impl FaultHook for EverySecond {
    fn before(&self, action: &'static str, path: &Path) -> io::Result<()> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_line = action == "write" && name.starts_with("CDR.");
        match is_line && self.0.fetch_add(1, Ordering::SeqCst) % 2 == 1 {
            true => Err(io::Error::other("injected")),
            false => Ok(()),
        }
    }
}

/// A disk that takes a line now and then is slow, and not full: a timeout that counted from the first
/// failure ended though a line was written between any two.
#[test]
fn a_timeout_starts_again_whenever_something_is_written() {
    let directory = super::memory_directory();
    let timeout = Duration::from_millis(1);
    let builder = Appender::builder(directory.path())
        .rotate_bytes(1)
        .write_retry_timeout(timeout)
        .close_timeout(timeout);
    let appender = builder.open_on(&Disk::with_hook(Arc::new(EverySecond::default()))).unwrap();
    for number in 0..20 {
        appender.producer().send_slice(body(8 * number).as_bytes()).unwrap();
    }
    let stats = appender.close().unwrap();
    assert!(stats.write_errors >= 10, "{stats:?}");
    assert_eq!(super::text_of(directory.path(), "CDR.").lines().count(), 20);
}
