//! Notice with the disk comes to the embedder by itself.
//!
//! Without the callback a full disk would be known to who asks for the counters only, and a server
//! that does not ask would learn of it when its queue is full.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::storage::{Disk, FaultHook};
use crate::{Appender, Builder, FlushError, Notice, OpenError, SyncPolicy};

const WORKS: u8 = 0;
const WRITES_FAIL: u8 = 1;
const SYNCS_FAIL: u8 = 2;

/// A disk that can be broken and mended.
#[derive(Default)]
struct Switch(AtomicU8);

impl Switch {
    fn set(&self, state: u8) {
        self.0.store(state, Ordering::SeqCst);
    }
}

impl FaultHook for Switch {
    fn before(&self, action: &'static str, _path: &Path) -> io::Result<()> {
        match (self.0.load(Ordering::SeqCst), action) {
            (WRITES_FAIL, "write") | (SYNCS_FAIL, "sync") => Err(io::ErrorKind::StorageFull.into()),
            _ => Ok(()),
        }
    }
}

type Heard = Arc<Mutex<Vec<String>>>;

fn listening(directory: &Path) -> (Builder, Heard) {
    let heard = Heard::default();
    let listener = {
        let heard = heard.clone();
        move |notice: &Notice| {
            heard.lock().unwrap().push(format!("{notice:?}"));
            // The flusher lives on whatever a callback does.
            panic!("in the callback");
        }
    };
    let builder = Appender::builder(directory)
        .flush_interval(Duration::from_millis(1))
        .sync_policy(SyncPolicy::Never)
        .on_notice(listener);
    (builder, heard)
}

#[track_caller]
fn wait_for(heard: &Heard, beginnings: &[&str]) {
    let end = Instant::now() + Duration::from_secs(60);
    loop {
        let heard = heard.lock().unwrap().clone();
        let fits = heard.len() == beginnings.len()
            && heard.iter().zip(beginnings).all(|(heard, begin)| heard.starts_with(begin));
        if fits {
            return;
        }
        assert!(Instant::now() < end, "{heard:?} instead of {beginnings:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

const EVENT: &[u8] = br#"{"event":"e"}"#;

#[test]
fn a_full_disk_is_told_once_and_so_is_its_end() {
    let (directory, switch) = (super::memory_directory(), Arc::new(Switch::default()));
    let (builder, heard) = listening(directory.path());
    let appender = builder.open_on(&Disk::with_hook(switch.clone())).unwrap();
    let producer = appender.producer();
    producer.send_slice(EVENT).unwrap();
    appender.flush().unwrap();
    wait_for(&heard, &[]);
    switch.set(WRITES_FAIL);
    producer.send_slice(EVENT).unwrap();
    wait_for(&heard, &["WritesFail"]);
    while appender.stats().write_errors < 4 {
        std::thread::sleep(Duration::from_millis(1));
    }
    wait_for(&heard, &["WritesFail"]);
    switch.set(WORKS);
    wait_for(&heard, &["WritesFail", "WritesGoOn"]);
    appender.close().unwrap();
    assert_eq!(super::text_of(directory.path(), "CDR."), "{\"e\":{}}\n".repeat(2));
}

#[test]
fn a_failed_sync_is_told_once_and_lines_go_on() {
    let (directory, switch) = (super::memory_directory(), Arc::new(Switch::default()));
    let (builder, heard) = listening(directory.path());
    let appender = builder.open_on(&Disk::with_hook(switch.clone())).unwrap();
    let producer = appender.producer();
    switch.set(SYNCS_FAIL);
    producer.send_slice(EVENT).unwrap();
    assert!(matches!(appender.sync(), Err(FlushError::Sync { .. })));
    switch.set(WORKS);
    producer.send_slice(EVENT).unwrap();
    appender.flush().unwrap();
    assert!(matches!(appender.sync(), Err(FlushError::Sync { .. })));
    wait_for(&heard, &["SyncFailed"]);
    assert!(appender.close().is_err());
    assert_eq!(super::text_of(directory.path(), "CDR."), "{\"e\":{}}\n".repeat(2));
}

#[test]
fn the_end_of_a_timeout_and_what_others_do_are_told() {
    let (directory, switch) = (super::memory_directory(), Arc::new(Switch::default()));
    let (builder, heard) = listening(directory.path());
    let builder = builder.write_retry_timeout(Duration::from_millis(20));
    let appender = builder.open_on(&Disk::with_hook(switch.clone())).unwrap();
    std::fs::remove_file(appender.cdr_path()).unwrap();
    let producer = appender.producer();
    producer.send_slice(EVENT).unwrap();
    wait_for(&heard, &["ChangedByOthers"]);
    appender.flush().unwrap();
    switch.set(WRITES_FAIL);
    producer.send_slice(EVENT).unwrap();
    wait_for(&heard, &["ChangedByOthers", "WritesFail", "GaveUp"]);
    assert!(appender.close().is_err());
}

/// Without this, the thread that told it waited for itself, and panicked: the directory was free for
/// others while it was still being written to.
#[test]
fn an_appender_that_its_callback_drops_or_closes_is_ended_by_another_thread() {
    for closes in [false, true] {
        let (directory, switch) = (super::memory_directory(), Arc::new(Switch::default()));
        let place = Arc::new(Mutex::new(None::<Appender>));
        let in_callback = place.clone();
        let builder = Appender::builder(directory.path())
            .flush_interval(Duration::from_millis(1))
            .sync_policy(SyncPolicy::Never)
            .on_notice(move |_| match in_callback.lock().unwrap().take() {
                Some(appender) if closes => assert!(appender.close().is_err()),
                appender => drop(appender),
            });
        let appender = builder.open_on(&Disk::with_hook(switch.clone())).unwrap();
        let producer = appender.producer();
        *place.lock().unwrap() = Some(appender);
        switch.set(WRITES_FAIL);
        producer.send_slice(EVENT).unwrap();
        while place.lock().unwrap().is_some() {
            std::thread::sleep(Duration::from_millis(1));
        }
        // Until the line is in the file, nobody else may have the directory.
        std::thread::sleep(Duration::from_millis(50));
        let open = || Appender::builder(directory.path()).sync_policy(SyncPolicy::Never).open();
        assert!(matches!(open(), Err(OpenError::Locked { .. })));
        switch.set(WORKS);
        let next = loop {
            match open() {
                Err(OpenError::Locked { .. }) => std::thread::sleep(Duration::from_millis(1)),
                opened => break opened.unwrap(),
            }
        };
        assert_eq!(*next.recovery(), crate::Recovery::default());
        assert_eq!(super::text_of(directory.path(), "CDR."), "{\"e\":{}}\n");
    }
}
