//! Who ships a directory beside a writer that is killed again and again has the record in the end,
//! each line once.
//!
//! Without the rule of what is synced, without the wait for recovery, or with a position that a
//! recovery moves, lines would be sent that are not in the record, or not at the place they have there.
//!
//! A child (this very program, started again) appends and syncs, and is killed by SIGKILL at a random
//! time. The parent ships meanwhile: in each round by a new cursor, from where the one before ended.
//!
//! A program of its own, because a child that is this program must hold nothing else.
//!
//! The long form: `CDRLOG_KILL9_ROUNDS=300 cargo test --release --all-features --test kill9_synced`.

#![cfg(feature = "synced")]

mod support;

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use cdrlog::synced::{NextBlock, Pin, Stream, SyncedCursor, SyncedPosition, Wait};
use cdrlog::{Appender, SyncPolicy};
use support::{body, cdr, give_inboxes, inbox_directory};

const CHILD_DIRECTORY: &str = "CDRLOG_KILL9_CHILD_DIRECTORY";
const ROUNDS: &str = "CDRLOG_KILL9_ROUNDS";

#[test]
#[ignore = "the child of the test below; does nothing by itself"]
fn child() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let appender = Appender::builder(directory)
        .inbox_directory(inbox_directory())
        .segment_bytes(64 << 10)
        .event_bytes_max(8192)
        .flush_interval(Duration::from_millis(1))
        .sync_policy(SyncPolicy::Interval(Duration::from_millis(3)))
        .rotate_bytes(50 << 10)
        .time_marks(true)
        .open()
        .unwrap();
    let producer = appender.producer();
    for number in 0_u64.. {
        producer.send_slice(body(number).as_bytes()).unwrap();
        if number % 100 == 99 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

fn start(directory: &Path) -> Child {
    give_inboxes(&mut Command::new(std::env::current_exe().unwrap()))
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(CHILD_DIRECTORY, directory)
        .stdout(Stdio::null())
        .spawn()
        .unwrap()
}

/// What left the machine.
#[derive(Default)]
struct Shipped {
    text: String,
    position: Option<SyncedPosition>,
    blocks: u64,
}

impl Shipped {
    /// Ships until the cursor waits for something else than the writer, and for `time` at least.
    fn ship(
        &mut self,
        directory: &Path,
        pin: &mut Pin,
        time: Duration,
        mut end: impl FnMut(),
    ) -> Wait {
        let mut cursor =
            SyncedCursor::open(directory, Stream::Lines, self.position.as_ref()).unwrap();
        let begin = Instant::now();
        let mut is_over = false;
        loop {
            if !is_over && begin.elapsed() >= time {
                end();
                is_over = true;
            }
            match cursor.next_block(10_000).unwrap() {
                NextBlock::Block(block) => {
                    pin.set_floor(&block).unwrap();
                    self.text.push_str(std::str::from_utf8(&block.bytes).unwrap());
                    pin.advance(&block.end_position()).unwrap();
                    self.blocks += 1;
                }
                NextBlock::Wait(wait) if is_over && wait != Wait::Writer => {
                    self.position = cursor.position();
                    return wait;
                }
                NextBlock::Wait(_) => std::thread::sleep(Duration::from_millis(1)),
            }
        }
    }
}

#[test]
fn what_was_shipped_beside_a_writer_that_is_killed_is_the_record() {
    let rounds = std::env::var(ROUNDS).map_or(8, |rounds| rounds.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    Appender::builder(&directory)
        .inbox_directory(inbox_directory())
        .open()
        .unwrap()
        .close()
        .unwrap();
    let mut pin = Pin::create(&directory, "archive", Stream::Lines, true).unwrap();
    let mut shipped = Shipped::default();
    for round in 0..rounds {
        let mut child = start(directory.path());
        let time = Duration::from_millis(150 + round * 37 % 200);
        let wait = shipped.ship(directory.path(), &mut pin, time, || {
            child.kill().unwrap();
            child.wait().unwrap();
        });
        // Closed, if it was killed before it had opened the directory.
        assert!(matches!(wait, Wait::Recovery | Wait::Open), "{wait:?}");
        assert!(cdr(directory.path()).starts_with(&shipped.text), "round {round}");
    }
    let options = Appender::builder(&directory).inbox_directory(inbox_directory());
    options.open().unwrap().close().unwrap();
    let wait = shipped.ship(directory.path(), &mut pin, Duration::ZERO, || ());
    assert_eq!(wait, Wait::Open);
    assert!(cdr(directory.path()) == shipped.text, "what was shipped is not the record");
    assert!(shipped.blocks > 0, "nothing was shipped");
    println!("{} blocks, {} lines", shipped.blocks, shipped.text.lines().count());
}
