//! One made-up call, in the events of OpenVidu 2 or of LiveKit.

use serde_json::{Map, Value, json};

use super::random::Random;

/// An event, and when the server sends it, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Event {
    pub(super) at: i64,
    pub(super) body: Value,
}

const PEOPLE: [&str; 16] = [
    "ana", "ben", "cleo", "dan", "eva", "finn", "gil", "hana", "ivo", "jana", "kim", "leo", "mia",
    "noa", "oli", "pia",
];

const PLATFORMS: [&str; 5] = [
    "Chrome 131.0.0.0 on Windows 10 64-bit",
    "Firefox 132.0 on Ubuntu 64-bit",
    "Safari 18.1 on OS X 10.15.7 64-bit",
    "Chrome Mobile 131.0.0.0 on Android 14",
    "Mobile Safari 18.1 on iOS 18.1",
];

const LOCATIONS: [&str; 5] =
    ["Madrid, Spain", "Berlin, Germany", "Lyon, France", "Porto, Portugal", "unknown"];

/// How a call ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The last participant leaves.
    Usual,
    /// The session is closed while participants are in it: no leave is sent.
    Closed,
    /// The server dies: no event is sent any more.
    Death,
}

/// What a call is like. Times are milliseconds since 1970.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) room: String,
    pub(super) begin: i64,
    pub(super) end: i64,
    pub(super) people: i64,
    pub(super) is_livekit: bool,
    pub(super) is_recorded: bool,
    pub(super) ending: Ending,
}

/// A participant of a call.
struct Person {
    id: String,
    name: &'static str,
    joined: i64,
    left: i64,
    /// Of a phone, in LiveKit.
    is_phone: bool,
    about: Map<String, Value>,
}

/// The events of a call, in any order.
pub(super) fn events(plan: &Plan, random: &mut Random) -> Vec<Event> {
    let session_id = random.id(if plan.is_livekit { "RM_" } else { "ses_" }, 12);
    let mut call = Call { plan, session_id, events: Vec::new() };
    call.add(plan.begin, "sessionCreated", "room_started", json!({}));
    if plan.is_livekit {
        call.add_meeting(plan.begin + 40, "meetingStarted");
    }
    let people: Vec<_> = (0..plan.people).map(|number| call.person(number, random)).collect();
    for person in &people {
        call.stay(person);
        call.tracks(person, &people, random);
    }
    if plan.is_recorded {
        call.recording(random);
    }
    if !plan.is_livekit {
        call.signals(&people, random);
    }
    call.end();
    call.events
}

fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(members) => members,
        _ => Map::new(),
    }
}

struct Call<'a> {
    plan: &'a Plan,
    session_id: String,
    events: Vec<Event>,
}

impl Call<'_> {
    /// Adds an event of OpenVidu 2 or LiveKit with these members, unless the server is dead by
    /// then.
    fn add(&mut self, at: i64, openvidu: &str, livekit: &str, members: Value) {
        // No other event has this id.
        let id = format!("EV_{}_{}", self.session_id, self.events.len());
        let mut body = match self.plan.is_livekit {
            true => json!({
                "event": livekit,
                "id": id,
                "createdAt": (at / 1000).to_string(),
                "room": self.room(),
            }),
            false => json!({
                "event": openvidu,
                "timestamp": at,
                "sessionId": self.plan.room,
                "uniqueSessionId": self.unique(),
            }),
        };
        if let (Value::Object(body), Value::Object(members)) = (&mut body, members) {
            body.extend(members);
        }
        self.push(at, body);
    }

    fn push(&mut self, at: i64, body: Value) {
        let Plan { begin, end, ending, .. } = *self.plan;
        // It dies while they are all there.
        if ending != Ending::Death || at < begin + (end - begin) / 2 {
            self.events.push(Event { at, body });
        }
    }

    fn unique(&self) -> String {
        format!("{}_{}", self.plan.room, self.plan.begin)
    }

    fn room(&self) -> Value {
        json!({
            "sid": self.session_id,
            "name": self.plan.room,
            "creationTime": (self.plan.begin / 1000).to_string(),
            "creationTimeMs": self.plan.begin.to_string(),
        })
    }

    fn add_meeting(&mut self, at: i64, name: &str) {
        let data = json!({"roomId": self.plan.room, "roomName": self.plan.room});
        self.push(at, json!({"event": name, "creationDate": at, "data": data}));
    }

    fn person(&self, number: i64, random: &mut Random) -> Person {
        let plan = self.plan;
        let length = plan.end - plan.begin;
        // The first one opens the call, the last one leaves at its end.
        let joined = if number == 0 { 150 } else { random.between(1000, length / 4) };
        let left =
            if number == 0 { length - 100 } else { random.between(length / 2, length - 200) };
        let is_phone = plan.is_livekit && random.is(8);
        let about = object(json!({
            "platform": random.one_of(&PLATFORMS),
            "location": random.one_of(&LOCATIONS),
            "ip": format!("203.0.113.{}", random.between(1, 255)),
            "serverData": "",
        }));
        Person {
            id: random.id(if plan.is_livekit { "PA_" } else { "con_" }, 10),
            name: random.one_of(&PEOPLE),
            joined: plan.begin + joined,
            left: plan.begin + left.max(joined + 1000),
            is_phone,
            about,
        }
    }

    /// The participant as LiveKit tells of it.
    fn participant(&self, person: &Person, state: &str) -> Value {
        let mut participant = json!({
            "sid": person.id,
            "identity": person.name,
            "name": person.name,
            "state": state,
            "joinedAt": (person.joined / 1000).to_string(),
            "joinedAtMs": person.joined.to_string(),
        });
        if let Value::Object(participant) = &mut participant {
            if person.is_phone {
                participant.insert("kind".to_owned(), json!("SIP"));
            }
            if state == "DISCONNECTED" {
                participant.insert("disconnectReason".to_owned(), json!("CLIENT_INITIATED"));
            }
        }
        participant
    }

    /// The participant as OpenVidu 2 tells of it.
    fn connection(person: &Person) -> Map<String, Value> {
        let mut members = person.about.clone();
        members.insert("connectionId".to_owned(), json!(person.id));
        members.insert("participantId".to_owned(), json!(person.id));
        members.insert("clientData".to_owned(), json!(person.name));
        members
    }

    fn stay(&mut self, person: &Person) {
        let (joins, mut leaves) = if self.plan.is_livekit {
            let joins = json!({"participant": self.participant(person, "ACTIVE")});
            (joins, json!({"participant": self.participant(person, "DISCONNECTED")}))
        } else {
            let members = Self::connection(person);
            (Value::Object(members.clone()), Value::Object(members))
        };
        if !self.plan.is_livekit
            && let Value::Object(leaves) = &mut leaves
        {
            leaves.insert("startTime".to_owned(), json!(person.joined));
            leaves.insert("duration".to_owned(), json!((person.left - person.joined) / 1000));
            leaves.insert("reason".to_owned(), json!("disconnect"));
        }
        self.add(person.joined, "participantJoined", "participant_joined", joins);
        if self.plan.ending != Ending::Closed {
            self.add(person.left, "participantLeft", "participant_left", leaves);
        }
    }

    /// What the participant publishes, and in OpenVidu 2 what the others receive of it.
    fn tracks(&mut self, person: &Person, people: &[Person], random: &mut Random) {
        if self.plan.is_livekit {
            let kinds: &[&str] = if person.is_phone { &["AUDIO"] } else { &["AUDIO", "VIDEO"] };
            for kind in kinds {
                let track = json!({"sid": random.id("TR_", 12), "type": kind});
                let members =
                    json!({"participant": self.participant(person, "ACTIVE"), "track": track});
                self.add(person.joined + 700, "", "track_published", members.clone());
                self.add(person.left - 100, "", "track_unpublished", members);
            }
            return;
        }
        let stream = random.id("str_CAM_", 4) + "_" + &person.id;
        for other in people {
            let begin = person.joined.max(other.joined) + 700;
            let end = person.left.min(other.left) - 100;
            if begin >= end {
                continue;
            }
            let way = if other.id == person.id { "OUTBOUND" } else { "INBOUND" };
            let track = |more: Value| {
                let mut members = json!({
                    "streamId": stream, "connectionId": other.id, "participantId": other.id,
                    "connection": way, "videoSource": "CAMERA", "audioEnabled": true,
                    "videoEnabled": true,
                });
                if let (Value::Object(members), Value::Object(more)) = (&mut members, more) {
                    members.extend(more);
                }
                members
            };
            self.add(begin, "webrtcConnectionCreated", "", track(json!({})));
            let told = json!({"startTime": begin, "duration": (end - begin) / 1000, "reason": "disconnect"});
            self.add(end, "webrtcConnectionDestroyed", "", track(told));
        }
    }

    /// A recording of the whole call; its file is ready some time after the end.
    fn recording(&mut self, random: &mut Random) {
        let Plan { begin, end, .. } = *self.plan;
        let (began, ready) = (begin + 5000, end + random.between(2000, 90_000));
        let ms = end - began;
        let bytes = ms * random.between(60, 90);
        if !self.plan.is_livekit {
            let recording = |status: &str, size: i64, seconds: f64| {
                json!({"id": self.plan.room, "name": self.plan.room, "outputMode": "COMPOSED",
                    "startTime": began, "status": status, "size": size, "duration": seconds})
            };
            let (starts, is_ready) =
                (recording("started", 0, 0.0), recording("ready", bytes, ms as f64 / 1000.0));
            self.add(began, "recordingStatusChanged", "", starts);
            self.add(ready, "recordingStatusChanged", "", is_ready);
            return;
        }
        let id = random.id("EG_", 12);
        let nanoseconds = |ms: i64| ms.saturating_mul(1_000_000).to_string();
        let mut info = json!({
            "egressId": id, "roomId": self.session_id, "roomName": self.plan.room,
            "status": "EGRESS_ACTIVE", "startedAt": nanoseconds(began),
            "roomComposite": {"roomName": self.plan.room, "layout": "grid"},
        });
        self.add(began, "", "egress_started", json!({ "egressInfo": info }));
        let result = json!({"duration": nanoseconds(ms), "size": bytes.to_string()});
        if let Value::Object(info) = &mut info {
            info.insert("status".to_owned(), json!("EGRESS_COMPLETE"));
            info.insert("endedAt".to_owned(), json!(nanoseconds(end)));
            info.insert("fileResults".to_owned(), json!([result]));
        }
        self.add(ready, "", "egress_ended", json!({ "egressInfo": info }));
    }

    fn signals(&mut self, people: &[Person], random: &mut Random) {
        for _ in 0..random.below(4) {
            let at = random.between(self.plan.begin, self.plan.end);
            let inside = people.iter().find(|one| one.joined < at && at < one.left);
            if let Some(from) = inside {
                let members = json!({"from": from.id, "to": [], "type": "chat", "data": "hello"});
                self.add(at, "signalSent", "", members);
            }
        }
    }

    fn end(&mut self) {
        let Plan { begin, end, .. } = *self.plan;
        let told = match self.plan.is_livekit {
            true => json!({}),
            false => json!({
                "startTime": begin,
                "duration": (end - begin) / 1000,
                "reason": match self.plan.ending {
                    Ending::Closed => "sessionClosedByServer",
                    Ending::Usual | Ending::Death => "lastParticipantLeft",
                },
            }),
        };
        self.add(end, "sessionDestroyed", "room_finished", told);
        if self.plan.is_livekit {
            self.add_meeting(end + 40, "meetingEnded");
        }
    }
}
