//! What a `send` took is there after the next opening, at whatever step the process died, and at
//! whatever step that opening did. An inbox that is not what it should be is not followed.
//!
//! Without the order of the stores of a sender and of the rewriter, a kill between two of them would
//! lose an event or double it: one that is journaled and not marked yet, one whose chunk is used
//! again before it is. Random kills (`tests/kill9_accepted.rs`) hardly ever fall there.
//!
//! A child (this very program, started again) is killed before the N-th step of one of its threads,
//! for every N; or its rewriter is held before its N-th step while events are sent, and it is killed
//! then. The long form: `CDRLOG_ABORT_STRIDE=1 cargo test --release --lib accepted`.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
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
const INBOX: &str = "CDRLOG_ACCEPTED_INBOX";

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
        "refuses" => refuses(&directory, &PathBuf::from(std::env::var(INBOX).unwrap())),
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
fn an_inbox_that_is_not_ours_is_not_followed_and_the_opening_goes_on() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 11] = [
        ("removed", |inbox| fs::remove_file(inbox).unwrap()),
        ("a link to it", |inbox| {
            fs::rename(inbox, inbox.with_extension("moved")).unwrap();
            symlink(inbox.with_extension("moved"), inbox).unwrap();
        }),
        ("a second name", |inbox| fs::hard_link(inbox, inbox.with_extension("hard")).unwrap()),
        ("a directory", |inbox| {
            fs::remove_file(inbox).unwrap();
            fs::create_dir(inbox).unwrap();
        }),
        ("a FIFO", |inbox| {
            fs::remove_file(inbox).unwrap();
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            let (here, fifo) = (rustix::fs::CWD, rustix::fs::FileType::Fifo);
            rustix::fs::mknodat(here, inbox, fifo, mode, 0).unwrap();
        }),
        ("a socket", |inbox| {
            fs::remove_file(inbox).unwrap();
            drop(UnixListener::bind(inbox).unwrap());
        }),
        ("writable by others", |inbox| {
            fs::set_permissions(inbox, fs::Permissions::from_mode(0o666)).unwrap();
        }),
        ("cut", |inbox| File::options().write(true).open(inbox).unwrap().set_len(100_000).unwrap()),
        ("empty", |inbox| File::options().write(true).open(inbox).unwrap().set_len(0).unwrap()),
        ("of another directory", |inbox| change(inbox, 64)),
        ("of another boot", |inbox| change(inbox, 32)),
    ];
    for (what, change) in changes {
        let parent = parent();
        let (directory, inbox) = left(&parent);
        change(&inbox);
        let recovery = recover(&directory);
        let unusable = recovery.unusable_inbox.map(|(path, _)| path);
        assert_eq!((unusable.as_deref(), recovery.inbox_events), (Some(&*inbox), 0), "{what}");
        assert!(what == "removed" || inbox.symlink_metadata().is_ok(), "{what}: it was removed");
        assert_eq!(numbers(&directory), (vec![], vec![]), "{what}");
        assert!(recover(&directory).is_nothing(), "{what}: it is told twice");
    }
}

/// Of the user `nobody`.
const NOBODY: u32 = 65534;

fn refuses(directory: &Path, inbox: &Path) {
    let recovery = recover(directory);
    let unusable = recovery.unusable_inbox.map(|(path, _)| path);
    assert_eq!((unusable.as_deref(), recovery.inbox_events), (Some(inbox), 0));
    assert_eq!(numbers(directory), (vec![], vec![]));
}

fn give_to_nobody(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give_to_nobody(&entry.unwrap().path()));
    }
}

/// Root may open any file, and takes none that somebody else may have written.
#[test]
fn an_inbox_of_another_user_is_not_followed_by_root() {
    if !rustix::process::geteuid().is_root() {
        return super::skip("an inbox cannot be given to another user", "run as root");
    }
    let parent = parent();
    let (directory, inbox) = left(&parent);
    chown(&inbox, Some(NOBODY), Some(NOBODY)).unwrap();
    refuses(&directory, &inbox);
    assert!(inbox.exists(), "it was removed");
}

/// All but the inbox belongs to `nobody`, who opens the directory.
#[test]
fn an_inbox_of_root_is_not_followed_by_another_user_and_the_opening_goes_on() {
    if !rustix::process::geteuid().is_root() {
        return super::skip("no other user can be played", "run as root");
    }
    let parent = parent();
    let (directory, inbox) = left(&parent);
    give_to_nobody(parent.path());
    chown(&inbox, Some(0), Some(0)).unwrap();
    // The other user may have no way to where this program is.
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
    let program = home.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = child_command(&program, "refuses", &directory, 0)
        .env(INBOX, &inbox)
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert!(inbox.exists(), "it was removed");
}

/// Changes a byte of the header, and makes its checksum fit again.
fn change(inbox: &Path, offset: usize) {
    let mut bytes = fs::read(inbox).unwrap();
    bytes[offset] ^= 1;
    let checksum = crc32c::crc32c(&bytes[..96]);
    bytes[96..100].copy_from_slice(&checksum.to_le_bytes());
    fs::write(inbox, bytes).unwrap();
}

#[test]
fn a_copy_of_a_directory_takes_nothing_from_the_inbox_of_the_original() {
    let parent = parent();
    let (directory, inbox) = left(&parent);
    let copy = parent.path().join("copy");
    super::copy::copy_tree(&directory, &copy);
    let recovery = recover(&copy);
    assert_eq!(recovery.unusable_inbox, Some((inbox, "it is of another directory")));
    assert_eq!(recover(&directory).inbox_events, EVENTS);
    check(&directory, "the original");
}

#[test]
fn any_bytes_in_an_inbox_give_whole_lines_or_none() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for round in 0..12 {
        let parent = parent();
        let (directory, inbox) = left(&parent);
        let mut bytes = fs::read(&inbox).unwrap();
        // Behind the header, where checks are words of their own, or anywhere.
        let begin = if round % 2 == 0 { 4096 } else { 128 };
        for _ in 0..1 << (round % 6 * 2) {
            let offset = begin + next() as usize % (60_000 - begin);
            bytes[offset] = next() as u8;
        }
        fs::write(&inbox, bytes).unwrap();
        recover(&directory);
        for line in super::text_of(&directory, "CDR.").split_inclusive('\n') {
            assert!(crate::rewrite::is_whole_line(line.as_bytes()), "round {round}: {line}");
        }
        for line in super::text_of(&directory, "rejected.").split_inclusive('\n') {
            assert!(crate::rewrite::is_whole_record(line.as_bytes()), "round {round}: {line}");
        }
    }
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
