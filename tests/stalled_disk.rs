//! A disk that stands still stops neither the producers nor the memory of the server.
//!
//! Without the ring and the bounded queue a media server would wait in `write` for a disk that
//! throttles, or a file system that is frozen for a snapshot, or would keep all events of that time
//! in memory.
//!
//! `fsfreeze` stops an ext4 image for some seconds while a producer tries to send at full speed.
//! 999 of 1000 tries must return within a millisecond, memory must stay within the bound of the
//! queue, and every event that was taken must be there after the thaw. A try that took longer counts
//! only where its thread slept in it: on a loaded machine others may have had the processor. Takes
//! root.
//!
//! And of sends below the bounds of the queue, which may wait for room but find it, none takes the time
//! that the disk stands still: what it costs is a row of `cargo bench --bench latency -- stopped`.
//!
//! A program of its own: it measures the memory of the whole process.
//!
//! The long form: `CDRLOG_STALL_SECONDS=30 cargo test --release --test stalled_disk --
//! --nocapture`.

#![expect(unsafe_code, reason = "the sleeps of a thread have no safe name")]

mod support;

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use cdrlog::{Appender, Producer};
use support::{Mount, body, cdr, inbox_directory, line};

/// What the whole process may hold with the defaults: a small node has it to spare.
const RESIDENT_BYTES_MAX: usize = 64 << 20;

/// So many tries must find the queue full: the disk has stood still for long enough to see.
const REFUSED_MIN: u64 = 1000;
/// Longer than the queue takes to become full on any machine.
const HANG: Duration = Duration::from_secs(60);

/// What became of many tries.
#[derive(Default)]
struct Tries {
    /// The numbers that were taken.
    taken: Vec<u64>,
    refused: u64,
    /// The time that each of the first ones took.
    times: Vec<Duration>,
    /// Those that took more than a millisecond and slept in it.
    waited: u64,
}

/// How often this thread has slept so far; the scheduler's taking of the processor is none.
fn sleeps() -> i64 {
    let mut usage = std::mem::MaybeUninit::zeroed();
    // SAFETY: `usage` is a place for one `rusage`, for which zeros are a value.
    unsafe { libc::getrusage(libc::RUSAGE_THREAD, usage.as_mut_ptr()) };
    // SAFETY: as above.
    unsafe { usage.assume_init() }.ru_nvcsw
}

/// Tries for `pause`, and until enough was refused.
fn try_for(producer: &Producer, pause: Duration, first: u64) -> Tries {
    let begin = Instant::now();
    let mut tries = Tries { times: Vec::with_capacity(1 << 19), ..Tries::default() };
    for number in first.. {
        let body = body(number);
        let slept = sleeps();
        let before = Instant::now();
        let refused = producer.try_send_slice(body.as_bytes());
        let took = before.elapsed();
        tries.waited += u64::from(took > Duration::from_millis(1) && sleeps() > slept);
        if tries.times.len() < tries.times.capacity() {
            tries.times.push(took);
        }
        match refused {
            Ok(()) => tries.taken.push(number),
            Err(refused) => {
                assert!(refused.is_full(), "{refused}");
                assert_eq!(refused.into_event(), body, "an event came back changed");
                tries.refused += 1;
                // A server has something else to do, and the other threads need the processor.
                std::thread::sleep(Duration::from_micros(20));
            }
        }
        let lasted = begin.elapsed();
        if lasted >= pause && tries.refused >= REFUSED_MIN || lasted >= HANG {
            break;
        }
    }
    tries
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

/// One test after the other: the memory of the process is that of all.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Below the bounds of the default queue: 32 768 events and 16 MiB.
const SENDS: u64 = 10_000;

/// How long the disk stands still: ten thousand sends that wait for nothing are over long before.
const STALL: Duration = Duration::from_secs(4);

#[test]
fn no_send_below_the_bounds_takes_the_time_that_the_disk_stands_still() {
    let _alone = alone();
    let Some(mut mount) = Mount::new("ext4", 64) else { return };
    let directory = mount.path().join("cdr");
    let appender = Appender::builder(&directory).inbox_directory(inbox_directory()).open().unwrap();
    let producer = appender.producer();
    let send = |number| match number % 3 {
        0 => producer.send_slice(body(number).as_bytes()).unwrap(),
        1 => producer.send(body(number).into()).unwrap(),
        _ => producer.try_send_slice(body(number).as_bytes()).unwrap(),
    };
    (0..1000).for_each(send);
    appender.flush().unwrap();
    if !mount.freeze() {
        return;
    }
    let numbers = 1000..1000 + SENDS;
    let (longest, stats) = std::thread::scope(|scope| {
        // A send that waits for the disk goes on after this.
        let thaw = scope.spawn(|| {
            std::thread::sleep(STALL);
            let stats = appender.stats();
            mount.thaw();
            stats
        });
        let times = numbers.clone().map(|number| {
            let before = Instant::now();
            send(number);
            before.elapsed()
        });
        (times.max().unwrap(), thaw.join().unwrap())
    });

    println!("{SENDS} sends, the longest took {longest:?}, the disk stood still for {STALL:?}");
    assert!(
        longest < STALL / 2,
        "a send took {longest:?} of the {STALL:?} that the disk stood still"
    );
    let expected: String = (0..numbers.end).map(line).collect();
    assert!(stats.bytes_written < expected.len() as u64, "the disk did not stand still: {stats:?}");
    assert_eq!((stats.queue_full, stats.events_unprotected), (0, 0), "the bounds were reached");
    appender.flush().unwrap();
    appender.close().unwrap();
    assert!(cdr(&directory) == expected, "what was taken is not what is there");
}

#[test]
fn a_frozen_file_system_costs_producers_nothing_and_loses_nothing() {
    let _alone = alone();
    let seconds = std::env::var("CDRLOG_STALL_SECONDS").map_or(2, |text| text.parse().unwrap());
    let Some(mut mount) = Mount::new("ext4", 64) else { return };
    let directory = mount.path().join("cdr");
    let appender = Appender::builder(&directory).open().unwrap();
    let producer = appender.producer();
    let mut numbers: Vec<u64> = (0..1000).collect();
    numbers.iter().for_each(|&number| producer.send_slice(body(number).as_bytes()).unwrap());
    appender.flush().unwrap();

    if !mount.freeze() {
        return;
    }
    let Tries { taken, refused, mut times, waited } =
        try_for(&producer, Duration::from_secs(seconds), 1000);
    let resident = resident_bytes();
    let stats = appender.stats();
    mount.thaw();

    times.sort_unstable();
    let quantile = |parts: usize| times[times.len() * parts / 1000];
    println!(
        "{} taken, {refused} refused, p50 {:?}, p99.9 {:?}, {waited} waited, {} KiB resident",
        taken.len(),
        quantile(500),
        quantile(999),
        resident >> 10
    );
    assert!(refused >= REFUSED_MIN, "the disk did not stand still: {stats:?}");
    let tries = taken.len() as u64 + refused;
    assert!(waited <= tries / 1000, "{waited} of {tries} tries waited: p99.9 {:?}", quantile(999));
    assert!(resident <= RESIDENT_BYTES_MAX, "{resident} bytes are resident");
    appender.flush().unwrap();
    appender.close().unwrap();
    numbers.extend(taken);
    let expected: String = numbers.into_iter().map(line).collect();
    assert!(cdr(&directory) == expected, "what was taken is not what is there");
}
