//! What is counted, and how many there are at one time.

use super::missing::Missing;
use super::record::{SessionRecord, StayRecord};

/// Something to be counted, with the time that it belongs to, in milliseconds since 1970.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Count<'a> {
    /// A session started.
    Session { at: i64 },
    /// A participant joined.
    Participant { at: i64 },
    /// A participant was present, up to `at`, for this many milliseconds.
    Stay { at: i64, ms: i64 },
    /// An event said that a participant left, and the reason if it has one.
    Left { at: i64, reason: Option<&'a [u8]> },
    /// An event said that a session ended, and the reason if it has one.
    SessionEnd { at: i64, reason: Option<&'a [u8]> },
    /// A recording was completed, with this many bytes.
    Recording { at: i64, bytes: u64 },
    /// An event never came.
    Missing(Missing<'a>),
    /// A stay is over: what was counted for it, and all that is known of it.
    StayRecord(&'a StayRecord<'a>),
    /// The same of a session.
    SessionRecord(&'a SessionRecord<'a>),
}

/// What the end of a session says.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SessionEnd<'a> {
    pub(crate) began: Option<i64>,
    pub(crate) reason: Option<&'a [u8]>,
}

/// Receives counts.
pub(crate) type Counted<'a> = dyn FnMut(Count<'_>) + 'a;

/// The number of sessions or participants.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gauge {
    /// Now, except for those that started before the first line and have not ended yet.
    pub(crate) now: i64,
    /// Those that started before the first line, as far as is known now.
    pub(crate) before: i64,
}
