//! What other threads sent is kept if one sender is stopped, or all threads are killed, at any step
//! of a life.
//!
//! A sender that is stopped between its ticket and its completed record leaves a hole in the order
//! of the tickets. Without a walk for each chunk, or if the mark were a number of tickets, events
//! that others sent after it would be lost or come twice.
//!
//! A child process (this program, started again) is killed while one sender is stopped before its
//! N-th step and another one has sent all of its events, with the rewriter running or stopped too;
//! or before the N-th step of all threads together, including the close. They include the six steps
//! of an event: the copy of the body (before it and halfway through it), the ticket, the
//! completion, the taking (before the rewriter's first store), the commit and the mark. The long
//! form: `CDRLOG_ABORT_STRIDE=1 cargo test --release --lib accepted`.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::{Builder, JoinHandle};

use super::abort::run_to_its_end;
use super::accepted::{EVENTS, builder, inboxes};
use super::step::{self, End};
use crate::{Appender, Producer};

const CHILD: &str = "CDRLOG_BESIDE_CHILD";
const DIRECTORY: &str = "CDRLOG_BESIDE_DIRECTORY";
const STEP: &str = "CDRLOG_BESIDE_STEP";

/// The one that is stopped, and the one that goes on.
const SENDERS: [&str; 2] = ["held sender", "other sender"];

/// Every eighth is not an event; one of the others needs a chunk of its own.
fn body(sender: usize, number: u64) -> String {
    let name = if number % 8 == 5 { "none" } else { "event" };
    let padding = if number == 10 { 9000 } else { 200 };
    format!(r#"{{"n":{number},"t":{sender},"{name}":"e","p":"{}"}}"#, "p".repeat(padding))
}

// ===== the child =====

#[test]
#[ignore = "the child of the tests below; does nothing by itself"]
fn child() {
    let Ok(role) = std::env::var(CHILD) else { return };
    let directory = PathBuf::from(std::env::var(DIRECTORY).unwrap());
    let at: u64 = std::env::var(STEP).unwrap().parse().unwrap();
    let noted = File::create(directory.with_extension("noted")).unwrap();
    match role.as_str() {
        "rewriter at work" => send_beside_one_that_stands(&directory, &noted, at),
        "rewriter held" => {
            step::hold_rewriter();
            send_beside_one_that_stands(&directory, &noted, at);
        }
        "all threads" => {
            step::end_at(at, "", End::Kill);
            let appender = open(&directory);
            for sender in 0..SENDERS.len() {
                send_all(&appender.producer(), sender, &noted);
            }
            appender.close().unwrap();
        }
        other => panic!("{other}"),
    }
}

fn open(directory: &Path) -> Appender {
    let options = builder(directory).segment_bytes(16 << 10).event_bytes_max(16 << 10);
    let appender = options.open_on(&step::disk()).unwrap();
    assert!(appender.inbox_path().is_some(), "no inbox");
    appender
}

/// Notes after each event how many were accepted.
fn send_all(producer: &Producer, sender: usize, noted: &File) {
    for number in 0..EVENTS {
        producer.send_slice(body(sender, number).as_bytes()).unwrap();
        noted.write_all_at(&(number + 1).to_le_bytes(), sender as u64 * 8).unwrap();
    }
}

fn start(appender: &Appender, sender: usize, noted: &File) -> JoinHandle<()> {
    let (producer, noted) = (appender.producer(), noted.try_clone().unwrap());
    let thread = Builder::new().name(SENDERS[sender].to_owned());
    thread.spawn(move || send_all(&producer, sender, &noted)).unwrap()
}

fn send_beside_one_that_stands(directory: &Path, noted: &File, at: u64) {
    let appender = open(directory);
    step::end_at(at, SENDERS[0], End::Hold);
    let held = start(&appender, 0, noted);
    while !step::is_over() && !held.is_finished() {
        std::thread::yield_now();
    }
    start(&appender, 1, noted).join().unwrap();
    if held.is_finished() {
        // It has fewer steps. The rewriter may be held, and then a close would never end.
        std::process::exit(0);
    }
    step::end_at(0, "", End::Kill);
    step::take();
}

fn run_child(role: &str, directory: &Path, step: u64) -> bool {
    run_to_its_end(
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::accepted_beside::child", "--ignored", "--nocapture"])
            .envs([(CHILD, role), (STEP, &step.to_string())])
            .env(DIRECTORY, directory),
    )
}

// ===== the parent =====

/// How many events each sender knew to be accepted.
fn taken(directory: &Path) -> [u64; 2] {
    let bytes = fs::read(directory.with_extension("noted")).unwrap();
    [0, 1].map(|sender| {
        let bytes = bytes.get(sender * 8..sender * 8 + 8);
        bytes.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
    })
}

/// The sender and number of each body, in the order of the file.
type Numbers = Vec<(u64, u64)>;

fn numbers(directory: &Path) -> [Numbers; 2] {
    let parse = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
    let of = |body: serde_json::Value| (body["t"].as_u64().unwrap(), body["n"].as_u64().unwrap());
    let lines = super::text_of(directory, "CDR.");
    let rejects = super::text_of(directory, "rejected.");
    assert!(!rejects.contains("\"cut\":true"), "a record was cut");
    [
        lines.lines().map(|line| of(parse(line)["e"].take())).collect(),
        rejects.lines().map(|record| of(parse(parse(record)["body"].as_str().unwrap()))).collect(),
    ]
}

/// Each sender's accepted events are there once and in order, with at most one event more; what the
/// second one sent comes after what the first one knew to be accepted.
fn check(directory: &Path, what: &str) {
    let taken = taken(directory);
    let found = numbers(directory);
    for (sender, &taken) in taken.iter().enumerate() {
        let of_sender = |numbers: &Numbers| -> Vec<u64> {
            numbers
                .iter()
                .filter(|(of, _)| *of == sender as u64)
                .map(|(_, number)| *number)
                .collect()
        };
        let [lines, rejects] = [of_sender(&found[0]), of_sender(&found[1])];
        let end = lines.last().max(rejects.last()).map_or(0, |last| last + 1);
        assert!(
            (taken..=taken + 1).contains(&end),
            "{what}, {}: {taken} were taken, {end} are there",
            SENDERS[sender]
        );
        let (expected_rejects, expected): (Vec<u64>, Vec<u64>) =
            (0..end).partition(|number| number % 8 == 5);
        assert_eq!((lines, rejects), (expected, expected_rejects), "{what}, {}", SENDERS[sender]);
    }
    for numbers in &found {
        let first_of_other = numbers.iter().position(|(sender, _)| *sender == 1);
        let last_of_held =
            numbers.iter().rposition(|&(sender, number)| sender == 0 && number < taken[0]);
        assert!(
            first_of_other.is_none_or(|first| last_of_held.is_none_or(|last| last < first)),
            "{what}: an event is before one that was sent before it: {numbers:?}"
        );
    }
    let left = inboxes(directory);
    assert!(left.is_empty(), "{what}: {left:?} is still there");
}

fn die_at_every_step(role: &str, quick: u64) {
    super::accepted::die_at_every_step(role, quick, run_child, check);
}

#[test]
fn what_another_thread_sent_after_a_hole_at_any_step_of_a_sender_is_not_lost() {
    die_at_every_step("rewriter held", 11);
}

#[test]
fn what_was_journaled_beside_a_hole_at_any_step_of_a_sender_is_not_doubled() {
    die_at_every_step("rewriter at work", 11);
}

#[test]
fn a_life_that_ends_at_any_step_of_any_thread_loses_nothing_that_was_accepted() {
    die_at_every_step("all threads", 37);
}
