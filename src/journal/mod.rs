//! The journal: what is committed in it outlives the process.
//!
//! Two streams go through it, each in its own ring of segments: the lines of the CDR, and the
//! records of rejected bodies. Both are byte streams; whole lines are committed at once.
//!
//! ```text
//! <dir>/.cdrlog/lock                     one writer per directory
//!               control                  anchors: control/
//!               journal-0 .. journal-3   the ring of the lines: segment.rs
//!               rejects-0, rejects-1     the ring of the rejects
//! ```

mod accepted;
mod control;
mod cut_record;
mod frames;
mod mapping;
mod page;
mod progress;
mod recovery;
mod remainder;
mod ring;
mod segment;
mod state_dir;

#[cfg(feature = "synced")]
pub(crate) use control::ControlState;
pub(crate) use control::{Anchor, Control, TimeMark};
pub use recovery::Recovery;
pub(crate) use recovery::recover;
pub(crate) use ring::{RingReader, RingWriter};
pub(crate) use state_dir::{Journal, JournalError, JournalOptions, SEGMENT_COUNT_MAX, StateDir};
#[cfg(loom)]
pub(crate) use {ring::ring, segment::Segment};

/// The two streams of a directory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Stream {
    /// The lines of the CDR, in `CDR.<date>_<time>.log`.
    Lines = 0,
    /// The records of rejected bodies, in `rejected.<date>_<time>.jsonl`.
    Rejects = 1,
}

impl Stream {
    pub(crate) const ALL: [Self; 2] = [Self::Lines, Self::Rejects];

    const fn file_prefix(self) -> &'static str {
        match self {
            Self::Lines => "journal-",
            Self::Rejects => "rejects-",
        }
    }
}
