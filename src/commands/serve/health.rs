//! Whether events can be written now.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use cdrlog::{Appender, Stats};

/// How long a write may take before the disk counts as stalled.
const STALL_MIN: Duration = Duration::from_secs(5);

/// What the last look at the counters found.
#[derive(Debug, Default)]
pub(super) struct Health {
    is_closed: AtomicBool,
    is_stalled: AtomicBool,
    progress: Mutex<Option<Progress>>,
}

#[derive(Debug)]
struct Progress {
    /// Bytes written and attempts that failed: any of them shows a writer that is alive.
    done: [u64; 3],
    at: Instant,
}

impl Health {
    /// The appender takes nothing any more: one of its threads has ended.
    pub(super) fn note_closed(&self) {
        self.is_closed.store(true, Ordering::Relaxed);
    }

    /// Looks whether the writer gets on. Called about once a second.
    pub(super) fn look(&self, stats: &Stats) {
        let done = [stats.bytes_written, stats.rejects_bytes_written, stats.write_errors];
        let has_work = stats.bytes_journaled > stats.bytes_written;
        let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        let is_stalled = match &*progress {
            Some(before) if has_work && before.done == done => before.at.elapsed() >= STALL_MIN,
            _ => {
                *progress = Some(Progress { done, at: Instant::now() });
                false
            }
        };
        self.is_stalled.store(is_stalled, Ordering::Relaxed);
    }

    /// Whether the writer does its work, be it in vain: a full disk is not healed by a restart.
    pub(super) fn makes_progress(&self, stats: &Stats) -> bool {
        !self.is_closed.load(Ordering::Relaxed)
            && !self.is_stalled.load(Ordering::Relaxed)
            && stats.sync_errors == 0
    }

    /// Why events cannot be written now, if they cannot.
    pub(super) fn trouble(&self, appender: &Appender) -> Option<String> {
        if self.is_closed.load(Ordering::Relaxed) {
            return Some("a thread of the appender has ended; start the server anew".to_owned());
        }
        if let Some(error) = appender.write_trouble() {
            return Some(error.to_string());
        }
        if appender.stats().sync_errors > 0 {
            return Some(
                "a sync has failed: look at the disk, then start the server anew".to_owned(),
            );
        }
        let is_stalled = self.is_stalled.load(Ordering::Relaxed);
        is_stalled.then(|| "a write to the disk does not return".to_owned())
    }
}
