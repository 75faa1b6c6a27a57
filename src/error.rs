//! Errors, by what the caller can do about them.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;

use crate::stats::Stats;
use crate::storage::DiskError;

/// A directory cannot be opened for appending. Nothing was changed in it, but for folders that were
/// created.
#[derive(Debug)]
#[non_exhaustive]
pub enum OpenError {
    /// An option is out of its range.
    InvalidOption {
        /// The name of the option, as its setter is called.
        option: &'static str,
        /// What it has to be.
        requirement: String,
    },
    /// Another appender writes to the directory, in this process or another one; or the last process
    /// is still ending, or a child that it forked lives, and holds its inbox.
    Locked {
        /// The directory.
        directory: PathBuf,
        /// The other process, where it could be read.
        process_id: Option<u32>,
    },
    /// A file of the journal is not what it should be. It is left as it is: it may hold lines that
    /// are nowhere else.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// The system said no.
    Io {
        /// What was tried: "create", "open", "allocate space for".
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
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

/// An event was not accepted; it is given back.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// The appender was closed, or gave up, or one of its threads ended: nothing will be accepted
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

/// An event was not accepted at once; it is given back.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum TrySendError {
    /// The queue is full now. Later there may be room.
    Full(Bytes),
    /// The appender was closed, or gave up, or one of its threads ended: nothing will be accepted
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

    /// Whether it is worth trying again.
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

/// No room was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ReserveError {
    /// The appender was closed, or gave up, or one of its threads ended: nothing will be accepted
    /// any more.
    Closed,
}

impl fmt::Display for ReserveError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the appender is closed")
    }
}

impl Error for ReserveError {}

/// What was sent is not where it was asked to be.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum FlushError {
    /// A file could not be written, or not be created: a full disk, most of the time.
    ///
    /// Nothing is lost: lines wait in the journal and in the queue, and the write is tried again by
    /// itself.
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// A sync failed, now or earlier: of lines, of the directory that holds the file, of the list of
    /// files in `.cdrlog`, or of the anchor by which a file is looked at after a power loss.
    ///
    /// Lines that were written but not synced may be gone for good, though readers see them. It is
    /// never tried again, because a second try would say that all is well; every later call says
    /// this again. What to do: close the appender, look at the disk, open anew. See
    /// ["Can Applications Recover from fsync Failures?"][paper], ATC '20.
    ///
    /// [paper]: https://www.usenix.org/conference/atc20/presentation/rebello
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// The appender was closed, or one of its threads ended.
    Closed,
}

impl FlushError {
    pub(crate) fn write(error: DiskError) -> Self {
        Self::Write { path: error.path, source: error.source }
    }

    pub(crate) fn sync(error: DiskError) -> Self {
        Self::Sync { path: error.path, source: error.source }
    }

    /// The file that it is about.
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

/// Something could not be done with a sealed file. No line is lost by it, and it is tried again,
/// but for a sync.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum MaintenanceError {
    /// The system said no: a full disk, most of the time.
    Io {
        /// What was tried: "read", "write", "remove".
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// A sync failed, of the manifest or of a compressed file. It is not tried again before the next
    /// opening, because a second try would say that all is well: the manifest goes on and may not
    /// survive a power loss, and the plain file stays.
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// There is a compressed file beside a plain one, and it does not hold the same. Both are left
    /// as they are: somebody has to look which one to keep.
    Differs {
        /// The plain file.
        plain: PathBuf,
        /// The compressed one.
        compressed: PathBuf,
    },
    /// Others wrote to the file while it was compressed. It is left as it is.
    Changed {
        /// The file.
        path: PathBuf,
    },
    /// The appender was closed, or the thread that does it has ended.
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

/// An appender ended with something undone.
///
/// What was journaled and not written is in the journal, and the next opening of the directory
/// writes it, as long as the journal [is in its place](Self::journal_is_in_place). What was only
/// accepted is given back here. What was written may still be lost by a power loss, if a sync
/// [failed](Self::sync_failure).
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
    /// Why.
    #[must_use]
    pub fn cause(&self) -> &FlushError {
        &self.0.cause
    }

    /// The first sync that failed, be it the cause or not: lines that were written since the last
    /// sync that succeeded may not survive a power loss.
    #[must_use]
    pub fn sync_failure(&self) -> Option<&FlushError> {
        self.0.sync_failure.as_ref()
    }

    /// Whether the journal is where it was opened. `false` where others removed or moved the
    /// directory, or `.cdrlog` in it: an opening of the same path then finishes nothing. Where it
    /// was moved, an opening of its new place does; where it was removed, what was not in a file
    /// is lost.
    #[must_use]
    pub fn journal_is_in_place(&self) -> bool {
        self.0.journal_is_in_place
    }

    /// The counters at the end.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// The events that were accepted and could not be journaled, in the order in which they were
    /// sent.
    #[must_use]
    pub fn events(&self) -> &[Bytes] {
        &self.0.events
    }

    /// The events that were accepted and could not be journaled, in the order in which they were
    /// sent.
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
