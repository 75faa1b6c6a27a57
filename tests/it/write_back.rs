//! Lines that are lost on their way to the disk are told by every sync, for good.
//!
//! `write` only fills the page cache. What becomes of the pages is told once, to the next sync; the
//! one after it succeeds with the lines gone. Without a latch, `sync` tried again would say that all
//! is well, and so would acknowledgements and the close.
//!
//! The errors are real: an ext4 whose disk becomes full below it, so that blocks get lost that were
//! never written before. Takes root; there is no longer form: `cargo test --test it write_back::`.

use std::fs;
use std::sync::mpsc;
use std::time::Duration;

use crate::support::{Mount, body, cdr, files, lines};
use cdrlog::{AckError, Appender, Durability, FlushError, Notice, SyncPolicy};

/// Lines that are synced before the disk fails: about 400 KB.
const SYNCED: u64 = 2_000;
/// Lines that are sent afterwards.
const LATER: u64 = 20_000;

/// The disk, more than the file system and the journal take.
const DISK_MEBIBYTES: u64 = 48;

#[test]
fn a_lost_write_is_told_by_every_sync_and_what_was_synced_before_is_there() {
    let Some(mount) = Mount::on_failing_disk(DISK_MEBIBYTES) else { return };
    let directory = mount.path().join("cdr");
    let (sender, notices) = mpsc::channel();
    let appender = Appender::builder(&directory)
        .sync_policy(SyncPolicy::Never)
        .on_notice(move |notice| sender.send(notice.clone()).unwrap())
        .open()
        .unwrap();
    let producer = appender.producer();
    let send = |number| producer.send_slice(body(number).as_bytes()).unwrap();
    (0..SYNCED).for_each(send);
    appender.sync().unwrap();

    mount.below().fill();
    (SYNCED..SYNCED + LATER).for_each(send);
    // The page cache takes it all.
    appender.flush().unwrap();
    assert!(cdr(&directory) == lines(SYNCED + LATER));
    for _ in 0..3 {
        let error = appender.sync().unwrap_err();
        assert!(matches!(&error, FlushError::Sync { .. }), "{error}");
    }
    let heard = notices.recv_timeout(Duration::from_secs(30)).unwrap();
    assert!(matches!(&heard, Notice::SyncFailed(_)), "{heard:?}");
    // Also once the disk has recovered: what was lost is lost.
    mount.below().free();
    let ack = producer.send_acked(body(SYNCED + LATER).into(), Durability::Synced).unwrap();
    assert!(matches!(ack.wait(), Err(AckError::Failed(FlushError::Sync { .. }))));
    assert!(matches!(appender.sync(), Err(FlushError::Sync { .. })));
    assert_eq!(appender.stats().sync_errors, 1, "a sync was tried again");
    let error = appender.close().unwrap_err();
    assert!(matches!(error.cause(), FlushError::Sync { .. }), "{error}");
    assert!(error.events().is_empty());

    mount.boot_again();
    let found = fs::read(&files(&directory, "CDR.")[0]).unwrap();
    assert!(found.starts_with(lines(SYNCED).as_bytes()), "synced lines are lost");
    let lost = found.iter().filter(|&&byte| byte == 0).count();
    println!("{} bytes were lost: {heard:?}", lost + lines(SYNCED + LATER).len() - found.len());
}
