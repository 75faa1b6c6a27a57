//! A full disk is an error and never a SIGBUS; it loses nothing, and lines go on by themselves once
//! there is space.
//!
//! Without pre-allocated, pre-faulted journal files (on btrfs: without copy-on-write) a store into
//! the journal would end the process on a full disk. Without the retries of the flusher the lines
//! that came meanwhile would be lost, or the server would have to be started again.
//!
//! `cli/tests/program/faults.rs` looks at the same from the program, where a timeout ends that. This
//! takes root; there is no longer form: `cargo test --test it disk_full::`.

use std::sync::mpsc;
use std::time::{Duration, Instant};

use crate::support::{Mount, body, cdr, lines};
use cdrlog::{Appender, Notice};

/// 2 MB of lines.
const EVENTS_BEFORE: u64 = 10_000;
/// 6 MB of lines: more than the ring holds.
const MORE_THAN_THE_RING: u64 = 30_000;

/// Long enough for every pause between two tries.
const WAIT_MAX: Duration = Duration::from_secs(60);

fn fill_and_free(kind: &str, mebibytes: u64) {
    let Some(mount) = Mount::new(kind, mebibytes) else { return };
    let directory = mount.path().join("cdr");
    let (sender, notices) = mpsc::channel();
    let appender = Appender::builder(&directory)
        .on_notice(move |notice| sender.send(notice.clone()).unwrap())
        .open()
        .unwrap();
    let producer = appender.producer();
    let send = |number| producer.send_slice(body(number).as_bytes()).unwrap();
    (0..EVENTS_BEFORE).for_each(send);
    appender.flush().unwrap();
    let mut sent = EVENTS_BEFORE;
    // Some file systems find some more space whenever they are asked.
    let heard = (EVENTS_BEFORE..2 * EVENTS_BEFORE).step_by(100).find_map(|number| {
        mount.fill();
        (number..number + 100).for_each(send);
        sent = number + 100;
        notices.recv_timeout(Duration::from_millis(100)).ok()
    });
    assert!(matches!(&heard, Some(Notice::WritesFail(_))), "{heard:?}");
    let events = sent + MORE_THAN_THE_RING;
    (sent..events).for_each(send);
    assert!(appender.flush().is_err());
    // Both threads store into every page they can on a full disk.
    let begin = Instant::now();
    while appender.stats().journal_full == 0 || appender.stats().write_errors < 2 {
        assert!(begin.elapsed() < WAIT_MAX, "{:?}", appender.stats());
        std::thread::sleep(Duration::from_millis(10));
    }

    mount.free();
    let heard = notices.recv_timeout(WAIT_MAX).unwrap();
    assert!(matches!(&heard, Notice::WritesGoOn { .. }), "{heard:?}");
    let stats = appender.close().unwrap();
    assert_eq!((stats.events_journaled, stats.sync_errors), (events, 0));
    assert!(cdr(&directory) == lines(events), "lines are lost, doubled or mixed up on {kind}");
    println!("{kind}: {} failed writes, {events} lines", stats.write_errors);
}

#[test]
fn tmpfs() {
    fill_and_free("tmpfs", 64);
}

#[test]
fn ext4() {
    fill_and_free("ext4", 64);
}

/// A full btrfs looks for space at the first store into each page, though the page has its block,
/// and takes seconds over it: the rewriter stands still until there is space, often before a write
/// can fail. Producers do not notice, and nothing is lost.
#[test]
fn btrfs() {
    let Some(mount) = Mount::new("btrfs", 256) else { return };
    let directory = mount.path().join("cdr");
    let appender = Appender::builder(&directory).open().unwrap();
    let producer = appender.producer();
    let send = |number| producer.try_send_slice(body(number).as_bytes()).unwrap();
    (0..EVENTS_BEFORE).for_each(send);
    appender.flush().unwrap();
    mount.fill();
    (EVENTS_BEFORE..2 * EVENTS_BEFORE).for_each(send);
    std::thread::sleep(Duration::from_secs(2));
    println!("btrfs: {} lines journaled on a full disk", appender.stats().events_journaled);
    mount.free();
    let stats = appender.close().unwrap();
    assert_eq!((stats.events_journaled, stats.sync_errors), (2 * EVENTS_BEFORE, 0));
    assert!(cdr(&directory) == lines(2 * EVENTS_BEFORE), "lines are lost, doubled or mixed up");
}

#[test]
fn xfs() {
    fill_and_free("xfs", 300);
}

/// A rejected body that is larger than the ring of the rejects, and a disk that is full in the
/// middle of it: what is in the file and no more in the journal must not be taken back.
#[test]
fn giving_up_in_the_middle_of_a_large_reject_leaves_what_the_next_opening_can_close() {
    let Some(mount) = Mount::new("tmpfs", 16) else { return };
    let directory = mount.path().join("cdr");
    let appender = Appender::builder(&directory)
        .event_bytes_max(1 << 20)
        .write_retry_timeout(Duration::from_millis(200))
        .open()
        .unwrap();
    let filler = mount.path().join("filler");
    std::fs::write(&filler, vec![1; 10 << 20]).unwrap();
    let body = "x".repeat(4 << 20);
    appender.producer().send_slice(body.as_bytes()).unwrap();
    let error = appender.close().unwrap_err();
    assert_eq!(error.events(), [body.as_bytes()]);
    std::fs::remove_file(&filler).unwrap();

    let appender = Appender::builder(&directory).open().unwrap();
    assert!(appender.recovery().rejects_bytes > 0 && appender.recovery().torn_files.is_empty());
    appender.close().unwrap();
    let record = crate::support::rejects(&directory).remove(0);
    assert_eq!(record["cut"], true);
    assert!(record["body"].as_str().unwrap().len() > 512 << 10);
}

/// A disk without room for another file is full too, with gigabytes to spare.
#[test]
fn a_disk_without_an_inode_for_the_next_file_is_waited_for_and_loses_nothing() {
    let Some(mount) = Mount::with_inodes(40) else { return };
    let directory = mount.path().join("cdr");
    let (sender, notices) = mpsc::channel();
    let builder = || Appender::builder(&directory).rotate_bytes(10_000);

    mount.take_inodes();
    let error = builder().open().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("No space left on device"), "{error}");
    assert!(error.contains(directory.to_str().unwrap()), "{error}");
    mount.free_inodes();

    let told = move |notice: &Notice| sender.send(notice.clone()).unwrap();
    let appender = builder().on_notice(told).open().unwrap();
    mount.take_inodes();
    let producer = appender.producer();
    (0..500).for_each(|number| producer.send_slice(body(number).as_bytes()).unwrap());
    assert!(matches!(notices.recv_timeout(WAIT_MAX).unwrap(), Notice::WritesFail(_)));
    assert!(appender.flush().unwrap_err().to_string().contains("No space left on device"));
    mount.free_inodes();
    appender.close().unwrap();
    assert!(cdr(&directory) == lines(500), "lines are lost, doubled or mixed up");
    assert!(crate::support::files(&directory, "CDR.").len() > 5);
}
