//! What the members of an event tell, in the columns of the table of events.

use crate::count::event::{ActivityRef, Id, Says, SessionRef};
use crate::count::line::{Line as Event, Members, text};
use crate::count::{detail::Detail, event_reader};

/// What the members of an event tell.
#[derive(Debug, Default)]
pub(super) struct Fields<'a> {
    pub(super) at: Option<i64>,
    pub(super) session: Option<Id<'a>>,
    pub(super) session_id: Option<Id<'a>>,
    pub(super) participant: Option<Id<'a>>,
    pub(super) activity: Option<Id<'a>>,
    pub(super) reason: Option<Id<'a>>,
    pub(super) recording_bytes: Option<u64>,
}

impl<'a> Fields<'a> {
    pub(super) fn of(event: &Event<'a>) -> Self {
        let (read, detail) = event_reader::read_with_detail(event);
        let mut fields = Self { at: read.at, ..Self::default() };
        match read.says {
            Says::SessionBegan(session) => fields.set_session(session),
            Says::SessionEnded { session, reason, .. } => {
                fields.set_session(session);
                fields.reason = reason;
            }
            Says::Joined { session, participant } => {
                fields.set_session(session);
                fields.participant = Some(participant);
            }
            Says::Left(session, stay) => {
                fields.set_session(session);
                fields.participant = stay.participant;
                fields.reason = stay.reason;
            }
            Says::Recorded(recorded) => {
                fields.set_session(recorded.session);
                fields.activity = recorded.id;
                fields.recording_bytes = Some(recorded.bytes);
            }
            _ => fields.set_others(event, detail),
        }
        fields
    }

    fn set_session(&mut self, session: SessionRef<'a>) {
        self.session = Some(session.name);
        self.session_id = session.unique;
    }

    /// The members of events that are not counted.
    fn set_others(&mut self, event: &Event<'a>, detail: Option<Detail<'a>>) {
        let activity = match detail {
            Some(Detail::Activity(
                Says::ActivityBegan(activity) | Says::ActivityEnded { activity, .. },
            )) => activity,
            _ => return self.set_members(event.body),
        };
        let ActivityRef { session, participant, id, .. } = activity;
        self.set_session(session);
        self.participant = participant;
        self.activity = Some(id);
    }

    fn set_members(&mut self, body: &'a [u8]) {
        for (key, value) in Members::of_object(body) {
            match key.as_ref() {
                b"sessionId" => self.session = text(value),
                b"uniqueSessionId" => self.session_id = text(value),
                b"connectionId" => self.participant = text(value),
                b"reason" => self.reason = text(value),
                _ => {}
            }
        }
    }
}
