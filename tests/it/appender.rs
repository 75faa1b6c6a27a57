//! Events go in by producers and come out as lines of a file, each once, in order.

use std::time::{Duration, Instant};

use crate::support::{CDR, WEBHOOKS, body, cdr, files, line, lines, rejects};
use cdrlog::{Appender, Bytes, FlushError, OpenError, SyncPolicy};

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

#[test]
fn every_given_body_becomes_its_line() {
    let directory = directory();
    let appender = Appender::builder(&directory).open().unwrap();
    let producer = appender.producer();
    for body in WEBHOOKS.lines() {
        producer.send_slice(body.as_bytes()).unwrap();
    }
    let stats = appender.close().unwrap();
    assert_eq!(cdr(directory.path()), CDR);
    assert_eq!(stats.events_journaled, CDR.lines().count() as u64);
    assert_eq!(stats.bytes_written, CDR.len() as u64);
    assert_eq!(stats.bytes_synced, CDR.len() as u64);
    assert_eq!((stats.events_queued, stats.bytes_queued), (0, 0));
}

#[test]
fn lines_of_four_producers_are_all_there_and_in_order_for_each() {
    let directory = directory();
    // Small rings and a small queue: every wait and every reuse of a segment happens.
    let appender = Appender::builder(&directory)
        .segment_bytes(8192)
        .event_bytes_max(4096)
        .segment_count(2)
        .queue_events_max(64)
        .open()
        .unwrap();
    let senders: Vec<_> = (0..4_u64)
        .map(|sender| {
            let producer = appender.producer();
            std::thread::spawn(move || {
                for number in 0..5000 {
                    let body = format!(r#"{{"event":"of{sender}","n":{number}}}"#);
                    if number % 2 == 0 {
                        producer.send_slice(body.as_bytes()).unwrap();
                    } else {
                        producer.send(Bytes::from(body)).unwrap();
                    }
                }
            })
        })
        .collect();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    let stats = appender.close().unwrap();
    let text = cdr(directory.path());
    assert_eq!((text.lines().count(), stats.events_journaled), (20_000, 20_000));
    for sender in 0..4 {
        let prefix = format!("{{\"of{sender}\":");
        let expected: Vec<_> =
            (0..5000).map(|number| format!("{prefix}{{\"n\":{number}}}}}")).collect();
        let found: Vec<_> = text.lines().filter(|line| line.starts_with(&prefix)).collect();
        assert!(found == expected, "lines of producer {sender} are missing or out of order");
    }
}

#[test]
fn an_event_sent_after_another_thread_has_sent_one_is_behind_it() {
    let directory = directory();
    let appender = Appender::builder(&directory).open().unwrap();
    let (to_second, from_first) = std::sync::mpsc::sync_channel(0);
    let (to_first, from_second) = std::sync::mpsc::sync_channel(0);
    let second = appender.producer();
    let thread = std::thread::spawn(move || {
        for number in from_first {
            second.send_slice(body(number).as_bytes()).unwrap();
            to_first.send(()).unwrap();
        }
    });
    let first = appender.producer();
    for number in (0..2000).step_by(2) {
        first.send_slice(body(number).as_bytes()).unwrap();
        to_second.send(number + 1).unwrap();
        from_second.recv().unwrap();
    }
    drop(to_second);
    thread.join().unwrap();
    appender.close().unwrap();
    assert!(cdr(directory.path()) == lines(2000));
}

#[test]
fn flush_returns_when_all_that_was_sent_before_is_in_the_file() {
    let directory = directory();
    let appender = Appender::builder(&directory).sync_policy(SyncPolicy::Never).open().unwrap();
    let producer = appender.producer();
    for count in 1..50 {
        producer.send_slice(body(count - 1).as_bytes()).unwrap();
        appender.flush().unwrap();
        assert!(cdr(directory.path()) == lines(count));
    }
    assert_eq!(appender.stats().syncs, 0);
    appender.sync().unwrap();
    assert_eq!(
        (appender.stats().syncs, appender.stats().bytes_synced),
        (1, lines(49).len() as u64)
    );
    appender.close().unwrap();
}

#[test]
fn a_lone_event_is_in_the_file_without_anybody_asking() {
    let directory = directory();
    let appender = Appender::builder(&directory).open().unwrap();
    appender.producer().send_slice(body(0).as_bytes()).unwrap();
    let begin = Instant::now();
    while cdr(directory.path()) != line(0) {
        assert!(begin.elapsed() < Duration::from_secs(60), "the line never came");
        std::thread::sleep(Duration::from_millis(1));
    }
    appender.close().unwrap();
}

#[test]
fn a_drop_writes_what_a_close_writes() {
    let directory = directory();
    let appender = Appender::builder(&directory).open().unwrap();
    let producer = appender.producer();
    for number in 0..1000 {
        producer.send_slice(body(number).as_bytes()).unwrap();
    }
    drop(appender);
    assert!(cdr(directory.path()) == lines(1000));
    assert_eq!(producer.send_slice(b"late").unwrap_err().into_event(), "late");
}

#[test]
fn the_file_holds_a_beginning_of_the_lines_and_nothing_else_at_every_moment() {
    let directory = directory();
    let appender =
        Appender::builder(&directory).flush_interval(Duration::from_millis(1)).open().unwrap();
    let producer = appender.producer();
    for number in 0..20_000 {
        producer.send_slice(body(number).as_bytes()).unwrap();
        if number % 500 == 0 {
            // The kernel shows a long write page by page, so the end of the last line may be to
            // come.
            assert!(lines(number + 1).starts_with(&cdr(directory.path())));
        }
    }
    appender.close().unwrap();
    assert!(cdr(directory.path()) == lines(20_000));
}

#[test]
fn a_second_opening_is_refused_at_once_and_works_after_the_first_is_closed() {
    let directory = directory();
    let first = Appender::builder(&directory).open().unwrap();
    match Appender::builder(&directory).open() {
        Err(OpenError::Locked { process_id, .. }) => {
            assert_eq!(process_id, Some(std::process::id()))
        }
        other => panic!("{other:?}"),
    }
    first.close().unwrap();
    let second = Appender::builder(&directory).open().unwrap();
    assert!(second.recovery().is_nothing());
    second.close().unwrap();
}

#[test]
fn openings_in_the_same_second_get_names_of_their_own_that_sort_in_order() {
    let directory = directory();
    for number in 0..5 {
        let appender = Appender::builder(&directory).open().unwrap();
        appender.producer().send_slice(body(number).as_bytes()).unwrap();
        appender.close().unwrap();
    }
    assert_eq!(files(directory.path(), "CDR.").len(), 5);
    assert!(cdr(directory.path()) == lines(5));
}

#[test]
fn a_directory_may_be_opened_again_with_rings_of_another_shape() {
    let directory = directory();
    for (round, (segment_count, segment_bytes)) in
        [(4, 1 << 20), (2, 1 << 20), (8, 4 << 20)].into_iter().enumerate()
    {
        let appender = Appender::builder(&directory)
            .segment_count(segment_count)
            .segment_bytes(segment_bytes)
            .open()
            .unwrap();
        appender.producer().send_slice(body(round as u64).as_bytes()).unwrap();
        appender.close().unwrap();
        assert_eq!(files(&directory.path().join(".cdrlog"), "journal-").len(), segment_count);
    }
    assert!(cdr(directory.path()) == lines(3));
}

#[test]
fn an_event_as_large_as_the_limit_is_taken_and_one_byte_more_is_rejected() {
    let directory = directory();
    let appender =
        Appender::builder(&directory).event_bytes_max(10_000).segment_bytes(10_000).open().unwrap();
    let producer = appender.producer();
    for bytes in [10_000, 10_001] {
        let frame = r#"{"event":"e","p":""}"#.len();
        let body = format!(r#"{{"event":"e","p":"{}"}}"#, "p".repeat(bytes - frame));
        producer.send_slice(body.as_bytes()).unwrap();
    }
    let stats = appender.close().unwrap();
    assert_eq!((stats.events_journaled, stats.events_rejected), (1, 1));
    assert_eq!(cdr(directory.path()).len(), 10_000 - 5);
    assert_eq!(rejects(directory.path())[0]["reason"], "too_large");
}

#[test]
fn every_refused_body_is_kept_whole_with_its_reason_and_place() {
    let directory = directory();
    let appender = Appender::builder(&directory).open().unwrap();
    let producer = appender.producer();
    let huge = format!(r#"{{"event":"e","p":"{}"#, "\u{1}\u{e9}\"".repeat(500_000));
    let bodies: [&[u8]; 5] =
        [b"", b"{\"timestamp\":1}", b"{\"event\":\"\xff\"}", b"\0\x01\n", huge.as_bytes()];
    for body in bodies {
        producer.send_slice(body).unwrap();
        producer.send_slice(WEBHOOKS.lines().next().unwrap().as_bytes()).unwrap();
    }
    let stats = appender.close().unwrap();
    assert_eq!((stats.events_journaled, stats.events_rejected), (5, 5));
    assert_eq!(cdr(directory.path()).lines().count(), 5);
    let records = rejects(directory.path());
    let reasons: Vec<_> = records.iter().map(|record| record["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["empty", "event_missing", "invalid_utf8", "unexpected_byte", "too_large"]);
    assert_eq!(records[2]["offset"], 10);
    assert_eq!(records[2]["body_base64"], "eyJldmVudCI6Iv8ifQ==");
    assert_eq!(records[3]["body"], "\0\u{1}\n");
    assert!(records[4]["body"] == huge.as_str(), "a body larger than the ring was changed");
}

#[test]
fn a_directory_that_cannot_be_written_is_named_in_the_error() {
    let error = Appender::builder("/proc/self/cdr").open().unwrap_err();
    assert!(error.to_string().contains("/proc/self/cdr"), "{error}");
    let file = tempfile::NamedTempFile::new().unwrap();
    let error = Appender::builder(file.path()).open().unwrap_err();
    assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
}

#[test]
fn flush_after_a_close_in_another_place_says_so() {
    let directory = directory();
    let appender = Appender::builder(&directory).open().unwrap();
    let producer = appender.producer();
    assert!(appender.flush().is_ok());
    appender.close().unwrap();
    assert!(producer.try_send_slice(b"x").is_err_and(|error| !error.is_full()));
    assert!(FlushError::Closed.to_string().contains("closed"));
}
