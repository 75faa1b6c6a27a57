//! A row: a participant of a session, or a session, with everything that is printed of it.

use std::borrow::Cow;

use crate::count::detail::About;
use crate::count::event::Id;
use crate::count::{End, SessionRecord, StayRecord, Usage};

/// What a row is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum RowType {
    #[default]
    Participant,
    Session,
}

/// What ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum EndedBy {
    /// The participant left.
    Leave,
    /// The session ended: of the participant, no leave came.
    SessionEnd,
    /// No event: there was none for too long, or another session with the name began.
    Inferred,
}

impl EndedBy {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Leave => "leave",
            Self::SessionEnd => "session_end",
            Self::Inferred => "inferred",
        }
    }
}

/// A row. Times are milliseconds since 1970; names are empty if no event told them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Row<'a> {
    pub(crate) of: RowType,
    pub(crate) session: Cow<'a, str>,
    pub(crate) session_id: Cow<'a, str>,
    pub(crate) participant: Cow<'a, str>,
    pub(crate) identity: Cow<'a, str>,
    pub(crate) kind: Cow<'a, str>,
    pub(crate) connection: Cow<'a, str>,
    pub(crate) platform: Cow<'a, str>,
    pub(crate) location: Cow<'a, str>,
    pub(crate) client_data: Cow<'a, str>,
    /// When the participant joined, or the session began.
    pub(crate) began: Option<i64>,
    pub(crate) ended: Option<i64>,
    /// The last event of the session that is known.
    pub(crate) last: i64,
    pub(crate) ended_by: Option<EndedBy>,
    pub(crate) reason: Cow<'a, str>,
    /// The participants that `stats` counts: those of a session, or 0 or 1.
    pub(crate) participants: u64,
    /// What `stats` counts for these stays.
    pub(crate) stay_ms: i64,
    pub(crate) usage: Usage,
}

impl<'a> Row<'a> {
    /// The time that it belongs to: its end; if that is not known, the last event of its session.
    /// `None` while it is open.
    pub(crate) fn at(&self) -> Option<i64> {
        self.ended.or_else(|| self.ended_by.map(|_| self.last))
    }

    /// The name of a participant for people: its identity if it has one.
    pub(crate) fn who(&self) -> &str {
        if self.identity.is_empty() { &self.participant } else { &self.identity }
    }

    pub(crate) fn of_stay(stay: &StayRecord<'a>) -> Self {
        let ended_by = match stay.end {
            End::Event(_) => Some(EndedBy::Leave),
            End::OfSession(_) => Some(EndedBy::SessionEnd),
            End::Inferred => Some(EndedBy::Inferred),
            End::Open => None,
        };
        let about = |text: for<'x> fn(&'x About<'static>) -> &'x Option<Id<'static>>| {
            told(stay.about.and_then(|about| text(about).as_deref()))
        };
        Self {
            session_id: told(stay.unique),
            participant: told(stay.participant),
            identity: about(|about| &about.identity),
            kind: about(|about| &about.kind),
            connection: about(|about| &about.connection),
            platform: about(|about| &about.platform),
            location: about(|about| &about.location),
            client_data: about(|about| &about.client_data),
            began: stay.joined,
            ended: stay.end.at(),
            last: stay.last,
            ended_by,
            reason: told(stay.reason),
            participants: u64::from(stay.is_counted),
            stay_ms: stay.ms,
            ..Self::of(RowType::Participant, stay.session, &stay.usage)
        }
    }

    /// The row of a whole session.
    pub(crate) fn of_session(session: &SessionRecord<'a>) -> Self {
        Self {
            participants: session.stays,
            stay_ms: session.stay_ms,
            ..Self::of_session_with(session, &session.usage)
        }
    }

    /// What belongs to a session and to none of its participants; `None` if there is nothing.
    pub(crate) fn of_rest(session: &SessionRecord<'a>) -> Option<Self> {
        let has_own = session.own != Usage::default();
        has_own.then(|| Self::of_session_with(session, &session.own))
    }

    /// The session of a leave that belongs to none that is known.
    pub(crate) fn of_lone_stay(stay: &StayRecord<'a>) -> Self {
        Self {
            session_id: told(stay.unique),
            last: stay.last,
            ended: stay.end.at(),
            ended_by: Some(EndedBy::Leave),
            participants: u64::from(stay.is_counted),
            stay_ms: stay.ms,
            ..Self::of(RowType::Session, stay.session, &stay.usage)
        }
    }

    fn of_session_with(session: &SessionRecord<'a>, usage: &Usage) -> Self {
        let ended_by = match session.end {
            End::Event(_) | End::OfSession(_) => Some(EndedBy::SessionEnd),
            End::Inferred => Some(EndedBy::Inferred),
            End::Open => None,
        };
        Self {
            session_id: told(session.unique),
            began: session.began,
            ended: session.end.at(),
            last: session.last,
            ended_by,
            reason: told(session.reason),
            ..Self::of(RowType::Session, session.session, usage)
        }
    }

    fn of(of: RowType, session: &'a [u8], usage: &Usage) -> Self {
        Self { of, session: told(Some(session)), usage: *usage, ..Self::default() }
    }
}

fn told(text: Option<&[u8]>) -> Cow<'_, str> {
    text.map(String::from_utf8_lossy).unwrap_or_default()
}
