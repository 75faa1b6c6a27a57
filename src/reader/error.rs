//! What may go wrong with reading.

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
        /// Where it was looked for.
        path: PathBuf,
    },
    /// The system said no, or a compressed file is damaged.
    ///
    /// After a damaged compressed file the reader goes on with the next file. A plain file is tried
    /// again by the next call, from where the reader is; [`Reader::skip_file`] gives it up.
    ///
    /// [`Reader::skip_file`]: super::Reader::skip_file
    Io {
        /// What was tried: "open", "read", "list".
        action: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// A line is longer than `line_bytes_max`. The next call goes on after it.
    LineTooLong {
        /// The file.
        path: PathBuf,
        /// Where the line begins, in bytes of the uncompressed file.
        offset: u64,
        /// The limit.
        line_bytes_max: usize,
    },
    /// There is no such position to begin at: its file was shortened since, or it is not one that a
    /// reader gave.
    NoSuchPosition {
        /// The file.
        path: PathBuf,
        /// The offset in the uncompressed file.
        offset: u64,
        /// What is wrong with it.
        fault: String,
    },
    /// A line is no event.
    NotAnEvent {
        /// The file.
        path: PathBuf,
        /// Where the line begins, in bytes of the uncompressed file.
        offset: u64,
        /// Why.
        source: EventError,
    },
}

/// Why a line is no event. There is nothing to be done but to pass it over.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventError {
    /// It is no JSON object, or one that is nested too deep.
    NotJson {
        /// What the parser says.
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

    /// The file or directory that it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::NoDirectory { path }
            | Self::Io { path, .. }
            | Self::LineTooLong { path, .. }
            | Self::NoSuchPosition { path, .. }
            | Self::NotAnEvent { path, .. } => path,
        }
    }

    /// Whether it is that something is not there.
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
                 it is passed over, a larger line_bytes_max would read it"
            ),
            Self::NoSuchPosition { offset, fault, .. } => write!(
                f,
                "cannot go on at byte {offset} of {path}: {fault}; begin at byte 0 of it, or at the next file"
            ),
            Self::NotAnEvent { offset, source, .. } => {
                write!(f, "the line at byte {offset} of {path} is no event: {source}")
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
