//! The summary of a run of `append`.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use cdrlog::Stats;
use indicatif::{DecimalBytes, HumanCount};

use super::json_output::{self, ObjectType};

/// The figures of a run.
#[derive(Clone, Debug)]
pub(super) struct Summary {
    /// Events whose line is in the CDR, or at least in the journal.
    pub(super) lines: u64,
    pub(super) rejected: u64,
    /// Bytes that were read.
    pub(super) bytes: u64,
    pub(super) elapsed: Duration,
    pub(super) cdr: FileRange,
    pub(super) rejects: FileRange,
}

/// The files that a run wrote.
#[derive(Clone, Debug)]
pub(super) struct FileRange {
    pub(super) first: PathBuf,
    pub(super) last: PathBuf,
}

impl fmt::Display for FileRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.first == self.last {
            return write!(f, "{}", self.last.display());
        }
        let last = self.last.file_name().unwrap_or(self.last.as_os_str());
        write!(f, "{} to {}", self.first.display(), last.display())
    }
}

impl Summary {
    pub(super) fn new(
        stats: &Stats,
        bytes: u64,
        elapsed: Duration,
        cdr: FileRange,
        rejects: FileRange,
    ) -> Self {
        let (lines, rejected) = (stats.events_journaled, stats.events_rejected);
        Self { lines, rejected, bytes, elapsed, cdr, rejects }
    }

    /// Bodies that must not be given again.
    pub(super) fn taken(&self) -> u64 {
        self.lines + self.rejected
    }

    fn lines_per_second(&self) -> f64 {
        self.lines as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    /// One JSON object.
    pub(super) fn json(&self) -> serde_json::Value {
        let members = serde_json::json!({
            "lines": self.lines,
            "rejected": self.rejected,
            "bytes": self.bytes,
            "seconds": self.elapsed.as_secs_f64(),
            "lines_per_second": self.lines_per_second(),
            "cdr_first": self.cdr.first.to_string_lossy(),
            "cdr": self.cdr.last.to_string_lossy(),
            "rejects": (self.rejected > 0).then(|| self.rejects.last.to_string_lossy()),
        });
        json_output::object("append", ObjectType::Summary, members)
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}, {} rejected, {} in {:.3} s, {} lines per second, in {}",
            HumanCount(self.lines),
            if self.lines == 1 { "line" } else { "lines" },
            HumanCount(self.rejected),
            DecimalBytes(self.bytes),
            self.elapsed.as_secs_f64(),
            HumanCount(self.lines_per_second() as u64),
            self.cdr
        )
    }
}
