//! The report of a recovery.

use std::fmt;
use std::path::PathBuf;

/// What an open had to repair, or would have to. The default value: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Bytes of CDR lines that the last process had journaled or accepted, and that were appended.
    pub lines_bytes: u64,
    /// The same for records of rejected bodies.
    pub rejects_bytes: u64,
    /// Events that the last process had accepted but not journaled, recovered from its inbox. Their
    /// lines and records are part of the bytes above.
    pub inbox_events: u64,
    /// The inbox of the last process, if accepted events may have been lost with it, and the reason
    /// why nothing was recovered from it: it is gone, damaged, or belongs to another directory, of
    /// which this one is a copy. It is left as it is. After
    /// [`Builder::recover`](crate::Builder::recover) the next open looks for it once more.
    pub unusable_inbox: Option<(PathBuf, &'static str)>,
    /// Inboxes that name this directory, that no process holds, and that no open will use, because
    /// the control file names none of them. They are left as they are, for a person to decide. Only
    /// [`Builder::plan_recovery`](crate::Builder::plan_recovery) and
    /// [`recover`](crate::Builder::recover) look for them, in `/dev/shm` and in the inbox directory
    /// of the builder.
    pub unclaimed_inboxes: Vec<PathBuf>,
    /// The files that lines and records were appended to.
    pub files: Vec<PathBuf>,
    /// Whether the machine went down, not only the process.
    pub power_loss: bool,
    /// Bytes that are not whole lines: cut from the end of a file after a power loss, or the rest
    /// of a record whose start another program removed.
    pub torn_bytes: u64,
    /// The files that keep those bytes.
    pub torn_files: Vec<PathBuf>,
    /// Files that another program truncated, removed or appended to, so that their length says
    /// nothing. Recovery used the last noted position instead, and wrote the line at that position,
    /// if any, again from its start.
    pub changed_by_others: Vec<PathBuf>,
}

impl Recovery {
    /// Whether there was nothing to repair.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.lines_bytes == 0
            && self.rejects_bytes == 0
            && self.torn_bytes == 0
            && self.inbox_events == 0
            && self.unusable_inbox.is_none()
            && self.changed_by_others.is_empty()
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = if self.power_loss { "machine went down" } else { "process ended" };
        write!(
            f,
            "the last {cause} without closing: {} bytes of lines and {} bytes of rejects were recovered",
            self.lines_bytes, self.rejects_bytes
        )?;
        if self.inbox_events > 0 {
            write!(f, " ({} events came from the inbox)", self.inbox_events)?;
        }
        for path in &self.files {
            write!(f, ", in {}", path.display())?;
        }
        for path in &self.torn_files {
            write!(f, "; {} torn bytes are kept in {}", self.torn_bytes, path.display())?;
        }
        for path in &self.changed_by_others {
            write!(f, "; another program changed {}", path.display())?;
        }
        if let Some((path, why)) = &self.unusable_inbox {
            write!(f, "; no events were recovered from {}: {why}", path.display())?;
        }
        Ok(())
    }
}
