//! The counting against a plain reference, and against what is easily got wrong.

use std::collections::{BTreeMap, BTreeSet};

use jiff::tz::TimeZone;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::figures::Report;
use super::period::{By, Divider};
use super::tally::Tally;

fn hourly() -> Divider {
    Divider { by: Some(By::Hour), zone: TimeZone::UTC }
}

/// Takes lines as one file has them.
struct Feed {
    tally: Tally,
    /// The time of the line before, and that up to which two lines in a row have come.
    before: Option<i64>,
    watermark: i64,
}

impl Feed {
    fn new(divider: Divider, period: std::ops::Range<i64>) -> Self {
        Self { tally: Tally::new(divider, period), before: None, watermark: i64::MIN }
    }

    fn take(&mut self, line: &str) {
        let at = self.tally.take(line.as_bytes(), 0, self.before).unwrap();
        if let (Some(at), Some(before)) = (at, self.before) {
            self.watermark = self.watermark.max(at.min(before));
            self.tally.advance(self.watermark);
        }
        self.before = at.or(self.before);
    }

    fn end(self) -> Report {
        self.tally.end()
    }
}

fn count(lines: impl IntoIterator<Item = impl AsRef<str>>) -> Report {
    let mut feed = Feed::new(Divider { by: None, zone: TimeZone::UTC }, i64::MIN..i64::MAX);
    lines.into_iter().for_each(|line| feed.take(line.as_ref()));
    feed.end()
}

/// Sessions, participants, participant-milliseconds, peaks of sessions and participants.
fn figures(report: &Report) -> (u64, u64, u64, u64, u64) {
    let total = &report.total;
    let peaks = (total.peak_sessions, total.peak_participants);
    (total.sessions, total.participants, total.participant_ms, peaks.0, peaks.1)
}

fn line(name: &str, at: i64, session: &str, members: Value) -> String {
    let mut body = json!({"timestamp": at, "sessionId": session});
    let members = members.as_object().cloned().unwrap_or_default();
    body.as_object_mut().unwrap().extend(members);
    json!({ name: body }).to_string()
}

mod reference {
    use super::*;

    /// Something that came and went, and what its end tells.
    #[derive(Default)]
    struct Life {
        begin: Option<i64>,
        end: Option<(i64, Value)>,
    }

    /// From when to when it was there, and the time at which it is counted.
    type Presence = (Option<(i64, i64)>, Option<i64>);

    /// What [`Tally`] has to find: for each hour events, sessions, participants, milliseconds, most
    /// sessions and most participants. Everything is compared with everything.
    pub(super) fn count(lines: &[Value]) -> BTreeMap<i64, [i64; 6]> {
        let mut rows: BTreeMap<i64, [i64; 6]> = BTreeMap::new();
        let mut sessions: BTreeMap<String, Life> = BTreeMap::new();
        let mut participants: BTreeMap<(String, String), Life> = BTreeMap::new();
        let mut known = BTreeSet::new();
        let mut first = i64::MAX;
        for line in lines {
            let (name, body) = line.as_object().unwrap().iter().next().unwrap();
            let at = body["timestamp"].as_i64().unwrap();
            first = first.min(at);
            if !known.insert(line.to_string()) {
                continue;
            }
            rows.entry(hour(at)).or_default()[0] += 1;
            let Some(session) = body["sessionId"].as_str() else { continue };
            let session_life = sessions.entry(session.to_owned()).or_default();
            let life = match body["connectionId"].as_str() {
                Some(id) => participants.entry((session.to_owned(), id.to_owned())).or_default(),
                None => session_life,
            };
            match name.as_str() {
                "sessionCreated" | "participantJoined" => life.begin = Some(at),
                _ => life.end = Some((at, body.clone())),
            }
        }
        let sessions_there: Vec<_> = sessions.values().map(|life| there(life, first)).collect();
        let mut participants_there = Vec::new();
        for ((session, _), life) in &participants {
            let session_end = sessions[session].end.as_ref().map(|(at, _)| *at);
            let (mut times, counted) = there(life, first);
            if let (Some((_, to)), Some(end), Some(_)) = (&mut times, session_end, life.begin) {
                *to = (*to).min(end);
            }
            participants_there.push((times, counted));
            if let Some((at, ms)) = stay(life, session_end) {
                rows.entry(hour(at)).or_default()[3] += ms;
            }
        }
        for (column, there) in [(1, &sessions_there), (2, &participants_there)] {
            for at in there.iter().filter_map(|(_, counted)| *counted) {
                rows.entry(hour(at)).or_default()[column] += 1;
            }
            let times: Vec<_> = there.iter().filter_map(|(times, _)| *times).collect();
            for (begin, row) in rows.iter_mut().filter(|(_, row)| row[0] > 0) {
                let begins = times.iter().map(|(from, _)| *from);
                let begins =
                    begins.filter(|from| *from >= 0 && hour(*from) == *begin).chain([*begin]);
                let there =
                    |at| times.iter().filter(|(from, to)| (*from..*to).contains(&at)).count();
                row[column + 3] = begins.map(|at| there(at) as i64).max().unwrap();
            }
        }
        rows
    }

    pub(super) fn hour(at: i64) -> i64 {
        at.div_euclid(3_600_000) * 3_600_000
    }

    fn there(life: &Life, first: i64) -> Presence {
        let end = life.end.as_ref().map_or(i64::MAX, |(at, _)| *at);
        if let Some(at) = life.begin {
            return (Some((at, end)), Some(at));
        }
        let started = life.end.as_ref().and_then(|(_, body)| body["startTime"].as_i64());
        match started.filter(|started| *started >= first) {
            Some(started) => (None, Some(started)),
            // A participant of which nothing was read does not come here.
            None => (Some((i64::MIN, end)), None),
        }
    }

    fn stay(life: &Life, session_end: Option<i64>) -> Option<(i64, i64)> {
        let Some((at, body)) = &life.end else {
            let at = session_end?;
            return Some((at, (at - life.begin?).max(0)));
        };
        let told = body["duration"].as_i64().map(|seconds| seconds * 1000);
        let by_start = || body["startTime"].as_i64().map(|start| (at - start).max(0));
        Some((*at, told.or_else(by_start).or_else(|| life.begin.map(|start| at - start))?))
    }
}

/// What happens next: the kind, the session, the participant, the milliseconds until then, whether
/// the line is lost, whether it comes twice or changes places with the one before, what it tells.
type Step = (u8, usize, usize, i64, u8, u8);

fn lines_of(steps: &[Step], lost: usize) -> Vec<Value> {
    let mut lines: Vec<Value> = Vec::new();
    let mut at = 1_700_000_000_000_i64;
    let (mut sessions, mut participants) = ([None; 4], BTreeMap::new());
    for (number, &(kind, session, participant, pause, fate, tells)) in steps.iter().enumerate() {
        at += pause;
        let begun: Option<(usize, i64)> = sessions[session];
        let inside = begun.map(|(number, _)| (number, participant));
        let end = |began: i64| match tells {
            0 => json!({}),
            1 => json!({ "startTime": began }),
            _ => json!({ "startTime": began, "duration": (at - began) / 1000 }),
        };
        let (name, who, id, members) = match (kind, begun) {
            (0, None) => {
                sessions[session] = Some((number, at));
                ("sessionCreated", number, None, json!({}))
            }
            (1, Some((began_by, began))) => {
                sessions[session] = None;
                ("sessionDestroyed", began_by, None, end(began))
            }
            (2 | 3, Some((began_by, _))) => match participants.remove(&inside) {
                None => {
                    participants.insert(inside, (number, at));
                    ("participantJoined", began_by, Some(number), json!({}))
                }
                Some((id, joined)) => ("participantLeft", began_by, Some(id), end(joined)),
            },
            _ => {
                lines.push(json!({"signalSent": {"timestamp": at}}));
                continue;
            }
        };
        if fate == 0 || number < lost {
            continue;
        }
        let mut members = members;
        if let Some(id) = id {
            members["connectionId"] = format!("con_{id}").into();
        }
        let text = line(name, at, &format!("ses_{who}"), members);
        let value: Value = serde_json::from_str(&text).unwrap();
        lines.push(value.clone());
        if fate == 1 {
            lines.push(value);
        } else if fate == 2 && lines.len() > 1 {
            let last = lines.len() - 1;
            let time = |line: &Value| {
                let body = line.as_object().unwrap().values().next().unwrap();
                body["timestamp"].as_i64().unwrap()
            };
            // Later than that is not told apart.
            if time(&lines[last]) - time(&lines[last - 1]) < 300_000 {
                lines.swap(last - 1, last);
            }
        }
    }
    lines
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]
    #[test]
    fn figures_are_those_of_the_reference_whatever_is_lost_doubled_or_late(
        steps in vec((0..5_u8, 0..4_usize, 0..3_usize, prop_oneof![3 => 0..2000_i64, 1 => 0..1_500_000_i64], 0..12_u8, 0..3_u8), 1..50),
        lost in 0..10_usize,
    ) {
        let lines = lines_of(&steps, lost);
        let expected = reference::count(&lines);
        let mut feed = Feed::new(hourly(), i64::MIN..i64::MAX);
        lines.iter().for_each(|line| feed.take(&line.to_string()));
        let report = feed.end();
        let found: BTreeMap<i64, [i64; 6]> = report.rows.iter().map(|(begin, row)| {
            let figures = [row.events, row.sessions, row.participants, row.participant_ms, row.peak_sessions, row.peak_participants];
            (begin.unwrap(), figures.map(|figure| figure as i64))
        }).collect();
        prop_assert_eq!(&found, &expected, "{:#?}", lines);

        // A period has the figures of its hours, whatever lies around it.
        let hours: Vec<_> = found.keys().copied().collect();
        if let [.., from, _] = hours[..] {
            let mut feed = Feed::new(hourly(), from..from + 3_600_000);
            lines.iter().for_each(|line| feed.take(&line.to_string()));
            let only = feed.end();
            prop_assert_eq!(only.rows.len(), 1);
            prop_assert_eq!(&only.rows[&Some(from)].peak_sessions, &report.rows[&Some(from)].peak_sessions);
            prop_assert_eq!(&only.total.participant_ms, &report.rows[&Some(from)].participant_ms);
            prop_assert_eq!(&only.total.sessions, &report.rows[&Some(from)].sessions);
            prop_assert_eq!(only.total.events, report.rows[&Some(from)].events);
        }
    }
}

#[test]
fn events_of_livekit_are_counted_like_those_of_openvidu() {
    let room = r#""room":{"sid":"RM_1","name":"daily","creationTimeMs":"1700000000123"}"#;
    let alice = r#""participant":{"sid":"PA_1","identity":"alice","joinedAtMs":"1700000010456"}"#;
    let egress = r#""egressInfo":{"egressId":"EG_1","status":"EGRESS_COMPLETE","fileResults":[{"size":"7"},{"size":"8"}]}"#;
    let stream = r#""egressInfo":{"egressId":"EG_2","status":"EGRESS_COMPLETE","streamResults":[{"url":"rtmp://x"}]}"#;
    let report = count([
        format!(r#"{{"room_started":{{{room},"createdAt":"1700000001"}}}}"#),
        format!(r#"{{"participant_joined":{{{room},{alice},"createdAt":"1700000011"}}}}"#),
        format!(r#"{{"egress_ended":{{{egress},"createdAt":"1700000020"}}}}"#),
        format!(r#"{{"egress_ended":{{{stream},"createdAt":"1700000021"}}}}"#),
        r#"{"recordingEnded":{"creationDate":1700000022000,"data":{"recordingId":"daily--EG_1--X","roomId":"daily","status":"complete","size":15}}}"#.to_owned(),
        format!(r#"{{"participant_left":{{{room},{alice},"createdAt":"1700000071"}}}}"#),
        format!(r#"{{"room_finished":{{{room},"createdAt":"1700000080"}}}}"#),
    ]);
    assert_eq!(figures(&report), (1, 1, 60_544, 1, 1));
    assert_eq!((report.total.recordings, report.total.recording_bytes), (1, 15));
    assert_eq!((report.sessions_open, report.sessions_before), (0, 0));
}

#[test]
fn meetings_and_rooms_of_one_name_are_one_session() {
    let room = r#""room":{"sid":"RM_1","name":"daily"}"#;
    let report = count([
        format!(r#"{{"room_started":{{{room},"createdAt":"1700000001"}}}}"#),
        r#"{"meetingStarted":{"creationDate":1700000001500,"data":{"roomId":"daily"}}}"#.to_owned(),
        r#"{"meetingEnded":{"creationDate":1700000009000,"data":{"roomId":"daily"}}}"#.to_owned(),
        format!(r#"{{"room_finished":{{{room},"createdAt":"1700000009"}}}}"#),
    ]);
    assert_eq!(figures(&report), (1, 0, 0, 1, 0));
}

#[test]
fn a_session_whose_name_begins_again_has_ended_though_nothing_said_so() {
    let unique = |unique: &str| json!({ "uniqueSessionId": unique });
    let report = count([
        line("sessionCreated", 1000, "daily", unique("daily_1")),
        line(
            "participantJoined",
            2000,
            "daily",
            json!({"uniqueSessionId":"daily_1","connectionId":"a"}),
        ),
        line("sessionCreated", 5000, "daily", unique("daily_2")),
        // What comes later of the first one changes nothing, but for the time that it tells.
        line(
            "participantLeft",
            6000,
            "daily",
            json!({"uniqueSessionId":"daily_1","connectionId":"a","duration":2}),
        ),
        line("sessionDestroyed", 6500, "daily", unique("daily_1")),
        line("sessionDestroyed", 9000, "daily", unique("daily_2")),
    ]);
    assert_eq!(figures(&report), (2, 1, 2000, 1, 1));
    assert_eq!((report.sessions_given_up, report.sessions_open), (1, 0));
}

#[test]
fn a_session_of_a_dead_server_is_given_up_after_a_day_and_does_not_stay_in_the_peaks() {
    const HOUR: i64 = 3_600_000;
    let mut lines = vec![line("sessionCreated", 1000, "lost", json!({}))];
    lines.extend((1..60).flat_map(|hour| {
        let name = format!("ses_{hour}");
        [
            line("sessionCreated", hour * HOUR, &name, json!({})),
            line("sessionDestroyed", hour * HOUR + 60_000, &name, json!({})),
        ]
    }));
    let mut feed = Feed::new(hourly(), i64::MIN..i64::MAX);
    lines.iter().for_each(|line| feed.take(line));
    let report = feed.end();
    assert_eq!(report.rows[&Some(2 * HOUR)].peak_sessions, 2);
    assert_eq!(report.rows[&Some(50 * HOUR)].peak_sessions, 1);
    assert_eq!((report.sessions_given_up, report.sessions_open), (1, 0));
}

#[test]
fn one_event_with_a_time_of_its_own_ends_no_session() {
    let report = count([
        line("sessionCreated", 1000, "daily", json!({})),
        line("signalSent", 200_000_000_000_000, "daily", json!({})),
        line("signalSent", 2000, "daily", json!({})),
        line("sessionDestroyed", 3000, "daily", json!({})),
    ]);
    assert_eq!(figures(&report), (1, 0, 0, 1, 0));
    assert_eq!(report.sessions_given_up, 0);
}

#[test]
fn an_event_without_a_time_has_that_of_the_line_before() {
    let mut feed = Feed::new(hourly(), i64::MIN..i64::MAX);
    for line in [
        r#"{"signalSent":{}}"#.to_owned(),
        line("sessionCreated", 7_200_000, "daily", json!({})),
        r#"{"signalSent":{"timestamp":"soon"}}"#.to_owned(),
    ] {
        feed.take(&line);
    }
    let report = feed.end();
    let rows: Vec<_> = report.rows.iter().map(|(begin, row)| (*begin, row.events)).collect();
    assert_eq!(rows, [(None, 1), (Some(7_200_000), 2)]);
}

#[test]
fn members_that_are_missing_cost_the_figures_only_what_they_would_have_told() {
    let report = count([
        r#"{"sessionCreated":{"timestamp":1}}"#,
        r#"{"participantJoined":{"timestamp":1,"sessionId":"s"}}"#,
        r#"{"participantLeft":{"timestamp":60001,"duration":60}}"#,
        r#"{"participantLeft":{"timestamp":60001}}"#,
        r#"{"recordingStatusChanged":{"timestamp":5,"status":"ready"}}"#,
        r#"{"sessionDestroyed":{}}"#,
        r#"{"egress_ended":{}}"#,
    ]);
    assert_eq!(report.total.participant_ms, 60_000);
    assert_eq!((report.total.recordings, report.total.recording_bytes), (1, 0));
    assert_eq!(report.total.events, 7);
}

#[test]
fn a_hostile_number_of_kinds_takes_bounded_memory() {
    let report = count((0..5000).map(|kind| format!(r#"{{"kind_{kind}":{{"timestamp":1}}}}"#)));
    assert_eq!(report.kinds.len(), 1001);
    assert_eq!(report.kinds.last().unwrap(), "(others)");
    assert_eq!(report.total.kinds.iter().sum::<u64>(), 5000);
    assert_eq!(*report.total.kinds.last().unwrap(), 4000);
}

#[test]
fn ended_sessions_are_forgotten_after_some_minutes() {
    let mut feed = Feed::new(hourly(), i64::MIN..i64::MAX);
    let mut most = 0;
    for number in 0..20_000_i64 {
        let (name, at) = (format!("ses_{number}"), (number + 1) * 1000);
        let joined = json!({ "connectionId": number.to_string() });
        feed.take(&line("sessionCreated", at, &name, json!({})));
        feed.take(&line("participantJoined", at, &name, joined));
        feed.take(&line("sessionDestroyed", at + 500, &name, json!({})));
        most = most.max(feed.tally.sessions_held());
    }
    assert!(most <= 602, "{most} sessions are held");
    let report = feed.end();
    assert_eq!(figures(&report), (20_000, 20_000, 10_000_000, 1, 1));
}
