//! A disk that stands still stops neither the producers nor the memory of the server.
//!
//! Without the ring and the bounded queue a media server would wait in `write` for a disk that
//! throttles, or a file system that is frozen for a snapshot, or would keep all events of that time
//! in memory.
//!
//! `fsfreeze` stops an ext4 image for some seconds while a producer tries to send at full speed.
//! 999 of 1000 tries must return within a millisecond, memory must stay within the bound of the
//! queue, and every event that was taken must be there after the thaw. Takes root.
//!
//! The long form: `CDRLOG_STALL_SECONDS=30 cargo test --release --test stalled_disk --
//! --nocapture`.

#[expect(dead_code, reason = "shared by several test files")]
mod common;
#[expect(dead_code, reason = "shared by several test files")]
mod mount;

use std::time::{Duration, Instant};

use cdrlog::{Appender, Producer};
use common::{body, cdr, line};
use mount::Mount;

/// What the whole process may hold with the defaults: a small node has it to spare.
const RESIDENT_BYTES_MAX: usize = 64 << 20;

/// Tries for `pause`; gives the numbers that were taken and the time that each try took.
fn try_for(producer: &Producer, pause: Duration, first: u64) -> (Vec<u64>, Vec<Duration>) {
    let end = Instant::now() + pause;
    let (mut taken, mut times) = (Vec::new(), Vec::with_capacity(1 << 19));
    for number in first.. {
        let body = body(number);
        let before = Instant::now();
        let refused = producer.try_send_slice(body.as_bytes());
        let after = Instant::now();
        if times.len() < times.capacity() {
            times.push(after - before);
        }
        match refused {
            Ok(()) => taken.push(number),
            Err(refused) => {
                assert!(refused.is_full(), "{refused}");
                assert_eq!(refused.into_event(), body, "an event came back changed");
                // A server has something else to do, and the other threads need the processor.
                std::thread::sleep(Duration::from_micros(20));
            }
        }
        if after >= end {
            break;
        }
    }
    (taken, times)
}

fn resident_bytes() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() << 10
}

#[test]
fn a_frozen_file_system_costs_producers_nothing_and_loses_nothing() {
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
    let (taken, mut times) = try_for(&producer, Duration::from_secs(seconds), 1000);
    let resident = resident_bytes();
    let stats = appender.stats();
    mount.thaw();

    times.sort_unstable();
    let quantile = |parts: usize| times[times.len() * parts / 1000];
    println!(
        "{} tries, {} taken, p50 {:?}, p99.9 {:?}, {} KiB resident",
        times.len(),
        taken.len(),
        quantile(500),
        quantile(999),
        resident >> 10
    );
    assert!(stats.queue_full > 0, "the disk did not stand still: {stats:?}");
    assert!(quantile(999) < Duration::from_millis(1), "p99.9 is {:?}", quantile(999));
    assert!(resident <= RESIDENT_BYTES_MAX, "{resident} bytes are resident");
    appender.flush().unwrap();
    appender.close().unwrap();
    numbers.extend(taken);
    let expected: String = numbers.into_iter().map(line).collect();
    assert!(cdr(&directory) == expected, "what was taken is not what is there");
}
