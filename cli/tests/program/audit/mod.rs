//! `audit`: what never came is found, what may still come is not, and each has its likely reason.

mod missing;
mod reasons;

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
