//! A process that dies at any step, also at one of its recovery, loses and doubles nothing.
//!
//! Random kills (`tests/kill9.rs`) hardly ever fall between two stores of a header, or between the
//! creation of a file and its anchor. Without the order of those stores the next opening would find
//! half an anchor, a segment with the sequence number of the old and the start of the new one, or a
//! recovered line that it recovers again.
//!
//! A child (this very program, started again) is killed before its N-th step (`step.rs`): from the
//! opening through commits, writes, anchors and the reuse of segments to the close. In the same way
//! the next opening is killed at its N-th step, twice, and the third one must leave the same lines
//! as one that was left alone.
//!
//! The quick form takes every 11th N, beginning at a random one. The long form takes every one:
//! `CDRLOG_ABORT_STRIDE=1 cargo test --release --lib abort`.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use super::copy::copy_tree;
use super::step::{self, End};
use crate::{Appender, Builder, Bytes, Durability, SyncPolicy};

const CHILD: &str = "CDRLOG_ABORT_CHILD";
const DIRECTORY: &str = "CDRLOG_ABORT_DIRECTORY";
const STEP: &str = "CDRLOG_ABORT_STEP";
const STRIDE: &str = "CDRLOG_ABORT_STRIDE";

/// Four segments of the ring of two: slots are used again.
const EVENTS: u64 = 60;

fn builder(directory: &Path) -> Builder {
    Appender::builder(directory)
        // Beside the directory, to be gone with it.
        .inbox_directory(directory.parent().unwrap())
        // A small inbox, which is quickly made.
        .queue_bytes_max(512 << 10)
        .segment_count(2)
        .segment_bytes(4096)
        .event_bytes_max(2048)
        .flush_interval(Duration::from_millis(1))
        .sync_policy(SyncPolicy::Interval(Duration::from_millis(2)))
}

fn body(number: u64) -> String {
    let name = if number % 8 == 5 { "none" } else { "event" };
    format!(r#"{{"n":{number},"p":"{}","{name}":"e"}}"#, "p".repeat(200))
}

// ===== the child =====

#[test]
#[ignore = "the child of the tests below; does nothing by itself"]
fn child() {
    let Ok(role) = std::env::var(CHILD) else { return };
    let directory = PathBuf::from(std::env::var(DIRECTORY).unwrap());
    let step: u64 = std::env::var(STEP).unwrap().parse().unwrap();
    match role.as_str() {
        "life" => {
            step::end_at(step, "", End::Kill);
            live(&directory);
        }
        "opening" => {
            step::end_at(step, "", End::Kill);
            builder(&directory).open_on(&step::disk()).unwrap().close().unwrap();
        }
        "leave behind" => leave_behind(&directory),
        other => panic!("{other}"),
    }
}

/// Appends; notes each acknowledged number beside the CDR.
fn live(directory: &Path) {
    let mut noted = fs::File::create(directory.with_extension("acked")).unwrap();
    let appender = builder(directory).open_on(&step::disk()).unwrap();
    let producer = appender.producer();
    for number in 0..EVENTS {
        let durability = match number % 16 {
            0 => Durability::Synced,
            8 => Durability::Written,
            _ => Durability::Journaled,
        };
        let ack = producer.send_acked(Bytes::from(body(number)), durability).unwrap();
        if ack.wait().is_ok() {
            writeln!(noted, "{number}").unwrap();
        }
    }
    appender.close().unwrap();
}

/// Leaves lines and rejects behind: some are synced, the rest is only journaled.
fn leave_behind(directory: &Path) {
    let appender = builder(directory)
        .flush_interval(Duration::from_secs(60))
        .sync_policy(SyncPolicy::Never)
        .open()
        .unwrap();
    let producer = appender.producer();
    let send = |number| producer.send_slice(body(number).as_bytes()).unwrap();
    (0..10).for_each(send);
    appender.sync().unwrap();
    (10..30).for_each(send);
    while appender.stats().events_accepted < 30 {
        std::thread::yield_now();
    }
    step::end_at(0, "", End::Kill);
    step::take();
}

fn run_child(role: &str, directory: &Path, step: u64) -> bool {
    run_to_its_end(
        Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "tests::abort::child", "--ignored", "--nocapture"])
            .envs([(CHILD, role), (STEP, &step.to_string())])
            .env(DIRECTORY, directory),
    )
}

/// Runs a child; gives whether it came to its end, and was not killed.
pub(super) fn run_to_its_end(child: &mut Command) -> bool {
    let output = child.output().unwrap();
    let killed = output.status.code().is_none();
    assert!(killed || output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    !killed
}

// ===== the parent =====

/// Calls `at` with every step to die at, until it says that the child came to its end; gives how
/// many those were.
fn for_each_step(at: impl FnMut(u64) -> bool) -> u64 {
    for_each_step_by(11, at)
}

/// The same with another stride of the quick form.
pub(super) fn for_each_step_by(quick: u64, mut at: impl FnMut(u64) -> bool) -> u64 {
    let stride: u64 = std::env::var(STRIDE).map_or(quick, |stride| stride.parse().unwrap());
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let mut step = u64::from(now.subsec_nanos()) % stride;
    let mut count = 0;
    while !at(step) {
        count += 1;
        step += stride;
    }
    count
}

/// The numbers in the CDR and those in the rejects.
pub(super) fn numbers(directory: &Path) -> (Vec<u64>, Vec<u64>) {
    let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let lines = super::text_of(directory, "CDR.");
    let rejects = super::text_of(directory, "rejected.");
    let of_reject = |line| parse(parse(line)["body"].as_str().unwrap())["n"].as_u64().unwrap();
    (
        lines.lines().map(|line| parse(line)["e"]["n"].as_u64().unwrap()).collect(),
        rejects.lines().map(of_reject).collect(),
    )
}

fn recover(directory: &Path) {
    builder(directory).open().unwrap().close().unwrap();
}

/// The numbers from 0 up to some last one are there, and all that were acknowledged.
fn check_life(directory: &Path, what: &str) {
    let noted = fs::read_to_string(directory.with_extension("acked")).unwrap();
    let (lines, rejects) = numbers(directory);
    let end = lines.last().max(rejects.last()).map_or(0, |last| last + 1);
    let (expected_rejects, expected): (Vec<u64>, Vec<u64>) =
        (0..end).partition(|number| number % 8 == 5);
    assert_eq!((lines, rejects), (expected, expected_rejects), "{what}");
    let acked: Option<u64> = noted.lines().last().map(|number| number.parse().unwrap());
    assert!(acked.is_none_or(|acked| acked < end), "{what}: {acked:?} of {end}");
}

#[test]
fn a_process_that_dies_at_any_step_loses_nothing_that_it_acknowledged() {
    let steps = for_each_step(|step| {
        let parent = super::memory_directory();
        let directory = parent.path().join("cdr");
        let ended = run_child("life", &directory, step);
        recover(&directory);
        check_life(&directory, &format!("killed at step {step}"));
        ended
    });
    println!("killed at {steps} steps");
}

/// What happened to the directory between the process that left it and the next opening.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Nothing,
    /// The last write was cut in the middle of a line.
    HalfALine,
    FileTaken,
    PowerLoss,
}

impl Meanwhile {
    fn happen(self, directory: &Path) {
        let names = crate::storage::Disk::default().names(directory).unwrap();
        let name = names.iter().find(|name| name.starts_with("CDR.")).unwrap();
        let path = directory.join(name);
        let append = |text: &str| {
            fs::File::options().append(true).open(&path).unwrap().write_all(text.as_bytes())
        };
        match self {
            Self::Nothing => {}
            Self::HalfALine => append(r#"{"e":{"n":10,"p":"ppp"#).unwrap(),
            Self::FileTaken => fs::remove_file(&path).unwrap(),
            Self::PowerLoss => {
                append("{\"e\":{\"n\":10}}\n\0\0\0\0").unwrap();
                super::boot::change_boot_id(directory);
            }
        }
    }
}

fn kill_every_recovery(meanwhile: Meanwhile) {
    let parent = super::memory_directory();
    let left = parent.path().join("left");
    assert!(!run_child("leave behind", &left, 0));
    meanwhile.happen(&left);
    let alone = parent.path().join("alone");
    copy_tree(&left, &alone);
    recover(&alone);
    let expected = (super::text_of(&alone, "CDR."), super::text_of(&alone, "rejected."));
    let directory = parent.path().join("killed");
    let steps = for_each_step(|step| {
        copy_tree(&left, &directory);
        let ended = run_child("opening", &directory, step);
        run_child("opening", &directory, step);
        recover(&directory);
        let found = (super::text_of(&directory, "CDR."), super::text_of(&directory, "rejected."));
        assert!(found == expected, "{meanwhile:?}, recovery killed at step {step}");
        fs::remove_dir_all(&directory).unwrap();
        ended
    });
    println!("{meanwhile:?}: recovery killed at {steps} steps");
}

#[test]
fn a_recovery_that_dies_at_any_step_is_done_again_to_the_same_end() {
    kill_every_recovery(Meanwhile::Nothing);
}

#[test]
fn the_same_after_a_write_that_was_cut() {
    kill_every_recovery(Meanwhile::HalfALine);
}

#[test]
fn the_same_for_a_file_that_was_taken_away() {
    kill_every_recovery(Meanwhile::FileTaken);
}

#[test]
fn the_same_after_a_power_loss() {
    kill_every_recovery(Meanwhile::PowerLoss);
}
