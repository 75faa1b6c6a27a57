//! Errors of a cursor.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::block::SyncedPosition;
use crate::storage::DiskError;

/// Synced lines could not be read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum CursorError {
    /// The directory or its `.cdrlog` does not exist: nothing was ever written there.
    NoDirectory {
        /// The path of what is missing.
        path: PathBuf,
    },
    /// What followed a position is gone, so that lines may be missing. A cursor returns this until
    /// it is opened anew.
    PositionGone {
        /// The position.
        position: SyncedPosition,
        /// Why it is gone.
        reason: GoneReason,
        /// Where the next lines that exist begin, if there are any.
        next: Option<Box<SyncedPosition>>,
    },
    /// The control file is damaged, or is of a format that this version does not know.
    Damaged {
        /// The path of the file.
        path: PathBuf,
        /// What is wrong with it.
        fault: String,
    },
    /// A name is not that of a file of the stream.
    NoSuchName {
        /// The name.
        name: String,
    },
    /// A file that is over, or its name, could not be synced. A cursor returns this until it is
    /// opened anew: a retry may succeed although the lines are gone.
    Sync {
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: Arc<io::Error>,
    },
    /// An I/O error, or a damaged compressed file.
    Io {
        /// What failed: "open", "read", "list".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: Arc<io::Error>,
    },
}

/// Why the lines after a position are gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum GoneReason {
    /// No file of that name exists: it was removed or renamed.
    Removed,
    /// The file of that name is another one: it has another birth.
    Replaced,
    /// The file is the same, and shorter.
    Shortened {
        /// Its length, in uncompressed bytes.
        bytes: u64,
    },
    /// No line begins there.
    WithinLine,
    /// The file itself is there, but the one after it was removed or renamed.
    NextRemoved,
}

impl CursorError {
    pub(super) fn of_sync(error: DiskError) -> Self {
        Self::Sync { path: error.path, source: error.source }
    }

    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source: Arc::new(source) }
    }
}

impl fmt::Display for GoneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Removed => f.write_str("the file was removed or renamed"),
            Self::Replaced => f.write_str("another file has its name now"),
            Self::Shortened { bytes } => write!(f, "the file ends at byte {bytes}"),
            Self::WithinLine => f.write_str("no line begins there"),
            Self::NextRemoved => f.write_str("the file after it was removed or renamed"),
        }
    }
}

impl fmt::Display for CursorError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoDirectory { path } => write!(f, "there is no directory {}", path.display()),
            Self::PositionGone { position, reason, next } => {
                write!(f, "cannot continue at {position}: {reason}; lines may be missing")?;
                match next {
                    Some(next) => write!(f, "; the next ones begin at {next}"),
                    None => Ok(()),
                }
            }
            Self::NoSuchName { name } => {
                write!(f, "{name:?} is not the name of a file of this stream")
            }
            Self::Sync { path, source } => write!(
                f,
                "cannot sync {}: {source}; its lines may not survive a power loss",
                path.display()
            ),
            Self::Damaged { path, fault } => write!(f, "{} is damaged: {fault}", path.display()),
            Self::Io { action, path, source } => {
                write!(f, "cannot {action} {}: {source}", path.display())
            }
        }
    }
}

impl Error for CursorError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } | Self::Sync { source, .. } => Some(source.as_ref()),
            _ => None,
        }
    }
}
