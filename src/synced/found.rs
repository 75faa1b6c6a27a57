//! What a cursor finds.

use super::birth::Birth;
use super::block::SyncedBlock;

/// What [`SyncedCursor::next_block`](super::SyncedCursor::next_block) found.
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

/// A file of a directory, as a cursor sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SyncedFile {
    /// Its name, without `.zst` or `.gz`.
    pub name: String,
    /// `None` if it has no whole line that is synced.
    pub birth: Option<Birth>,
    /// Its length on the disk, in bytes: less than that of its lines if it is compressed.
    pub disk_bytes: u64,
}
