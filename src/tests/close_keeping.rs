//! Events that cannot be journaled when a server ends, because the disk is full, are left to the next
//! open: their senders were told that they are accepted.
//!
//! Given back to the caller of a close they would be lost: nobody is left who could send them again.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::Appender;
use crate::storage::{Disk, FaultHook};

/// More than the journal has room for.
const EVENTS: usize = 6000;

#[derive(Default)]
struct Full(AtomicBool);

impl FaultHook for Full {
    fn before(&self, action: &'static str, _path: &Path) -> io::Result<()> {
        match action {
            "write" if self.0.load(Ordering::SeqCst) => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

fn pad() -> String {
    "x".repeat(1000)
}

fn all_lines() -> String {
    (0..EVENTS)
        .map(|number| format!("{{\"e\":{{\"n\":{number},\"p\":\"{}\"}}}}\n", pad()))
        .collect()
}

/// An appender with more events than fit into the journal of a full disk.
fn overfull(directory: &Path) -> Appender {
    let full = Arc::new(Full::default());
    let builder = Appender::builder(directory).close_timeout(Duration::from_millis(50));
    let appender = builder.open_on(&Disk::with_hook(full.clone())).unwrap();
    assert!(appender.inbox_path().is_some(), "this test needs a tmpfs at /dev/shm");
    full.0.store(true, Ordering::SeqCst);
    let producer = appender.producer();
    for number in 0..EVENTS {
        let body = format!("{{\"event\":\"e\",\"n\":{number},\"p\":\"{}\"}}", pad());
        producer.send_slice(body.as_bytes()).unwrap();
    }
    appender
}

#[test]
fn a_close_that_keeps_them_leaves_events_that_were_not_journaled_to_the_next_open() {
    let directory = super::memory_directory();
    let error = overfull(directory.path()).close_keeping().unwrap_err();
    assert!(error.events().is_empty(), "they are in the inbox");
    let appender = Appender::builder(directory.path()).open().unwrap();
    assert!(appender.recovery().inbox_events > 0);
    appender.close().unwrap();
    assert!(super::text_of(directory.path(), "CDR.") == all_lines());
}

#[test]
fn a_close_that_gives_them_back_leaves_none_of_them_to_the_next_open() {
    let directory = super::memory_directory();
    let error = overfull(directory.path()).close().unwrap_err();
    let back = error.events().len();
    assert!(back > 0);
    let appender = Appender::builder(directory.path()).open().unwrap();
    assert_eq!(appender.recovery().inbox_events, 0);
    appender.close().unwrap();
    let lines = super::text_of(directory.path(), "CDR.").lines().count();
    assert_eq!(lines + back, EVENTS, "an event was lost or doubled");
}
