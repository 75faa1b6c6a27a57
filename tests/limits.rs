//! Limits of the process are errors that end when the limit does; a process that is stopped goes
//! on.
//!
//! Without the retries a server that once ran out of descriptors would never write again.
//!
//! A child (this very program, started again) is given the limits, because they count for the whole
//! process. Two limits end a process. Of `RLIMIT_FSIZE` the kernel sends SIGXFSZ, and cdrlog installs
//! no handler, since signals are the server's own; where the server ignores the signal, it is an
//! error like a full disk. Memory that cannot be had is an abort, as for any allocation in Rust.
//! Either way nothing that was acknowledged is lost.
//!
//! A program of its own: what the child of a limited process may hold must not grow with the tests
//! of others.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use cdrlog::{Appender, Builder, Bytes, Durability, Producer};
use rustix::process::{Pid, Resource, Rlimit, Signal};
use support::{body, cdr, give_inboxes, inbox_directory, lines};

const ROLE: &str = "CDRLOG_LIMITS_CHILD";
const DIRECTORY: &str = "CDRLOG_LIMITS_DIRECTORY";

/// Longer than anything takes.
const HANG: Duration = Duration::from_secs(120);

// ===== the child =====

#[test]
#[ignore = "the child of the tests below; does nothing by itself"]
fn child() {
    let Ok(role) = std::env::var(ROLE) else { return };
    let directory = PathBuf::from(std::env::var(DIRECTORY).unwrap());
    match role.as_str() {
        "descriptors" => without_descriptors(&directory),
        "address space" => without_address_space(&directory),
        "file size" => until_the_file_is_too_large(&directory),
        "memory" => until_memory_ends(&directory),
        "stopped" => send_all(&directory, 200_000),
        other => panic!("{other}"),
    }
}

fn builder(directory: &Path) -> Builder {
    Appender::builder(directory).inbox_directory(inbox_directory())
}

fn limit_descriptors(count: u64) {
    let limit = Rlimit {
        current: Some(count),
        maximum: rustix::process::getrlimit(Resource::Nofile).maximum,
    };
    rustix::process::setrlimit(Resource::Nofile, limit).unwrap();
}

fn without_descriptors(directory: &Path) {
    limit_descriptors(3);
    let error = builder(directory).open().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("Too many open files") && error.contains("cdr"), "{error}");
    limit_descriptors(100);
    let appender = builder(directory).open().unwrap();
    let producer = appender.producer();
    limit_descriptors(3);
    fs::remove_file(appender.cdr_path()).unwrap();
    producer.send_slice(body(0).as_bytes()).unwrap();
    let error = appender.flush().unwrap_err().to_string();
    assert!(error.contains("Too many open files"), "{error}");
    limit_descriptors(100);
    appender.close().unwrap();
    assert_eq!(cdr(directory), lines(1));
}

fn address_space_bytes() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmSize:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

fn limit_address_space(bytes: Option<u64>) {
    let maximum = rustix::process::getrlimit(Resource::As).maximum;
    rustix::process::setrlimit(Resource::As, Rlimit { current: bytes, maximum }).unwrap();
}

/// Too little for the journal, which comes before the queue and takes more.
fn without_address_space(directory: &Path) {
    for mebibytes in 1..4 {
        limit_address_space(Some(address_space_bytes() + (mebibytes << 20)));
        let error = builder(directory).open().map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("Cannot allocate memory"), "{error}");
        assert!(error.contains(directory.to_str().unwrap()), "{error}");
    }
    limit_address_space(None);
    let appender = builder(directory).open().unwrap();
    appender.producer().send_slice(body(0).as_bytes()).unwrap();
    appender.close().unwrap();
    assert_eq!(cdr(directory), lines(1));
}

/// Enough for an appender at work, and not for a server that takes ever more.
fn until_memory_ends(directory: &Path) {
    let appender = builder(directory).open().unwrap();
    // Behind these all three threads run, which takes memory too.
    appender.producer().send_slice(body(0).as_bytes()).unwrap();
    appender.flush().unwrap();
    appender.wait_for_maintenance().unwrap();
    limit_address_space(Some(address_space_bytes() + (64 << 20)));
    let mut hoard = Vec::new();
    send_and_note(&appender.producer(), directory, 1, |number| {
        hoard.push(body(number).repeat(20));
    });
}

fn until_the_file_is_too_large(directory: &Path) {
    let appender = builder(directory)
        .write_retry_timeout(Duration::from_millis(50))
        .queue_events_max(64)
        .open()
        .unwrap();
    send_and_note(&appender.producer(), directory, 0, |_| {});
    let error = appender.close().unwrap_err().to_string();
    assert!(error.contains("File too large"), "{error}");
}

/// Sends the events from `first` on until the appender takes nothing more, and notes how many were
/// acknowledged.
fn send_and_note(producer: &Producer, directory: &Path, first: u64, mut each: impl FnMut(u64)) {
    let mut acks = std::collections::VecDeque::new();
    for number in first.. {
        each(number);
        match producer.send_acked(Bytes::from(body(number)), Durability::Journaled) {
            Ok(ack) => acks.push_back(ack),
            Err(_) => break,
        }
        if acks.len() > 32 && acks.pop_front().unwrap().wait().is_ok() && number % 64 == 0 {
            // Moved into place whole: the end may come between any two calls.
            let beside = directory.with_extension("new");
            fs::write(&beside, (number - 31).to_string()).unwrap();
            fs::rename(beside, directory.with_extension("acked")).unwrap();
        }
    }
}

fn send_all(directory: &Path, events: u64) {
    let appender = builder(directory).open().unwrap();
    let producer = appender.producer();
    (0..events).for_each(|number| producer.send_slice(body(number).as_bytes()).unwrap());
    appender.close().unwrap();
}

// ===== the parent =====

/// Starts the child, by way of a shell that does `first`.
fn start(role: &str, directory: &Path, first: &str) -> Child {
    let this = std::env::current_exe().unwrap();
    give_inboxes(&mut Command::new("sh"))
        .arg("-c")
        .arg(format!("{first}; exec {} --exact child --ignored --nocapture", this.display()))
        .env(ROLE, role)
        .env(DIRECTORY, directory)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

fn end(mut child: Child) -> ExitStatus {
    let end = Instant::now() + HANG;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("the child hangs");
}

#[test]
fn no_descriptors_is_an_error_that_passes() {
    let parent = tempfile::tempdir().unwrap();
    let child = start("descriptors", &parent.path().join("cdr"), "true");
    assert!(end(child).success());
}

#[test]
fn no_address_space_for_the_journal_is_an_error_that_passes() {
    let parent = tempfile::tempdir().unwrap();
    let child = start("address space", &parent.path().join("cdr"), "true");
    assert!(end(child).success());
}

/// Lets a child reach its limit, by way of a shell that does `first`; gives how it ended.
fn reach_the_limit(role: &str, first: &str) -> ExitStatus {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("cdr");
    let status = end(start(role, &directory, first));
    let acked = fs::read_to_string(directory.with_extension("acked")).unwrap();
    let acked: u64 = acked.parse().unwrap();
    // The next opening has no limit.
    Appender::builder(&directory).open().unwrap().close().unwrap();
    let text = cdr(&directory);
    let count = text.lines().count() as u64;
    assert!(text == lines(count), "the CDR is not the first {count} lines");
    assert!(count >= acked && text.len() > 2 << 20, "{acked} were acknowledged, {count} are there");
    status
}

#[test]
fn the_limit_of_a_file_is_a_signal_that_loses_nothing() {
    use std::os::unix::process::ExitStatusExt;
    // In blocks of 512 bytes: 2 MiB.
    let status = reach_the_limit("file size", "ulimit -c 0; ulimit -f 4096");
    assert_eq!(status.signal(), Some(Signal::XFSZ.as_raw()), "{status}");
}

#[test]
fn memory_that_cannot_be_had_is_an_abort_that_loses_nothing() {
    use std::os::unix::process::ExitStatusExt;
    let status = reach_the_limit("memory", "ulimit -c 0");
    assert_eq!(status.signal(), Some(Signal::ABORT.as_raw()), "{status}");
}

#[test]
fn where_the_signal_is_ignored_it_is_an_error_like_a_full_disk() {
    let status = reach_the_limit("file size", "trap '' XFSZ; ulimit -f 4096");
    assert!(status.success(), "{status}");
}

#[test]
fn a_process_that_is_stopped_and_continued_writes_every_line_once() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("cdr");
    let child = start("stopped", &directory, "true");
    let process = Pid::from_child(&child);
    for _ in 0..5 {
        std::thread::sleep(Duration::from_millis(30));
        rustix::process::kill_process(process, Signal::STOP).unwrap();
        std::thread::sleep(Duration::from_millis(60));
        rustix::process::kill_process(process, Signal::CONT).unwrap();
    }
    assert!(end(child).success());
    assert!(cdr(&directory) == lines(200_000), "lines are lost, doubled or mixed up");
}
