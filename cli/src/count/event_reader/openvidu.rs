//! The events of OpenVidu 2.

use super::super::event::{Event, Recorded, Says, SessionRef, Stay};
use super::super::line::{Members, text};
use super::value::{milliseconds, seconds, whole};

/// Reads an event of this name.
pub(super) fn read<'a>(name: &[u8], body: &'a [u8]) -> Event<'a> {
    let mut event = Event { at: None, says: Says::Nothing };
    let mut session = SessionRef::default();
    let (mut connection, mut participant, mut id) = (None, None, None);
    let (mut start, mut duration, mut bytes, mut is_ready) = (None, None, 0, false);
    let mut reason = None;
    for (key, value) in Members::of_object(body) {
        match key.as_ref() {
            b"timestamp" => event.at = milliseconds(value),
            b"sessionId" => session.name = text(value).unwrap_or_default(),
            b"uniqueSessionId" => session.unique = text(value),
            b"connectionId" => connection = text(value),
            b"participantId" => participant = text(value),
            b"startTime" => start = milliseconds(value),
            b"duration" => duration = seconds(value),
            b"id" => id = text(value),
            b"size" => bytes = whole(value),
            b"status" => is_ready = value == b"\"ready\"",
            b"reason" => reason = text(value),
            _ => {}
        }
    }
    let participant = connection.or(participant);
    let recorded = |session| Recorded { id, session, made_of: None, bytes, duration };
    event.says = match (name, participant) {
        (b"sessionCreated", _) => Says::SessionBegan(session),
        (b"sessionDestroyed", _) => Says::SessionEnded { session, began: start, reason },
        (b"participantJoined", Some(participant)) => Says::Joined { session, participant },
        (b"participantLeft", participant) => {
            Says::Left(session, Stay { participant, joined: start, duration, reason })
        }
        (b"recordingStatusChanged", _) if is_ready => Says::Recorded(recorded(session)),
        (b"recordingStopped", _) => Says::Recorded(recorded(session)),
        _ => Says::Nothing,
    };
    event
}
