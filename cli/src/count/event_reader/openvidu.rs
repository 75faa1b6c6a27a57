//! The events of OpenVidu 2.

use super::super::detail::{About, Detail};
use super::super::event::{Event, Recorded, Says, SessionRef, Stay};
use super::super::line::{Members, text};
use super::known_text;
use super::value::{milliseconds, seconds, whole};

/// Reads an event of this name.
pub(super) fn read<'a>(name: &[u8], body: &'a [u8]) -> Event<'a> {
    read_members(name, body, |_, _| {})
}

/// The same of a participant who comes or goes, and who that is.
pub(super) fn read_with_about<'a>(name: &[u8], body: &'a [u8]) -> (Event<'a>, Option<Detail<'a>>) {
    let mut about = About::default();
    let event = read_members(name, body, |key, value| match key {
        b"connectionId" => about.connection = text(value),
        b"platform" => about.platform = known_text(value),
        b"location" => about.location = known_text(value),
        b"clientData" => about.client_data = known_text(value),
        _ => {}
    });
    (event, Some(Detail::About(about)))
}

/// Also hands over each member.
#[inline]
fn read_members<'a>(
    name: &[u8],
    body: &'a [u8],
    mut take: impl FnMut(&[u8], &'a [u8]),
) -> Event<'a> {
    let mut event = Event { at: None, says: Says::Nothing };
    let mut session = SessionRef::default();
    let (mut connection, mut participant, mut id) = (None, None, None);
    let (mut start, mut duration, mut bytes, mut is_ready) = (None, None, 0, false);
    let mut reason = None;
    for (key, value) in Members::of_object(body) {
        take(&key, value);
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
