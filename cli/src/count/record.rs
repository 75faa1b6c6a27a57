//! What is handed over for a stay or a session once nothing more is expected for it: see `records.rs`.

use super::detail::About;
use super::usage::Usage;

/// What ended a stay or a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// Its own event: the leave of a participant, the end of a session.
    Event(i64),
    /// The end of the session, for a participant of whom no leave came.
    OfSession(i64),
    /// No event: there was none for too long, or another session with the name began.
    Inferred,
    /// Nothing yet.
    Open,
}

impl End {
    pub(crate) fn at(self) -> Option<i64> {
        match self {
            Self::Event(at) | Self::OfSession(at) => Some(at),
            Self::Inferred | Self::Open => None,
        }
    }
}

/// A participant in a session. Times are milliseconds since 1970.
#[derive(Debug)]
pub(crate) struct StayRecord<'a> {
    /// Empty if no event told it.
    pub(crate) session: &'a [u8],
    pub(crate) unique: Option<&'a [u8]>,
    pub(crate) participant: Option<&'a [u8]>,
    /// `None` if no event tells.
    pub(crate) joined: Option<i64>,
    pub(crate) end: End,
    /// The last event of the session that is known.
    pub(crate) last: i64,
    /// What was counted for it.
    pub(crate) ms: i64,
    pub(crate) reason: Option<&'a [u8]>,
    pub(crate) about: Option<&'a About<'static>>,
    pub(crate) usage: Usage,
    /// It counts as a participant: one of whom no join was read was there before the first line.
    pub(crate) is_counted: bool,
    /// It belongs to no session that has a record.
    pub(crate) is_lone: bool,
}

/// A session.
#[derive(Debug)]
pub(crate) struct SessionRecord<'a> {
    pub(crate) session: &'a [u8],
    pub(crate) unique: Option<&'a [u8]>,
    pub(crate) began: Option<i64>,
    pub(crate) end: End,
    pub(crate) last: i64,
    pub(crate) reason: Option<&'a [u8]>,
    /// Its stays that count as participants, and what was counted for all stays.
    pub(crate) stays: u64,
    pub(crate) stay_ms: i64,
    /// What belongs to the session as a whole.
    pub(crate) own: Usage,
    /// The same and everything of its participants.
    pub(crate) usage: Usage,
}
