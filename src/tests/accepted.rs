//! What a `send` took is there after the next opening, at whatever step the process died, and at
//! whatever step that opening did.
//!
//! Without the order of the stores of a sender and of the rewriter, a kill between two of them would
//! lose an event or double it: one that is journaled and not marked yet, one whose chunk is used
//! again before it is. Random kills (`tests/kill9_accepted.rs`) hardly ever fall there.
//!
//! A child (this very program, started again) is killed before the N-th step of one of its threads,
//! for every N; or its rewriter is held before its N-th step while events are sent, and it is killed
//! then. The long form: `CDRLOG_ABORT_STRIDE=1 cargo test --release --lib accepted`.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use super::abort::{for_each_step_by, numbers, run_to_its_end};
use super::failing::Failing;
use super::step::{self, End};
use crate::storage::Disk;
use crate::{Appender, Builder, Bytes, Recovery, SyncPolicy};

const CHILD: &str = "CDRLOG_ACCEPTED_CHILD";
const DIRECTORY: &str = "CDRLOG_ACCEPTED_DIRECTORY";
const STEP: &str = "CDRLOG_ACCEPTED_STEP";

pub(super) const EVENTS: u64 = 24;

/// The inbox is beside the directory, which is on a tmpfs.
pub(super) fn builder(directory: &Path) -> Builder {
    Appender::builder(directory)
        .inbox_directory(directory.parent().unwrap())
        .queue_bytes_max(1 << 20)
        .segment_count(2)
        .segment_bytes(4096)
        .event_bytes_max(2048)
        .flush_interval(Duration::from_millis(1))
        .sync_policy(SyncPolicy::Never)
}

/// Every eighth is no event, and one of those is larger than a segment of the rejects.
pub(super) fn body(number: u64) -> String {
    let name = if number % 8 == 5 { "none" } else { "event" };
    let padding = if number == 13 { 280 << 10 } else { 200 };
    format!(r#"{{"n":{number},"{name}":"e","p":"{}"}}"#, "p".repeat(padding))
}

// ===== the child =====

#[test]
#[ignore = "the child of the tests below; does nothing by itself"]
fn child() {
    let Ok(role) = std::env::var(CHILD) else { return };
    let directory = PathBuf::from(std::env::var(DIRECTORY).unwrap());
    let at: u64 = std::env::var(STEP).unwrap().parse().unwrap();
    match role.as_str() {
        "sender" => send_and_die(&directory, at, "sender", End::Kill),
        "rewriter" => send_and_die(&directory, at, "cdrlog-rewrite", End::Kill),
        "held rewriter" => send_and_die(&directory, at, "cdrlog-rewrite", End::Hold),
        "opening" => {
            step::end_at(at, "", End::Kill);
            builder(&directory).open_on(&step::disk()).unwrap().close().unwrap();
        }
        other => panic!("{other}"),
    }
}

/// Sends all events and notes after each how many were taken; lives until then at most.
fn send_and_die(directory: &Path, at: u64, thread: &'static str, end: End) {
    let noted = File::create(directory.with_extension("noted")).unwrap();
    let appender = builder(directory).open_on(&step::disk()).unwrap();
    assert!(appender.inbox_path().is_some(), "no inbox");
    step::end_at(at, thread, end);
    let producer = appender.producer();
    let send = move || {
        for number in 0..EVENTS {
            producer.send_slice(body(number).as_bytes()).unwrap();
            noted.write_all_at(&(number + 1).to_le_bytes(), 0).unwrap();
        }
    };
    std::thread::Builder::new().name("sender".to_owned()).spawn(send).unwrap().join().unwrap();
    if matches!(end, End::Hold) {
        // It gets that far by itself.
        while !step::is_over() && appender.stats().events_queued > 0 {
            std::thread::yield_now();
        }
    } else {
        // The rewriter takes its steps.
        appender.flush().unwrap();
    }
    // Steps that were not taken are no deaths of theirs: the process ends by itself.
    if step::is_over() {
        step::end_at(0, "", End::Kill);
        step::take();
    }
    step::disarm();
    appender.close().unwrap();
}

fn child_command(program: &Path, role: &str, directory: &Path, step: u64) -> Command {
    let mut command = Command::new(program);
    command
        .args(["--exact", "tests::accepted::child", "--ignored", "--nocapture"])
        .envs([(CHILD, role), (STEP, &step.to_string())])
        .env(DIRECTORY, directory);
    command
}

/// Gives whether the child came to its end.
pub(super) fn run_child(role: &str, directory: &Path, step: u64) -> bool {
    let program = std::env::current_exe().unwrap();
    run_to_its_end(&mut child_command(&program, role, directory, step))
}

// ===== the parent =====

/// A directory that is removed with all that is beside it, on a tmpfs.
pub(super) fn parent() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").expect("these tests need a tmpfs at /dev/shm")
}

pub(super) fn recover(directory: &Path) -> Recovery {
    let appender = builder(directory).open().unwrap();
    let recovery = appender.recovery().clone();
    appender.close().unwrap();
    recovery
}

fn taken(directory: &Path) -> u64 {
    let bytes = fs::read(directory.with_extension("noted")).unwrap();
    bytes.try_into().map_or(0, u64::from_le_bytes)
}

/// Those that were taken are there, in order, and at most one more.
pub(super) fn check(directory: &Path, what: &str) {
    let taken = taken(directory);
    let (lines, rejects) = numbers(directory);
    let end = lines.last().max(rejects.last()).map_or(0, |last| last + 1);
    assert!(end >= taken, "{what}: {taken} were taken, {end} are there");
    assert!(end <= taken + 1, "{what}: {taken} were taken, {end} are there");
    let (expected_rejects, expected): (Vec<u64>, Vec<u64>) =
        (0..end).partition(|number| number % 8 == 5);
    assert_eq!((lines, rejects), (expected, expected_rejects), "{what}");
    assert!(!super::text_of(directory, "rejected.").contains("\"cut\":true"), "{what}");
    let left = inboxes(directory);
    assert!(left.is_empty(), "{what}: {left:?} is still there");
}

pub(super) fn inboxes(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory.parent().unwrap()).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "inbox")).collect()
}

pub(super) fn die_at_every_step(
    role: &str,
    quick: u64,
    run_child: impl Fn(&str, &Path, u64) -> bool,
    check: impl Fn(&Path, &str),
) {
    let mut from_inbox = 0;
    let steps = for_each_step_by(quick, |step| {
        let parent = parent();
        let directory = parent.path().join("cdr");
        let ended = run_child(role, &directory, step);
        from_inbox += recover(&directory).inbox_events;
        check(&directory, &format!("{role}, step {step}"));
        ended
    });
    println!("{role}: killed at {steps} steps, {from_inbox} events came from the inbox");
    assert!(from_inbox > 0, "no event was ever in the inbox: the test tests nothing");
}

#[test]
fn a_sender_that_dies_at_any_step_loses_nothing_that_was_accepted() {
    die_at_every_step("sender", 11, run_child, check);
}

#[test]
fn a_rewriter_that_dies_at_any_step_loses_nothing_that_was_accepted() {
    die_at_every_step("rewriter", 11, run_child, check);
}

#[test]
fn what_is_accepted_while_the_rewriter_stands_at_any_step_is_not_lost() {
    die_at_every_step("held rewriter", 11, run_child, check);
}

#[test]
fn a_recovery_of_the_inbox_that_dies_at_any_step_is_done_again_to_the_same_end() {
    // Held within the record that is larger than a segment, behind some of the events, and first.
    for held_at in [0, 40, 60] {
        let steps = for_each_step_by(53, |step| {
            let parent = parent();
            let directory = parent.path().join("cdr");
            assert!(!run_child("held rewriter", &directory, held_at));
            let ended = run_child("opening", &directory, step);
            run_child("opening", &directory, step);
            recover(&directory);
            check(&directory, &format!("held at {held_at}, recovery killed at step {step}"));
            ended
        });
        println!("held at {held_at}: recovery killed at {steps} steps");
    }
}

/// A directory whose events are all in the inbox; gives the path of that.
pub(super) fn left(parent: &tempfile::TempDir) -> (PathBuf, PathBuf) {
    let directory = parent.path().join("cdr");
    assert!(!run_child("held rewriter", &directory, 0));
    let inbox = inboxes(&directory).pop().expect("an inbox");
    (directory, inbox)
}

#[test]
fn a_plan_tells_of_the_inbox_and_changes_nothing() {
    let parent = parent();
    let (directory, inbox) = left(&parent);
    let before = fs::read(&inbox).unwrap();
    let plan = builder(&directory).plan_recovery().unwrap();
    assert_eq!(plan.inbox_events, EVENTS);
    assert!(fs::read(&inbox).unwrap() == before, "the plan changed the inbox");
    let recovery = builder(&directory).recover().unwrap();
    assert_eq!((recovery.inbox_events, recovery.lines_bytes), (EVENTS, plan.lines_bytes));
    check(&directory, "recover alone");
    assert!(recover(&directory).is_nothing());
}

#[test]
fn where_there_can_be_no_inbox_events_are_taken_and_it_is_told() {
    let parent = parent();

    for place in ["/no/such/directory", "/proc", "/"] {
        let directory = parent.path().join("cdr");
        let told = std::sync::Arc::new(std::sync::Mutex::new(Vec::new()));
        let listener = {
            let told = told.clone();
            move |notice: &crate::Notice| told.lock().unwrap().push(notice.to_string())
        };
        let options = builder(&directory).inbox_directory(place).on_notice(listener);
        let appender = options.open().unwrap();
        assert_eq!(appender.inbox_path(), None, "{place}");
        appender.producer().send_slice(body(0).as_bytes()).unwrap();
        let stats = appender.close().unwrap();
        assert_eq!((stats.events_journaled, stats.events_unprotected), (1, 1));
        let told = told.lock().unwrap();
        assert!(told.len() == 1 && told[0].contains("no inbox"), "{place}: {told:?}");
        assert!(recover(&directory).is_nothing(), "{place}");
    }
}

/// More than the journal holds.
const MANY: u64 = 100;

/// Sends what the journal cannot hold while every write fails, and ends the appender; gives the
/// events that came back.
fn end_on_a_failing_disk(directory: &Path, end: fn(Appender) -> Vec<Bytes>) -> Vec<Bytes> {
    let is_flusher = || std::thread::current().name() == Some("cdrlog-flush");
    let disk = Disk::with_hook(Failing::of(is_flusher, 0, u64::MAX));
    let options = builder(directory).close_timeout(Duration::ZERO);
    let appender = options.open_on(&disk).unwrap();
    let producer = appender.producer();
    for number in 0..MANY {
        producer.send_slice(body(number).as_bytes()).unwrap();
    }
    end(appender)
}

#[test]
fn events_that_close_gave_back_are_not_taken_by_the_next_opening() {
    let parent = parent();
    let directory = parent.path().join("cdr");
    let back =
        end_on_a_failing_disk(&directory, |appender| appender.close().unwrap_err().into_events());
    assert!(!back.is_empty(), "all were journaled: the test tests nothing");
    let recovery = recover(&directory);
    assert_eq!((recovery.inbox_events, recovery.unusable_inbox), (0, None));
    let (lines, rejects) = numbers(&directory);
    assert_eq!(lines.len() + rejects.len() + back.len(), MANY as usize);
}

#[test]
fn events_of_an_appender_that_was_dropped_are_taken_by_the_next_opening() {
    let parent = parent();
    let directory = parent.path().join("cdr");
    end_on_a_failing_disk(&directory, |appender| {
        drop(appender);
        Vec::new()
    });
    assert!(recover(&directory).inbox_events > 0, "all were journaled: the test tests nothing");
    fs::write(directory.with_extension("noted"), MANY.to_le_bytes()).unwrap();
    check(&directory, "dropped");
}

#[test]
fn an_inbox_is_free_for_the_next_opening_though_a_producer_outlives_its_appender() {
    let parent = parent();
    let directory = parent.path().join("cdr");
    let mut producers = Vec::new();
    let is_flusher = || std::thread::current().name() == Some("cdrlog-flush");
    let disk = Disk::with_hook(Failing::of(is_flusher, 0, u64::MAX));
    let appender = builder(&directory).close_timeout(Duration::ZERO).open_on(&disk).unwrap();
    for number in 0..MANY {
        let producer = appender.producer();
        producer.send_slice(body(number).as_bytes()).unwrap();
        producers.push(producer);
    }
    drop(appender);
    let recovery = recover(&directory);
    assert_eq!(recovery.unusable_inbox, None);
    assert!(recovery.inbox_events > 0, "all were journaled: the test tests nothing");
    for producer in producers {
        assert!(producer.send_slice(b"late").is_err());
    }
    fs::write(directory.with_extension("noted"), MANY.to_le_bytes()).unwrap();
    check(&directory, "with producers");
}
