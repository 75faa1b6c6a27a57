//! What must not grow with what is asked: throughput by producers and by sizes of events, and the
//! times of opening and closing.
//!
//! ```sh
//! cargo bench --bench bounds    # prints three tables, about a minute
//! ```
//!
//! Every life counts its lines, and must find as many as it sent. Figures are medians.

mod common;
mod corpus;

use std::time::{Duration, Instant};

use cdrlog::{Appender, Stats, SyncPolicy};
use common::ours::CdrlogSlice;
use common::{EVENTS, EVENTS_TEST, Sender};

const PRODUCERS: [usize; 7] = [1, 2, 4, 8, 16, 32, 64];
const EVENT_BYTES: [usize; 6] = [100, 300, 1_000, 10_000, 30_000, 100_000];

/// What each size writes in a life.
const LIFE_BYTES: usize = 190_000_000;
const LIVES: usize = 7;
const OPENINGS: usize = 51;

fn lives() -> usize {
    if common::is_test() { 1 } else { LIVES }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn life_of(producers: usize) -> Duration {
    let events = if common::is_test() { EVENTS_TEST } else { EVENTS } / producers;
    let run = common::run::<CdrlogSlice, ()>(producers, events, |sender, first| {
        ((first..first + events).filter(|&number| sender.send(number)).count(), ())
    });
    run.elapsed
}

fn producers() {
    println!("| producers | M events/s |\n|---|---|");
    for producers in PRODUCERS {
        let events = if common::is_test() { EVENTS_TEST } else { EVENTS } / producers * producers;
        let elapsed = median((0..lives()).map(|_| life_of(producers)).collect());
        println!("| {producers} | {:.2} |", events as f64 / elapsed.as_secs_f64() / 1e6);
    }
    println!();
}

/// An event whose data is a string of letters.
fn event(bytes: usize) -> Vec<u8> {
    let (start, end) = (r#"{"timestamp":1700000000000,"data":""#, r#"","event":"signalSent"}"#);
    let letters = "the quick brown fox ".chars().cycle().take(bytes - start.len() - end.len());
    start.chars().chain(letters).chain(end.chars()).collect::<String>().into_bytes()
}

fn life_of_size(event: &[u8], events: usize) -> (Duration, Stats) {
    let directory = common::directory();
    let appender = Appender::builder(directory.path()).sync_policy(SyncPolicy::Never).open();
    let appender = appender.expect("an appender");
    let producer = appender.producer();
    let begin = Instant::now();
    for _ in 0..events {
        producer.send_slice(event).expect("a taken event");
    }
    let stats = appender.close().expect("a clean end");
    let elapsed = begin.elapsed();
    assert_eq!(common::count_lines(directory.path()), events, "lines were lost or doubled");
    (elapsed, stats)
}

fn sizes() {
    println!("| bytes an event | ns an event | ns a byte | MB/s |\n|---|---|---|---|");
    for bytes in EVENT_BYTES {
        let event = event(bytes);
        let life_bytes = if common::is_test() { LIFE_BYTES / 50 } else { LIFE_BYTES };
        let events = (life_bytes / bytes).min(EVENTS);
        let elapsed = median((0..lives()).map(|_| life_of_size(&event, events).0).collect());
        let per_event = elapsed.as_nanos() as f64 / events as f64;
        let per_byte = per_event / bytes as f64;
        println!("| {bytes} | {per_event:.0} | {per_byte:.3} | {:.0} |", 1e3 / per_byte);
    }
    println!();
}

fn openings() {
    println!("| | median ms | longest ms |\n|---|---|---|");
    let (mut opens, mut closes) = (Vec::new(), Vec::new());
    for _ in 0..if common::is_test() { 3 } else { OPENINGS } {
        let directory = common::directory();
        let begin = Instant::now();
        let appender = Appender::builder(directory.path()).open().expect("an appender");
        opens.push(begin.elapsed());
        let begin = Instant::now();
        appender.close().expect("a clean end");
        closes.push(begin.elapsed());
    }
    for (what, times) in [("open", opens), ("close", closes)] {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
        let longest = times.iter().max().copied().unwrap_or_default();
        println!("| {what} | {:.1} | {:.1} |", milliseconds(median(times)), milliseconds(longest));
    }
}

fn main() {
    producers();
    sizes();
    openings();
}
