//! Everything that the threads of an appender share, in one run: this is the test for
//! ThreadSanitizer.
//!
//! The rings and the queue are small, so that senders wait for the rewriter, the rewriter waits for
//! the flusher, and each piece of memory is reused many times.

use std::time::Duration;

use crate::{Appender, Bytes, Durability, Producer, SyncPolicy};

const PRODUCERS: usize = 4;

fn body(producer: usize, number: usize) -> Bytes {
    let name = if number % 50 == 7 { "none" } else { "event" };
    let padding = "p".repeat(number % 700);
    format!(r#"{{"producer":{producer},"n":{number},"p":"{padding}","{name}":"e"}}"#).into()
}

fn send_all(producer: &Producer, number_of_producer: usize, events: usize) {
    for number in 0..events {
        let body = body(number_of_producer, number);
        match number % 100 {
            0 => {
                let ack = producer.send_acked(body, Durability::Written).unwrap();
                ack.wait().unwrap();
            }
            1 => producer.send(body).unwrap(),
            _ => producer.send_slice(&body).unwrap(),
        }
    }
}

/// The numbers of the lines and rejects of `producer`, in order.
fn numbers(text: &str, producer: usize) -> Vec<usize> {
    let text = text.replace("\\\"", "\"");
    let begin = format!(r#""producer":{producer},"n":"#);
    let digits = |rest: &str| rest.split(',').next().map(|digits| digits.parse().unwrap());
    text.lines().filter_map(|line| digits(line.split_once(&begin)?.1)).collect()
}

#[test]
fn four_producers_share_one_appender_while_it_is_flushed_rotated_and_asked() {
    const EVENTS: usize = 2000;
    let directory = super::memory_directory();
    let appender = Appender::builder(directory.path())
        .queue_bytes_max(64 << 10)
        .segment_count(2)
        .segment_bytes(64 << 10)
        .event_bytes_max(16 << 10)
        .flush_interval(Duration::from_millis(1))
        .sync_policy(SyncPolicy::Interval(Duration::from_millis(5)))
        .open()
        .unwrap();
    let senders: Vec<_> = (0..PRODUCERS)
        .map(|number| {
            let producer = appender.producer();
            std::thread::spawn(move || send_all(&producer, number, EVENTS))
        })
        .collect();
    let total = (PRODUCERS * EVENTS) as u64;
    for turn in 0.. {
        let stats = appender.stats();
        assert!(stats.events_journaled <= total);
        match turn % 4 {
            0 => appender.flush().unwrap(),
            1 => appender.sync().unwrap(),
            2 if turn < 40 => appender.rotate().unwrap(),
            _ => std::thread::yield_now(),
        }
        if senders.iter().all(std::thread::JoinHandle::is_finished) {
            break;
        }
    }
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    appender.close().unwrap();

    let (rejected, lines): (Vec<_>, Vec<_>) = (0..EVENTS).partition(|number| number % 50 == 7);
    let found_lines = super::text_of(directory.path(), "CDR.");
    let found_rejects = super::text_of(directory.path(), "rejected.");
    for producer in 0..PRODUCERS {
        assert_eq!(numbers(&found_lines, producer), lines, "lines of producer {producer}");
        assert_eq!(numbers(&found_rejects, producer), rejected, "rejects of {producer}");
    }
}
