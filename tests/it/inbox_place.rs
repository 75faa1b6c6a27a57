//! Whatever tmpfs the inbox is to be on, events are taken, and what is not protected is counted.
//!
//! Without bounds on what it takes, an inbox could fill the tmpfs that others need; a store to a page
//! that cannot be had would end the process by SIGBUS.
//!
//! Most of this takes root; there is no longer form: `cargo test -p cdrlog --test it inbox_place`.

use std::fs;
use std::path::Path;
use std::sync::mpsc::channel;
use std::time::Duration;

use crate::support::{Mount, body, cdr, inbox_directory, lines};
use cdrlog::{Appender, Builder, Notice, Stats};

const EVENTS: u64 = 20_000;

fn builder(directory: &Path, mount: &Mount) -> Builder {
    Appender::builder(directory).inbox_directory(mount.path())
}

/// Sends; gives the length of the inbox, and what the close says.
fn send_all(options: Builder, directory: &Path) -> (Option<u64>, Stats) {
    let appender = options.open().unwrap();
    let inbox_bytes = appender.inbox_path().map(|path| fs::metadata(path).unwrap().len());
    let producer = appender.producer();
    for number in 0..EVENTS {
        producer.send_slice(body(number).as_bytes()).unwrap();
    }
    let stats = appender.close().unwrap();
    assert_eq!(stats.events_journaled, EVENTS);
    assert!(cdr(directory) == lines(EVENTS), "lines are missing or not what they should be");
    (inbox_bytes, stats)
}

#[test]
fn a_small_tmpfs_gives_a_quarter_and_events_without_room_are_counted() {
    let Some(mount) = Mount::new("tmpfs", 1) else { return };
    let directory = tempfile::tempdir().unwrap();
    let (inbox_bytes, stats) = send_all(builder(directory.path(), &mount), directory.path());
    assert_eq!(inbox_bytes, Some(256 << 10));
    assert!(stats.events_unprotected > 0, "16 MiB of events found room in 256 KiB");
    assert!(stats.events_unprotected < EVENTS, "none found room");
    assert_eq!(fs::read_dir(mount.path()).unwrap().count(), 0, "the inbox is still there");
}

#[test]
fn a_full_tmpfs_one_that_is_read_only_and_a_disk_give_no_inbox_and_take_all_events() {
    let Some(full) = Mount::new("tmpfs", 1) else { return };
    full.fill();
    let Some(read_only) = Mount::new("tmpfs", 16) else { return };
    read_only.make_read_only();
    let Some(disk) = Mount::new("ext4", 64) else { return };
    for (what, mount) in [("full", full), ("read only", read_only), ("a disk", disk)] {
        let directory = tempfile::tempdir().unwrap();
        let (inbox_bytes, stats) = send_all(builder(directory.path(), &mount), directory.path());
        assert_eq!((inbox_bytes, stats.events_unprotected), (None, EVENTS), "{what}");
    }
}

#[test]
fn a_tmpfs_that_others_fill_later_costs_nothing() {
    let Some(mount) = Mount::new("tmpfs", 128) else { return };
    let directory = tempfile::tempdir().unwrap();
    let appender = builder(directory.path(), &mount).open().unwrap();
    mount.fill();
    let producer = appender.producer();
    for number in 0..EVENTS {
        producer.send_slice(body(number).as_bytes()).unwrap();
    }
    let stats = appender.close().unwrap();
    assert_eq!((stats.events_journaled, stats.events_unprotected), (EVENTS, 0));
    assert!(cdr(directory.path()) == lines(EVENTS));
}

#[test]
fn an_inbox_that_others_remove_is_told_once_and_lines_go_on() {
    let directory = tempfile::tempdir().unwrap();
    let (told, notices) = channel();
    let appender = Appender::builder(&directory)
        .inbox_directory(inbox_directory())
        .on_notice(move |notice| told.send(notice.clone()).unwrap())
        .open()
        .unwrap();
    let path = appender.inbox_path().unwrap().to_owned();
    let producer = appender.producer();
    let send = |number| {
        producer.send_slice(body(number).as_bytes()).unwrap();
        appender.flush().unwrap();
    };
    send(0);
    // The appender looks once a second.
    std::thread::sleep(Duration::from_millis(1100));
    send(1);
    assert!(notices.try_recv().is_err(), "an inbox that is in its place was told of");
    fs::remove_file(&path).unwrap();
    for number in 2..4 {
        std::thread::sleep(Duration::from_millis(1100));
        send(number);
    }
    let notice = notices.try_recv().unwrap();
    assert!(matches!(&notice, Notice::InboxRemoved(removed) if *removed == path), "{notice:?}");
    assert!(notices.try_recv().is_err(), "it was told twice");
    appender.close().unwrap();
    assert_eq!(cdr(directory.path()), lines(4));
}

/// A copy of an inbox that is in use is one that no control file leads to.
#[test]
fn recovery_lists_inboxes_of_the_directory_that_no_opening_will_use_and_leaves_them() {
    let directory = tempfile::tempdir().unwrap();
    let other = tempfile::tempdir().unwrap();
    let place = inbox_directory();
    let options = |directory: &Path| Appender::builder(directory).inbox_directory(&place);
    let copy = |directory: &Path, name: &str| {
        let appender = options(directory).open().unwrap();
        let path = place.join(name);
        fs::copy(appender.inbox_path().unwrap(), &path).unwrap();
        appender.close().unwrap();
        path
    };
    let stray = copy(directory.path(), "cdrlog-1.inbox");
    let of_other = copy(other.path(), "cdrlog-2.inbox");
    fs::write(place.join("cdrlog-3.inbox"), "no inbox").unwrap();
    let plan = options(directory.path()).plan_recovery().unwrap();
    assert_eq!(plan.unclaimed_inboxes, std::slice::from_ref(&stray));
    assert!(plan.is_nothing());
    let done = options(directory.path()).recover().unwrap();
    assert_eq!(done.unclaimed_inboxes, std::slice::from_ref(&stray));
    assert!(stray.exists() && of_other.exists());
    // One that somebody holds is in use.
    let held = fs::File::open(&stray).unwrap();
    held.lock().unwrap();
    let plan = options(directory.path()).plan_recovery().unwrap();
    assert_eq!(plan.unclaimed_inboxes, Vec::<std::path::PathBuf>::new());
}
