//! The events of OpenVidu Meet.

use std::borrow::Cow;

use super::super::event::{Event, Id, Recorded, Says, SessionRef};
use super::super::line::{Members, text};
use super::value::{milliseconds, seconds, whole};

/// Reads an event of this name.
pub(super) fn read<'a>(name: &[u8], body: &'a [u8]) -> Event<'a> {
    let mut at = None;
    let mut session = SessionRef::default();
    let (mut recorded, mut is_complete) = (Recorded::default(), false);
    for (key, value) in Members::of_object(body) {
        match key.as_ref() {
            b"creationDate" => at = milliseconds(value),
            b"data" => {
                for (key, value) in Members::of_object(value) {
                    match key.as_ref() {
                        b"roomId" => session.name = text(value).unwrap_or_default(),
                        b"recordingId" => recorded.id = text(value).map(egress_of_recording),
                        b"size" => recorded.bytes = whole(value),
                        b"duration" => recorded.duration = seconds(value),
                        b"status" => is_complete = value == b"\"complete\"",
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let says = match name {
        b"meetingStarted" => Says::SessionBegan(session),
        b"meetingEnded" => Says::SessionEnded { session, began: None, reason: None },
        b"recordingEnded" if is_complete => Says::Recorded(Recorded { session, ..recorded }),
        _ => Says::Nothing,
    };
    Event { at, says }
}

/// Meet names a recording `<room>--EG_<egress>--<word>`. LiveKit's own event of the same recording
/// has the egress part, so that the two are counted once.
pub(super) fn egress_of_recording(id: Id<'_>) -> Id<'_> {
    let egress = std::str::from_utf8(&id)
        .ok()
        .and_then(|id| id.split("--").find(|part| part.starts_with("EG_")))
        .map(|part| part.as_bytes().to_vec());
    egress.map_or(id, Cow::Owned)
}
