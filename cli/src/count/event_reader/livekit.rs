//! The events of LiveKit and OpenVidu 3.

use super::super::event::{Event, Says, SessionRef, Stay};
use super::super::line::{Items, Members, text};
use super::value::{milliseconds, seconds, whole};

/// Reads an event of this name.
pub(super) fn read<'a>(name: &[u8], body: &'a [u8]) -> Event<'a> {
    let mut at = None;
    let mut session = SessionRef::default();
    let (mut began, mut egress) = (None, None);
    let mut stay = Stay::default();
    for (key, value) in Members::of_object(body) {
        match key.as_ref() {
            b"createdAt" => at = seconds(value),
            b"room" => (session, began) = read_room(value),
            b"participant" => stay = read_participant(value),
            b"egressInfo" => egress = Some(value),
            _ => {}
        }
    }
    let says = match name {
        b"room_started" => Says::SessionBegan(session),
        b"room_finished" => Says::SessionEnded { session, began, reason: None },
        b"participant_joined" => match stay.participant {
            Some(participant) => Says::Joined { session, participant },
            None => Says::Nothing,
        },
        b"participant_left" => Says::Left(session, stay),
        b"egress_ended" => egress.map_or(Says::Nothing, read_egress),
        _ => Says::Nothing,
    };
    Event { at, says }
}

pub(super) fn read_room(room: &[u8]) -> (SessionRef<'_>, Option<i64>) {
    let mut session = SessionRef::default();
    let (mut began_ms, mut began_s) = (None, None);
    for (key, value) in Members::of_object(room) {
        match key.as_ref() {
            b"sid" => session.unique = text(value),
            b"name" => session.name = text(value).unwrap_or_default(),
            b"creationTime" => began_s = seconds(value),
            b"creationTimeMs" => began_ms = milliseconds(value),
            _ => {}
        }
    }
    (session, began_ms.or(began_s))
}

pub(super) fn read_participant(participant: &[u8]) -> Stay<'_> {
    let (mut sid, mut identity, mut joined_ms, mut joined_s) = (None, None, None, None);
    let mut reason = None;
    for (key, value) in Members::of_object(participant) {
        match key.as_ref() {
            b"sid" => sid = text(value),
            b"identity" => identity = text(value),
            b"joinedAt" => joined_s = seconds(value),
            b"joinedAtMs" => joined_ms = milliseconds(value),
            b"disconnectReason" => reason = text(value),
            _ => {}
        }
    }
    let (participant, joined) = (sid.or(identity), joined_ms.or(joined_s));
    Stay { participant, joined, duration: None, reason }
}

/// An egress that produced files is a recording; one that only streamed, or failed, is not.
fn read_egress(egress: &[u8]) -> Says<'_> {
    let mut id = None;
    let (mut results, mut bytes) = (0, 0);
    let (mut old_results, mut old_bytes) = (0, 0);
    for (key, value) in Members::of_object(egress) {
        match key.as_ref() {
            b"egressId" => id = text(value),
            b"fileResults" | b"segmentResults" => {
                for item in Items::of_array(value) {
                    results += 1;
                    bytes += size_of(item);
                }
            }
            // What servers sent before there were lists, and what some still send.
            b"file" | b"segments" => {
                old_results += 1;
                old_bytes += size_of(value);
            }
            _ => {}
        }
    }
    if results == 0 {
        (results, bytes) = (old_results, old_bytes);
    }
    if results > 0 { Says::Recorded { id, bytes } } else { Says::Nothing }
}

fn size_of(result: &[u8]) -> u64 {
    let size = Members::of_object(result).find(|(key, _)| key.as_ref() == b"size");
    size.map_or(0, |(_, value)| whole(value))
}
