//! What holds on every system on which the library builds: lines are whole, in order and there once,
//! after a close, a rotation, a change by another program, and the death of the process.
//!
//! Without this, a developer on macOS or Windows would find out by a lost line that a promise was
//! only ever tested on Linux. `docs/systems.md` has the table of what holds where.
//!
//! A program of its own: the others need Linux, and a child that is this program is killed here.

#[path = "support/common.rs"]
#[expect(dead_code, reason = "shared with the tests that need Linux")]
mod common;

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use cdrlog::{Appender, Bytes, Durability, Notice, OpenError, SyncPolicy};
use common::{body, cdr, files, lines, rejects};

const CHILD_DIRECTORY: &str = "CDRLOG_PORTABLE_CHILD_DIRECTORY";

fn send(appender: &Appender, numbers: std::ops::Range<u64>) {
    let producer = appender.producer();
    numbers.for_each(|number| producer.send_slice(body(number).as_bytes()).unwrap());
}

#[test]
fn what_was_sent_is_there_after_a_close_and_the_next_open_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    for begin in [0, 1000, 2000] {
        let appender = Appender::builder(&directory).open().unwrap();
        assert!(appender.recovery().is_nothing(), "{:?}", appender.recovery());
        send(&appender, begin..begin + 1000);
        let stats = appender.close().unwrap();
        assert_eq!(stats.events_journaled, 1000);
    }
    assert_eq!(cdr(directory.path()), lines(3000));
    assert_eq!(files(directory.path(), "CDR.").len(), 3);
}

#[test]
fn a_flush_and_a_sync_make_lines_visible_and_a_rejected_body_is_kept() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    send(&appender, 0..10);
    appender.producer().send_slice(b"no event").unwrap();
    appender.flush().unwrap();
    assert_eq!(cdr(directory.path()), lines(10));
    assert_eq!(rejects(directory.path())[0]["body"], "no event");
    appender.sync().unwrap();
    let event = Bytes::from(body(10));
    let ack = appender.producer().send_acked(event, Durability::Synced).unwrap();
    assert_eq!(ack.wait().unwrap().offset, lines(10).len() as u64);
    appender.close().unwrap();
}

#[test]
fn rotations_lose_double_and_split_no_line() {
    let directory = tempfile::tempdir().unwrap();
    let builder = Appender::builder(&directory).rotate_bytes(20 << 10).segment_bytes(16 << 10);
    let appender = builder.event_bytes_max(4096).open().unwrap();
    send(&appender, 0..500);
    appender.rotate().unwrap();
    send(&appender, 500..1000);
    appender.close().unwrap();
    assert_eq!(cdr(directory.path()), lines(1000));
    let written = files(directory.path(), "CDR.");
    assert!(written.len() > 5, "{written:?}");
    for file in written {
        let text = fs::read_to_string(&file).unwrap();
        assert!(text.is_empty() || text.ends_with('\n'), "{}", file.display());
    }
}

#[test]
fn a_second_appender_of_the_directory_is_refused_until_the_first_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    let second = Appender::builder(&directory).open();
    assert!(matches!(second, Err(OpenError::Locked { .. })), "{second:?}");
    let planned = Appender::builder(&directory).plan_recovery();
    assert!(matches!(planned, Err(OpenError::Locked { .. })), "{planned:?}");
    appender.close().unwrap();
    Appender::builder(&directory).open().unwrap().close().unwrap();
}

/// Programs that rotate logs do either.
#[test]
fn a_file_that_another_program_moves_or_shortens_costs_no_line() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    send(&appender, 0..10);
    appender.flush().unwrap();
    let moved = directory.path().join("moved.log");
    fs::rename(appender.cdr_path(), &moved).unwrap();
    send(&appender, 10..20);
    appender.flush().unwrap();
    assert_eq!(fs::read_to_string(&moved).unwrap(), lines(10));
    let rest = cdr(directory.path());
    assert_eq!(lines(10) + &rest, lines(20));
    fs::OpenOptions::new().write(true).open(appender.cdr_path()).unwrap().set_len(0).unwrap();
    send(&appender, 20..30);
    appender.close().unwrap();
    assert_eq!(lines(20) + &cdr(directory.path()), lines(30));
}

/// The child: makes three kinds of events and says so, and waits to be killed.
#[test]
#[ignore = "the child of the test below; does nothing by itself"]
fn child() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let builder = Appender::builder(directory).no_inbox().sync_policy(SyncPolicy::Never);
    // What is journaled is not written soon.
    let appender = builder.flush_interval(Duration::from_secs(60)).open().unwrap();
    send(&appender, 0..300);
    appender.flush().unwrap();
    send(&appender, 300..599);
    let last = appender.producer().send_acked(Bytes::from(body(599)), Durability::Journaled);
    last.unwrap().wait().unwrap();
    println!("\njournaled");
    std::io::stdout().flush().unwrap();
    std::thread::sleep(Duration::from_secs(600));
}

#[test]
fn what_was_journaled_when_the_process_was_killed_is_there_once_after_the_next_open() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(CHILD_DIRECTORY, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    assert!(said.lines().any(|line| line.unwrap().trim() == "journaled"), "the child failed");
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(cdr(directory.path()).len() < lines(600).len(), "all was written: nothing is tested");
    // The recovery is planned, done, and not done again.
    let plan = Appender::builder(&directory).plan_recovery().unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    let recovered = appender.recovery().clone();
    assert_eq!((recovered.lines_bytes, recovered.power_loss), (plan.lines_bytes, false));
    assert_eq!(cdr(directory.path()), lines(600));
    send(&appender, 600..700);
    appender.close().unwrap();
    assert_eq!(cdr(directory.path()), lines(700));
    assert!(Appender::builder(&directory).plan_recovery().unwrap().is_nothing());
}

#[test]
fn an_open_says_what_does_not_hold_on_this_system() {
    let directory = tempfile::tempdir().unwrap();
    let notices = Arc::new(Mutex::new(Vec::new()));
    let told = notices.clone();
    let listen = move |notice: &Notice| told.lock().unwrap().push(notice.clone());
    Appender::builder(&directory).on_notice(listen).open().unwrap().close().unwrap();
    let notices = notices.lock().unwrap();
    let weaker = notices.iter().find(|notice| matches!(notice, Notice::WeakerSystem { .. }));
    let no_inbox = notices.iter().find(|notice| matches!(notice, Notice::NoInbox { .. }));
    if cfg!(target_os = "linux") {
        assert!(weaker.is_none(), "{notices:?}");
    } else {
        assert!(weaker.is_some(), "{notices:?}");
        assert!(no_inbox.unwrap().to_string().contains("tmpfs of Linux"), "{no_inbox:?}");
    }
}

#[cfg(feature = "reader")]
#[test]
fn a_reader_gets_every_line_once_across_rotations_while_they_are_written() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).rotate_bytes(10 << 10).open().unwrap();
    let mut reader = cdrlog::Reader::builder(directory.path()).follow(true).open().unwrap();
    let mut read = String::new();
    for begin in (0..400).step_by(50) {
        send(&appender, begin..begin + 50);
        appender.flush().unwrap();
        let expected = lines(begin + 50);
        while read.len() < expected.len() {
            match reader.next_line().unwrap() {
                Some(line) => {
                    read.push_str(std::str::from_utf8(line.bytes()).unwrap());
                    read.push('\n');
                }
                None => reader.wait(Duration::from_secs(1)),
            }
        }
        assert_eq!(read, expected);
    }
    appender.close().unwrap();
}

#[cfg(all(feature = "compress", feature = "manifest"))]
#[test]
fn sealed_files_are_compressed_and_listed_and_their_lines_stay() {
    let directory = tempfile::tempdir().unwrap();
    let builder = Appender::builder(&directory).compression(cdrlog::Compression::Gzip);
    let appender = builder.open().unwrap();
    send(&appender, 0..100);
    appender.rotate().unwrap();
    send(&appender, 100..101);
    appender.wait_for_maintenance().unwrap();
    let names: Vec<_> = files(directory.path(), "CDR.");
    assert!(names[0].to_string_lossy().ends_with(".gz"), "{names:?}");
    assert!(is_listed(directory.path(), &names[0]), "{names:?}");
    appender.close().unwrap();
}

#[cfg(feature = "synced")]
#[test]
fn a_cursor_gets_every_synced_line_once_and_a_pin_keeps_its_place() {
    use cdrlog::synced::{NextBlock, Pin, Stream, SyncedCursor};
    let directory = tempfile::tempdir().unwrap();
    let builder = Appender::builder(&directory).compression(cdrlog::Compression::Zstd);
    let appender = builder.open().unwrap();
    let mut pin = Pin::create(directory.path(), "archive", Stream::Lines, true).unwrap();
    let mut cursor = SyncedCursor::open(directory.path(), Stream::Lines, None).unwrap();
    let mut read = String::new();
    for begin in (0..300).step_by(100) {
        send(&appender, begin..begin + 100);
        appender.rotate().unwrap();
        appender.wait_for_maintenance().unwrap();
    }
    appender.close().unwrap();
    while let NextBlock::Block(block) = cursor.next_block(1 << 20).unwrap() {
        read.push_str(std::str::from_utf8(&block.bytes).unwrap());
        pin.set_floor(&block).unwrap();
        pin.advance(&block.end_position()).unwrap();
    }
    assert_eq!(read, lines(300));
}

#[cfg(all(feature = "compress", feature = "manifest"))]
fn is_listed(directory: &std::path::Path, file: &std::path::Path) -> bool {
    let name = file.file_name().unwrap().to_string_lossy();
    let plain = name.trim_end_matches(".gz").to_owned();
    fs::read_to_string(cdrlog::manifest::path_in(directory)).unwrap().contains(&plain)
}
