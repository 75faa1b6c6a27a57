//! Opens the directory of a CDR for writing.

use std::thread;
use std::time::{Duration, Instant};

use cdrlog::{Appender, Builder, OpenError};

/// How long to retry while the directory is locked. `cdrlog verify` and `cdrlog recover` lock it
/// for the milliseconds in which they read the journal, and a process that is just ending may still
/// hold it. An appender holds it longer.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

/// The pause between two attempts.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Opens a directory; if it is locked, retries for a second.
pub(super) fn open(builder: &Builder) -> Result<Appender, OpenError> {
    let begin = Instant::now();
    loop {
        match builder.clone().open() {
            Err(OpenError::Locked { .. }) if begin.elapsed() < LOCK_TIMEOUT => {
                thread::sleep(RETRY_INTERVAL);
            }
            opened => return opened,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use rustix::fs::{FlockOperation, flock};

    use super::*;

    #[test]
    fn an_opening_waits_for_one_who_only_looks() {
        let directory = tempfile::tempdir().unwrap();
        // What `verify` does while it reads the journal.
        let looking = File::open(directory.path()).unwrap();
        flock(&looking, FlockOperation::LockShared).unwrap();
        let builder = Appender::builder(directory.path());
        assert!(matches!(builder.clone().open(), Err(OpenError::Locked { .. })));
        thread::scope(|scope| {
            let opening = scope.spawn(|| open(&builder));
            thread::sleep(2 * RETRY_INTERVAL);
            drop(looking);
            opening.join().unwrap().unwrap().close().unwrap();
        });
    }

    #[test]
    fn a_directory_that_stays_in_use_is_said_after_a_second() {
        let directory = tempfile::tempdir().unwrap();
        let builder = Appender::builder(directory.path());
        let appender = builder.clone().open().unwrap();
        let begin = Instant::now();
        assert!(matches!(open(&builder), Err(OpenError::Locked { .. })));
        assert!(begin.elapsed() >= LOCK_TIMEOUT);
        appender.close().unwrap();
    }
}
