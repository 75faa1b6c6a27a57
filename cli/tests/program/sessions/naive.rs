//! A naive program for the rows of `sessions`: it keeps everything in memory, knows nothing of
//! times that pass, and shares no code with the real one.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

/// What a row must say.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stay {
    pub session: String,
    pub participant: String,
    pub joined: Option<i64>,
    pub left: Option<i64>,
    pub ms: i64,
    pub ended_by: &'static str,
}

#[derive(Debug, Default)]
pub struct Expected {
    pub stays: Vec<Stay>,
    pub recordings: u64,
    pub recording_bytes: u64,
    /// Those that join within the record.
    pub participants: u64,
}

impl Expected {
    pub fn ms(&self) -> i64 {
        self.stays.iter().map(|stay| stay.ms).sum()
    }
}

#[derive(Debug)]
struct Present {
    joined: Option<i64>,
    /// Its start was read, or is told and not before the record.
    is_counted: bool,
    left: Option<i64>,
    ms: i64,
}

#[derive(Debug)]
struct Session {
    source: usize,
    ended: Option<i64>,
    is_lost: bool,
    present: BTreeMap<String, Present>,
}

#[derive(Debug)]
struct Event {
    at: i64,
    source: usize,
    kind: String,
    session: String,
    id: String,
    participant: String,
    start: Option<i64>,
    duration: Option<i64>,
}

fn whole(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.parse().ok())
}

/// The members of an event of OpenVidu 2 or LiveKit that matter here.
fn event_of(source: usize, kind: &str, body: &Value) -> Option<Event> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let is_livekit = body.get("createdAt").is_some();
    let (session, participant) = (&body["room"], &body["participant"]);
    let event = if is_livekit {
        let start = if kind == "room_finished" {
            session["creationTimeMs"].clone()
        } else {
            participant["joinedAtMs"].clone()
        };
        Event {
            at: whole(&body["createdAt"])? * 1000,
            source,
            kind: kind.to_owned(),
            session: text(&session["name"]),
            id: text(&session["sid"]),
            participant: text(&participant["sid"]),
            // 0 is not a time.
            start: whole(&start).filter(|start| *start > 0),
            duration: None,
        }
    } else {
        Event {
            at: whole(&body["timestamp"])?,
            source,
            kind: kind.to_owned(),
            session: text(&body["sessionId"]),
            id: text(&body["uniqueSessionId"]),
            participant: text(&body["connectionId"]),
            start: whole(&body["startTime"]),
            duration: whole(&body["duration"]).map(|seconds| seconds * 1000),
        }
    };
    Some(event)
}

/// The whole record: lines, each with the number of its directory. `silent_ms` is a span in which
/// nothing happens and after which everything before it is over.
pub fn expected(lines: &[(usize, String)], silent_ms: i64) -> Expected {
    let mut result = Expected::default();
    let mut recordings = BTreeMap::new();
    let mut events = Vec::new();
    let mut first = i64::MAX;
    for (source, line) in lines {
        let line: Value = serde_json::from_str(line).unwrap();
        let (kind, body) = line.as_object().unwrap().iter().next().unwrap();
        note_recording(kind, body, &mut recordings);
        let event = event_of(*source, kind, body);
        let Some(event) = event else { continue };
        first = first.min(event.at);
        events.push(event);
    }
    // Of an event that two servers tell, that of the first directory counts.
    events.sort_by_key(|event| (event.at, event.source));
    let mut known = BTreeSet::new();
    events.retain(|Event { at, kind, session, participant, .. }| {
        known.insert((kind.clone(), session.clone(), participant.clone(), *at))
    });
    let mut state = State {
        first,
        sessions: Vec::new(),
        of_id: BTreeMap::new(),
        of_name: BTreeMap::new(),
        result: &mut result,
    };
    let mut before = first;
    for event in &events {
        if event.at - before > silent_ms {
            state.give_up();
        }
        before = event.at;
        state.follow(event);
    }
    state.end();
    result.recordings = recordings.len() as u64;
    result.recording_bytes = recordings.values().sum();
    result.stays.sort();
    result
}

/// Each recording once, by its id.
fn note_recording(kind: &str, body: &Value, recordings: &mut BTreeMap<String, u64>) {
    let (id, bytes) = match kind {
        "recordingStatusChanged" if body["status"] == "ready" => (&body["id"], &body["size"]),
        "egress_ended" => {
            (&body["egressInfo"]["egressId"], &body["egressInfo"]["fileResults"][0]["size"])
        }
        "recordingEnded" => (&body["data"]["recordingId"], &body["data"]["size"]),
        _ => return,
    };
    let id = id.as_str().unwrap();
    let id = id.split("--").nth(1).unwrap_or(id).to_owned();
    recordings.insert(id, whole(bytes).unwrap() as u64);
}

struct State<'a> {
    first: i64,
    /// The last one of a name is the one that began last.
    sessions: Vec<(String, Session)>,
    /// The places of the sessions of an id, and of a name: there are very many sessions.
    of_id: BTreeMap<String, Vec<usize>>,
    of_name: BTreeMap<String, Vec<usize>>,
    result: &'a mut Expected,
}

impl State<'_> {
    fn follow(&mut self, event: &Event) {
        match event.kind.as_str() {
            "sessionCreated" | "room_started" => {
                if let Some(index) = self.namesake(event) {
                    self.lose(index);
                }
                self.begin(event);
            }
            "sessionDestroyed" | "room_finished" => {
                if let Some(session) = self.session(event) {
                    session.ended.get_or_insert(event.at);
                }
            }
            "participantJoined" | "participant_joined" => self.join(event),
            "participantLeft" | "participant_left" => self.leave(event),
            _ => {}
        }
    }

    /// Another session of the name that is open on this server.
    fn namesake(&self, event: &Event) -> Option<usize> {
        let all = self.of_name.get(&event.session)?;
        let last = *all.iter().rfind(|index| !self.sessions[**index].1.is_lost)?;
        let (id, session) = &self.sessions[last];
        (*id != event.id && session.ended.is_none() && session.source == event.source)
            .then_some(last)
    }

    fn begin(&mut self, event: &Event) -> &mut Session {
        let session =
            Session { source: event.source, ended: None, is_lost: false, present: BTreeMap::new() };
        let index = self.sessions.len();
        self.of_id.entry(event.id.clone()).or_default().push(index);
        self.of_name.entry(event.session.clone()).or_default().push(index);
        self.sessions.push((event.id.clone(), session));
        &mut self.sessions.last_mut().unwrap().1
    }

    /// The session of an event. `None` if another one of its name is open.
    fn session(&mut self, event: &Event) -> Option<&mut Session> {
        let known = self.of_id.get(&event.id).into_iter().flatten();
        let known = known.copied().find(|index| !self.sessions[*index].1.is_lost);
        match known {
            Some(index) => Some(&mut self.sessions[index].1),
            None if self.namesake(event).is_some() => None,
            None => Some(self.begin(event)),
        }
    }

    fn join(&mut self, event: &Event) {
        let Some(session) = self.session(event) else { return };
        let new = Present { joined: Some(event.at), is_counted: true, left: None, ms: 0 };
        let before = session.present.get(&event.participant);
        if before.is_some_and(|before| before.left.is_none()) {
            return;
        }
        if let Some(before) = session.present.insert(event.participant.clone(), new) {
            self.tell(event.id.clone(), event.participant.clone(), before, None, "leave");
        }
    }

    fn leave(&mut self, event: &Event) {
        let first = self.first;
        let told = event.duration.or_else(|| Some(event.at - event.start?));
        let Some(session) = self.session(event) else {
            let joined = event.start.or_else(|| Some(event.at - event.duration?));
            let (left, ms) = (Some(event.at), told.unwrap_or(0));
            let stay = Stay {
                session: event.id.clone(),
                participant: event.participant.clone(),
                joined,
                left,
                ms,
                ended_by: "leave",
            };
            self.result.stays.push(stay);
            return;
        };
        // The leave of another stay, whose join is lost; a second leave comes within some minutes.
        let is_over = |one: &Present| one.left.is_some_and(|left| event.at - left > 300_000);
        let over = session.present.get(&event.participant).is_some_and(is_over);
        let over = if over { session.present.remove(&event.participant) } else { None };
        let unknown = Present {
            joined: event.start.or_else(|| Some(event.at - event.duration?)),
            is_counted: event.start.is_some_and(|joined| joined >= first),
            left: None,
            ms: told.unwrap_or(0),
        };
        let is_known = session.present.contains_key(&event.participant);
        let present = session.present.entry(event.participant.clone()).or_insert(unknown);
        if present.left.is_none() {
            present.left = Some(event.at);
            if is_known {
                present.ms = told.unwrap_or_else(|| event.at - present.joined.unwrap());
            }
        }
        if let Some(over) = over {
            self.tell(event.id.clone(), event.participant.clone(), over, None, "leave");
        }
    }

    /// What is open is over, and nobody knows since when.
    fn give_up(&mut self) {
        for index in 0..self.sessions.len() {
            if !self.sessions[index].1.is_lost && self.sessions[index].1.ended.is_none() {
                self.lose(index);
            }
        }
    }

    fn lose(&mut self, index: usize) {
        self.sessions[index].1.is_lost = true;
        self.tell_all(index, "inferred");
    }

    fn end(&mut self) {
        for index in 0..self.sessions.len() {
            self.tell_all(index, "-");
        }
    }

    fn tell_all(&mut self, index: usize, unended: &'static str) {
        let (id, session) = &mut self.sessions[index];
        let (id, ended) = (id.clone(), session.ended);
        for (participant, present) in std::mem::take(&mut session.present) {
            self.tell(id.clone(), participant, present, ended, unended);
        }
    }

    fn tell(
        &mut self,
        session: String,
        participant: String,
        present: Present,
        ended: Option<i64>,
        unended: &'static str,
    ) {
        let Present { joined, is_counted, left, ms } = present;
        let (left, ms, ended_by) = match (left, ended) {
            (Some(left), _) => (Some(left), ms, "leave"),
            (None, Some(ended)) => (Some(ended), (ended - joined.unwrap()).max(0), "session_end"),
            (None, None) => (None, 0, unended),
        };
        self.result.participants += u64::from(is_counted);
        self.result.stays.push(Stay { session, participant, joined, left, ms, ended_by });
    }
}
