//! A call that a signal interrupts is made again.
//!
//! `flock`, `fallocate` and the listing of a directory end with EINTR where a signal comes at the
//! wrong moment, as a server's own timers send them. Told as an error, it would make an opening fail
//! for no reason, and a write count as failed.

use std::collections::HashMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::storage::{Disk, FaultHook};
use crate::{Appender, Recovery};

/// Interrupts each kind of call on each path twice.
#[derive(Default)]
struct Interrupting(Mutex<HashMap<(&'static str, PathBuf), u32>>);

impl FaultHook for Interrupting {
    fn before(&self, action: &'static str, path: &Path) -> io::Result<()> {
        let mut tries = self.0.lock().unwrap();
        let tries = tries.entry((action, path.to_owned())).or_default();
        *tries += 1;
        if *tries <= 2 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    }
}

#[test]
fn a_signal_makes_no_call_to_the_disk_fail() {
    let directory = super::memory_directory();
    let disk = Arc::new(Interrupting::default());
    let builder = Appender::builder(directory.path());
    let appender = builder.open_on(&Disk::with_hook(disk.clone())).unwrap();
    assert_eq!(*appender.recovery(), Recovery::default());
    appender.producer().send_slice(br#"{"event":"e"}"#).unwrap();
    appender.rotate().unwrap();
    let stats = appender.close().unwrap();
    assert_eq!((stats.write_errors, stats.sync_errors), (0, 0));
    let seen = disk.0.lock().unwrap();
    for action in ["lock", "allocate space for", "list", "map", "sync", "sync directory"] {
        assert!(seen.keys().any(|(seen, _)| *seen == action), "{action} was not interrupted");
    }
}
