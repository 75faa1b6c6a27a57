//! The cursor over synced lines.

use std::path::{Path, PathBuf};

use super::block::{SyncedBlock, SyncedPosition};
use super::error::CursorError;
use super::{Birth, Stream};

/// What [`SyncedCursor::next_block`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextBlock {
    /// The next lines.
    Block(SyncedBlock),
    /// Everything that is synced was returned.
    Wait(Wait),
}

/// What must happen before there can be more blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// A writer has the directory: it may write more, or sync what it wrote.
    Writer,
    /// Nothing is missing: the directory was closed, or nothing was ever written to it.
    Open,
    /// No writer has the directory, and the last one did not close it: its journal or its inbox may
    /// hold lines that no file has, or lines may not be synced. The next open, or
    /// [`Builder::recover`](crate::Builder::recover), sees to that.
    Recovery,
    /// A sync of the writer failed: nothing is synced before its next open.
    SyncFailed,
}

/// Returns what is synced in a directory, in order, each line once.
///
/// A cursor changes nothing and locks nobody out. It is `Send`. Between calls it holds one open
/// file and no block.
#[derive(Debug)]
pub struct SyncedCursor {
    _directory: PathBuf,
    _stream: Stream,
}

/// A file of a directory, as a cursor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncedFile {
    /// Its name, without `.zst` or `.gz`.
    pub name: String,
    /// `None` if it has no whole line yet.
    pub birth: Option<Birth>,
    /// Its length on the disk, in bytes: less than that of its lines if it is compressed.
    pub disk_bytes: u64,
}

impl SyncedCursor {
    /// A cursor that starts at `from`, or at the oldest line.
    ///
    /// # Errors
    ///
    /// [`CursorError::PositionGone`] if `from` is not a position between two synced lines of an
    /// existing file, [`CursorError::NoDirectory`], and those of
    /// [`next_block`](Self::next_block).
    pub fn open(
        _directory: impl AsRef<Path>,
        _stream: Stream,
        _from: Option<&SyncedPosition>,
    ) -> Result<Self, CursorError> {
        unimplemented!()
    }

    /// A cursor that starts with the first file after the one of this name, which need not exist any
    /// more.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_after_file(
        _directory: impl AsRef<Path>,
        _stream: Stream,
        _name: &str,
    ) -> Result<Self, CursorError> {
        unimplemented!()
    }

    /// The next block of at most `limit_bytes`; a line longer than that is a block of its own.
    ///
    /// # Errors
    ///
    /// [`CursorError`]; after [`CursorError::Io`] a later call may succeed, unless a sync failed.
    pub fn next_block(&mut self, _limit_bytes: usize) -> Result<NextBlock, CursorError> {
        unimplemented!()
    }

    /// The position after the last block. `None` before the first block of a cursor that was opened
    /// without a position.
    #[must_use]
    pub fn position(&self) -> Option<SyncedPosition> {
        unimplemented!()
    }

    /// Everything that the directory accepted before this time, in milliseconds since 1970 (UTC), is
    /// in the blocks that were returned. `None` if that is unknown: the writer sets no time marks
    /// ([`Builder::time_marks`](crate::Builder::time_marks)), or the cursor is not that far yet. It
    /// never goes back. After [`Wait::Open`] it is the time of that call.
    #[must_use]
    pub fn through_ms(&self) -> Option<u64> {
        unimplemented!()
    }

    /// How many synced bytes were not returned yet, as of the last call of
    /// [`next_block`](Self::next_block). Files that are compressed count as they are on the disk.
    ///
    /// # Errors
    ///
    /// [`CursorError::Io`] if the directory cannot be listed.
    pub fn lag_bytes(&self) -> Result<u64, CursorError> {
        unimplemented!()
    }

    /// Reads the lines from `start` to the offset `end` of the same file once more, as for a block
    /// that was noted before a crash. The cursor does not move. `through_ms` of the block is `None`.
    ///
    /// # Errors
    ///
    /// [`CursorError::PositionGone`] if the file does not have them any more, or not yet synced; and
    /// those of [`next_block`](Self::next_block).
    pub fn block_at(&self, _start: &SyncedPosition, _end: u64) -> Result<SyncedBlock, CursorError> {
        unimplemented!()
    }

    /// The files that exist now, oldest first, from the first to the one that is being written.
    ///
    /// # Errors
    ///
    /// [`CursorError::Io`].
    pub fn files(&self) -> Result<Vec<SyncedFile>, CursorError> {
        unimplemented!()
    }
}
