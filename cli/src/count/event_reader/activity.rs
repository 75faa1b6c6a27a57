//! Tracks, egress, ingress, recordings and broadcasts, in all families: only audits and records
//! follow them.

use super::super::event::{ActivityKind, ActivityRef, Event, Id, MadeOf, Says, SessionRef};
use super::super::line::{Members, text};
use super::value::{milliseconds, nanoseconds, seconds, time};
use super::{livekit, meet};

/// What an event does to its activity.
#[derive(Clone, Copy)]
enum Step {
    Begins,
    GoesOn,
    Ends,
}

/// Reads an event of this name; `None` if it is not about an activity.
pub(super) fn read<'a>(name: &[u8], body: &'a [u8]) -> Option<Event<'a>> {
    use ActivityKind::{Broadcast, Egress, Ingress, Recording, Track};
    let (kind, step) = match name {
        b"webrtcConnectionCreated" => return Some(read_openvidu(Track, Some(Step::Begins), body)),
        b"webrtcConnectionDestroyed" => return Some(read_openvidu(Track, Some(Step::Ends), body)),
        b"broadcastStarted" => return Some(read_openvidu(Broadcast, Some(Step::Begins), body)),
        b"broadcastStopped" => return Some(read_openvidu(Broadcast, Some(Step::Ends), body)),
        b"recordingStatusChanged" => return Some(read_openvidu(Recording, None, body)),
        b"recordingStopped" => return Some(read_openvidu(Recording, Some(Step::Ends), body)),
        // OpenVidu Meet has an event of this name too, with its members under `data`.
        b"recordingStarted" if has_data(body) => return Some(read_meet(Step::Begins, body)),
        b"recordingStarted" => return Some(read_openvidu(Recording, Some(Step::Begins), body)),
        b"recordingUpdated" => return Some(read_meet(Step::GoesOn, body)),
        b"recordingEnded" => return Some(read_meet(Step::Ends, body)),
        b"participant_connection_aborted" => return Some(read_failed(body)),
        b"track_published" => (Track, Step::Begins),
        b"track_unpublished" => (Track, Step::Ends),
        b"egress_started" => (Egress, Step::Begins),
        b"egress_updated" => (Egress, Step::GoesOn),
        b"egress_ended" => (Egress, Step::Ends),
        b"ingress_started" => (Ingress, Step::Begins),
        b"ingress_ended" => (Ingress, Step::Ends),
        _ => return None,
    };
    Some(read_livekit(kind, step, body))
}

fn has_data(body: &[u8]) -> bool {
    Members::of_object(body).any(|(key, _)| key.as_ref() == b"data")
}

/// What an event tells of an activity.
#[derive(Default)]
struct Told<'a> {
    at: Option<i64>,
    session: SessionRef<'a>,
    participant: Option<Id<'a>>,
    made_of: Option<MadeOf<'a>>,
    is_received: bool,
    id: Option<Id<'a>>,
    began: Option<i64>,
    ended: Option<i64>,
    duration: Option<i64>,
}

impl<'a> Told<'a> {
    /// The first one that is a time, as for all events.
    fn add_time(&mut self, key: &[u8], value: &[u8]) {
        self.at = self.at.or_else(|| time(key, value));
    }

    /// If the event does not tell the id, it says nothing.
    fn into_event(self, kind: ActivityKind, step: Step) -> Event<'a> {
        let Self { at, session, participant, made_of, is_received, id, began, ended, .. } = self;
        let between = || Some((ended? - began?).max(0));
        let duration = self.duration.or_else(between);
        let Some(id) = id else { return Event { at, says: Says::Nothing } };
        let activity = ActivityRef { kind, session, participant, made_of, is_received, id };
        let says = match step {
            Step::Begins => Says::ActivityBegan(activity),
            Step::GoesOn => Says::ActivityGoesOn(activity),
            Step::Ends => Says::ActivityEnded { activity, began, duration },
        };
        Event { at, says }
    }
}

/// `step` is `None` if the status tells it.
fn read_openvidu(kind: ActivityKind, step: Option<Step>, body: &[u8]) -> Event<'_> {
    let mut told = Told::default();
    let (mut stream, mut recording, mut connection, mut participant) = (None, None, None, None);
    let mut step_told = Step::GoesOn;
    for (key, value) in Members::of_object(body) {
        match key.as_ref() {
            b"timestamp" | b"creationDate" | b"createdAt" => told.add_time(&key, value),
            b"startTime" => told.began = milliseconds(value),
            b"duration" => told.duration = seconds(value),
            b"sessionId" => told.session.name = text(value).unwrap_or_default(),
            b"uniqueSessionId" => told.session.unique = text(value),
            b"streamId" => stream = text(value),
            b"connectionId" => connection = text(value),
            b"participantId" => participant = text(value),
            b"connection" => told.is_received = value == b"\"INBOUND\"",
            b"id" => recording = text(value),
            b"status" => match value {
                b"\"started\"" => step_told = Step::Begins,
                b"\"ready\"" | b"\"failed\"" => step_told = Step::Ends,
                _ => {}
            },
            _ => {}
        }
    }
    (told.participant, told.id) = match kind {
        ActivityKind::Track => (connection.or(participant), stream),
        // A session has one at a time.
        ActivityKind::Broadcast => {
            let session = &told.session;
            (None, session.unique.clone().or(Some(session.name.clone())))
        }
        _ => (None, recording),
    };
    told.into_event(kind, step.unwrap_or(step_told))
}

fn read_livekit(kind: ActivityKind, step: Step, body: &[u8]) -> Event<'_> {
    let mut told = Told::default();
    for (key, value) in Members::of_object(body) {
        match key.as_ref() {
            b"timestamp" | b"creationDate" | b"createdAt" => told.add_time(&key, value),
            b"room" => told.session = livekit::read_room(value).0,
            b"participant" => told.participant = livekit::read_participant(value).participant,
            b"track" | b"egressInfo" | b"ingressInfo" => read_info(value, &mut told),
            _ => {}
        }
    }
    told.into_event(kind, step)
}

/// The members of a `track`, `egressInfo` or `ingressInfo`.
fn read_info<'a>(info: &'a [u8], told: &mut Told<'a>) {
    for (key, value) in Members::of_object(info) {
        match key.as_ref() {
            b"sid" | b"egressId" | b"ingressId" => told.id = text(value),
            // Of a room, unless it records a web page.
            b"roomId" => told.session.unique = text(value).filter(|id| !id.is_empty()),
            b"roomName" => told.session.name = text(value).unwrap_or_default(),
            b"startedAt" => told.began = nanoseconds(value),
            b"endedAt" => told.ended = nanoseconds(value),
            b"state" => told.began = ingress_began(value),
            b"participant" | b"track" | b"trackComposite" => {
                told.made_of = livekit::read_made_of(value);
            }
            _ => {}
        }
    }
}

fn ingress_began(state: &[u8]) -> Option<i64> {
    let began = Members::of_object(state).find(|(key, _)| key.as_ref() == b"startedAt");
    began.and_then(|(_, value)| nanoseconds(value))
}

fn read_failed(body: &[u8]) -> Event<'_> {
    let (mut at, mut participant) = (None, None);
    let mut session = SessionRef::default();
    for (key, value) in Members::of_object(body) {
        match key.as_ref() {
            b"timestamp" | b"creationDate" | b"createdAt" => at = at.or_else(|| time(&key, value)),
            b"room" => session = livekit::read_room(value).0,
            b"participant" => participant = livekit::read_participant(value).participant,
            _ => {}
        }
    }
    let says =
        participant.map_or(Says::Nothing, |participant| Says::JoinFailed { session, participant });
    Event { at, says }
}

fn read_meet(step: Step, body: &[u8]) -> Event<'_> {
    let mut told = Told::default();
    for (key, value) in Members::of_object(body) {
        match key.as_ref() {
            b"timestamp" | b"creationDate" | b"createdAt" => told.add_time(&key, value),
            b"data" => {
                for (key, value) in Members::of_object(value) {
                    match key.as_ref() {
                        b"roomId" => told.session.name = text(value).unwrap_or_default(),
                        b"recordingId" => told.id = text(value).map(meet::egress_of_recording),
                        b"startDate" => told.began = milliseconds(value),
                        b"duration" => told.duration = seconds(value),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    told.into_event(ActivityKind::Recording, step)
}
