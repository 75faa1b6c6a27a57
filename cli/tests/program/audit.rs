//! `audit`: what never came is found, what may still come is not, and each has its likely reason.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::common::{CDR, body};
use crate::run::{Run, append, cdrlog, run, run_with};
use crate::skip::skip;

/// The first moment of the records here.
const BEGIN: i64 = 1_700_000_000_000;

pub fn audit(options: &[&str], path: &Path) -> Command {
    let mut command = cdrlog();
    command.env_remove("CDRLOG_LIVEKIT_KEY_FILE").env("TZ", "UTC");
    command.arg("audit").args(options).arg(path);
    command
}

/// A line of OpenVidu 2, so many seconds after the begin.
fn line(name: &str, second: i64, session: &str, members: Value) -> String {
    let unique = format!("{session}_1");
    let mut body = json!({"sessionId": session, "uniqueSessionId": unique});
    body["timestamp"] = json!(BEGIN + second * 1000);
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    json!({ name: body }).to_string()
}

/// A line of LiveKit, so many seconds after the begin.
pub fn livekit(name: &str, second: i64, members: Value) -> String {
    let room = json!({"sid": "RM_daily", "name": "daily"});
    let mut body = json!({"room": room, "createdAt": (BEGIN / 1000 + second).to_string()});
    body.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    json!({ name: body }).to_string()
}

pub fn write(directory: &Path, name: &str, lines: &[String]) {
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(directory.join(name), text).unwrap();
}

pub fn objects(ended: &Run) -> Vec<Value> {
    ended.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Reason, session, participant or activity, and cause of all objects of a type.
pub fn told(objects: &[Value], of_type: &str) -> Vec<String> {
    let text = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let of_type = objects.iter().filter(|object| object["type"] == of_type);
    of_type
        .map(|object| {
            let names = ["reason", "session", "participant", "activity", "cause"];
            names.map(|name| text(&object[name])).join(" ")
        })
        .collect()
}

/// The findings of one file of lines.
fn findings_of(lines: &[String]) -> Vec<String> {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", lines);
    let ended = run(&mut audit(&["--json"], directory.path()));
    let findings = told(&objects(&ended), "finding");
    assert_eq!(ended.code, Some(i32::from(!findings.is_empty())), "{ended:?}");
    findings
}

fn connection(id: &str) -> Value {
    json!({ "connectionId": id })
}

fn left(id: &str, joined: i64) -> Value {
    json!({"connectionId": id, "startTime": BEGIN + joined * 1000, "reason": "disconnect"})
}

#[test]
fn a_record_in_which_everything_came_has_no_finding() {
    let directory = tempfile::tempdir().unwrap();
    let track = json!({"connectionId": "a", "streamId": "str_a", "connection": "OUTBOUND"});
    let recording = |status: &str| json!({"id": "s", "status": status, "size": 7});
    let lines = [
        line("sessionCreated", 0, "s", json!({})),
        line("participantJoined", 1, "s", connection("a")),
        line("webrtcConnectionCreated", 2, "s", track.clone()),
        line("recordingStatusChanged", 3, "s", recording("started")),
        line("recordingStatusChanged", 60, "s", recording("stopped")),
        line("recordingStatusChanged", 61, "s", recording("ready")),
        line("webrtcConnectionDestroyed", 70, "s", track),
        line("participantLeft", 70, "s", left("a", 1)),
        line("sessionDestroyed", 70, "s", json!({"startTime": BEGIN})),
    ];
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &lines);
    let ended = run(&mut audit(&[], directory.path()));
    let said =
        "1 file, 9 lines: nothing is missing; 0 sessions with 0 participants open at the end";
    let ended = ended.expect(0, &[said]);
    assert_eq!(ended.stdout, "", "{ended:?}");
}

#[test]
fn a_participant_who_left_and_never_joined_and_one_who_never_left_are_found() {
    let lines = [
        line("sessionCreated", 0, "s", json!({})),
        line("participantJoined", 1, "s", connection("a")),
        line("participantJoined", 2, "s", connection("b")),
        line("participantLeft", 40, "s", left("a", 1)),
        line("participantLeft", 50, "s", left("c", 20)),
        line("sessionDestroyed", 60, "s", json!({"startTime": BEGIN})),
    ];
    assert_eq!(findings_of(&lines), ["join_missing s c - -", "leave_missing s b - -"]);
}

#[test]
fn the_two_are_found_in_rooms_of_livekit_too_and_each_has_its_time() {
    let participant = |sid: &str, joined: i64| {
        let joined = (BEGIN / 1000 + joined).to_string();
        json!({"participant": {"sid": sid, "identity": format!("i{sid}"), "joinedAt": joined}})
    };
    let directory = tempfile::tempdir().unwrap();
    let lines = [
        livekit("room_started", 0, json!({})),
        livekit("participant_joined", 1, participant("PA_a", 1)),
        livekit("participant_left", 50, participant("PA_b", 20)),
        livekit("room_finished", 60, json!({})),
    ];
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &lines);
    let ended = run(&mut audit(&["--json"], directory.path())).expect(1, &[]);
    let found = objects(&ended);
    assert_eq!(
        told(&found, "finding"),
        ["join_missing daily PA_b - -", "leave_missing daily PA_a - -"]
    );
    let times = |index: usize| ["at", "from", "until"].map(|name| found[index][name].as_i64());
    assert_eq!(times(0), [Some(BEGIN + 20_000); 3]);
    assert_eq!(times(1), [BEGIN + 60_000, BEGIN + 1000, BEGIN + 60_000].map(Some));
    assert_eq!(found[0]["session_id"], "RM_daily");
    let summary = found.last().unwrap();
    assert_eq!(summary["findings_by_reason"], json!({"join_missing": 1, "leave_missing": 1}));
    assert_eq!((&summary["findings"], &summary["lines"]), (&json!(2), &json!(4)));
}

#[test]
fn a_session_without_a_beginning_and_one_without_an_end_are_found() {
    let lines = [
        line("signalSent", 0, "other", json!({})),
        line("sessionDestroyed", 60, "s", json!({"startTime": BEGIN + 10_000})),
        r#"{"sessionCreated":{"sessionId":"again","uniqueSessionId":"again_1","timestamp":1700000070000}}"#.to_owned(),
        line("participantJoined", 71, "again", connection("a")),
        r#"{"sessionCreated":{"sessionId":"again","uniqueSessionId":"again_2","timestamp":1700000090000}}"#.to_owned(),
        r#"{"sessionDestroyed":{"sessionId":"again","uniqueSessionId":"again_2","timestamp":1700000099000}}"#.to_owned(),
    ];
    // The participant of a session without an end is no finding of its own.
    let expected = ["session_start_missing s - - -", "session_end_missing again - - -"];
    assert_eq!(findings_of(&lines), expected);
}

#[test]
fn what_was_before_the_first_line_is_a_note_and_no_finding() {
    let directory = tempfile::tempdir().unwrap();
    let lines = [
        line("signalSent", 0, "other", json!({})),
        line("participantLeft", 10, "s", left("a", -100)),
        line("sessionDestroyed", 60, "s", json!({"startTime": BEGIN - 200_000})),
        r#"{"meetingEnded":{"creationDate":1700000070000,"data":{"roomId":"meet"}}}"#.to_owned(),
    ];
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &lines);
    let ended = run(&mut audit(&["--json"], directory.path())).expect(0, &[]);
    let found = objects(&ended);
    let expected = [
        "session_start_missing s - - before_record",
        "join_missing s a - before_record",
        "session_start_missing meet - - before_record",
    ];
    assert_eq!(told(&found, "note"), expected);
    let said = "note: the participant left, and never joined: the record begins after it (1 times)";
    let ended = run(&mut audit(&[], directory.path())).expect(0, &[said]);
    assert_eq!(ended.stdout, "", "{ended:?}");
}

#[test]
fn what_is_open_at_the_end_is_a_finding_only_after_the_grace_time() {
    let directory = tempfile::tempdir().unwrap();
    let egress =
        json!({"egressInfo": {"egressId": "EG_1", "roomId": "RM_daily", "roomName": "daily"}});
    let lines = [
        livekit("room_started", 0, json!({})),
        livekit("egress_started", 1, egress),
        line("sessionCreated", 4000, "late", json!({})),
        line("participantJoined", 4001, "late", connection("a")),
    ];
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &lines);
    let ended = run(&mut audit(&["--json"], directory.path())).expect(0, &[]);
    let summary = objects(&ended).pop().unwrap();
    let open = ["sessions_open", "participants_open", "activities_open"];
    assert_eq!(open.map(|name| summary[name].as_u64()), [Some(2), Some(1), Some(1)]);
    let ended = run(&mut audit(&["--json", "--grace", "1h"], directory.path())).expect(1, &[]);
    let found = objects(&ended);
    let expected = ["session_end_missing daily - - -", "egress_end_missing daily - EG_1 -"];
    assert_eq!(told(&found, "finding"), expected);
    run(&mut audit(&["--grace", "soon"], directory.path())).expect(2, &["is not a duration"]);
}

#[test]
fn tracks_egress_ingress_recordings_and_broadcasts_without_an_end_are_found() {
    let track = |id: &str| json!({"connectionId": "a", "streamId": id});
    let info =
        |of: &str, id: &str| json!({of: {"egressId": id, "ingressId": id, "roomName": "daily"}});
    let meet = r#"{"recordingStarted":{"creationDate":1700000003000,"data":{"roomId":"s","recordingId":"s--EG_9--x"}}}"#;
    let lines = [
        line("sessionCreated", 0, "s", json!({})),
        livekit("room_started", 0, json!({})),
        line("participantJoined", 1, "s", connection("a")),
        line("webrtcConnectionCreated", 2, "s", track("ended")),
        line("webrtcConnectionCreated", 2, "s", track("open")),
        meet.to_owned(),
        line("broadcastStarted", 3, "s", json!({})),
        line("recordingStatusChanged", 3, "s", json!({"id": "rec", "status": "started"})),
        livekit("egress_started", 3, info("egressInfo", "EG_1")),
        livekit("ingress_started", 3, info("ingressInfo", "IN_1")),
        line("webrtcConnectionDestroyed", 20, "s", track("ended")),
        line("webrtcConnectionDestroyed", 21, "s", track("unheard")),
        line("participantLeft", 30, "s", left("a", 1)),
        line("sessionDestroyed", 30, "s", json!({"startTime": BEGIN})),
        livekit("room_finished", 30, json!({})),
        // An egress that outlives its room, and ends an hour later.
        line("signalSent", 7200, "other", json!({})),
        line("signalSent", 7201, "other", json!({})),
    ];
    let mut found = findings_of(&lines);
    found.sort();
    assert_eq!(
        found,
        [
            "broadcast_end_missing s - s_1 -",
            "egress_end_missing daily - EG_1 -",
            "ingress_end_missing daily - IN_1 -",
            "recording_end_missing s - EG_9 -",
            "recording_end_missing s - rec -",
            "track_end_missing s a open -",
            "track_start_missing s a unheard -",
        ]
    );
}

#[test]
fn a_participant_who_never_got_in_is_missed_by_nobody() {
    let aborted = json!({"participant": {"sid": "PA_a", "identity": "a"}});
    let track = json!({"participant": {"sid": "PA_a"}, "track": {"sid": "TR_1"}});
    let lines = [
        livekit("room_started", 0, json!({})),
        livekit("track_published", 1, track),
        livekit("participant_connection_aborted", 2, aborted),
        livekit("room_finished", 60, json!({})),
    ];
    assert_eq!(findings_of(&lines), [""; 0]);
}

#[test]
fn events_in_another_order_and_events_that_come_twice_miss_nothing() {
    let mut lines = vec![
        line("sessionCreated", 0, "s", json!({})),
        line("participantJoined", 1, "s", connection("a")),
        line("webrtcConnectionCreated", 2, "s", json!({"connectionId": "a", "streamId": "t"})),
        line("webrtcConnectionDestroyed", 70, "s", json!({"connectionId": "a", "streamId": "t"})),
        line("participantLeft", 70, "s", left("a", 1)),
        line("sessionDestroyed", 70, "s", json!({"startTime": BEGIN})),
    ];
    lines.reverse();
    assert_eq!(findings_of(&lines), [""; 0]);
    lines.extend(lines.clone());
    assert_eq!(findings_of(&lines), [""; 0]);
    // An end that comes minutes later, and a track that its participant takes again at once.
    let again = json!({"connectionId": "b", "streamId": "t"});
    let lines = [
        line("sessionCreated", 0, "s", json!({})),
        line("participantJoined", 1, "s", connection("b")),
        line("webrtcConnectionCreated", 2, "s", again.clone()),
        line("webrtcConnectionCreated", 9, "s", again.clone()),
        line("webrtcConnectionDestroyed", 9, "s", again.clone()),
        line("sessionDestroyed", 70, "s", json!({"startTime": BEGIN})),
        line("signalSent", 200, "other", json!({})),
        line("webrtcConnectionDestroyed", 70, "s", again),
        line("participantLeft", 70, "s", left("b", 1)),
    ];
    assert_eq!(findings_of(&lines), [""; 0]);
}

#[test]
fn a_time_without_events_before_a_new_file_is_the_likely_reason() {
    let directory = tempfile::tempdir().unwrap();
    let before = [
        line("sessionCreated", 0, "s", json!({})),
        line("participantJoined", 1, "s", connection("a")),
        line("participantJoined", 30, "s", connection("b")),
    ];
    let after = [
        line("participantLeft", 200, "s", left("c", 100)),
        line("participantLeft", 290, "s", left("b", 30)),
        line("sessionDestroyed", 300, "s", json!({"startTime": BEGIN})),
    ];
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &before);
    write(directory.path(), "CDR.2023-11-14_22-16-40.log", &after);
    let ended = run(&mut audit(&["--json"], directory.path())).expect(1, &[]);
    let expected = ["join_missing s c - down", "leave_missing s a - down"];
    assert_eq!(told(&objects(&ended), "finding"), expected);
    let table = run(&mut audit(&[], directory.path())).expect(1, &["2 files, 6 lines: 2 findings"]);
    let down = "cdrlog may have been down from 2023-11-14 22:13:50 to 2023-11-14 22:16:40";
    assert_eq!(table.stdout.matches(down).count(), 2, "{table:?}");
    assert!(table.stdout.lines().all(|line| line.trim_end() == line), "{table:?}");
    let zone = run(&mut audit(&["--tz", "Asia/Tokyo"], directory.path()));
    assert!(zone.stdout.contains("2023-11-15 07:15:00"), "{zone:?}");
    run(&mut audit(&["--tz", "Nowhere/Else"], directory.path())).expect(2, &["not a time zone"]);
}

#[test]
fn what_livekit_says_that_it_dropped_is_found_once_and_is_the_likely_reason() {
    let directory = tempfile::tempdir().unwrap();
    let joined = json!({"participant": {"sid": "PA_a"}});
    let lines = [
        livekit("room_started", 0, json!({})),
        livekit("participant_joined", 1, joined),
        livekit("room_finished", 60, json!({"numDropped": 3})),
    ];
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &lines);
    let expected = ["events_dropped daily - - -", "leave_missing daily PA_a - dropped"];
    let findings = |path: &Path| {
        let ended = run(&mut audit(&["--json"], path)).expect(1, &[]);
        told(&objects(&ended), "finding")
    };
    assert_eq!(findings(directory.path()), expected);
    // The same, as `serve` notes it when the event comes, a note of another one, and an old one.
    let gaps = directory.path().join("gaps.jsonl");
    let note = |second: i64, dropped: u64| {
        format!("{{\"at\":{},\"dropped\":{dropped}}}\n", BEGIN + second * 1000)
    };
    fs::write(&gaps, note(-1000, 9) + &note(61, 3) + &note(62, 7) + "{\"at\":1").unwrap();
    let more = [&expected[..], &["events_dropped - - - -"]].concat();
    assert_eq!(findings(directory.path()), more);
    fs::write(&gaps, "nonsense\n").unwrap();
    run(&mut audit(&[], directory.path())).expect(1, &["gaps.jsonl: line 1: "]);
}

#[test]
fn numbers_that_no_event_has_are_found() {
    let numbered =
        |number: u64| line("signalSent", number as i64, "s", json!({"sequence": number}));
    let lines: Vec<_> = [1, 2, 3, 5, 4, 6, 9, 10].into_iter().map(numbered).collect();
    assert_eq!(findings_of(&lines), ["sequence_gap - - - -"]);
}

#[test]
fn time_that_goes_back_in_a_file_or_from_one_file_to_the_next_is_found() {
    let signal = |second: i64| line("signalSent", second, "s", json!({"data": second}));
    let steps: Vec<_> = [1000, 1001, 100, 101].into_iter().map(signal).collect();
    assert_eq!(findings_of(&steps), ["clock_step - - - -"]);
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &steps[..2]);
    write(directory.path(), "CDR.2023-11-14_22-13-20.0001.log", &steps[2..]);
    let ended = run(&mut audit(&[], directory.path())).expect(1, &["1 finding"]);
    let said = "time goes back from 2023-11-14 22:30:01 to 2023-11-14 22:15:00";
    assert!(ended.stdout.replace('\n', " ").contains(said), "{ended:?}");
    // One that is late is none.
    let late: Vec<_> = [1000, 1001, 100, 1002].into_iter().map(signal).collect();
    assert_eq!(findings_of(&late), [""; 0]);
}

#[test]
fn events_of_a_kind_that_is_never_sent_are_one_note() {
    let mut lines = vec![line("sessionCreated", 0, "s", json!({}))];
    for number in 0..25 {
        let id = format!("c{number}");
        lines.push(line("participantJoined", number, "s", connection(&id)));
        let track = json!({"connectionId": id, "streamId": "t"});
        lines.push(line("webrtcConnectionCreated", number + 1, "s", track));
        lines.push(line("participantLeft", number + 30, "s", left(&id, number)));
    }
    lines.sort_by_key(|line| line.split("\"timestamp\":").nth(1).unwrap().to_owned());
    lines.push(line("sessionDestroyed", 300, "s", json!({"startTime": BEGIN})));
    assert_eq!(findings_of(&lines), [""; 0]);
    // One that came says that the others are missing.
    let track = json!({"connectionId": "c0", "streamId": "t"});
    lines.insert(60, line("webrtcConnectionDestroyed", 29, "s", track));
    lines.sort_by_key(|line| line.split("\"timestamp\":").nth(1).unwrap().to_owned());
    assert_eq!(findings_of(&lines).len(), 24);
}

#[test]
fn since_until_and_session_choose_findings() {
    let directory = tempfile::tempdir().unwrap();
    let lines = [
        line("sessionCreated", 0, "a", json!({})),
        line("sessionCreated", 1, "b", json!({})),
        line("participantLeft", 30, "a", left("x", 20)),
        line("participantLeft", 90, "b", left("y", 80)),
        line("sessionDestroyed", 99, "a", json!({})),
        line("sessionDestroyed", 99, "b", json!({})),
    ];
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &lines);
    let (first, second) = ("join_missing a x - -", "join_missing b y - -");
    for (options, expected) in [
        (&[][..], &[first, second][..]),
        (&["--session", "a"], &[first]),
        (&["--session", "b_1"], &[second]),
        (&["--session", "c"], &[]),
        (&["--since", "2023-11-14 22:14"], &[second]),
        (&["--until", "2023-11-14 22:14"], &[first]),
    ] {
        let ended = run(&mut audit(&[&["--json"], options].concat(), directory.path()));
        assert_eq!(told(&objects(&ended), "finding"), expected, "{options:?}");
        assert_eq!(ended.code, Some(i32::from(!expected.is_empty())), "{ended:?}");
    }
}

#[test]
fn compressed_files_and_files_of_several_servers_are_read_side_by_side() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let lines = [
        line("sessionCreated", 0, "s", json!({})),
        line("participantJoined", 1, "s", connection("a")),
    ];
    write(one.path(), "CDR.2023-11-14_22-13-20.log", &lines);
    match Command::new("gzip").arg(one.path().join("CDR.2023-11-14_22-13-20.log")).status() {
        Ok(status) if status.success() => {}
        _ => return skip("gzip cannot be run", "apt-get install gzip"),
    }
    let ended = [line("sessionDestroyed", 60, "s", json!({"startTime": BEGIN}))];
    write(other.path(), "CDR.2023-11-14_22-13-20.log", &ended);
    let ended = run(audit(&["--json"], other.path()).arg(one.path())).expect(1, &[]);
    assert_eq!(told(&objects(&ended), "finding"), ["leave_missing s a - -"]);
}

#[test]
fn what_events_call_themselves_cannot_command_a_terminal() {
    let directory = tempfile::tempdir().unwrap();
    let lines = [
        line("sessionCreated", 0, "s", json!({})),
        line("participantLeft", 30, "s", left("\u{1b}[2J\n", 20)),
    ];
    write(directory.path(), "CDR.2023-11-14_22-13-20.log", &lines);
    let ended = run(&mut audit(&[], directory.path())).expect(1, &[]);
    assert!(
        ended.stdout.contains("\\u{1b}[2J\\n") && !ended.stdout.contains('\u{1b}'),
        "{ended:?}"
    );
}

#[test]
fn lines_that_are_no_events_are_named_and_are_no_findings() {
    let directory = tempfile::tempdir().unwrap();
    let text = format!("{CDR}nonsense\n");
    fs::write(directory.path().join("CDR.2023-11-14_22-13-20.log"), text).unwrap();
    let ended = run(&mut audit(&["--json"], directory.path()));
    assert!(ended.stderr.contains("not an event"), "{ended:?}");
    assert_eq!(objects(&ended).pop().unwrap()["lines_bad"], 1);
    let missing = directory.path().join("missing");
    run(&mut audit(&[], &missing)).expect(1, &["does not exist"]);
    // Events that tell of nothing that begins or ends.
    let other = tempfile::tempdir().unwrap();
    run_with(&mut append(other.path()), format!("{}\n", body(1)).as_bytes()).expect(0, &[]);
    run(&mut audit(&[], other.path())).expect(0, &["1 line: nothing is missing"]);
}
