//! What a send costs its caller, as percentiles.
//!
//! ```sh
//! cargo bench --bench latency             # the whole table, about two minutes
//! cargo bench --bench latency -- send     # only what contains "send"
//! ```
//!
//! Each call is timed by itself, the clock included, whose own cost is printed first. The event is
//! in the processor's cache, as it is where a server has just made it: with a corpus that no cache
//! holds, the memory of the corpus would be what is measured (200 ns more at p99). Producers
//! keep their rate by the clock; one that fell behind does not skip events, so the rate reached is
//! printed too. Where more producers than cores keep a high rate, they take the cores from each
//! other: then the tail is the scheduler's, whoever writes the log.
//!
//! "disk stopped" has the disk frozen before the first event and let go after the last one, which is
//! before the queue is full. It takes root; elsewhere its rows are missing, and it is said why.

mod common;
mod corpus;
#[path = "common/stopped_disk.rs"]
mod stopped_disk;

use std::hint::black_box;
use std::time::{Duration, Instant};

use common::ours::{CdrlogRotating, CdrlogSynced, CdrlogSyncing, CdrlogTry};
use common::peers::{TracingLossy, TracingRaw};
use common::{CORPUS, EVENTS, Logger, Sender};
use hdrhistogram::Histogram;
use stopped_disk::StoppableDisk;

const PRODUCERS: [usize; 3] = [1, 2, 4];

/// Events a second of each producer; `None` is as fast as it can.
const RATES: [Option<u64>; 4] = [Some(10_000), Some(100_000), Some(1_000_000), None];

/// Runs at low rates last this long: 20 000 events are enough for p99.9.
const RUN_MAX: Duration = Duration::from_secs(2);
const RUN_MAX_TEST: Duration = Duration::from_millis(10);

/// A wait longer than this is slept through, and the rest of it looked at the clock: the timer's
/// slack is 50 us, and a sleeper is late by it.
const SLEEP_MIN: Duration = Duration::from_micros(80);

/// The longest latency that is told from a longer one.
const LATENCY_NS_MAX: u64 = 10_000_000_000;

fn histogram() -> Histogram<u64> {
    Histogram::new_with_max(LATENCY_NS_MAX, 3).expect("a histogram")
}

/// How many events each producer sends.
fn events_of(producers: usize, rate: Option<u64>) -> usize {
    let run_max = if common::is_test() { RUN_MAX_TEST } else { RUN_MAX };
    let events_max = (if common::is_test() { 2000 } else { EVENTS }) / producers;
    match rate {
        Some(rate) => events_max.min((rate as f64 * run_max.as_secs_f64()) as usize),
        None => events_max,
    }
}

/// Waits until it is time for the next event. Gives the processor away while it can: a server does
/// other things between two events, some of them on the core that the logger's thread needs.
fn wait_until(due: Instant) {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        if left > SLEEP_MIN {
            std::thread::sleep(left - SLEEP_MIN);
        } else {
            std::hint::spin_loop();
        }
    }
}

struct Measured {
    latencies: Histogram<u64>,
    refused: usize,
    elapsed: Duration,
}

fn send_all(
    sender: &mut impl Sender,
    first: usize,
    events: usize,
    rate: Option<u64>,
) -> (usize, Measured) {
    let mut measured = Measured { latencies: histogram(), refused: 0, elapsed: Duration::ZERO };
    let begin = Instant::now();
    for event in 0..events {
        if let Some(rate) = rate {
            wait_until(begin + Duration::from_nanos(event as u64 * 1_000_000_000 / rate));
        }
        CORPUS.touch(first + event);
        let before = Instant::now();
        let taken = sender.send(first + event);
        let nanoseconds = before.elapsed().as_nanos() as u64;
        measured.latencies.saturating_record(nanoseconds);
        measured.refused += usize::from(!taken);
    }
    measured.elapsed = begin.elapsed();
    (events - measured.refused, measured)
}

/// Measures one logger with one number of producers at one rate, and prints a line of the table.
fn measure<L: Logger>(name: &str, producers: usize, rate: Option<u64>) {
    let events = events_of(producers, rate);
    let run = common::run::<L, _>(producers, events, |sender, first| {
        send_all(sender, first, events, rate)
    });
    print_row(name, rate, &run.results);
}

/// Prints a line of the table: what the producers measured.
fn print_row(name: &str, rate: Option<u64>, measured: &[Measured]) {
    let mut latencies = histogram();
    for one in measured {
        latencies.add(&one.latencies).expect("the same bounds");
    }
    let refused: usize = measured.iter().map(|one| one.refused).sum();
    let reached: f64 =
        measured.iter().map(|one| one.latencies.len() as f64 / one.elapsed.as_secs_f64()).sum();
    let at = |quantile| latencies.value_at_quantile(quantile);
    let rate = rate.map_or_else(|| "flat out".to_owned(), |rate| format!("{} k/s", rate / 1000));
    println!(
        "| {name} | {} x {rate} | {:.3} | {} | {} | {} | {} | {} | {refused} |",
        measured.len(),
        reached / 1e6,
        at(0.5),
        at(0.99),
        at(0.999),
        at(0.9999),
        latencies.max(),
    );
}

const STOPPED_DISK: &str = "cdrlog send_slice, disk stopped";

/// So many events of the corpus are in the queue of the defaults below half of its bounds, and nothing
/// of them has to be refused.
const STOPPED_DISK_EVENTS: usize = 20_000;

/// `send_slice` with all defaults on a disk that stands still for all of it.
fn table_of_stopped_disk() {
    if !is_wanted(STOPPED_DISK) {
        return;
    }
    for producers in PRODUCERS {
        for rate in RATES {
            if let Err(reason) = measure_stopped_disk(producers, rate) {
                println!("\nskipped: {STOPPED_DISK}: {reason} (run as root, with e2fsprogs)\n");
                return;
            }
        }
    }
}

fn measure_stopped_disk(producers: usize, rate: Option<u64>) -> Result<(), String> {
    let mut disk = StoppableDisk::new()?;
    let logger = CdrlogSynced::open(&disk.path().join("cdr"));
    let events = events_of(producers, rate).min(STOPPED_DISK_EVENTS / producers);
    let senders: Vec<_> = (0..producers).map(|_| logger.sender(events)).collect();
    disk.stop()?;
    let measured: Vec<Measured> = std::thread::scope(|scope| {
        let threads: Vec<_> = senders
            .into_iter()
            .enumerate()
            .map(|(producer, mut sender)| {
                // Each begins somewhere else in the corpus.
                scope.spawn(move || send_all(&mut sender, producer * 1021, events, rate).1)
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a producer")).collect()
    });
    disk.go_on();
    logger.close();
    let sent = producers * events;
    let lines = common::count_lines(&disk.path().join("cdr"));
    assert_eq!(lines, sent, "lines were lost or doubled");
    print_row(STOPPED_DISK, rate, &measured);
    Ok(())
}

/// What two looks at the clock in a row cost.
fn print_clock() {
    let mut latencies = histogram();
    for _ in 0..1_000_000 {
        let before = Instant::now();
        latencies.saturating_record(black_box(before.elapsed()).as_nanos() as u64);
    }
    println!(
        "The clock: p50 {} ns, p99 {} ns, p99.9 {} ns, max {} ns. All times below include it.\n",
        latencies.value_at_quantile(0.5),
        latencies.value_at_quantile(0.99),
        latencies.value_at_quantile(0.999),
        latencies.max(),
    );
}

/// Whether the arguments name this row, or none.
fn is_wanted(name: &str) -> bool {
    let wanted = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    wanted.is_none_or(|wanted| name.contains(&wanted))
}

fn table<L: Logger>(name: &str) {
    if !is_wanted(name) {
        return;
    }
    for producers in PRODUCERS {
        for rate in RATES {
            measure::<L>(name, producers, rate);
        }
    }
}

fn main() {
    print_clock();
    println!(
        "| call | producers x rate | M events/s | p50 ns | p99 ns | p99.9 ns | p99.99 ns | max ns | refused |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    table::<CdrlogSynced>("cdrlog send_slice");
    table::<CdrlogSyncing>("cdrlog send_slice, syncing all the time");
    table::<CdrlogRotating>("cdrlog send_slice, five new files a second");
    table_of_stopped_disk();
    table::<CdrlogTry>("cdrlog try_send_slice");
    table::<TracingRaw>("tracing-appender, lossless");
    table::<TracingLossy>("tracing-appender, lossy");
}
