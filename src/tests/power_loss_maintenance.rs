//! A power loss while sealed files are listed, compressed and removed costs no synced line.
//!
//! Without the syncs between the steps it would: a plain file that is gone, and a compressed one
//! whose pages did not reach the disk; a removal that nobody can tell from a theft, because the
//! manifest lost its last line; a manifest that says what a file held before its end was lost.
//!
//! An appender with rotation, compression and retention lives on a disk that loses power
//! (`lossy_disk.rs`) at some call of the thread that sees to sealed files. What the disk may hold
//! then is opened as after another boot, and all is done that is due. Then the files, with those that
//! the manifest says were removed, must hold the lines 0, 1, 2, ... up to some number that is not
//! below the last one synced.
//!
//! The long form: `CDRLOG_POWER_LOSS_OUTCOMES=20000 cargo test --release --lib power_loss_maintenance`.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::account::account_for_lines;
use super::lossy_disk::{LossyDisk, Random, outcomes, put};
use super::maintenance::{EVENTS, RETENTION_BYTES, body, builder, is_keeper};
use crate::storage::{Disk, FaultHook};

/// Outcomes that are made of one life of an appender.
const OUTCOMES_A_LIFE: u64 = 20;

/// About how many calls the thread makes in a life.
const CALLS: u64 = 500;

/// A disk that loses power at a call of the maintenance thread.
struct PowerCut {
    disk: LossyDisk,
    calls_left: AtomicU64,
}

impl FaultHook for PowerCut {
    fn before(&self, action: &'static str, path: &Path) -> std::io::Result<()> {
        if is_keeper() && self.calls_left.fetch_sub(1, Ordering::SeqCst) == 0 {
            self.disk.turn_off();
        }
        self.disk.before(action, path)
    }

    fn after(&self, action: &'static str, path: &Path) {
        self.disk.after(action, path);
    }
}

/// Sends all events; gives how many were synced before the power went, and the disk.
fn live(
    directory: &Path,
    retention_bytes: Option<u64>,
    random: &mut Random,
) -> (u64, Arc<PowerCut>) {
    let disk = LossyDisk::new(directory);
    let cut = Arc::new(PowerCut { disk, calls_left: random.below(CALLS).into() });
    let appender =
        builder(directory, retention_bytes).open_on(&Disk::with_hook(cut.clone())).unwrap();
    let producer = appender.producer();
    let mut synced = 0;
    for number in 0..EVENTS {
        producer.send_slice(body(number).as_bytes()).unwrap();
        match random.below(12) {
            0 => appender.wait_for_maintenance().unwrap(),
            1 => appender.flush().unwrap(),
            2 => {
                appender.sync().unwrap();
                synced = if cut.disk.is_on() { number + 1 } else { synced };
            }
            _ => {}
        }
    }
    appender.wait_for_maintenance().unwrap();
    cut.disk.turn_off();
    appender.close().unwrap();
    (synced, cut)
}

/// Lets one outcome of a life come true in a directory of its own, and opens that.
fn lose_power(
    cut: &PowerCut,
    synced: u64,
    retention_bytes: Option<u64>,
    random: &mut Random,
    what: &str,
) {
    let directory = super::memory_directory();
    put(cut.disk.survivors(random), directory.path());
    for _ in 0..2 {
        let appender = builder(directory.path(), retention_bytes).open();
        let appender = appender.unwrap_or_else(|error| panic!("{what}: {error}"));
        appender.wait_for_maintenance().unwrap_or_else(|error| panic!("{what}: {error}"));
        appender.close().unwrap();
        account_for_lines(directory.path(), synced, what);
    }
}

#[test]
fn whatever_pages_a_power_loss_takes_no_original_is_gone_before_its_copy_is_whole() {
    for number in 0..outcomes(400).div_ceil(OUTCOMES_A_LIFE) {
        let mut random = Random(number);
        let directory = super::memory_directory();
        let retention_bytes = (number % 2 == 0).then_some(RETENTION_BYTES);
        let (synced, cut) = live(directory.path(), retention_bytes, &mut random);
        for outcome in 0..OUTCOMES_A_LIFE {
            let what = format!("life {number}, outcome {outcome}");
            lose_power(&cut, synced, retention_bytes, &mut random, &what);
        }
    }
}
