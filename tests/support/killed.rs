//! A directory as a kill leaves it.

use std::path::Path;
use std::time::Duration;

use cdrlog::{Appender, Recovery};

use super::common::body;
use super::copy::copy_tree;

/// `written` lines are in the CDR file, `journaled` more only in the journal, and behind each of
/// these the bodies `between`.
pub fn directory(written: u64, journaled: u64, between: &[&[u8]]) -> tempfile::TempDir {
    let original = tempfile::tempdir().unwrap();
    // A copy has no right to the inbox of its original, and each recovery would say so.
    let builder = Appender::builder(&original).no_inbox();
    let appender = builder.flush_interval(Duration::from_secs(60)).open().unwrap();
    let producer = appender.producer();
    (0..written).for_each(|number| producer.send_slice(body(number).as_bytes()).unwrap());
    appender.flush().unwrap();
    for number in written..written + journaled {
        producer.send_slice(body(number).as_bytes()).unwrap();
        between.iter().for_each(|body| producer.send_slice(body).unwrap());
    }
    let sent = written + journaled * (1 + between.len() as u64);
    while appender.stats().events_accepted + appender.stats().events_rejected < sent {
        std::thread::yield_now();
    }
    let copy = tempfile::tempdir().unwrap();
    copy_tree(original.path(), copy.path());
    copy
}

/// Opens and closes; gives what the opening repaired.
pub fn reopen(directory: &Path) -> Recovery {
    let appender = Appender::builder(directory).open().unwrap();
    let recovery = appender.recovery().clone();
    appender.close().unwrap();
    recovery
}
