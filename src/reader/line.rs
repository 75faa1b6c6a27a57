//! What a reader gives.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{Event, ReadError};
use crate::file::lines::first_line_end;

/// A place between two lines, to go on from later.
///
/// It stays right when the file is compressed.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ReaderPosition {
    /// The file, called as before it was compressed: without `.zst` or `.gz`. In a directory only
    /// its name counts, so that the directory may be moved.
    pub file: PathBuf,
    /// Bytes of the file before it, uncompressed.
    pub offset: u64,
}

/// One line of a file, as it is there. It lives until the next one is asked for.
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

    /// Whether a line feed ends it. Only the last line of a file may be without: it is not written
    /// to its end yet, or torn. While a reader follows, it gives such a line only once the writer
    /// has gone on with another file.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.bytes.ends_with(b"\n")
    }

    /// The file that it is in, called as before it was compressed.
    #[must_use]
    pub const fn path(&self) -> &'reader Path {
        self.path
    }

    /// Where it begins, in bytes of the uncompressed file.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// Where it begins: a reader that begins there gives this line first. [`Reader::position`] is
    /// the place after it.
    ///
    /// [`Reader::position`]: super::Reader::position
    #[must_use]
    pub fn position(&self) -> ReaderPosition {
        ReaderPosition { file: self.path.to_owned(), offset: self.offset }
    }

    /// Reads it as an event. This copies the line.
    ///
    /// # Errors
    ///
    /// [`ReadError::NotAnEvent`] where it is no JSON object with one member that is an object.
    pub fn event(&self) -> Result<Event, ReadError> {
        Event::from_line(self.bytes()).map_err(|source| ReadError::NotAnEvent {
            path: self.path.to_owned(),
            offset: self.offset,
            source,
        })
    }
}

/// Some lines that follow each other in a file. They live until more are asked for.
#[derive(Clone, Copy, Debug)]
pub struct Lines<'reader> {
    pub(super) bytes: &'reader [u8],
    pub(super) path: &'reader Path,
    pub(super) offset: u64,
}

impl<'reader> Lines<'reader> {
    /// All of them, with their line feeds. Without one is only what [`Line::is_whole`] says of.
    #[must_use]
    pub const fn bytes(&self) -> &'reader [u8] {
        self.bytes
    }

    /// The file that they are in, called as before it was compressed.
    #[must_use]
    pub const fn path(&self) -> &'reader Path {
        self.path
    }

    /// Where the first one begins, in bytes of the uncompressed file.
    #[must_use]
    pub const fn offset(&self) -> u64 {
        self.offset
    }

    /// One after the other.
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
