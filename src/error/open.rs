//! A directory that cannot be opened.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

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
    /// Another appender has the directory open, in this process or another one; or the last process
    /// is still ending, or a child that it forked is alive, and holds the inbox.
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
                    "cannot trust {}: {fault}; keep a copy of {} and move it away to start with an empty journal",
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
