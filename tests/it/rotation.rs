//! A new file is begun on the end of a line, and no line is lost, doubled or split by it.
//!
//! Without care, the line that crosses the limit would be half in one file and half in the next,
//! and a kill between the two files would lose or double what was being written.

use std::fs;
use std::path::Path;
use std::time::Duration;

use crate::support::{body, cdr, copy_tree, files, line, lines, rejects};
use cdrlog::{Appender, Bytes, Durability, SyncPolicy};

#[test]
fn files_are_as_long_as_whole_lines_allow_and_hold_every_line_once() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).rotate_bytes(5000).open().unwrap();
    let producer = appender.producer();
    for number in 0..1000 {
        producer.send_slice(body(number).as_bytes()).unwrap();
    }
    let stats = appender.close().unwrap();
    let paths = files(directory.path(), "CDR.");
    assert_eq!(paths.len() as u64, stats.rotations + 1);
    let contents: Vec<_> = paths.iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    assert!(contents.concat() == lines(1000), "the files together are not the lines in order");
    for pair in contents.windows(2) {
        let next_line = pair[1].split_inclusive('\n').next().unwrap();
        assert!(pair[0].len() <= 5000 && pair[0].len() + next_line.len() > 5000);
        assert!(pair[0].ends_with('\n'));
    }
}

#[test]
fn lines_longer_than_a_file_may_be_get_files_of_their_own() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).rotate_bytes(1).open().unwrap();
    for number in 0..20 {
        appender.producer().send_slice(body(number).as_bytes()).unwrap();
    }
    appender.close().unwrap();
    assert_eq!(files(directory.path(), "CDR.").len(), 20);
    assert!(cdr(directory.path()) == lines(20));
}

#[test]
fn a_rotation_on_demand_parts_what_was_sent_before_from_what_is_sent_after() {
    let directory = tempfile::tempdir().unwrap();
    let appender =
        Appender::builder(&directory).flush_interval(Duration::from_secs(60)).open().unwrap();
    let producer = appender.producer();
    let mut expected = Vec::new();
    for round in 0..5 {
        expected.push((appender.cdr_path(), line(round)));
        producer.send_slice(body(round).as_bytes()).unwrap();
        producer.send_slice(format!("reject {round}").as_bytes()).unwrap();
        appender.rotate().unwrap();
        // There is nothing to part now.
        appender.rotate().unwrap();
    }
    appender.close().unwrap();
    for (path, line) in expected {
        assert_eq!(fs::read_to_string(path).unwrap(), line);
    }
    assert_eq!(files(directory.path(), "CDR.").len(), 6);
    assert_eq!(files(directory.path(), "rejected.").len(), 5);
    assert_eq!(rejects(directory.path())[4]["body"], "reject 4");
}

/// The lengths of the bodies in each rejects file, every line of which must be a whole record.
fn reject_bodies(directory: &Path) -> Vec<Vec<usize>> {
    let bodies = |path| -> Vec<usize> {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.ends_with('\n'));
        let record = |line| serde_json::from_str::<serde_json::Value>(line).unwrap();
        text.lines().map(|line| record(line)["body"].as_str().unwrap().len()).collect()
    };
    files(directory, "rejected.").into_iter().map(bodies).collect()
}

/// The journal has it in several segments.
#[test]
fn a_large_record_of_a_reject_is_in_one_file() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).rotate_bytes(50_000).open().unwrap();
    for bytes in [1 << 20, 10, 10, 600_000] {
        appender.producer().send_slice("x".repeat(bytes).as_bytes()).unwrap();
    }
    appender.close().unwrap();
    assert_eq!(reject_bodies(directory.path()), [vec![1 << 20], vec![10, 10], vec![600_000]]);
}

#[test]
fn a_rotation_on_demand_splits_no_large_record() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).sync_policy(SyncPolicy::Never).open().unwrap();
    let producer = appender.producer();
    let body = "x".repeat(900_000);
    let sender = std::thread::spawn(move || {
        for _ in 0..60 {
            producer.send_slice(body.as_bytes()).unwrap();
        }
    });
    while !sender.is_finished() {
        appender.rotate().unwrap();
    }
    sender.join().unwrap();
    appender.close().unwrap();
    assert_eq!(reject_bodies(directory.path()).concat(), [900_000; 60]);
}

#[test]
fn acknowledgements_name_the_file_that_the_line_is_in() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).rotate_bytes(700).open().unwrap();
    let producer = appender.producer();
    let acks: Vec<_> = (0..100)
        .map(|number| producer.send_acked(Bytes::from(body(number)), Durability::Synced).unwrap())
        .collect();
    for (number, ack) in acks.into_iter().enumerate() {
        let position = ack.wait().unwrap();
        let text = fs::read_to_string(&position.file).unwrap();
        assert!(text[position.offset as usize..].starts_with(&line(number as u64)));
    }
    appender.close().unwrap();
}

#[test]
fn a_kill_around_a_rotation_neither_loses_nor_doubles_a_line() {
    let original = tempfile::tempdir().unwrap();
    // Nothing is written but by `flush`, so that a copy of the directory is what it is at one
    // moment.
    let minute = Duration::from_secs(60);
    let options = Appender::builder(&original).rotate_bytes(2000).flush_interval(minute);
    let appender = options.open().unwrap();
    let producer = appender.producer();
    for count in 1..60 {
        producer.send_slice(body(count - 1).as_bytes()).unwrap();
        if count % 3 == 0 {
            appender.flush().unwrap();
        }
        while appender.stats().events_accepted < count {
            std::thread::yield_now();
        }
        // What a kill leaves at this moment.
        let copy = tempfile::tempdir().unwrap();
        copy_tree(original.path(), copy.path());
        Appender::builder(&copy).open().unwrap().close().unwrap();
        assert!(cdr(copy.path()) == lines(count), "after {count} lines");
    }
    appender.close().unwrap();
}
