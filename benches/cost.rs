//! What an event costs at the rates that servers have: processor time, wake-ups, latency.
//!
//! ```sh
//! cargo bench --bench cost                      # the whole table, about eight minutes
//! cargo bench --bench cost -- --json            # the same as one JSON object a line
//! cargo bench --bench cost -- mutex.1000        # only ids that contain "mutex.1000"
//! ```
//!
//! Each figure has an id that stays: `<logger>.<rate>.p<producers>.<figure>`. Rates are events a
//! second of all producers together, in bursts of 1 ms (one event every 10 ms at 100 a second);
//! `idle` is a logger that nobody sends to, `flat_out` as fast as they can.
//!
//! Processor time is that of the whole process, producers included, from the first send to the last;
//! with `flat_out` to the end of the close. The timer of the bursts is in it, the same for all. What a
//! logger costs beside sending is seen against `mutex`: the rewriter and a buffer under one lock,
//! which has no thread and wakes nobody. It loses up to 256 KiB where the process dies, and nobody
//! sees a line before that many have come; `mutex_lines` is the same with finished lines. Wake-ups
//! are those of the logger's threads. `cdrlog.alone` sends an event every 23 ms and waits until its
//! line can be read from the file.

mod common;
mod corpus;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::ours::{CdrlogSlice, CdrlogSynced};
use common::peers::{MutexBufWriter, MutexRewriter, TracingRaw};
use common::{EVENTS, Logger, Sender};
use hdrhistogram::Histogram;

const RATES: [Rate; 7] = [
    Rate::Idle,
    Rate::PerSecond(100),
    Rate::PerSecond(1000),
    Rate::PerSecond(10_000),
    Rate::PerSecond(100_000),
    Rate::PerSecond(1_000_000),
    Rate::FlatOut,
];
const PRODUCERS: [usize; 3] = [1, 2, 4];

const RUN: Duration = Duration::from_secs(3);
const RUN_TEST: Duration = Duration::from_millis(50);
const BURST: Duration = Duration::from_millis(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rate {
    Idle,
    PerSecond(u64),
    FlatOut,
}

impl Rate {
    fn name(self) -> String {
        match self {
            Self::Idle => "idle".to_owned(),
            Self::PerSecond(rate) => rate.to_string(),
            Self::FlatOut => "flat_out".to_owned(),
        }
    }
}

// ===== measuring =====

/// Processor time of the process, user and system.
fn processor_time() -> Duration {
    let usage = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(usage.tv_sec as u64, usage.tv_nsec as u32)
}

/// How often the threads of the process, but for those of the bench, went to sleep by themselves.
fn wakeups() -> u64 {
    let tasks = std::fs::read_dir("/proc/self/task").expect("threads");
    let of_task = |entry: std::fs::DirEntry| {
        let read =
            |file: &str| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        let is_ours = read("comm").starts_with("bench");
        let status = read("status");
        let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.filter(|_| !is_ours).map_or(0, |count| count.trim().parse().expect("a number"))
    };
    tasks.map(|entry| of_task(entry.expect("a thread"))).sum()
}

struct Figures {
    events: u64,
    elapsed: Duration,
    processor: Duration,
    wakeups: u64,
    latencies: Histogram<u64>,
}

/// Sends in bursts at the rate; gives how many events that were, and their latencies.
fn send_at(
    sender: &mut impl Sender,
    first: usize,
    rate: u64,
    run: Duration,
) -> (u64, Histogram<u64>) {
    let mut latencies = Histogram::new_with_max(10_000_000_000, 3).expect("a histogram");
    let begin = Instant::now();
    let mut sent = 0;
    let mut burst = 1;
    while begin.elapsed() < run {
        let due = begin + BURST * burst;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        burst += 1;
        let target = (begin.elapsed().as_secs_f64() * rate as f64) as u64;
        while sent < target {
            let before = Instant::now();
            assert!(sender.send(first + sent as usize), "an event was refused");
            latencies.saturating_record(before.elapsed().as_nanos() as u64);
            sent += 1;
        }
    }
    (sent, latencies)
}

fn measure<L: Logger>(producers: usize, rate: Rate) -> Figures {
    let directory = common::directory();
    let logger = L::open(directory.path());
    let run = if common::is_test() { RUN_TEST } else { RUN };
    let events_max = if common::is_test() { 2000 } else { EVENTS } / producers;
    // What opening did is over, and a logger that was busy is idle.
    std::thread::sleep(if common::is_test() { BURST } else { Duration::from_millis(1200) });
    let (begin, processor, woken) = (Instant::now(), processor_time(), wakeups());
    let done: Vec<(u64, Histogram<u64>)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..producers)
            .map(|producer| {
                let mut sender = logger.sender(events_max);
                let first = producer * 1021;
                let work = move || match rate {
                    Rate::Idle => {
                        std::thread::sleep(run);
                        (0, Histogram::new(3).expect("a histogram"))
                    }
                    Rate::PerSecond(rate) => {
                        send_at(&mut sender, first, rate / producers as u64, run)
                    }
                    Rate::FlatOut => {
                        for event in 0..events_max {
                            assert!(sender.send(first + event), "an event was refused");
                        }
                        (events_max as u64, Histogram::new(3).expect("a histogram"))
                    }
                };
                let builder = std::thread::Builder::new().name("bench".to_owned());
                builder.spawn_scoped(scope, work).expect("a thread")
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a producer")).collect()
    });
    let (mut elapsed, mut used, woken) =
        (begin.elapsed(), processor_time() - processor, wakeups() - woken);
    let dropped = logger.close();
    if rate == Rate::FlatOut {
        (elapsed, used) = (begin.elapsed(), processor_time() - processor);
    }
    let mut latencies = Histogram::new_with_max(10_000_000_000, 3).expect("a histogram");
    for (_, one) in &done {
        latencies.add(one).expect("the same bounds");
    }
    let events: u64 = done.iter().map(|(events, _)| events).sum();
    let lines = common::count_lines(directory.path());
    assert_eq!(lines as u64, events - dropped as u64, "lines were lost or doubled");
    Figures { events, elapsed, processor: used, wakeups: woken, latencies }
}

fn print(id: &str, value: f64, unit: &str) {
    if std::env::args().any(|argument| argument == "--json") {
        println!(r#"{{"id":"{id}","value":{value:.1},"unit":"{unit}"}}"#);
    } else {
        println!("{id:48} {value:12.1} {unit}");
    }
}

fn table<L: Logger>(logger: &str) {
    let wanted = wanted();
    for rate in RATES {
        for producers in PRODUCERS {
            let id = format!("{logger}.{}.p{producers}", rate.name());
            if wanted.as_ref().is_some_and(|wanted| !id.contains(wanted.as_str()))
                || (rate == Rate::Idle && producers > 1)
            {
                continue;
            }
            report(&id, rate, &measure::<L>(producers, rate));
        }
    }
}

fn report(id: &str, rate: Rate, figures: &Figures) {
    let seconds = figures.elapsed.as_secs_f64();
    let used = figures.processor.as_secs_f64();
    if figures.events > 0 {
        print(&format!("{id}.cpu_ns"), used * 1e9 / figures.events as f64, "ns an event");
    }
    print(&format!("{id}.cpu_percent"), used * 100.0 / seconds, "% of a core");
    match rate {
        Rate::FlatOut => {
            let rate = figures.events as f64 / seconds;
            print(&format!("{id}.events_per_s"), rate, "events a second");
        }
        Rate::Idle | Rate::PerSecond(_) => {
            let rate = figures.wakeups as f64 / seconds;
            print(&format!("{id}.wakeups_per_s"), rate, "wake-ups a second");
        }
    }
    if matches!(rate, Rate::PerSecond(_)) {
        for (name, quantile) in [("p50", 0.5), ("p99", 0.99), ("p999", 0.999)] {
            let value = figures.latencies.value_at_quantile(quantile) as f64;
            print(&format!("{id}.{name}_ns"), value, "ns");
        }
    }
}

/// How long an event that comes alone takes from its send until its line is in the file.
fn visible() -> Histogram<u64> {
    const SPACING: Duration = Duration::from_millis(23);
    let events = if common::is_test() { 5 } else { 300 };
    let directory = common::directory();
    let logger = CdrlogSynced::open(directory.path());
    let mut sender = logger.sender(events);
    let file = cdr_file(directory.path());
    let length = || std::fs::metadata(&file).expect("the file").len();
    let mut latencies = Histogram::new_with_max(10_000_000_000, 3).expect("a histogram");
    for number in 0..events {
        let before = (Instant::now(), length());
        assert!(sender.send(number), "an event was refused");
        while length() == before.1 {
            std::thread::sleep(Duration::from_micros(50));
        }
        let elapsed = before.0.elapsed();
        latencies.saturating_record(elapsed.as_nanos() as u64);
        std::thread::sleep(SPACING.saturating_sub(elapsed));
    }
    logger.close();
    assert_eq!(common::count_lines(directory.path()), events, "lines were lost or doubled");
    latencies
}

fn cdr_file(directory: &Path) -> PathBuf {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut paths = entries.map(|entry| entry.expect("an entry").path());
    paths.find(|path| path.is_file()).expect("a CDR file")
}

fn report_visible() {
    let id = "cdrlog.alone.visible";
    if wanted().is_some_and(|wanted| !id.contains(wanted.as_str())) {
        return;
    }
    let latencies = visible();
    for (name, quantile) in [("p50", 0.5), ("p99", 0.99)] {
        let value = latencies.value_at_quantile(quantile) as f64 / 1e6;
        print(&format!("{id}.{name}_ms"), value, "ms");
    }
}

/// The part of an id that was asked for.
fn wanted() -> Option<String> {
    std::env::args().skip(1).find(|argument| !argument.starts_with('-'))
}

fn main() {
    report_visible();
    table::<CdrlogSynced>("cdrlog");
    table::<CdrlogSlice>("cdrlog_no_sync");
    table::<MutexRewriter>("mutex");
    table::<MutexBufWriter>("mutex_lines");
    table::<TracingRaw>("tracing");
}
