//! The counting against a plain reference, for any events in nearly any order.

use std::collections::{BTreeMap, BTreeSet};

use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::{Feed, hourly, line};

/// Something that came and left, and what its end says.
#[derive(Default)]
struct Life {
    begin: Option<i64>,
    end: Option<(i64, Value)>,
}

/// From when to when it was present, and the time at which it is counted.
type Presence = (Option<(i64, i64)>, Option<i64>);

/// The expected result of [`Tally`]: for each hour events, sessions, participants, milliseconds,
/// most sessions and most participants. Everything is compared with everything.
fn reference(lines: &[Value]) -> BTreeMap<i64, [i64; 6]> {
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
            let begins = begins.filter(|from| *from >= 0 && hour(*from) == *begin).chain([*begin]);
            let there = |at| times.iter().filter(|(from, to)| (*from..*to).contains(&at)).count();
            row[column + 3] = begins.map(|at| there(at) as i64).max().unwrap();
        }
    }
    rows
}

fn hour(at: i64) -> i64 {
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
        // A participant of which nothing was read does not get here.
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

/// What happens next: the kind, the session, the participant, the milliseconds until then, whether
/// the line is lost, whether it comes twice or is swapped with the one before, what it says.
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
            // Later repeats are not recognised.
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
        let expected = reference(&lines);
        let mut feed = Feed::new(hourly(), i64::MIN..i64::MAX);
        lines.iter().for_each(|line| feed.take(&line.to_string()));
        let report = feed.end();
        let found: BTreeMap<i64, [i64; 6]> = report.rows.iter().map(|(begin, row)| {
            let figures = [row.events, row.sessions, row.participants, row.participant_ms, row.peak_sessions, row.peak_participants];
            (begin.unwrap(), figures.map(|figure| figure as i64))
        }).collect();
        prop_assert_eq!(&found, &expected, "{:#?}", lines);

        // A period has the figures of its hours, whatever is around it.
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
