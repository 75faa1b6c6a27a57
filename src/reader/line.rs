//! The lines that a reader returns.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Event, ReadError};
use crate::file::lines::first_line_end;

/// A position between two lines, from which a reader can continue later.
///
/// It stays valid when the file is compressed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReaderPosition {
    /// The path of the file, without `.zst` or `.gz`. For a reader of a directory only the file
    /// name counts, so the directory may be moved.
    pub file: PathBuf,
    /// The offset in the file, in uncompressed bytes.
    pub offset: u64,
}

/// One line of a file, as it is in the file. It borrows from the reader until the next call.
#[derive(Clone, Copy, Debug)]
pub struct Line<'reader> {
    pub(super) bytes: &'reader [u8],
    pub(super) path: &'reader Path,
    pub(super) offset: u64,
}

impl<'reader> Line<'reader> {
    /// The line without its line feed.
    #[must_use]
    pub fn bytes(&self) -> &'reader [u8] {
        self.bytes.strip_suffix(b"\n").unwrap_or(self.bytes)
    }

    /// The line with its line feed, if it has one.
    #[must_use]
    pub const fn bytes_with_end(&self) -> &'reader [u8] {
        self.bytes
    }

    /// Whether the line ends in a line feed. Only the last line of a file may lack one: it is not
    /// completely written yet, or torn. A following reader returns such a line only once the writer
    /// has moved on to another file.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bytes.ends_with(b"\n")
    }

    /// The path of its file, without `.zst` or `.gz`.
    #[must_use]
    pub const fn path(&self) -> &'reader Path {
        self.path
    }

    /// Where it starts, in bytes of the uncompressed file.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The position of the line: a reader that starts there returns this line first.
    /// [`Reader::position`] is the position after it.
    ///
    /// [`Reader::position`]: super::Reader::position
    #[must_use]
    pub fn position(&self) -> ReaderPosition {
        ReaderPosition { file: self.path.to_owned(), offset: self.offset }
    }

    /// Parses the line as an event. This copies the line.
    ///
    /// # Errors
    ///
    /// [`ReadError::NotAnEvent`] if it is not a JSON object with one member that is an object.
    pub fn event(&self) -> Result<Event, ReadError> {
        Event::from_line(self.bytes()).map_err(|source| ReadError::NotAnEvent {
            path: self.path.to_owned(),
            offset: self.offset,
            source,
        })
    }
}

/// Consecutive lines of a file. They borrow from the reader until the next call.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'reader> {
    pub(super) bytes: &'reader [u8],
    pub(super) path: &'reader Path,
    pub(super) offset: u64,
}

impl<'reader> Lines<'reader> {
    /// Lines that were read by other means than a [`Reader`](super::Reader), such as those of a copy:
    /// `bytes` of the file `path`, from `offset` of the uncompressed file on.
    #[must_use]
    pub const fn new(path: &'reader Path, offset: u64, bytes: &'reader [u8]) -> Self {
        Self { bytes, path, offset }
    }

    /// All of the lines, with their line feeds. Only the last line of a file may lack one: see
    /// [`Line::is_whole`].
    #[must_use]
    pub const fn bytes(&self) -> &'reader [u8] {
        self.bytes
    }

    /// The path of their file, without `.zst` or `.gz`.
    #[must_use]
    pub const fn path(&self) -> &'reader Path {
        self.path
    }

    /// Where the first line starts, in bytes of the uncompressed file.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// The single lines.
    pub fn iter(&self) -> impl Iterator<Item = Line<'reader>> + use<'reader> {
        let Self { bytes, path, mut offset } = *self;
        let mut rest = bytes;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let end = first_line_end(rest).unwrap_or(rest.len());
            let (bytes, after) = rest.split_at(end);
            let line = Line { bytes, path, offset };
            rest = after;
            offset += end as u64;
            Some(line)
        })
    }
}
