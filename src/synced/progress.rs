//! How far a stream of a directory is synced.

use std::cmp::Ordering;

use super::lines::Extent;
use crate::file::FileName;
use crate::journal::{ControlState, Stream, TimeMark};

/// What the control file says of a stream at one moment.
#[derive(Clone, Debug)]
pub(super) struct Progress {
    pub(super) opening: Opening,
    pub(super) phase: Phase,
    /// A sync failed, and nothing is synced any more.
    pub(super) sync_failed: bool,
    mark: Option<TimeMark>,
    stream: Stream,
}

/// Which file of which opening the stream is anchored to, and how. While it is the same, no file of
/// the stream was begun, closed or found changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Opening {
    epoch: u64,
    anchor_generation: u64,
    is_closed: bool,
}

/// What may be read of a stream.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    /// The last appender closed, or there never was one: every file is over.
    Closed,
    /// An appender has the directory, or was killed. It has not begun a file of this stream: those
    /// that exist are over.
    NotBegun,
    /// The same, and this is its file: those before it are over.
    Begun(LiveFile),
    /// The same, but it has not synced since it began its file, so that it is not known whether the
    /// files before are synced.
    NotSynced,
}

/// The file that a stream is anchored to.
#[derive(Clone, Debug)]
pub(super) struct LiveFile {
    pub(super) key: FileName,
    /// Its length when it was anchored, at `position` in the stream.
    file_bytes: u64,
    position: u64,
    synced: u64,
}

impl LiveFile {
    /// The length that is synced.
    pub(super) fn synced_bytes(&self) -> u64 {
        self.file_bytes.saturating_add(self.synced - self.position)
    }

    /// The position in the stream of an offset in the file; `None` before the anchor, where the
    /// bytes may be another program's.
    pub(super) fn position_of(&self, offset: u64) -> Option<u64> {
        Some(self.position + offset.checked_sub(self.file_bytes)?)
    }

    /// The position in the stream from where the file has its lines.
    pub(super) fn start_position(&self) -> u64 {
        self.position
    }
}

impl Progress {
    /// The time before which everything accepted is synced, in milliseconds since 1970, and the
    /// position in the stream before which all of that is.
    pub(super) fn mark(&self) -> Option<(u64, u64)> {
        let TimeMark { time_ms, positions: [lines, rejects] } = self.mark?;
        Some((time_ms, if self.stream == Stream::Lines { lines } else { rejects }))
    }

    /// How far a file may be read; `None` if nothing of it is synced.
    pub(super) fn extent_of(&self, key: FileName) -> Option<Extent> {
        match &self.phase {
            Phase::Closed | Phase::NotBegun => Some(Extent::Whole),
            Phase::NotSynced => None,
            Phase::Begun(live) => match key.cmp(&live.key) {
                Ordering::Less => Some(Extent::Whole),
                Ordering::Equal => Some(Extent::UpTo(live.synced_bytes())),
                Ordering::Greater => None,
            },
        }
    }

    /// Of a directory that was never opened.
    pub(super) fn never_opened(stream: Stream) -> Self {
        let opening = Opening { is_closed: true, ..Opening::default() };
        Self { opening, phase: Phase::Closed, sync_failed: false, mark: None, stream }
    }

    /// What `state` says of `stream`; `None` if it names a file that no appender creates.
    pub(super) fn of(state: &ControlState, stream: Stream) -> Option<Self> {
        let of_stream = state.stream(stream);
        let opening = Opening {
            epoch: state.epoch,
            anchor_generation: of_stream.generation,
            is_closed: state.clean,
        };
        let phase = match &of_stream.anchor {
            _ if state.clean => Phase::Closed,
            None => Phase::NotBegun,
            Some(anchor) if of_stream.synced < anchor.position => Phase::NotSynced,
            Some(anchor) => Phase::Begun(LiveFile {
                key: FileName::parse(&anchor.file_name)?,
                file_bytes: anchor.file_bytes,
                position: anchor.position,
                synced: of_stream.synced,
            }),
        };
        let (sync_failed, mark) = (state.sync_failed, state.time_mark);
        Some(Self { opening, phase, sync_failed, mark, stream })
    }
}
