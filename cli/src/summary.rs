//! What a run of `append` says at its end.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use cdrlog::Stats;
use indicatif::{DecimalBytes, HumanCount};

/// The figures of a run.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    /// Events whose line is in the CDR, or at least in the journal.
    pub(super) lines: u64,
    pub(super) rejected: u64,
    /// Bytes that were read.
    pub(super) bytes: u64,
    pub(super) elapsed: Duration,
    pub(super) cdr_path: PathBuf,
    pub(super) rejects_path: PathBuf,
}

impl Summary {
    pub(super) fn new(
        stats: &Stats,
        bytes: u64,
        elapsed: Duration,
        cdr_path: PathBuf,
        rejects_path: PathBuf,
    ) -> Self {
        let (lines, rejected) = (stats.events_journaled, stats.events_rejected);
        Self { lines, rejected, bytes, elapsed, cdr_path, rejects_path }
    }

    fn lines_per_second(&self) -> f64 {
        (self.lines + self.rejected) as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// One JSON object.
    pub(super) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "lines": self.lines,
            "rejected": self.rejected,
            "bytes": self.bytes,
            "seconds": self.elapsed.as_secs_f64(),
            "lines_per_second": self.lines_per_second(),
            "cdr": self.cdr_path.to_string_lossy(),
            "rejects": (self.rejected > 0).then(|| self.rejects_path.to_string_lossy()),
        })
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}, {} rejected, {} in {:.3} s, {} a second, in {}",
            HumanCount(self.lines),
            if self.lines == 1 { "line" } else { "lines" },
            HumanCount(self.rejected),
            DecimalBytes(self.bytes),
            self.elapsed.as_secs_f64(),
            HumanCount(self.lines_per_second() as u64),
            self.cdr_path.display()
        )
    }
}
