//! `sessions`: who was in which session for how long, and that it adds up to what `stats` says.

mod billing;
mod memory;
mod naive;
pub mod random;

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::audit::{livekit, objects, write};
use crate::common::CDR;
use crate::run::{cdrlog, end, run};

/// The first moment of the records here, in seconds since 1970: 2023-11-14 22:13:20 UTC.
const BEGIN: i64 = 1_700_000_000;

const NAME: &str = "CDR.2023-11-14_22-13-20.log";

fn sessions(options: &[&str], paths: &[&Path]) -> Command {
    let mut command = cdrlog();
    command.env("TZ", "UTC").arg("sessions").args(options).args(paths);
    command
}

/// A line of OpenVidu 2, so many seconds after the begin.
fn line(name: &str, second: i64, session: &str, members: Value) -> String {
    let unique = format!("{session}_1");
    let mut body = json!({"sessionId": session, "uniqueSessionId": unique});
    body["timestamp"] = json!((BEGIN + second) * 1000);
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    json!({ name: body }).to_string()
}

fn stay(name: &str, second: i64, session: &str, id: &str) -> String {
    line(name, second, session, json!({ "connectionId": id }))
}

/// The rows of the lines of one file; and the summary.
fn rows_with(options: &[&str], lines: &[String]) -> (Vec<Value>, Value) {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), NAME, lines);
    rows_of(options, &[directory.path()])
}

fn rows_of(options: &[&str], paths: &[&Path]) -> (Vec<Value>, Value) {
    let options: Vec<_> = ["--json"].iter().chain(options).copied().collect();
    let ended = run(&mut sessions(&options, paths)).expect(0, &[]);
    let mut rows = objects(&ended);
    let summary = rows.pop().unwrap();
    assert_eq!(summary["type"], "summary", "{ended:?}");
    (rows, summary)
}

/// Some members of a row, as text.
fn told(row: &Value, names: &[&str]) -> String {
    let member = |name: &&str| match &row[*name] {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        value => value.to_string(),
    };
    names.iter().map(member).collect::<Vec<_>>().join(" ")
}

/// Participant, seconds after the begin of join and leave, seconds, and what ended it.
fn stays(rows: &[Value]) -> Vec<String> {
    let participants = rows.iter().filter(|row| row["type"] == "participant");
    participants
        .map(|row| {
            let second =
                |name: &str| row[name].as_i64().map(|ms| ms as f64 / 1000.0 - BEGIN as f64);
            let second = |name: &str| second(name).map_or("-".to_owned(), |at| at.to_string());
            let seconds = row["seconds"].as_f64().unwrap();
            let (joined, left) = (second("joined_ms"), second("left_ms"));
            format!(
                "{} {joined} {left} {seconds} {}",
                told(row, &["participant"]),
                told(row, &["ended_by"])
            )
        })
        .collect()
}

#[test]
fn a_participant_of_openvidu_is_a_row_with_all_that_its_events_tell() {
    let about = json!({"connectionId": "con_a", "participantId": "con_a", "platform": "Chrome 119",
        "location": "Berlin, Germany", "clientData": "Ana", "ip": "203.0.113.9"});
    let track =
        |id: &str, way: &str| json!({"connectionId": "con_a", "streamId": id, "connection": way});
    let (rows, _) = rows_with(
        &[],
        &[
            line("sessionCreated", 0, "s", json!({})),
            line("participantJoined", 10, "s", about),
            line("webrtcConnectionCreated", 11, "s", track("str_1", "OUTBOUND")),
            line("webrtcConnectionCreated", 12, "s", track("str_2", "INBOUND")),
            line("webrtcConnectionDestroyed", 21, "s", track("str_2", "INBOUND")),
            // It is received a second time.
            line("webrtcConnectionCreated", 30, "s", track("str_2", "INBOUND")),
            line(
                "participantLeft",
                70,
                "s",
                json!({"connectionId": "con_a", "reason": "disconnect"}),
            ),
            line("sessionDestroyed", 71, "s", json!({"reason": "lastParticipantLeft"})),
        ],
    );
    assert_eq!(stays(&rows), ["con_a 10 70 60 leave"]);
    let row = &rows[0];
    let names = ["session", "session_id", "connection", "identity", "platform", "location"];
    assert_eq!(told(row, &names), "s s_1 con_a - Chrome 119 Berlin, Germany");
    assert_eq!(told(row, &["client_data", "reason", "day"]), "Ana disconnect 2023-11-14");
    // The first one has no end of its own, and neither has the second one when it comes again.
    assert_eq!(told(row, &["tracks", "track_seconds"]), "1 59.0");
    assert_eq!(told(row, &["tracks_received", "track_received_seconds"]), "2 49.0");
}

#[test]
fn participants_of_livekit_have_an_identity_and_their_own_egress() {
    let ana =
        json!({"sid": "PA_1", "identity": "ana", "joinedAtMs": ((BEGIN + 5) * 1000).to_string()});
    let of_ana = json!({ "participant": ana });
    let phone =
        json!({"participant": {"sid": "PA_2", "identity": "+34", "kind": "SIP", "region": "eu"}});
    let egress = |id: &str, more: Value| {
        let mut info = json!({"egressId": id, "roomId": "RM_daily", "roomName": "daily"});
        info.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        json!({ "egressInfo": info })
    };
    let nanoseconds = |second: i64| ((BEGIN + second) * 1_000_000_000).to_string();
    let of_participant = json!({"participant": {"roomName": "daily", "identity": "ana"},
        "startedAt": nanoseconds(20), "endedAt": nanoseconds(50),
        "fileResults": [{"size": "700", "duration": "29500000000"}]});
    let of_track = json!({"track": {"trackId": "TR_1"}, "startedAt": nanoseconds(20),
        "endedAt": nanoseconds(30), "streamResults": [{"url": "rtmp://example.org/x"}]});
    let of_room = json!({"roomComposite": {"roomName": "daily"}, "fileResults": [{"size": "1000"}],
        "startedAt": nanoseconds(10), "endedAt": nanoseconds(100)});
    let lines = [
        livekit("room_started", 0, json!({})),
        livekit("participant_joined", 5, of_ana.clone()),
        livekit("participant_joined", 6, phone.clone()),
        livekit("track_published", 7, json!({"participant": ana, "track": {"sid": "TR_1"}})),
        livekit("egress_ended", 30, egress("EG_track", of_track)),
        livekit("egress_ended", 50, egress("EG_ana", of_participant.clone())),
        // The same end, told again later.
        livekit("egress_ended", 51, egress("EG_ana", of_participant)),
        livekit("participant_left", 65, of_ana),
        livekit("egress_ended", 100, egress("EG_room", of_room)),
        livekit("room_finished", 105, json!({})),
    ];
    let (rows, summary) = rows_with(&[], &lines);
    assert_eq!(stays(&rows), ["PA_1 5 65 60 leave", "PA_2 6 105 99 session_end"]);
    let names = ["identity", "kind", "location", "connection", "tracks", "track_seconds"];
    assert_eq!(told(&rows[0], &names), "ana - - PA_1 1 58.0");
    assert_eq!(told(&rows[1], &names), "+34 SIP eu PA_2 0 0.0");
    let names = [
        "type",
        "egresses",
        "egress_seconds",
        "recordings",
        "recording_seconds",
        "recording_bytes",
    ];
    assert_eq!(told(&rows[0], &names), "participant 2 40.0 1 29.5 700");
    // What belongs to the whole room.
    assert_eq!(told(&rows[2], &names), "session 1 90.0 1 90.0 1000");
    assert_eq!(rows[2].get("participant"), None);
    assert_eq!(told(&summary, &["rows_count", "recordings", "recording_bytes"]), "3 2 1700");
    let (rows, _) = rows_with(&["--by", "session"], &lines);
    assert_eq!(rows.len(), 1);
    assert_eq!(told(&rows[0], &names), "session 3 130.0 2 119.5 1700");
    assert_eq!(
        told(&rows[0], &["participants", "participant_seconds", "ended_by"]),
        "2 159.0 session_end"
    );
}

#[test]
fn a_recording_that_is_ready_after_its_session_is_in_the_row_of_that_session() {
    let recording =
        |status: &str| json!({"id": "rec", "status": status, "size": 9, "duration": 8.5});
    let lines = |ready: i64| {
        [
            line("sessionCreated", 0, "s", json!({})),
            line("recordingStatusChanged", 10, "s", recording("started")),
            line("sessionDestroyed", 60, "s", json!({})),
            // Time passes: other sessions of the server.
            line("sessionCreated", ready - 1, "other", json!({})),
            line("recordingStatusChanged", ready, "s", recording("ready")),
            line("sessionDestroyed", ready + 10_000, "other", json!({})),
        ]
    };
    let names = ["session", "recordings", "recording_seconds", "recording_bytes", "ended_by"];
    let told = |lines: &[String]| {
        let (rows, _) = rows_with(&["--by", "session"], lines);
        rows.iter().map(|row| told(row, &names)).collect::<Vec<_>>()
    };
    assert_eq!(told(&lines(3000)), ["s 1 8.5 9 session_end", "other 0 0.0 0 session_end"]);
    // Given up an hour after the session: the recording gets a row of its own.
    let late = ["s 0 0.0 0 session_end", "s 1 8.5 9 session_end", "other 0 0.0 0 session_end"];
    assert_eq!(told(&lines(5000)), late);
}

#[test]
fn a_participant_who_comes_again_is_two_rows() {
    let lines = [
        line("sessionCreated", 0, "s", json!({})),
        stay("participantJoined", 1, "s", "a"),
        stay("participantLeft", 5, "s", "a"),
        stay("participantJoined", 7, "s", "a"),
        stay("participantLeft", 10, "s", "a"),
        line("sessionDestroyed", 11, "s", json!({})),
    ];
    let (rows, summary) = rows_with(&[], &lines);
    assert_eq!(stays(&rows), ["a 1 5 4 leave", "a 7 10 3 leave"]);
    assert_eq!(summary["participants"], 2);
}

#[test]
fn who_is_still_there_at_the_end_has_an_open_row_without_seconds() {
    let lines = [
        line("sessionCreated", 0, "s", json!({})),
        stay("participantJoined", 1, "s", "a"),
        stay("participantJoined", 2, "s", "b"),
        stay("participantLeft", 5, "s", "b"),
    ];
    let (rows, summary) = rows_with(&[], &lines);
    assert_eq!(stays(&rows), ["a 1 - 0 -", "b 2 5 3 leave"]);
    assert_eq!(told(&rows[0], &["day", "closed", "last_ms"]), "- false 1700000005000");
    assert_eq!(told(&summary, &["sessions_open", "participants_open"]), "1 1");
    let (rows, _) = rows_with(&["--until", "2023-11-14T22:13:25Z"], &lines);
    assert_eq!(rows, Vec::<Value>::new());
}

#[test]
fn a_session_without_a_sign_of_life_for_a_day_is_over_since_its_last_event() {
    let mut lines =
        vec![line("sessionCreated", 0, "s", json!({})), stay("participantJoined", 1, "s", "a")];
    // Tracks are no sign: `stats` does not read them.
    let track = json!({"connectionId": "a", "streamId": "str_1", "connection": "OUTBOUND"});
    lines.push(line("webrtcConnectionCreated", 5000, "s", track));
    lines.extend(
        (1..30).map(|hour| stay("participantJoined", hour * 3600, "other", &hour.to_string())),
    );
    let (rows, summary) = rows_with(&["--session", "s"], &lines);
    assert_eq!(stays(&rows), ["a 1 - 0 inferred"]);
    assert_eq!(told(&rows[0], &["last_ms", "day", "tracks"]), "1700000001000 2023-11-14 1");
    // The other one is open, and its last event is of today.
    assert_eq!(summary["closed_before"], 1_700_092_800_000_i64);
    // Some hours earlier the session was open, and could have ended on its day.
    let (_, summary) = rows_with(&[], &lines[..20]);
    assert_eq!(summary["closed_before"], 1_699_920_000_000_i64);
}

#[test]
fn a_day_is_closed_only_when_every_directory_has_come_beyond_it() {
    let [one, other] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let day = 86_400;
    let both = |name: &str, second: i64| {
        [
            line("sessionCreated", second, name, json!({})),
            line("sessionDestroyed", second + 5, name, json!({})),
        ]
    };
    write(one.path(), NAME, &[both("s", 0), both("t", 2 * day)].concat());
    write(other.path(), NAME, &both("u", 10));
    let paths = [one.path(), other.path()];
    let (_, summary) = rows_of(&[], &paths);
    // The second one has not come to the end of its first day.
    assert_eq!(summary["closed_before"], 1_699_920_000_000_i64);
    let (rows, _) = rows_of(&["--by", "session", "--closed"], &paths);
    assert_eq!(rows.len(), 0);
    write(other.path(), NAME, &[both("u", 10), both("v", day)].concat());
    let (rows, summary) = rows_of(&["--by", "session", "--closed"], &paths);
    assert_eq!(summary["closed_before"], 1_700_006_400_000_i64);
    assert_eq!(
        rows.iter().map(|row| told(row, &["session", "day"])).collect::<Vec<_>>(),
        ["s 2023-11-14", "u 2023-11-14"]
    );
    // Elsewhere another day has begun.
    let (rows, _) = rows_of(&["--by", "session", "--closed", "--tz", "Asia/Tokyo"], &paths);
    assert_eq!(
        rows.iter().map(|row| told(row, &["session", "day"])).collect::<Vec<_>>(),
        ["s 2023-11-15", "u 2023-11-15"]
    );
}

#[test]
fn rows_are_those_of_a_session_a_room_or_a_time() {
    let mut lines = Vec::new();
    for (name, second) in [("daily", 0), ("weekly", 100)] {
        lines.push(line("sessionCreated", second, name, json!({})));
        lines.push(stay("participantJoined", second + 1, name, "a"));
        lines.push(stay("participantLeft", second + 5, name, "a"));
        lines.push(line("sessionDestroyed", second + 6, name, json!({})));
    }
    let sessions = |options: &[&str]| {
        let (rows, _) = rows_with(options, &lines);
        rows.iter().map(|row| told(row, &["session"])).collect::<Vec<_>>()
    };
    assert_eq!(sessions(&[]), ["daily", "weekly"]);
    assert_eq!(sessions(&["--session", "daily"]), ["daily"]);
    assert_eq!(sessions(&["--session", "weekly_1"]), ["weekly"]);
    assert_eq!(sessions(&["--room", "weekly"]), ["weekly"]);
    assert_eq!(sessions(&["--room", "weekly_1"]), [""; 0]);
    assert_eq!(sessions(&["--since", "2023-11-14 22:13:26"]), ["weekly"]);
    assert_eq!(sessions(&["--until", "2023-11-14 22:13:26"]), ["daily"]);
    assert_eq!(sessions(&["--until", "2023-11-14 22:13:25"]), [""; 0]);
}

#[test]
fn a_file_in_which_time_goes_back_gives_each_row_once() {
    let day = |second: i64, name: &str| {
        [
            line("sessionCreated", second, name, json!({})),
            stay("participantJoined", second + 1, name, "a"),
            stay("participantLeft", second + 5, name, "a"),
            line("sessionDestroyed", second + 6, name, json!({})),
        ]
    };
    // An archive was appended after the file of the next day.
    let (rows, _) = rows_with(&[], &[day(86_400, "later"), day(0, "earlier")].concat());
    let names: Vec<_> = rows.iter().map(|row| told(row, &["session", "seconds"])).collect();
    assert_eq!(names, ["earlier 4.0", "later 4.0"]);
}

#[test]
fn csv_has_the_same_columns_whatever_was_read_and_the_document_lists_them() {
    let document = include_str!("../../../../docs/json.md");
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(NAME);
    for by in ["participant", "session"] {
        let mut headings = Vec::new();
        for text in ["", CDR] {
            fs::write(&path, text).unwrap();
            let csv = run(&mut sessions(&["--csv", "--by", by], &[&path])).expect(0, &[]).stdout;
            headings.extend(csv.lines().next().map(str::to_owned));
            let columns = csv.lines().next().unwrap().split(',').count();
            let mut reader = csv::Reader::from_reader(csv.as_bytes());
            assert!(reader.records().all(|record| record.unwrap().len() == columns), "{csv}");
        }
        assert_eq!(headings[0], headings[1]);
        assert!(document.contains(&headings[0]), "docs/json.md does not list {}", headings[0]);
    }
}

#[test]
fn hostile_texts_do_not_reach_the_terminal_and_stay_one_cell() {
    let text = "\u{1b}[31m\"red\",\nrow\t";
    let about =
        json!({"connectionId": text, "platform": text, "location": text, "clientData": text});
    let directory = tempfile::tempdir().unwrap();
    write(
        directory.path(),
        NAME,
        &[
            line("participantJoined", 0, text, about),
            line("participantLeft", 5, text, json!({"connectionId": text, "reason": text})),
        ],
    );
    let table = run(&mut sessions(&[], &[directory.path()])).expect(0, &[]).stdout;
    assert!(!table.contains('\u{1b}'), "{table}");
    assert_eq!(table.lines().count(), 2, "{table}");
    let csv = run(&mut sessions(&["--csv"], &[directory.path()])).expect(0, &[]).stdout;
    let mut reader = csv::Reader::from_reader(csv.as_bytes());
    let record = reader.records().next().unwrap().unwrap();
    let headings = reader.headers().unwrap();
    for name in ["session", "participant", "platform", "location", "client_data", "reason"] {
        let column = headings.iter().position(|heading| heading == name).unwrap();
        assert_eq!(&record[column], text, "{name}");
    }
}

/// Without this, `cdrlog sessions | head` tells the sum of the rows that went into the pipe.
#[test]
fn the_sum_is_that_of_all_rows_also_if_the_reader_goes_away() {
    let directory = tempfile::tempdir().unwrap();
    let ids: Vec<_> = (0..500).map(|number| format!("con_{number}")).collect();
    let joined = ids.iter().map(|id| stay("participantJoined", 0, "s", id));
    let left = ids.iter().map(|id| stay("participantLeft", 60, "s", id));
    write(directory.path(), NAME, &joined.chain(left).collect::<Vec<_>>());
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = sessions(&[], &[directory.path()]);
    let child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    end(child).expect(0, &["500 rows, 500.0 participant-minutes"]);
}

#[test]
fn rows_add_up_to_the_figures_of_stats() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join(NAME), CDR).unwrap();
    let mut stats = cdrlog();
    stats.args(["stats", "--json"]).arg(directory.path());
    let stats: Value = serde_json::from_str(&run(&mut stats).expect(0, &[]).stdout).unwrap();
    for by in ["participant", "session"] {
        let (_, summary) = rows_of(&["--by", by], &[directory.path()]);
        for name in
            ["participants", "participant_minutes", "recordings", "recording_bytes", "lines"]
        {
            assert_eq!(summary[name], stats[name], "--by {by}: {name}");
        }
    }
}
