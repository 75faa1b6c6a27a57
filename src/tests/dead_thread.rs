//! A thread that dies is noticed by everybody, at once, and takes nothing along that was journaled.
//!
//! Without the guards at the end of both threads a producer would wait for ever for room in a queue
//! that nobody empties, `flush` for an answer that nobody gives, and an acknowledgement for its
//! word. And a flusher that believes that the rewriter ended in order would tell the next opening
//! that there is nothing to do, though lines were journaled that it never saw.
//!
//! A child (this very program, started again) lets one thread panic at its N-th step (`step.rs`),
//! for every N: in the rewriter those are the stores that make lines journaled, in the flusher also
//! every call to the disk.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::step::{self, End};
use crate::{Ack, Appender, Builder, Bytes, Durability, Producer, SyncPolicy};

const CHILD: &str = "CDRLOG_DEAD_THREAD_CHILD";
const EVENTS: u64 = 40;

/// Much longer than anything takes, much shorter than a test run may take.
const HANG: Duration = Duration::from_secs(60);

fn builder(directory: &Path) -> Builder {
    Appender::builder(directory)
        .queue_events_max(8)
        // A small inbox, which is quickly made.
        .queue_bytes_max(512 << 10)
        .segment_count(2)
        .segment_bytes(4096)
        .event_bytes_max(2048)
        .flush_interval(Duration::from_millis(1))
        .sync_policy(SyncPolicy::Interval(Duration::from_millis(2)))
}

fn body(number: u64) -> Bytes {
    let name = if number % 8 == 5 { "none" } else { "event" };
    format!(r#"{{"n":{number},"p":"{}","{name}":"e"}}"#, "p".repeat(300)).into()
}

fn send_until_refused(producer: &Producer, acks: &mut Vec<(u64, Ack)>) {
    for number in 0..EVENTS {
        let levels = [Durability::Journaled, Durability::Written, Durability::Synced];
        let durability = levels[(number % 3) as usize];
        match producer.send_acked(body(number), durability) {
            Ok(ack) => acks.push((number, ack)),
            Err(error) => {
                assert_eq!(error.into_event(), body(number), "an event came back changed");
                return;
            }
        }
    }
}

/// One life in which the thread dies at `step`; `false` where the life had not so many.
fn dies(thread: &'static str, step: u64) -> bool {
    let directory = super::memory_directory();
    let appender = builder(directory.path()).open_on(&step::disk()).unwrap();
    step::end_at(step, thread, End::Panic);
    let producer = appender.producer();
    let mut acks = Vec::new();
    send_until_refused(&producer, &mut acks);
    // Both threads have something to do here, and an answer to give.
    let _ = appender.flush();
    let _ = appender.sync();
    if !step::is_over() {
        step::disarm();
        appender.close().unwrap();
        return false;
    }
    wait_for_the_end_of_the_thread(&producer);
    assert!(appender.flush().is_err(), "a flush without a thread went well");
    assert!(producer.try_send(body(0)).is_err(), "an event was taken by nobody");
    assert!(producer.send(body(0)).is_err(), "an event was taken by nobody");
    assert!(appender.sync().is_err() && appender.close().is_err());
    let acked: Vec<u64> = acks
        .into_iter()
        .filter_map(|(number, ack)| {
            let outcome = ack
                .wait_timeout(HANG)
                .unwrap_or_else(|ack| panic!("step {step}: {number} never came: {ack:?}"));
            outcome.is_ok().then_some(number)
        })
        .collect();
    check(directory.path(), &acked);
    true
}

/// The step is taken; unwinding takes a moment more.
fn wait_for_the_end_of_the_thread(producer: &Producer) {
    let end = Instant::now() + HANG;
    // A queue that is full is not closed yet.
    let is_open = || producer.try_send(body(5)).map_or_else(|error| error.is_full(), |()| true);
    while is_open() && Instant::now() < end {
        std::thread::yield_now();
    }
}

/// What was acknowledged is there after the next opening, and the rest as far as it came, in order.
fn check(directory: &Path, acked: &[u64]) {
    builder(directory).open().unwrap().close().unwrap();
    let text = super::text_of(directory, "CDR.");
    let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let found: Vec<u64> =
        text.lines().map(|line| parse(line)["e"]["n"].as_u64().unwrap()).collect();
    let end = found.last().map_or(0, |last| last + 1);
    let expected: Vec<u64> = (0..end).filter(|number| number % 8 != 5).collect();
    assert_eq!(found, expected);
    for number in acked {
        assert!(found.contains(number), "{number} was acknowledged and is not there");
    }
}

#[test]
#[ignore = "the child of the tests below; does nothing by itself"]
fn child() {
    let thread = match std::env::var(CHILD).as_deref() {
        Ok("cdrlog-rewrite") => "cdrlog-rewrite",
        Ok("cdrlog-flush") => "cdrlog-flush",
        _ => return,
    };
    let mut step = 0;
    while dies(thread, step) {
        step += 1;
    }
    println!("{thread} died at {step} steps");
    assert!(step > 20, "only {step} steps");
}

fn let_die(thread: &str) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::dead_thread::child", "--ignored", "--nocapture"])
        .env(CHILD, thread)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let end = Instant::now() + 3 * HANG;
    while Instant::now() < end {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(status.success(), "run the child by hand with {CHILD}={thread}");
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    panic!("somebody waits for ever for a dead {thread}");
}

#[test]
fn a_rewriter_that_dies_at_any_step_is_noticed_and_takes_nothing_along() {
    let_die("cdrlog-rewrite");
}

#[test]
fn a_flusher_that_dies_at_any_step_is_noticed_and_takes_nothing_along() {
    let_die("cdrlog-flush");
}
