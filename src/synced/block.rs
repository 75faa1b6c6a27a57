//! A block of synced lines, and positions between lines.

use std::fmt;

use bytes::Bytes;

use super::birth::Birth;

/// A position between two lines of a directory. It is lasting: neither compression nor a new file
/// of the same name makes it mean another one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SyncedPosition {
    /// The name of the file in the directory, without `.zst` or `.gz`.
    pub file: String,
    /// Which of the files of that name.
    pub birth: Birth,
    /// The offset in the file, in uncompressed bytes.
    pub offset: u64,
}

impl fmt::Display for SyncedPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "byte {} of {} ({})", self.offset, self.file, self.birth)
    }
}

/// Lines of one file, which a power loss cannot take back. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncedBlock {
    /// The name of the file in the directory, without `.zst` or `.gz`.
    pub file: String,
    /// Which of the files of that name.
    pub birth: Birth,
    /// The offset of the first byte in the file, in uncompressed bytes.
    pub start: u64,
    /// The offset after the last byte.
    pub end: u64,
    /// The bytes of the file from `start` to `end`: whole lines, each with its line feed, unless the
    /// block is [`torn`](Self::torn).
    pub bytes: Bytes,
    /// The number of lines, counting a torn one.
    pub lines: u64,
    /// The file gets no more lines and ends at `end`. Not known of a file that was still being
    /// written when its last block was returned: then the next block, of the next file, says so.
    pub file_ends_here: bool,
    /// The last line has no line feed: it is the end of a file that gets no more lines.
    pub torn: bool,
    /// Everything that the directory accepted before this time, in milliseconds since 1970 (UTC),
    /// is in the blocks up to this one. `None` if that is unknown.
    pub through_ms: Option<u64>,
    /// The CRC32C of the first line: what a recovery knows the file by.
    pub(super) first_line_crc32c: u32,
}

impl SyncedBlock {
    /// The position before the first line.
    #[must_use]
    pub fn start_position(&self) -> SyncedPosition {
        self.position(self.start)
    }

    /// The position after the last line: where the next block starts, unless the file ends here.
    #[must_use]
    pub fn end_position(&self) -> SyncedPosition {
        self.position(self.end)
    }

    fn position(&self, offset: u64) -> SyncedPosition {
        SyncedPosition { file: self.file.clone(), birth: self.birth, offset }
    }
}
