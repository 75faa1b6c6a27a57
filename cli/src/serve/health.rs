//! Whether events can be written now.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cdrlog::{Appender, Stats};

/// How long a thread with work may make no progress before the disk counts as stalled.
const STALL_MIN: Duration = Duration::from_secs(5);

/// What the last check of the counters found.
#[derive(Debug, Default)]
pub(super) struct Health {
    is_closed: AtomicBool,
    is_stalled: AtomicBool,
    threads: Mutex<[Option<Progress>; 2]>,
}

/// What a thread had done when it last made progress.
#[derive(Debug)]
struct Progress {
    done: [u64; 4],
    at: Instant,
}

impl Progress {
    /// Whether a thread that `has_work` has made no progress for too long.
    fn is_stalled(before: &mut Option<Self>, has_work: bool, done: [u64; 4]) -> bool {
        match before {
            Some(before) if has_work && before.done == done => before.at.elapsed() >= STALL_MIN,
            _ => {
                *before = Some(Self { done, at: Instant::now() });
                false
            }
        }
    }
}

impl Health {
    /// The appender accepts nothing any more: one of its threads has ended.
    pub(super) fn note_closed(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// Checks whether the threads make progress. Called about once a second.
    ///
    /// A stalled disk stops both: the flusher in a write, the rewriter at the first byte that it
    /// stores into a page of the journal that is on its way to the disk.
    pub(super) fn look(&self, stats: &Stats) {
        // Failed attempts also show that the flusher is alive.
        let written = [stats.bytes_written, stats.rejects_bytes_written, stats.write_errors];
        let [bytes, rejects_bytes, errors] = written;
        let [flusher, rewriter] = &mut *self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        let has_lines = stats.bytes_journaled > stats.bytes_written;
        let flusher = Progress::is_stalled(flusher, has_lines, [bytes, rejects_bytes, errors, 0]);
        // If the journal is full, the rewriter waits for the flusher.
        let done = [bytes, rejects_bytes, errors, stats.events_accepted];
        let rewriter = Progress::is_stalled(rewriter, stats.events_queued > 0, done);
        self.is_stalled.store(flusher || rewriter, Ordering::Relaxed);
    }

    /// Whether the threads do their work, even if it fails: a restart does not make space on a full
    /// disk.
    pub(super) fn makes_progress(&self, stats: &Stats) -> bool {
        !self.is_closed.load(Ordering::Relaxed)
            && !self.is_stalled.load(Ordering::Relaxed)
            && stats.sync_errors == 0
    }

    /// Why events cannot be written now, if they cannot.
    pub(super) fn failure(&self, appender: &Appender) -> Option<String> {
        if self.is_closed.load(Ordering::Relaxed) {
            return Some("a thread of the appender has ended; restart the server".to_owned());
        }
        if let Some(error) = appender.write_failure() {
            return Some(error.to_string());
        }
        if appender.stats().sync_errors > 0 {
            return Some("a sync has failed: look at the disk, then restart the server".to_owned());
        }
        let is_stalled = self.is_stalled.load(Ordering::Relaxed);
        is_stalled.then(|| "the disk stands still: a write to it does not return".to_owned())
    }
}
