//! The time up to which everything that was accepted was returned.
//!
//! Without it, readers of many nodes wait for a silent one for ever, or not at all.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use cdrlog::synced::{NextBlock, Stream, SyncedCursor, Wait};

use super::{block, builder, cursor, send, take_all, wait};
use crate::support::{killed, wait_for};

fn now_ms() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64
}

#[test]
fn a_directory_that_was_closed_is_complete_now() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(directory.path()).open().unwrap();
    send(&appender, 0..10);
    appender.close().unwrap();
    let mut cursor = cursor(directory.path());
    assert_eq!(cursor.through_ms(), None);
    let before = now_ms();
    assert_eq!(take_all(&mut cursor, 1 << 20).1, Wait::Open);
    assert!((before..=now_ms()).contains(&cursor.through_ms().unwrap()));
}

#[test]
fn an_appender_that_sets_no_time_marks_leaves_the_time_unknown() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(directory.path()).open().unwrap();
    send(&appender, 0..10);
    appender.sync().unwrap();
    let mut cursor = cursor(directory.path());
    assert_eq!((block(&mut cursor).through_ms, wait(&mut cursor)), (None, Wait::Writer));
    assert_eq!(cursor.through_ms(), None);
    appender.close().unwrap();
}

#[test]
fn the_time_of_an_idle_appender_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(directory.path()).time_marks(true).open().unwrap();
    for stream in [Stream::Lines, Stream::Rejects] {
        let mut cursor = SyncedCursor::open(directory.path(), stream, None).unwrap();
        let begin = now_ms();
        wait_for("a time mark", || {
            assert_eq!(wait(&mut cursor), Wait::Writer);
            cursor.through_ms().filter(|&through_ms| through_ms > begin)
        });
        assert!(cursor.through_ms().unwrap() <= now_ms());
    }
    appender.close().unwrap();
}

#[test]
fn everything_that_was_accepted_before_the_time_of_a_block_was_returned_with_it() {
    let directory = tempfile::tempdir().unwrap();
    let options = builder(directory.path()).sync_policy(cdrlog::SyncPolicy::Always);
    let appender = options.rotate_bytes(20_000).time_marks(true).open().unwrap();
    let mut cursor = cursor(directory.path());
    // When the send of each event returned.
    let mut accepted = Vec::new();
    let (mut returned, mut times) = (0, std::collections::BTreeSet::new());
    while times.len() < 3 {
        send(&appender, accepted.len() as u64..accepted.len() as u64 + 1);
        accepted.push(now_ms());
        if let NextBlock::Block(block) = cursor.next_block(2000).unwrap() {
            returned += block.lines;
        }
        if let Some(through_ms) = cursor.through_ms() {
            let before = accepted.iter().filter(|&&at| at < through_ms).count() as u64;
            assert!(returned >= before, "{returned} of {before} lines before {through_ms}");
            times.insert(through_ms);
        }
    }
    appender.close().unwrap();
}

#[test]
fn lines_that_are_not_synced_hold_the_time_back() {
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(directory.path()).time_marks(true).open().unwrap();
    let mut cursor = cursor(directory.path());
    send(&appender, 0..1);
    let sent = now_ms();
    appender.flush().unwrap();
    // Longer than from one mark to the next.
    std::thread::sleep(Duration::from_millis(2500));
    wait(&mut cursor);
    assert!(cursor.through_ms().is_none_or(|through_ms| through_ms <= sent));
    appender.sync().unwrap();
    wait_for("a time mark", || {
        let _ = cursor.next_block(1 << 20).unwrap();
        cursor.through_ms().filter(|&through_ms| through_ms > sent)
    });
    assert_eq!(cursor.position().unwrap().offset, crate::support::line(0).len() as u64);
    appender.close().unwrap();
}

#[test]
fn after_a_kill_the_time_is_what_the_last_mark_said() {
    let directory = killed::directory(5, 5, &[]);
    let mut cursor = cursor(directory.path());
    assert_eq!((take_all(&mut cursor, 1 << 20).1, cursor.through_ms()), (Wait::Recovery, None));
}
