//! Events that are not written or synced yet.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::storage::DiskError;

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
    /// See ["Can Applications Recover from fsync Failures?"][paper], ATC '20.
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
