//! What an event says about sessions, participants and recordings.
//!
//! Three families of names: OpenVidu 2 (`sessionCreated`, flat members, milliseconds), LiveKit and
//! OpenVidu 3 (`room_started`, nested members, seconds in strings), and OpenVidu Meet
//! (`meetingStarted`, members under `data`).

use std::borrow::Cow;

use super::line::{Items, Line, Members, number, text};

/// The last millisecond of the year 9999; later ones are no times.
const MS_MAX: f64 = 253_402_300_799_999.0;

/// Something with a name, without its quotes.
pub(crate) type Id<'a> = Cow<'a, [u8]>;

/// An event: when it was, in milliseconds since 1970, and what it says.
#[derive(Debug)]
pub(crate) struct Event<'a> {
    /// `None` where the event does not tell.
    pub(crate) at: Option<i64>,
    pub(crate) says: Says<'a>,
}

/// Which session an event is about.
#[derive(Debug, Default)]
pub(crate) struct SessionRef<'a> {
    /// What its creator calls it. There is one of this name at a time.
    pub(crate) name: Id<'a>,
    /// What no other session is called, ever.
    pub(crate) unique: Option<Id<'a>>,
}

/// Who was there, from when on and how long in milliseconds, as far as an event tells.
#[derive(Debug, Default)]
pub(crate) struct Stay<'a> {
    pub(crate) participant: Option<Id<'a>>,
    pub(crate) joined: Option<i64>,
    pub(crate) duration: Option<i64>,
    /// Why the participant left, as the event says it.
    pub(crate) reason: Option<Id<'a>>,
}

#[derive(Debug)]
pub(crate) enum Says<'a> {
    /// Nothing that is counted beyond the event itself.
    Nothing,
    SessionBegan(SessionRef<'a>),
    SessionEnded {
        session: SessionRef<'a>,
        began: Option<i64>,
        /// Why, as the event says it.
        reason: Option<Id<'a>>,
    },
    Joined {
        session: SessionRef<'a>,
        participant: Id<'a>,
    },
    Left(SessionRef<'a>, Stay<'a>),
    /// A recording is complete.
    Recorded {
        /// `None` where the event does not tell.
        id: Option<Id<'a>>,
        bytes: u64,
    },
}

impl SessionRef<'_> {
    fn into_owned(self) -> SessionRef<'static> {
        SessionRef { name: owned(self.name), unique: self.unique.map(owned) }
    }
}

impl Says<'_> {
    /// The same without the line that it was read from.
    pub(crate) fn into_owned(self) -> Says<'static> {
        match self {
            Says::Nothing => Says::Nothing,
            Says::SessionBegan(session) => Says::SessionBegan(session.into_owned()),
            Says::SessionEnded { session, began, reason } => Says::SessionEnded {
                session: session.into_owned(),
                began,
                reason: reason.map(owned),
            },
            Says::Joined { session, participant } => {
                Says::Joined { session: session.into_owned(), participant: owned(participant) }
            }
            Says::Left(session, stay) => {
                let Stay { participant, joined, duration, reason } = stay;
                let (participant, reason) = (participant.map(owned), reason.map(owned));
                let stay = Stay { participant, joined, duration, reason };
                Says::Left(session.into_owned(), stay)
            }
            Says::Recorded { id, bytes } => Says::Recorded { id: id.map(owned), bytes },
        }
    }
}

fn owned(id: Id<'_>) -> Id<'static> {
    Cow::Owned(id.into_owned())
}

/// Reads what `line` says.
pub(crate) fn read<'a>(line: &Line<'a>) -> Event<'a> {
    let body = line.body;
    match line.name.as_ref() {
        b"sessionCreated"
        | b"sessionDestroyed"
        | b"participantJoined"
        | b"participantLeft"
        | b"recordingStatusChanged"
        | b"recordingStopped" => read_openvidu(&line.name, body),
        b"room_started"
        | b"room_finished"
        | b"participant_joined"
        | b"participant_left"
        | b"egress_ended" => read_livekit(&line.name, body),
        b"meetingStarted" | b"meetingEnded" | b"recordingEnded" => read_meet(&line.name, body),
        _ => Event { at: time_of(body), says: Says::Nothing },
    }
}

/// The time of an event of any family.
fn time_of(body: &[u8]) -> Option<i64> {
    Members::of_object(body).find_map(|(key, value)| match key.as_ref() {
        b"timestamp" | b"creationDate" => milliseconds(value),
        b"createdAt" => seconds(value),
        _ => None,
    })
}

fn read_openvidu<'a>(name: &[u8], body: &'a [u8]) -> Event<'a> {
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
    event.says = match (name, participant) {
        (b"sessionCreated", _) => Says::SessionBegan(session),
        (b"sessionDestroyed", _) => Says::SessionEnded { session, began: start, reason },
        (b"participantJoined", Some(participant)) => Says::Joined { session, participant },
        (b"participantLeft", participant) => {
            Says::Left(session, Stay { participant, joined: start, duration, reason })
        }
        (b"recordingStatusChanged", _) if is_ready => Says::Recorded { id, bytes },
        (b"recordingStopped", _) => Says::Recorded { id, bytes },
        _ => Says::Nothing,
    };
    event
}

fn read_livekit<'a>(name: &[u8], body: &'a [u8]) -> Event<'a> {
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

fn read_room(room: &[u8]) -> (SessionRef<'_>, Option<i64>) {
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

fn read_participant(participant: &[u8]) -> Stay<'_> {
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

/// An egress that left files is a recording; one that only streamed, or failed, is none.
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
            // What servers sent before there were lists, and some send beside them.
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

fn read_meet<'a>(name: &[u8], body: &'a [u8]) -> Event<'a> {
    let mut at = None;
    let mut session = SessionRef::default();
    let (mut id, mut bytes, mut is_complete) = (None, 0, false);
    for (key, value) in Members::of_object(body) {
        match key.as_ref() {
            b"creationDate" => at = milliseconds(value),
            b"data" => {
                for (key, value) in Members::of_object(value) {
                    match key.as_ref() {
                        b"roomId" => session.name = text(value).unwrap_or_default(),
                        b"recordingId" => id = text(value).map(egress_of_recording),
                        b"size" => bytes = whole(value),
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
        b"recordingEnded" if is_complete => Says::Recorded { id, bytes },
        _ => Says::Nothing,
    };
    Event { at, says }
}

/// Meet names a recording `<room>--EG_<egress>--<word>`. The egress is the part that LiveKit's own
/// event of the same recording has, so that the two are counted once.
fn egress_of_recording(id: Id<'_>) -> Id<'_> {
    let egress = std::str::from_utf8(&id)
        .ok()
        .and_then(|id| id.split("--").find(|part| part.starts_with("EG_")))
        .map(|part| part.as_bytes().to_vec());
    egress.map_or(id, Cow::Owned)
}

fn milliseconds(value: &[u8]) -> Option<i64> {
    let ms = number(value)?;
    // 0 is what LiveKit says for "not yet".
    (1.0..=MS_MAX).contains(&ms).then_some(ms as i64)
}

/// Seconds, in milliseconds. A duration of nothing is one, too.
fn seconds(value: &[u8]) -> Option<i64> {
    let ms = (number(value)? * 1000.0).round();
    (0.0..=MS_MAX).contains(&ms).then_some(ms as i64)
}

/// A size; 0 where it is none.
fn whole(value: &[u8]) -> u64 {
    number(value).map_or(0, |number| number as u64)
}

#[cfg(test)]
mod tests {
    use super::super::line::Parser;
    use super::*;

    fn of_data(name: &str) -> Vec<String> {
        let mut parser = Parser::default();
        let mut found = Vec::new();
        for line in include_str!("../../../tests/data/cdr.jsonl").lines() {
            if line.starts_with(&format!("{{\"{name}\":")) {
                let parsed = parser.parse(line.as_bytes()).unwrap();
                let event = read(&parsed);
                found.push(format!("{:?} {}", event.at, show(&event.says)));
            }
        }
        found
    }

    fn show(says: &Says<'_>) -> String {
        let id = |id: &Id<'_>| String::from_utf8_lossy(id).into_owned();
        let session = |session: &SessionRef<'_>| {
            format!("{}/{}", id(&session.name), session.unique.as_ref().map_or("-".into(), id))
        };
        match says {
            Says::Nothing => "nothing".to_owned(),
            Says::SessionBegan(began) => format!("began {}", session(began)),
            Says::SessionEnded { session: ended, began, .. } => {
                format!("ended {} {began:?}", session(ended))
            }
            Says::Joined { session: joined, participant } => {
                format!("joined {} {}", session(joined), id(participant))
            }
            Says::Left(left, Stay { participant, joined, duration, .. }) => {
                let participant = participant.as_ref().map_or("-".into(), id);
                format!("left {} {participant} {joined:?} {duration:?}", session(left))
            }
            Says::Recorded { id: recording, bytes } => {
                format!("recorded {} {bytes}", recording.as_ref().map_or("-".into(), id))
            }
        }
    }

    #[test]
    fn events_of_openvidu_say_what_they_mean() {
        let unique = "ses_Qk3vT8nLzA/ses_Qk3vT8nLzA_1700000000123";
        assert_eq!(
            of_data("sessionCreated"),
            [
                "Some(1538481330577) began ses_Jd8tUyvhXO/-".to_owned(),
                format!("Some(1700000000123) began {unique}")
            ]
        );
        assert_eq!(
            of_data("participantLeft"),
            [
                format!(
                    "Some(1700000600123) left {unique} con_A1b2C3d4E5 Some(1700000001023) Some(599000)"
                ),
                "Some(1700000601023) left ses_Qk3vT8nLzA/- con_A1b2C3d4E5 Some(1700000001023) Some(600000)"
                    .to_owned()
            ]
        );
        assert_eq!(
            of_data("recordingStatusChanged"),
            ["Some(1700000050123) nothing", "Some(1601395005555) recorded ses_Qk3vT8nLzA 1973428"]
        );
        assert_eq!(of_data("recordingStopped"), ["Some(1549015640859) recorded TestRoom 617509"]);
        assert_eq!(of_data("signalSent").len(), 3);
    }

    #[test]
    fn events_of_livekit_and_meet_say_what_they_mean() {
        let room = "daily-standup/RM_hvWnQ2bT7pKd";
        assert_eq!(
            of_data("participant_joined"),
            [format!("Some(1700000002000) joined {room} PA_Yt6uR1eWq9Zx")]
        );
        assert_eq!(
            of_data("room_finished"),
            [format!("Some(1700000012000) ended {room} Some(1700000000123)")]
        );
        assert_eq!(of_data("egress_ended"), ["Some(1700000009000) recorded EG_8kLmN2oPqR 7340032"]);
        assert_eq!(of_data("recordingEnded"), ["Some(1700000000000) recorded EG_XYZ 1048576"]);
        assert_eq!(of_data("meetingStarted"), ["Some(1700000000000) began room-123/-"]);
        assert_eq!(of_data("track_published"), ["Some(1700000003000) nothing"]);
    }

    #[test]
    fn members_that_are_missing_or_of_another_type_are_no_members() {
        let mut parser = Parser::default();
        for line in [
            r#"{"participantLeft":{"sessionId":7,"timestamp":"soon","duration":-1,"startTime":0}}"#,
            r#"{"participantLeft":{}}"#,
        ] {
            let parsed = parser.parse(line.as_bytes()).unwrap();
            let event = read(&parsed);
            assert_eq!(event.at, None);
            assert_eq!(show(&event.says), "left /- - None None");
        }
    }
}
