//! Reads what a line says, by the names of its event and members.
//!
//! Each family of events has a module: OpenVidu 2 (`sessionCreated`, flat members, milliseconds),
//! LiveKit and OpenVidu 3 (`room_started`, nested members, seconds in strings), and OpenVidu Meet
//! (`meetingStarted`, members under `data`).

mod activity;
mod livekit;
mod meet;
mod openvidu;
mod value;

use self::value::time;
use super::detail::Detail;
use super::event::{Event, Id, Says};
use super::line::{Line, Members, text};

/// The families of the events that are counted.
#[derive(Clone, Copy)]
enum Family {
    OpenVidu,
    LiveKit,
    Meet,
}

impl Family {
    fn of(name: &[u8]) -> Option<Self> {
        match name {
            b"sessionCreated"
            | b"sessionDestroyed"
            | b"participantJoined"
            | b"participantLeft"
            | b"recordingStatusChanged"
            | b"recordingStopped" => Some(Self::OpenVidu),
            b"room_started"
            | b"room_finished"
            | b"participant_joined"
            | b"participant_left"
            | b"egress_ended" => Some(Self::LiveKit),
            b"meetingStarted" | b"meetingEnded" | b"recordingEnded" => Some(Self::Meet),
            _ => None,
        }
    }
}

/// Reads what `line` says.
pub(crate) fn read<'a>(line: &Line<'a>) -> Event<'a> {
    let body = line.body;
    match Family::of(&line.name) {
        Some(Family::OpenVidu) => openvidu::read(&line.name, body),
        Some(Family::LiveKit) => livekit::read(&line.name, body),
        Some(Family::Meet) => meet::read(&line.name, body),
        None => Event { at: time_of(body), says: Says::Nothing },
    }
}

/// The same, and also what only audits follow: tracks, egress, ingress, recordings and broadcasts.
/// A recording that is complete is an activity that ended here, not [`Says::Recorded`].
pub(crate) fn read_all<'a>(line: &Line<'a>) -> Event<'a> {
    activity::read(&line.name, line.body).unwrap_or_else(|| read(line))
}

/// The same as [`read`], and what the line says beyond it, for the records of sessions: who a
/// participant is, and which activities began and ended.
pub(crate) fn read_with_detail<'a>(line: &Line<'a>) -> (Event<'a>, Option<Detail<'a>>) {
    let body = line.body;
    match line.name.as_ref() {
        b"participantJoined" | b"participantLeft" => openvidu::read_with_about(&line.name, body),
        b"participant_joined" | b"participant_left" => livekit::read_with_about(&line.name, body),
        b"egress_ended" | b"recordingEnded" | b"recordingStatusChanged" | b"recordingStopped" => {
            (read(line), activity::read(&line.name, body).and_then(Detail::of_activity))
        }
        name if Family::of(name).is_some() => (read(line), None),
        // Read once: its time is that of all other events too.
        name => match activity::read(name, body) {
            Some(Event { at, says }) => {
                let detail = Detail::of_activity(Event { at, says });
                (Event { at, says: Says::Nothing }, detail)
            }
            None => (Event { at: time_of(body), says: Says::Nothing }, None),
        },
    }
}

/// A text that tells something.
fn known_text(value: &[u8]) -> Option<Id<'_>> {
    text(value).filter(|text| !text.is_empty() && text.as_ref() != b"unknown")
}

/// The time of an event of any family.
fn time_of(body: &[u8]) -> Option<i64> {
    Members::of_object(body).find_map(|(key, value)| time(&key, value))
}

#[cfg(test)]
mod tests {
    use super::super::event::{ActivityRef, Id, Recorded, SessionRef, Stay};
    use super::super::line::Parser;
    use super::*;

    fn of_data(name: &str) -> Vec<String> {
        read_data(name, read)
    }

    fn read_data(name: &str, read: impl for<'a> Fn(&Line<'a>) -> Event<'a>) -> Vec<String> {
        let mut parser = Parser::default();
        let mut found = Vec::new();
        for line in include_str!("../../../../tests/data/cdr.jsonl").lines() {
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
            Says::Recorded(Recorded { id: recording, bytes, .. }) => {
                format!("recorded {} {bytes}", recording.as_ref().map_or("-".into(), id))
            }
            Says::JoinFailed { session: left, participant } => {
                format!("failed {} {}", session(left), id(participant))
            }
            Says::ActivityBegan(one) => format!("begins {}", activity(one)),
            Says::ActivityGoesOn(one) => format!("goes on {}", activity(one)),
            Says::ActivityEnded { activity: one, began, .. } => {
                format!("ends {} {began:?}", activity(one))
            }
        }
    }

    fn activity(activity: &ActivityRef<'_>) -> String {
        let ActivityRef { kind, session, participant, id, .. } = activity;
        let name = String::from_utf8_lossy(&session.name);
        let participant = participant.as_deref().map_or("-".into(), String::from_utf8_lossy);
        format!("{kind:?} {} of {participant} in {name}", String::from_utf8_lossy(id))
    }

    #[test]
    fn audits_follow_activities_of_every_family() {
        let of = |name| read_data(name, read_all);
        let track = "Track str_CAM_Wx9k_con_A1b2C3d4E5 of";
        assert_eq!(
            of("webrtcConnectionDestroyed"),
            [
                format!(
                    "Some(1700000090123) ends {track} con_A1b2C3d4E5 in ses_Qk3vT8nLzA Some(1700000002123)"
                ),
                format!(
                    "Some(1700000004623) ends {track} con_F6g7H8i9J0 in ses_Qk3vT8nLzA Some(1700000002623)"
                )
            ]
        );
        assert_eq!(
            of("recordingStatusChanged"),
            [
                "Some(1700000050123) begins Recording ses_Qk3vT8nLzA of - in ses_Qk3vT8nLzA",
                "Some(1601395005555) ends Recording ses_Qk3vT8nLzA of - in ses_Qk3vT8nLzA Some(1601394992838)"
            ]
        );
        assert_eq!(
            of("recordingStarted"),
            [
                "Some(1549015630563) begins Recording TestRoom of - in TestRoom",
                "Some(1700000000000) begins Recording EG_XYZ of - in room-123"
            ]
        );
        let of_room = "of - in daily-standup";
        assert_eq!(
            of("track_published"),
            ["Some(1700000003000) begins Track TR_VCabcd1234 of PA_Yt6uR1eWq9Zx in daily-standup"]
        );
        assert_eq!(
            of("egress_updated"),
            [format!("Some(1700000008000) goes on Egress EG_8kLmN2oPqR {of_room}")]
        );
        assert_eq!(
            of("egress_ended"),
            [format!(
                "Some(1700000009000) ends Egress EG_8kLmN2oPqR {of_room} Some(1700000020000)"
            )]
        );
        assert_eq!(
            of("ingress_started"),
            [format!("Some(1700000010000) begins Ingress IN_5rTyU7iO9p {of_room}")]
        );
        assert_eq!(
            of("participant_connection_aborted"),
            ["Some(1700000006000) failed daily-standup/RM_hvWnQ2bT7pKd PA_Yt6uR1eWq9Zx"]
        );
        assert_eq!(of("signalSent").len(), 3);
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
