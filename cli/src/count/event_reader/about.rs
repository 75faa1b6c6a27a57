//! Who a participant is, and from where: only records have it.

use super::super::detail::{About, Detail};
use super::super::event::{Id, SessionRef};
use super::super::line::{Members, text};
use super::livekit;

/// Reads an event of this name; `None` if it does not tell of a participant who comes or goes.
pub(super) fn read<'a>(name: &[u8], body: &'a [u8]) -> Option<Detail<'a>> {
    match name {
        b"participantJoined" | b"participantLeft" => read_openvidu(body),
        b"participant_joined" | b"participant_left" => read_livekit(body),
        _ => None,
    }
}

fn read_openvidu(body: &[u8]) -> Option<Detail<'_>> {
    let mut session = SessionRef::default();
    let (mut connection, mut participant) = (None, None);
    let mut about = About::default();
    for (key, value) in Members::of_object(body) {
        match key.as_ref() {
            b"sessionId" => session.name = text(value).unwrap_or_default(),
            b"uniqueSessionId" => session.unique = text(value),
            b"connectionId" => connection = text(value),
            b"participantId" => participant = text(value),
            b"platform" => about.platform = told(value),
            b"location" => about.location = told(value),
            b"clientData" => about.client_data = told(value),
            _ => {}
        }
    }
    about.connection = connection.clone();
    let participant = connection.or(participant)?;
    Some(Detail::Participant { session, participant, about: Box::new(about) })
}

fn read_livekit(body: &[u8]) -> Option<Detail<'_>> {
    let mut session = SessionRef::default();
    let (mut participant, mut about) = (None, About::default());
    for (key, value) in Members::of_object(body) {
        match key.as_ref() {
            b"room" => session = livekit::read_room(value).0,
            b"participant" => {
                participant = livekit::read_participant(value).participant;
                about = read_about(value);
            }
            _ => {}
        }
    }
    Some(Detail::Participant { session, participant: participant?, about: Box::new(about) })
}

fn read_about(participant: &[u8]) -> About<'_> {
    let mut about = About::default();
    for (key, value) in Members::of_object(participant) {
        match key.as_ref() {
            b"sid" => about.connection = told(value),
            b"identity" => about.identity = told(value),
            b"kind" => about.kind = told(value),
            b"region" => about.location = told(value),
            _ => {}
        }
    }
    about
}

/// A text that tells something.
fn told(value: &[u8]) -> Option<Id<'_>> {
    text(value).filter(|text| !text.is_empty() && text.as_ref() != b"unknown")
}
