//! What a recovery tells.

use std::fmt;
use std::path::PathBuf;

/// What opening a directory had to repair. The default value: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Bytes of CDR lines that were committed by the last process and are appended now.
    pub lines_bytes: u64,
    /// The same for records of rejected bodies.
    pub rejects_bytes: u64,
    /// Events that the last process had accepted and not journaled: they came from its inbox. Their
    /// lines and records are among the bytes above.
    pub inbox_events: u64,
    /// The inbox of the last process, where accepted events may have been, and why nothing was taken
    /// from it: it is not there any more, damaged, or of another directory, of which this one is a
    /// copy. It is left as it is.
    pub unusable_inbox: Option<(PathBuf, &'static str)>,
    /// Inboxes that name this directory, that nobody holds and that no opening will take: the
    /// control file leads to none of them. They are left as they are, for a person to decide. Only
    /// [`Builder::plan_recovery`](crate::Builder::plan_recovery) and
    /// [`recover`](crate::Builder::recover) look for them, in `/dev/shm` and in the inbox directory
    /// of the builder.
    pub unclaimed_inboxes: Vec<PathBuf>,
    /// The files that lines and records were appended to.
    pub files: Vec<PathBuf>,
    /// The machine went down since the last process, not only the process.
    pub power_loss: bool,
    /// Bytes that are not whole lines: cut from the end of a file after a power loss, or the rest of
    /// a record whose beginning somebody else removed.
    pub torn_bytes: u64,
    /// Where those bytes are kept.
    pub torn_files: Vec<PathBuf>,
    /// Files that others truncated, removed or appended to, so that their length says nothing. The
    /// last written position that was noted was used instead, and the line at that position, if any,
    /// starts again.
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
            "the last {cause} without closing: {} bytes of lines and {} bytes of rejects were finished",
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
            write!(f, "; {} was changed by others", path.display())?;
        }
        if let Some((path, why)) = &self.unusable_inbox {
            write!(f, "; no events were taken from {}: {why}", path.display())?;
        }
        Ok(())
    }
}
