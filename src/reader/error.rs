//! Errors of reading.

use std::error::Error;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Lines could not be read.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ReadError {
    /// There is no such directory.
    NoDirectory {
        /// The path of the directory.
        path: PathBuf,
    },
    /// An I/O error, or a damaged compressed file.
    ///
    /// After a damaged compressed file the reader continues with the next file. The next call reads
    /// a plain file again, from the current position; [`Reader::skip_file`] skips it.
    ///
    /// [`Reader::skip_file`]: super::Reader::skip_file
    Io {
        /// What failed: "open", "read", "list".
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// The error of the system.
        source: Arc<io::Error>,
    },
    /// A line is longer than `line_bytes_max`. The next call continues after it.
    LineTooLong {
        /// The file.
        path: PathBuf,
        /// Where the line starts, in bytes of the uncompressed file.
        offset: u64,
        /// The limit.
        line_bytes_max: usize,
    },
    /// The position to start at does not exist: its file was shortened since, or no reader returned
    /// such a position.
    NoSuchPosition {
        /// The file.
        path: PathBuf,
        /// The offset in the uncompressed file.
        offset: u64,
        /// What is wrong with it.
        fault: String,
    },
    /// The file of the position to start at was removed or renamed: lines after the position may be
    /// missing.
    PositionGone {
        /// The file.
        path: PathBuf,
        /// The offset in the uncompressed file.
        offset: u64,
        /// The next file that exists, if there is one. A reader that starts at byte 0 of it returns
        /// all lines that are left.
        next: Option<PathBuf>,
    },
    /// A line is not an event.
    NotAnEvent {
        /// The file.
        path: PathBuf,
        /// Where the line starts, in bytes of the uncompressed file.
        offset: u64,
        /// Why.
        source: EventError,
    },
}

/// Why a line is not an event. A caller can only skip it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventError {
    /// It is not a JSON object, or is nested too deeply.
    NotJson {
        /// The message of the parser.
        fault: String,
    },
    /// The root object has no member.
    NoMember,
    /// The root object has more than one member.
    SeveralMembers,
    /// The value of the root's member is not an object.
    NotAnObject,
}

impl fmt::Display for EventError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotJson { fault } => fault,
            Self::NoMember => "the root object has no member",
            Self::SeveralMembers => "the root object has more than one member",
            Self::NotAnObject => "the value of the root's member is not an object",
        })
    }
}

impl Error for EventError {}

impl ReadError {
    pub(super) fn io(action: &'static str, path: &Path, source: io::Error) -> Self {
        Self::Io { action, path: path.to_owned(), source: Arc::new(source) }
    }

    /// The file or directory concerned.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::NoDirectory { path }
            | Self::Io { path, .. }
            | Self::LineTooLong { path, .. }
            | Self::NoSuchPosition { path, .. }
            | Self::PositionGone { path, .. }
            | Self::NotAnEvent { path, .. } => path,
        }
    }

    /// Whether the error is that something does not exist.
    pub(super) fn is_not_found(&self) -> bool {
        match self {
            Self::NoDirectory { .. } => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }
}

impl fmt::Display for ReadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path().display();
        match self {
            Self::NoDirectory { .. } => {
                write!(f, "there is no directory {path}")
            }
            Self::Io { action, source, .. } => write!(f, "cannot {action} {path}: {source}"),
            Self::LineTooLong { offset, line_bytes_max, .. } => write!(
                f,
                "the line at byte {offset} of {path} is longer than {line_bytes_max} bytes; \
                 it is skipped; a larger line_bytes_max would read it"
            ),
            Self::NoSuchPosition { offset, fault, .. } => write!(
                f,
                "cannot continue at byte {offset} of {path}: {fault}; start at byte 0 of it, or at the next file"
            ),
            Self::PositionGone { offset, next, .. } => {
                write!(
                    f,
                    "cannot continue at byte {offset} of {path}: the file was removed or renamed, and \
                     lines after that may be missing"
                )?;
                match next {
                    Some(next) => {
                        write!(f, "; start at byte 0 of the next file, {}", next.display())
                    }
                    None => f.write_str("; there is no later file"),
                }
            }
            Self::NotAnEvent { offset, source, .. } => {
                write!(f, "the line at byte {offset} of {path} is not an event: {source}")
            }
        }
    }
}

impl Error for ReadError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source.as_ref()),
            Self::NotAnEvent { source, .. } => Some(source),
            _ => None,
        }
    }
}
