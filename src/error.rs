//! Errors, by what the caller can do about them.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::stats::Stats;
use crate::storage::DiskError;

/// A directory could not be opened for appending. Nothing in it was changed, except that
/// directories may have been created.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// An option is out of its range.
    InvalidOption {
        /// The name of its setter.
        option: &'static str,
        /// What it must be.
        requirement: String,
    },
    /// Another appender has the directory open, in this process or another one.
    Locked {
        /// The directory.
        directory: PathBuf,
        /// The id of the other process, if it could be read.
        process_id: Option<u32>,
    },
    /// A file of the journal is missing or damaged. Nothing was changed: the journal may hold lines
    /// that are nowhere else.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// An I/O error.
    Io {
        /// What failed: "create", "open", "allocate space for".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: Arc<io::Error>,
    },
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::InvalidOption { option, requirement } => {
                write!(f, "{option} must be {requirement}")
            }
            Self::Locked { directory, process_id: Some(id) } => {
                write!(f, "{} is in use by another appender, in process {id}", directory.display())
            }
            Self::Locked { directory, process_id: None } => {
                write!(f, "{} is in use by another appender", directory.display())
            }
            Self::Damaged { path, fault } => {
                let folder = path.parent().unwrap_or(path);
                write!(
                    f,
                    "cannot trust {}: {fault}; keep a copy of {} and move it away to begin with an empty journal",
                    path.display(),
                    folder.display()
                )
            }
            Self::Io { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
        }
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}

impl From<DiskError> for OpenError {
    fn from(error: DiskError) -> Self {
        Self::Io { action: error.action, path: error.path, source: error.source }
    }
}

/// An event was not accepted. The error contains it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The appender was closed or gave up, or one of its threads ended: nothing will be accepted
    /// any more.
    Closed(Bytes),
}

impl SendError {
    /// The event that was not accepted.
    #[must_use]
    pub fn into_event(self) -> Bytes {
        match self {
            Self::Closed(event) => event,
        }
    }
}

impl fmt::Debug for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed(event) => write!(f, "Closed({} bytes)", event.len()),
        }
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the appender is closed")
    }
}

impl Error for SendError {}

/// An event was not accepted without waiting. The error contains it.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError {
    /// The queue is full now. There may be room later.
    Full(Bytes),
    /// The appender was closed or gave up, or one of its threads ended: nothing will be accepted
    /// any more.
    Closed(Bytes),
}

impl TrySendError {
    /// The event that was not accepted.
    #[must_use]
    pub fn into_event(self) -> Bytes {
        match self {
            Self::Full(event) | Self::Closed(event) => event,
        }
    }

    /// Whether a retry may succeed.
    #[must_use]
    pub const fn is_full(&self) -> bool {
        matches!(self, Self::Full(_))
    }
}

impl fmt::Debug for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full(event) => write!(f, "Full({} bytes)", event.len()),
            Self::Closed(event) => write!(f, "Closed({} bytes)", event.len()),
        }
    }
}

impl fmt::Display for TrySendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue is full",
            Self::Closed(_) => "the appender is closed",
        })
    }
}

impl Error for TrySendError {}

/// No room was reserved in the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReserveError {
    /// The appender was closed or gave up, or one of its threads ended: nothing will be accepted
    /// any more.
    Closed,
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the appender is closed")
    }
}

impl Error for ReserveError {}

/// Events were not written, or not synced.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FlushError {
    /// A file could not be written or created, usually because the disk is full.
    ///
    /// Nothing is lost: lines wait in the journal and in the queue, and the write is retried
    /// without another call.
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: Arc<io::Error>,
    },
    /// A sync failed, now or earlier: of lines, of the directory that holds the file, of the list
    /// of files in `.cdrlog`, or of the anchor by which recovery finds a file after a power loss.
    ///
    /// Lines that were written but not synced may be gone for good, although readers see them. The
    /// sync is never retried, because a retry may succeed although the data is gone; every later
    /// call returns this error again. What to do: close the appender, check the disk, open again.
    /// See
    /// ["Can Applications Recover from fsync Failures?"][paper], ATC '20.
    ///
    /// [paper]: https://www.usenix.org/conference/atc20/presentation/rebello
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: Arc<io::Error>,
    },
    /// The appender was closed or gave up, or one of its threads ended.
    Closed,
}

impl FlushError {
    pub(crate) fn write(error: DiskError) -> Self {
        Self::Write { path: error.path, source: error.source }
    }

    pub(crate) fn sync(error: DiskError) -> Self {
        Self::Sync { path: error.path, source: error.source }
    }

    /// The file or directory concerned, if any.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::Write { path, .. } | Self::Sync { path, .. } => Some(path),
            Self::Closed => None,
        }
    }
}

impl fmt::Display for FlushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Write { path, source } => write!(f, "cannot write {}: {source}", path.display()),
            Self::Sync { path, source } => write!(f, "cannot sync {}: {source}", path.display()),
            Self::Closed => f.write_str("the appender is closed"),
        }
    }
}

impl Error for FlushError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Write { source, .. } | Self::Sync { source, .. } => Some(source.as_ref()),
            Self::Closed => None,
        }
    }
}

/// Maintenance of a sealed file failed. No line is lost. Maintenance is retried, except for a
/// failed sync.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MaintenanceError {
    /// An I/O error, usually because the disk is full.
    Io {
        /// What failed: "read", "write", "remove".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: Arc<io::Error>,
    },
    /// A sync of the manifest or of a compressed file failed. It is not retried before the next
    /// open, because a retry may succeed although the data is gone: the manifest is continued but
    /// may not survive a power loss, and the plain file stays.
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: Arc<io::Error>,
    },
    /// There is a compressed file next to the plain one, with different content. Both are left as
    /// they are: somebody must decide which one to keep.
    Differs {
        /// The plain file.
        plain: PathBuf,
        /// The compressed one.
        compressed: PathBuf,
    },
    /// Another program wrote to the file while it was compressed. It is left as it is.
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The appender was closed, or the maintenance thread has ended.
    Closed,
}

#[cfg(any(feature = "compress", feature = "manifest"))]
impl MaintenanceError {
    pub(crate) fn sync(error: DiskError) -> Self {
        Self::Sync { path: error.path, source: error.source }
    }
}

impl From<DiskError> for MaintenanceError {
    fn from(error: DiskError) -> Self {
        Self::Io { action: error.action, path: error.path, source: error.source }
    }
}

impl fmt::Display for MaintenanceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
            Self::Sync { path, source } => write!(f, "cannot sync {}: {source}", path.display()),
            Self::Differs { plain, compressed } => write!(
                f,
                "{} does not hold what {} holds; remove or rename one of them",
                compressed.display(),
                plain.display()
            ),
            Self::Changed { path } => {
                write!(f, "{} was changed by others while it was compressed", path.display())
            }
            Self::Closed => f.write_str("the appender is closed"),
        }
    }
}

impl Error for MaintenanceError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Sync { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}

/// A close could not write or sync everything.
///
/// Events that were journaled and not written are in the journal, and the next open of the
/// directory writes them, if the journal [is in its place](Self::journal_is_in_place). Events that
/// were only accepted are [given back](Self::events). If a sync [failed](Self::sync_failure),
/// written lines may still be lost in a power loss.
#[derive(Clone)]
pub struct CloseError(Box<Undone>);

#[derive(Clone)]
pub(crate) struct Undone {
    pub(crate) cause: FlushError,
    pub(crate) sync_failure: Option<FlushError>,
    pub(crate) journal_is_in_place: bool,
    pub(crate) stats: Stats,
    pub(crate) events: Vec<Bytes>,
}

impl From<Undone> for CloseError {
    fn from(undone: Undone) -> Self {
        Self(Box::new(undone))
    }
}

impl CloseError {
    /// Why the close failed.
    #[must_use]
    pub fn cause(&self) -> &FlushError {
        &self.0.cause
    }

    /// The first sync that failed, whether it is the cause or not: lines that were written after
    /// the last successful sync may not survive a power loss.
    #[must_use]
    pub fn sync_failure(&self) -> Option<&FlushError> {
        self.0.sync_failure.as_ref()
    }

    /// Whether the journal is where it was opened. `false` if another program removed or moved the
    /// directory, or `.cdrlog` in it: opening the same path then recovers nothing. If it was moved,
    /// open its new path; if it was removed, what was not in a file is lost.
    #[must_use]
    pub fn journal_is_in_place(&self) -> bool {
        self.0.journal_is_in_place
    }

    /// The counters at the end.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// The events that were accepted and could not be journaled, in the order of sending.
    #[must_use]
    pub fn events(&self) -> &[Bytes] {
        &self.0.events
    }

    /// The events that were accepted and could not be journaled, in the order of sending.
    #[must_use]
    pub fn into_events(self) -> Vec<Bytes> {
        self.0.events
    }
}

impl fmt::Debug for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloseError")
            .field("cause", &self.0.cause)
            .field("sync_failure", &self.0.sync_failure)
            .field("journal_is_in_place", &self.0.journal_is_in_place)
            .field("stats", &self.0.stats)
            .field("events", &self.0.events.len())
            .finish()
    }
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.cause.fmt(f)?;
        match (&self.0.cause, &self.0.sync_failure) {
            (FlushError::Sync { .. }, _) | (_, None) => Ok(()),
            (_, Some(failure)) => write!(f, "; {failure}"),
        }
    }
}

impl Error for CloseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0.cause)
    }
}
