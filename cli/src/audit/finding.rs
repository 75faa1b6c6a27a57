//! One thing that is reported about a record.

use serde_json::{Value, json};

use super::cause::Cause;
use crate::count::event::ActivityKind;
use crate::count::{Missing, MissingEvent, Source};
use crate::json_output::{self, ObjectType};
use crate::print::shown;

/// What is missing or odd.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Reason {
    Missing(MissingEvent),
    /// A sender says that it dropped events.
    EventsDropped,
    /// Numbers of events are missing.
    SequenceGap,
    /// Timestamps go back.
    ClockStep,
    /// A room is on the server, but not in the record.
    #[cfg(feature = "serve")]
    RoomUnheard,
    /// A participant is on the server, but not in the record.
    #[cfg(feature = "serve")]
    ParticipantUnheard,
    /// A session is open in the record, but is not on the server.
    #[cfg(feature = "serve")]
    RoomGone,
    /// A participant is in a session according to the record, but is not on the server.
    #[cfg(feature = "serve")]
    ParticipantGone,
    /// There is no event at all of a kind that should have come often.
    NeverSent,
}

impl Reason {
    /// One word, for programs.
    pub(super) fn word(self) -> &'static str {
        use ActivityKind::{Broadcast, Egress, Ingress, Recording, Track};
        use MissingEvent::{ActivityEnd, ActivityStart};
        match self {
            Self::Missing(MissingEvent::SessionStart) => "session_start_missing",
            Self::Missing(MissingEvent::SessionEnd) => "session_end_missing",
            Self::Missing(MissingEvent::Join) => "join_missing",
            Self::Missing(MissingEvent::Leave) => "leave_missing",
            Self::Missing(ActivityStart(Track)) => "track_start_missing",
            Self::Missing(ActivityEnd(Track)) => "track_end_missing",
            Self::Missing(ActivityStart(Egress)) => "egress_start_missing",
            Self::Missing(ActivityEnd(Egress)) => "egress_end_missing",
            Self::Missing(ActivityStart(Ingress)) => "ingress_start_missing",
            Self::Missing(ActivityEnd(Ingress)) => "ingress_end_missing",
            Self::Missing(ActivityStart(Recording)) => "recording_start_missing",
            Self::Missing(ActivityEnd(Recording)) => "recording_end_missing",
            Self::Missing(ActivityStart(Broadcast)) => "broadcast_start_missing",
            Self::Missing(ActivityEnd(Broadcast)) => "broadcast_end_missing",
            Self::EventsDropped => "events_dropped",
            Self::SequenceGap => "sequence_gap",
            Self::ClockStep => "clock_step",
            #[cfg(feature = "serve")]
            Self::RoomUnheard => "room_unheard",
            #[cfg(feature = "serve")]
            Self::ParticipantUnheard => "participant_unheard",
            #[cfg(feature = "serve")]
            Self::RoomGone => "room_gone",
            #[cfg(feature = "serve")]
            Self::ParticipantGone => "participant_gone",
            Self::NeverSent => "never_sent",
        }
    }
}

/// Whose event it is, as far as is known.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Subject {
    pub(super) session: Option<String>,
    /// An id that no other session has.
    pub(super) session_id: Option<String>,
    pub(super) participant: Option<String>,
    /// The id of a track, an egress and so on.
    pub(super) activity: Option<String>,
}

impl Subject {
    pub(super) fn of_missing(missing: &Missing<'_>) -> Self {
        let text = |id: &[u8]| String::from_utf8_lossy(id).into_owned();
        Self {
            session: Some(missing.session).filter(|name| !name.is_empty()).map(text),
            session_id: missing.unique.map(text),
            participant: missing.participant.map(text),
            activity: missing.activity.map(text),
        }
    }

    pub(super) fn is_of_session(&self, session: &str) -> bool {
        [&self.session, &self.session_id].into_iter().any(|id| id.as_deref() == Some(session))
    }
}

/// A finding, or a note. Times are milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) reason: Reason,
    /// Only for information: nothing that should be there is missing.
    pub(super) is_note: bool,
    /// When the event should have come, or when it turned out to be missing.
    pub(super) at: i64,
    /// The time in which it should have come.
    pub(super) from: Option<i64>,
    pub(super) until: Option<i64>,
    /// The directory; `None` if it is not about a directory.
    pub(super) source: Option<Source>,
    pub(super) subject: Subject,
    /// A sentence without a full stop.
    pub(super) message: String,
    pub(super) cause: Option<Cause>,
}

impl Finding {
    pub(super) fn new(reason: Reason, at: i64, message: impl Into<String>) -> Self {
        Self {
            reason,
            is_note: false,
            at,
            from: None,
            until: None,
            source: None,
            subject: Subject::default(),
            message: message.into(),
            cause: None,
        }
    }

    pub(super) fn json(&self) -> Value {
        let of_type = if self.is_note { ObjectType::Note } else { ObjectType::Finding };
        let text = |text: &Option<String>| text.as_deref().map(shown);
        let members = json!({
            "reason": self.reason.word(),
            "at": self.at,
            "from": self.from,
            "until": self.until,
            "session": text(&self.subject.session),
            "session_id": text(&self.subject.session_id),
            "participant": text(&self.subject.participant),
            "activity": text(&self.subject.activity),
            "message": shown(&self.message),
            "cause": self.cause.as_ref().map(|cause| cause.word()),
            "cause_message": self.cause.as_ref().map(|cause| cause.to_string()),
        });
        json_output::object("audit", of_type, members)
    }
}
