//! Where lines come from.

use std::fmt;

use cdrlog::manifest::Hash;

use super::header::{Fields, Header, Missing, Position, Redaction};

/// Where a chain goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cursor {
    pub(crate) position: Position,
    /// Its file gets no more lines, and ends there.
    pub(crate) file_end: bool,
}

impl Cursor {
    /// After a block; `None` if that is before the first line ever.
    pub(crate) fn after(header: &Header) -> Option<Self> {
        let is_in_file = !header.fields.file.is_empty();
        is_in_file.then(|| Self { position: header.end(), file_end: header.fields.file_end })
    }
}

/// Lines of one file that a power loss cannot take away.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    pub(crate) start: Position,
    /// Whole lines; the last one has no line feed if the file ends without one.
    pub(crate) bytes: Vec<u8>,
    /// The file gets no more lines, and ends with these.
    pub(crate) file_end: bool,
    /// All that the node took before this time, in milliseconds since 1970, is in the record up to
    /// the last of these lines. `None` if it is not known.
    pub(crate) through: Option<i64>,
}

/// Lines as they are shipped.
#[derive(Clone, Debug)]
pub(crate) struct Shipped {
    pub(crate) body: Vec<u8>,
    /// What stands for the lines in their file.
    pub(crate) local: Hash,
    pub(crate) redaction: Option<Redaction>,
}

/// What comes next.
#[derive(Clone, Debug)]
pub(crate) enum Found {
    Lines(Lines),
    /// Nothing that may be shipped now.
    Nothing {
        /// Why lines that exist may not be shipped.
        waits_for: Option<String>,
        /// All that the node took before this time, in milliseconds since 1970, is before here. `None`
        /// if it is not known.
        through: Option<i64>,
        /// The last writer has closed the directory, and there is no other.
        is_closed: bool,
    },
    /// Lines are missing; the chain can go on at `resume`.
    Gap {
        missing: Missing,
        resume: Cursor,
    },
    /// A file has fewer lines than were shipped of it, or other ones.
    Changed(String),
}

/// What became of lines that were cut earlier.
#[derive(Clone, Debug)]
pub(crate) enum Held {
    /// Here they are.
    Bytes(Vec<u8>),
    /// Their file is gone. It had this many bytes, if that is known.
    Removed { bytes: Option<u64> },
    /// The file of this name begins with another line, or is shorter.
    Other(String),
}

/// Lines cannot be read now.
#[derive(Debug)]
pub(crate) struct SourceError(pub(crate) String);

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for SourceError {}

/// The lines of one stream of a directory.
pub(crate) trait Source {
    /// Where a chain begins: before the oldest line that is here; else after the last file that ever
    /// was. `None` if there never was a line.
    fn beginning(&mut self) -> Result<Option<Cursor>, SourceError>;

    /// The lines after a cursor; from the first one ever on if there is none. At most `bytes_max`, but
    /// at least one line.
    fn next(&mut self, after: Option<&Cursor>, bytes_max: usize) -> Result<Found, SourceError>;

    /// The bytes of a file from `start` on to `end`.
    fn find(&mut self, start: &Position, end: u64) -> Result<Held, SourceError>;

    /// Why lines after those in the file `name` may not be shipped yet: the directory must be
    /// recovered first. `None` if it need not.
    fn waits_after(&mut self, name: &str) -> Result<Option<String>, SourceError>;

    /// Whether files were removed, so that the oldest line that is here is not the first one ever.
    fn lacks_oldest(&mut self) -> Result<bool, SourceError>;

    /// The lines of the block may leave the machine: from now on they stay, whatever happens.
    fn hold(&mut self, block: &Header) -> Result<(), SourceError>;

    /// What comes before the file of this position is not needed any more.
    fn release(&mut self, position: &Position) -> Result<(), SourceError>;

    /// The first file that is still needed; `None` for all.
    fn needed_file(&self) -> Option<String>;

    /// Whether the place of a block can be found: its key is known, if it was redacted.
    fn check_key(&self, _block: &Fields) -> Result<(), SourceError> {
        Ok(())
    }

    /// The lines of a block that was cut before, from its file.
    fn find_block(&mut self, block: &Fields) -> Result<Held, SourceError> {
        self.check_key(block)?;
        self.find(&start_of(block), block.end)
    }

    /// Lines as they are shipped now.
    fn shipped(&self, bytes: Vec<u8>) -> Shipped {
        Shipped { local: Hash::of(&bytes), body: bytes, redaction: None }
    }

    /// Whether the bytes are those of the block, as they are in its file.
    fn is_of(&self, block: &Fields, bytes: &[u8]) -> Result<bool, SourceError> {
        Ok(Hash::of(bytes) == block.local)
    }

    /// The bytes of a block as they were shipped; `None` if they are those of another one.
    fn shipped_as(&self, block: &Fields, bytes: Vec<u8>) -> Result<Option<Vec<u8>>, SourceError> {
        Ok(self.is_of(block, &bytes)?.then_some(bytes))
    }

    /// The files of both streams that are here and have a line, with their births, oldest first.
    fn births(&mut self) -> Result<Vec<(String, Hash)>, SourceError>;
}

/// Whether a block begins where the one before ends, as far as the headers say.
pub(crate) fn is_contiguous(before: &Fields, after: &Fields) -> bool {
    // By another key, a birth looks different.
    let is_same_birth = before.birth == after.birth || before.redaction != after.redaction;
    after.lines == 0
        || (before.file == after.file && is_same_birth && before.end == after.start)
        || (after.start == 0 && before.file <= after.file)
}

/// Where the lines of a block begin.
pub(crate) fn start_of(block: &Fields) -> Position {
    Position { file: block.file.clone(), birth: block.birth, offset: block.start }
}
