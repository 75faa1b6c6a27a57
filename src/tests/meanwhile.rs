//! A line that is journaled while the flusher does something else is written soon all the same.
//!
//! The flusher went to sleep for an hour after a sync, when a line had come during that sync: it
//! was seen before it slept, but not as one that has been waiting since some time.

use std::io;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::storage::{Disk, FaultHook};
use crate::{Appender, SyncPolicy};

/// Holds the sync of a CDR file until it is let go.
struct SlowSync {
    reached: Mutex<Sender<()>>,
    go: Mutex<Receiver<()>>,
}

impl FaultHook for SlowSync {
    fn before(&self, action: &'static str, path: &Path) -> io::Result<()> {
        if action == "sync" && path.extension().is_some_and(|extension| extension == "log") {
            self.reached.lock().unwrap().send(()).unwrap();
            // Nobody lets it go once the test is over, or has failed.
            let _ = self.go.lock().unwrap().recv_timeout(Duration::from_secs(90));
        }
        Ok(())
    }
}

#[test]
fn a_line_that_comes_during_a_sync_is_written_without_being_asked_for() {
    let directory = super::memory_directory();
    let ((reached, wait), (go, going)) = (channel(), channel());
    let slow = SlowSync { reached: Mutex::new(reached), go: Mutex::new(going) };
    let appender = Appender::builder(directory.path())
        .sync_policy(SyncPolicy::Interval(Duration::from_millis(1)))
        .open_on(&Disk::with_hook(Arc::new(slow)))
        .unwrap();
    let producer = appender.producer();
    producer.send_slice(br#"{"event":"e"}"#).unwrap();
    wait.recv().unwrap();
    producer.send_slice(br#"{"event":"e"}"#).unwrap();
    while appender.stats().events_journaled < 2 {
        std::thread::yield_now();
    }
    go.send(()).unwrap();
    let end = Instant::now() + Duration::from_secs(60);
    while super::text_of(directory.path(), "CDR.").lines().count() < 2 {
        assert!(Instant::now() < end, "the second line was not written");
        std::thread::sleep(Duration::from_millis(1));
    }
    drop(go);
    appender.close().unwrap();
}
