//! What is counted, and how many there are at a time.

use super::missing::Missing;

/// Something to be counted, at the time where it belongs, in milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Count<'a> {
    /// A session began.
    Session { at: i64 },
    /// A participant joined.
    Participant { at: i64 },
    /// A participant was there, up to `at`, for so many milliseconds.
    Stay { at: i64, ms: i64 },
    /// An event said that a participant left, and why, as far as it told.
    Left { at: i64, reason: Option<&'a [u8]> },
    /// An event said that a session ended, and why, as far as it told.
    SessionEnd { at: i64, reason: Option<&'a [u8]> },
    /// A recording was complete, of so many bytes.
    Recording { at: i64, bytes: u64 },
    /// An event never came.
    Missing(Missing<'a>),
}

/// What the end of a session tells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SessionEnd<'a> {
    pub(crate) began: Option<i64>,
    pub(crate) reason: Option<&'a [u8]>,
}

/// Who hears of counts.
pub(crate) type Counted<'a> = dyn FnMut(Count<'_>) + 'a;

/// How many there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gauge {
    /// Now, but for those whose beginning was before the first line and whose end is still to
    /// come.
    pub(crate) now: i64,
    /// Those whose beginning was before the first line, as far as is known now.
    pub(crate) before: i64,
}
