//! The events of LiveKit and OpenVidu 3.

use super::super::detail::{About, Detail};
use super::super::event::{Event, Id, MadeOf, Recorded, Says, SessionRef, Stay};
use super::super::line::{Items, Members, text};
use super::known_text;
use super::value::{milliseconds, nanoseconds, seconds, whole};

/// Reads an event of this name.
pub(super) fn read<'a>(name: &[u8], body: &'a [u8]) -> Event<'a> {
    read_members(name, body, |_, _| {})
}

/// The same of a participant who comes or goes, and who that is.
pub(super) fn read_with_about<'a>(name: &[u8], body: &'a [u8]) -> (Event<'a>, Option<Detail<'a>>) {
    let mut about = About::default();
    let event = read_members(name, body, |key, value| match key {
        b"sid" => about.connection = known_text(value),
        b"identity" => about.identity = known_text(value),
        b"kind" => about.kind = known_text(value),
        b"region" => about.location = known_text(value),
        _ => {}
    });
    (event, Some(Detail::About(about)))
}

/// Also hands over each member of the participant.
#[inline]
fn read_members<'a>(
    name: &[u8],
    body: &'a [u8],
    mut take: impl FnMut(&[u8], &'a [u8]),
) -> Event<'a> {
    let mut at = None;
    let mut session = SessionRef::default();
    let (mut began, mut egress) = (None, None);
    let mut stay = Stay::default();
    for (key, value) in Members::of_object(body) {
        match key.as_ref() {
            b"createdAt" => at = seconds(value),
            b"room" => (session, began) = read_room(value),
            b"participant" => stay = read_participant_members(value, &mut take),
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
    read_participant_members(participant, |_, _| {})
}

fn read_participant_members<'a>(
    participant: &'a [u8],
    mut take: impl FnMut(&[u8], &'a [u8]),
) -> Stay<'a> {
    let (mut sid, mut identity, mut joined_ms, mut joined_s) = (None, None, None, None);
    let mut reason = None;
    for (key, value) in Members::of_object(participant) {
        take(&key, value);
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

/// What an egress is made of, from its `participant`, `track` or `trackComposite`.
pub(super) fn read_made_of(request: &[u8]) -> Option<MadeOf<'_>> {
    Members::of_object(request).find_map(|(key, value)| match key.as_ref() {
        b"identity" => told(value).map(MadeOf::Participant),
        b"trackId" | b"audioTrackId" | b"videoTrackId" => told(value).map(MadeOf::Track),
        _ => None,
    })
}

fn told(value: &[u8]) -> Option<Id<'_>> {
    text(value).filter(|text| !text.is_empty())
}

/// An egress that produced files is a recording; one that only streamed, or failed, is not.
fn read_egress(egress: &[u8]) -> Says<'_> {
    let mut recorded = Recorded::default();
    let (mut results, mut old_results) = (Results::default(), Results::default());
    let (mut began, mut ended) = (None, None);
    for (key, value) in Members::of_object(egress) {
        match key.as_ref() {
            b"egressId" => recorded.id = text(value),
            b"roomId" => recorded.session.unique = told(value),
            b"roomName" => recorded.session.name = text(value).unwrap_or_default(),
            b"startedAt" => began = nanoseconds(value),
            b"endedAt" => ended = nanoseconds(value),
            b"participant" | b"track" | b"trackComposite" => {
                recorded.made_of = read_made_of(value);
            }
            b"fileResults" | b"segmentResults" => {
                Items::of_array(value).for_each(|item| results.add(item));
            }
            // What servers sent before there were lists, and what some still send.
            b"file" | b"segments" => old_results.add(value),
            _ => {}
        }
    }
    let results = if results.count == 0 { old_results } else { results };
    if results.count == 0 {
        return Says::Nothing;
    }
    recorded.bytes = results.bytes;
    let between = || Some((ended? - began?).max(0));
    recorded.duration = results.duration.or_else(between);
    Says::Recorded(recorded)
}

/// The files that an egress wrote.
#[derive(Default)]
struct Results {
    count: u64,
    bytes: u64,
    /// Of the longest one, in milliseconds.
    duration: Option<i64>,
}

impl Results {
    fn add(&mut self, result: &[u8]) {
        self.count += 1;
        for (key, value) in Members::of_object(result) {
            match key.as_ref() {
                b"size" => self.bytes += whole(value),
                b"duration" => self.duration = self.duration.max(nanoseconds(value)),
                _ => {}
            }
        }
    }
}
