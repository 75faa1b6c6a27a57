//! What was synced is there after a power cut of a real file system, and the rest is whole lines.
//!
//! The model of `src/tests/power_loss.rs` says what a disk may do; ext4 and xfs say what they do.
//!
//! A child appends to an image and says each number of which it was told that it is synced. The
//! file system is shut down under it, without so much as a flush of its log, and all that was only
//! in memory is gone. The image is mounted again, and the directory opened as after another boot:
//! the CDR must hold the numbers from 0 to some last one, not below the last that was said. Takes
//! root.
//!
//! A program of its own: its children write at full speed to disks that vanish below them.
//!
//! The long form: `CDRLOG_POWER_CUT_ROUNDS=50 cargo test --release --test power_cut --
//! --nocapture`.

mod support;

use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cdrlog::{Appender, Bytes, Durability, SyncPolicy};
use support::{Mount, body, cdr, change_boot_id, give_inboxes, inbox_directory, lines};

const CHILD_DIRECTORY: &str = "CDRLOG_POWER_CUT_CHILD_DIRECTORY";
const ACKS_WAITING: usize = 200;
const BEGIN_MAX: Duration = Duration::from_secs(60);

#[test]
#[ignore = "the child of the tests below; does nothing by itself"]
fn child() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let appender = Appender::builder(directory)
        .inbox_directory(inbox_directory())
        .sync_policy(SyncPolicy::Interval(Duration::from_millis(20)))
        .rotate_bytes(1 << 20)
        .open()
        .unwrap();
    let producer = appender.producer();
    let mut acks = VecDeque::new();
    for number in 0_u64.. {
        acks.push_back(producer.send_acked(Bytes::from(body(number)), Durability::Synced).unwrap());
        if acks.len() == ACKS_WAITING {
            acks.pop_front().unwrap().wait().unwrap();
            let synced = number + 2 - ACKS_WAITING as u64;
            std::io::stdout().lock().write_all(format!("synced {synced}\n").as_bytes()).unwrap();
        }
    }
}

/// Lets a child work for `pause` from its first synced line on, then cuts the power; gives how many lines it had said are synced.
///
/// What it says afterwards does not count: a sync that is under way while ext4 is shut down may
/// return success, which no process lives to see when the power is really gone.
fn work_and_cut(mount: &Mount, directory: &Path, pause: Duration) -> Option<u64> {
    let mut child = give_inboxes(&mut Command::new(std::env::current_exe().unwrap()))
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(CHILD_DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stdout.take().unwrap());
    let heard = Arc::new(AtomicU64::new(0));
    let note = heard.clone();
    let listener = std::thread::spawn(move || {
        let numbers = said.lines().map_while(Result::ok);
        numbers
            .filter_map(|line| line.strip_prefix("synced ")?.parse().ok())
            .for_each(|number| note.store(number, Ordering::SeqCst));
    });
    // However slow the machine is: from the first synced line on.
    let begin = Instant::now();
    while heard.load(Ordering::SeqCst) == 0 {
        assert!(begin.elapsed() < BEGIN_MAX, "the child syncs nothing");
        std::thread::sleep(Duration::from_millis(1));
    }
    std::thread::sleep(pause);
    let synced = heard.load(Ordering::SeqCst);
    let is_cut = mount.cut_power();
    child.kill().unwrap();
    child.wait().unwrap();
    listener.join().unwrap();
    is_cut.then_some(synced)
}

fn lose_power(kind: &str) {
    let rounds =
        std::env::var("CDRLOG_POWER_CUT_ROUNDS").map_or(2, |rounds| rounds.parse().unwrap());
    for round in 0..rounds {
        let Some(mount) = Mount::new(kind, 320) else { return };
        let directory = mount.path().join("cdr");
        let pause = Duration::from_millis(50 + round * 137 % 500);
        let Some(synced) = work_and_cut(&mount, &directory, pause) else { return };
        mount.boot_again();
        change_boot_id(&directory);
        let appender = Appender::builder(&directory).open().unwrap();
        let recovery = appender.recovery().clone();
        appender.close().unwrap();
        let text = cdr(&directory);
        let count = text.lines().count() as u64;
        assert!(text == lines(count), "{kind}, round {round}: not a beginning of the lines");
        assert!(
            count >= synced,
            "{kind}, round {round}: {synced} lines were synced, {count} are there"
        );
        println!("{kind}, round {round}: {synced} synced, {count} there, {recovery}");
    }
}

#[test]
fn ext4_keeps_what_was_synced_and_no_broken_line() {
    lose_power("ext4");
}

#[test]
fn xfs_keeps_what_was_synced_and_no_broken_line() {
    lose_power("xfs");
}
