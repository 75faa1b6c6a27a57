//! What was synced survives a power loss, and what is there afterwards is whole lines.
//!
//! A recovery that went back to the last line feed would let lines through that have a hole in the
//! middle, and one that believed the journal's counters would append lines of an earlier use. And
//! one that leaves unsynced what a killed process wrote would let a hole into a file that nobody
//! looks at again.
//!
//! An appender lives on a disk that may lose power (`lossy_disk.rs`), is killed and lives once more,
//! or not. What the disk may hold then is opened as after another boot. The naive oracle: the CDR
//! must hold the lines 0, 1, 2, ... up to some number that is not below the last one synced.
//!
//! The long form: `CDRLOG_POWER_LOSS_OUTCOMES=100000 cargo test --release --lib power_loss`.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::copy::copy_tree;
use super::lossy_disk::{LossyDisk, Random, outcomes, put};
use crate::storage::Disk;
use crate::{Appender, SyncPolicy};

/// Outcomes that are made of one life of an appender.
const OUTCOMES_A_LIFE: u64 = 50;

fn body(number: u64) -> String {
    let padding = "p".repeat((number * 37 % 400) as usize);
    format!(r#"{{"n":{number},"p":"{padding}","event":"e"}}"#)
}

fn lines(count: u64) -> Vec<u8> {
    let mut lines = Vec::new();
    for number in 0..count {
        crate::Rewriter::new().rewrite(body(number).as_bytes(), &mut lines).unwrap();
    }
    lines
}

/// How many lines were sent, and how many of them synced.
#[derive(Clone, Copy, Debug)]
struct Life {
    sent: u64,
    synced: u64,
}

/// Lives on `disk`, which is in `directory`, and is killed. Gives the disk in a directory that is
/// as it was just then.
fn live(
    directory: &Path,
    disk: LossyDisk,
    life: &mut Life,
    random: &mut Random,
) -> (tempfile::TempDir, LossyDisk) {
    let disk = Arc::new(disk);
    let appender = Appender::builder(directory)
        // It would be gone with the power.
        .no_inbox()
        .segment_count(2 + random.below(3) as usize)
        .segment_bytes(8192)
        .event_bytes_max(1024)
        .rotate_bytes(2000 + random.below(20_000))
        .flush_interval(Duration::from_millis(1))
        .sync_policy(SyncPolicy::Never)
        .open_on(&Disk::with_hook(disk.clone()))
        .unwrap();
    let producer = appender.producer();
    for _ in 0..2 + random.below(8) {
        for _ in 0..random.below(40) {
            producer.send_slice(body(life.sent).as_bytes()).unwrap();
            life.sent += 1;
        }
        match random.below(4) {
            0 => {
                appender.sync().unwrap();
                life.synced = life.sent;
            }
            1 => appender.flush().unwrap(),
            _ => {}
        }
        disk.note_all();
    }
    let killed = super::memory_directory();
    // At rest, so that the copy is one of a single moment.
    appender.flush().unwrap();
    disk.note_all();
    copy_tree(directory, killed.path());
    let disk = disk.moved_to(killed.path());
    appender.close().unwrap();
    (killed, disk)
}

/// Lets one outcome of a life come true in a directory of its own, and opens that.
fn lose_power(disk: &LossyDisk, life: Life, random: &mut Random, what: &str) {
    let directory = super::memory_directory();
    put(disk.survivors(random), directory.path());
    for _ in 0..2 {
        let options = Appender::builder(directory.path()).no_inbox().event_bytes_max(1024);
        let appender = options.segment_bytes(8192).open();
        appender.unwrap_or_else(|error| panic!("{what}: {error}")).close().unwrap();
        check(life, directory.path(), what);
    }
}

fn check(life: Life, directory: &Path, what: &str) {
    let mut names = Disk::default().names(directory).unwrap();
    names.retain(|name| name.starts_with("CDR.") && !name.contains(".torn"));
    names.sort();
    let found: Vec<u8> =
        names.iter().flat_map(|name| fs::read(directory.join(name)).unwrap()).collect();
    let count = found.iter().filter(|&&byte| byte == b'\n').count() as u64;
    assert!(found == lines(count), "{what}: the CDR is not a beginning of the lines");
    let range = life.synced..=life.sent;
    assert!(range.contains(&count), "{what}: {count} lines, synced and sent {range:?}");
}

#[test]
fn whatever_pages_a_power_loss_takes_synced_lines_stay_and_no_broken_one_is_left() {
    for number in 0..outcomes(2000).div_ceil(OUTCOMES_A_LIFE) {
        let mut random = Random(number);
        let directory = super::memory_directory();
        let disk = LossyDisk::new(directory.path());
        let mut life = Life { sent: 0, synced: 0 };
        let (mut killed, mut disk) = live(directory.path(), disk, &mut life, &mut random);
        for _ in 0..number % 2 {
            (killed, disk) = live(killed.path(), disk, &mut life, &mut random);
        }
        for outcome in 0..OUTCOMES_A_LIFE {
            let what = format!("life {number}, outcome {outcome}");
            lose_power(&disk, life, &mut random, &what);
        }
    }
}
