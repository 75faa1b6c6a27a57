//! Events that never came, as far as the others show it.

use super::event::{ActivityKind, Source};

/// An event that should have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum MissingEvent {
    SessionStart,
    SessionEnd,
    Join,
    Leave,
    ActivityStart(ActivityKind),
    ActivityEnd(ActivityKind),
}

/// What shows that an event is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sign {
    /// Later events of the same session, participant or activity.
    LaterEvents,
    /// The session ended.
    SessionEnded,
    /// The participant left.
    ParticipantLeft,
    /// Another one with the same name started.
    NameBeganAgain,
    /// There was no event for too long.
    Silence,
    /// None yet: it is open at the end of the input.
    StillOpen,
}

/// A missing event, and what is known about it. Times are milliseconds since 1970.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Missing<'a> {
    pub(crate) event: MissingEvent,
    pub(crate) sign: Sign,
    /// Where its session was first read.
    pub(crate) source: Source,
    /// Empty if no event told it.
    pub(crate) session: &'a [u8],
    pub(crate) unique: Option<&'a [u8]>,
    pub(crate) participant: Option<&'a [u8]>,
    /// The id of the track, egress and so on.
    pub(crate) activity: Option<&'a [u8]>,
    /// The time at which it happened, if another event tells it.
    pub(crate) told: Option<i64>,
    /// It did not happen before this time.
    pub(crate) after: Option<i64>,
    /// It did not happen later than this time.
    pub(crate) before: i64,
    /// For a session without an end: the participants that were in it.
    pub(crate) inside: u64,
}
