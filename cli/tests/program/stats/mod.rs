//! `stats`: figures of real events, of damaged files, and in every form.

mod twice;

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::{CDR, body, lines};
use crate::run::{Run, append, cdrlog, end, run, run_with};
use crate::skip::skip;

fn stats(options: &[&str], path: &Path) -> Command {
    let mut command = cdrlog();
    command.env("TZ", "UTC").arg("stats").args(options).arg(path);
    command
}

fn json_of(ended: Run) -> serde_json::Value {
    serde_json::from_str(&ended.stdout).unwrap()
}

/// A day of two sessions: each with a participant who stays for ten minutes.
fn day() -> String {
    let mut text = String::new();
    for (number, begin) in [(1, 1_700_000_000_000_i64), (2, 1_700_000_300_000)] {
        let (session, end) = (format!("ses_{number}"), begin + 600_000);
        text += &format!(
            r#"{{"sessionCreated":{{"sessionId":"{session}","timestamp":{begin}}}}}
{{"participantJoined":{{"sessionId":"{session}","timestamp":{begin},"connectionId":"con_{number}"}}}}
{{"participantLeft":{{"sessionId":"{session}","timestamp":{end},"startTime":{begin},"duration":600,"connectionId":"con_{number}"}}}}
{{"sessionDestroyed":{{"sessionId":"{session}","timestamp":{end},"startTime":{begin},"duration":600}}}}
"#
        );
    }
    // In the order of their times, as a server writes them.
    let mut lines: Vec<_> = text.lines().collect();
    lines.sort_by_key(|line| {
        let (_, at) = line.split_once("\"timestamp\":").unwrap();
        at.split(|char: char| !char.is_ascii_digit()).next().unwrap().to_owned()
    });
    lines.join("\n") + "\n"
}

/// A line of so many bytes and some more.
fn padding(at: i64, bytes: usize) -> String {
    format!("{{\"padding\":{{\"timestamp\":{at},\"text\":\"{}\"}}}}\n", "x".repeat(bytes))
}

#[test]
fn days_and_times_are_those_of_the_zone_that_is_named() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("CDR.2023-11-14_22-13-20.log"), day()).unwrap();
    let begins = |options: &[&str]| {
        let csv = run(&mut stats(options, directory.path())).expect(0, &[]).stdout;
        csv.lines().skip(1).map(|row| row.split(',').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(begins(&["--csv", "--by", "day"]), ["2023-11-14T00:00:00+00:00"]);
    let there = ["--csv", "--by", "day", "--tz", "Asia/Tokyo"];
    assert_eq!(begins(&there), ["2023-11-15T00:00:00+09:00"]);
    // 22:18:20 UTC, when the second session begins.
    let since = ["--json", "--tz", "Asia/Tokyo", "--since", "2023-11-15 07:18:20"];
    let found = json_of(run(&mut stats(&since, directory.path())).expect(0, &[]));
    assert_eq!(found["sessions"], 1, "{found}");
}

#[test]
fn the_figures_of_a_directory_are_one_json_object() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("CDR.2023-11-14_22-13-20.log"), day()).unwrap();
    fs::write(directory.path().join("rejected.2023-11-14_22-13-20.jsonl"), "{}\n").unwrap();
    fs::write(directory.path().join("notes.txt"), "not ours\n").unwrap();
    let found = json_of(run(&mut stats(&["--json"], directory.path())).expect(0, &[]));
    for (name, value) in [
        ("files_count", 1),
        ("lines", 8),
        ("lines_bad", 0),
        ("events", 8),
        ("sessions", 2),
        ("participants", 2),
        ("peak_sessions", 2),
        ("peak_participants", 2),
        ("sessions_open", 0),
    ] {
        assert_eq!(found[name], value, "{name}: {found}");
    }
    assert_eq!(found["participant_minutes"], 20.0);
    assert_eq!(found["events_by_type"]["sessionCreated"], 2);
    assert!(found.get("rows").is_none());
}

#[test]
fn the_figures_of_each_hour_are_rows_of_csv_and_of_json() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("CDR.2023-11-14_22-13-20.log");
    fs::write(&path, day().replace("\"timestamp\":17000009", "\"timestamp\":17000045")).unwrap();
    let csv = run(&mut stats(&["--csv", "--by", "hour"], &path)).expect(0, &[]).stdout;
    assert_eq!(
        csv,
        "begin,begin_timestamp,events,sessions,participants,participant_minutes,recordings,recording_bytes,\
         peak_sessions,peak_participants\n\
         2023-11-14T22:00:00+00:00,1699999200000,6,2,2,10.0,0,0,2,2\n\
         2023-11-14T23:00:00+00:00,1700002800000,2,0,0,10.0,0,0,1,1\n"
    );
    let json = json_of(run(&mut stats(&["--json", "--by", "day"], &path)).expect(0, &[]));
    assert_eq!(json["rows"][0]["begin"], "2023-11-14T00:00:00+00:00");
    assert_eq!(json["rows"].as_array().unwrap().len(), 1);
}

#[test]
fn csv_has_the_same_columns_whatever_was_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cdr.jsonl");
    let mut headings = Vec::new();
    for text in ["", &day(), "{\"other\":{\"timestamp\":1}}\n"] {
        fs::write(&path, text).unwrap();
        let csv = run(&mut stats(&["--csv"], &path)).expect(0, &[]).stdout;
        assert_eq!(csv.lines().count(), 2);
        headings.extend(csv.lines().next().map(str::to_owned));
    }
    assert!(headings.iter().all(|heading| *heading == headings[0]), "{headings:?}");
}

#[test]
fn rejects_and_reasons_are_counted_by_reason() {
    let directory = tempfile::tempdir().unwrap();
    let left = r#"{"event":"participantLeft","sessionId":"s","connectionId":"a","timestamp":1700000000000,"duration":1,"reason":"disconnect"}"#;
    let ended = r#"{"event":"sessionDestroyed","sessionId":"s","timestamp":1700000001000,"reason":"lastParticipantLeft"}"#;
    let other = left.replace("\"a\"", "\"b\"").replace(",\"reason\":\"disconnect\"", "");
    let bodies = format!("{left}\n{ended}\n{left}\n{other}\nnonsense\n{{\"timestamp\":1}}\n{{}}\n");
    run_with(&mut append(directory.path()), bodies.as_bytes()).expect(3, &[]);
    let found = json_of(run(&mut stats(&["--json"], directory.path())).expect(0, &[]));
    assert_eq!(found["rejected"], 3);
    let reasons = found["rejected_by_reason"].as_object().unwrap();
    assert_eq!(reasons.values().map(|count| count.as_u64().unwrap()).sum::<u64>(), 3);
    assert_eq!(reasons["event_missing"], 2);
    assert_eq!(
        found["participants_left_by_reason"],
        serde_json::json!({"disconnect": 1, "(none)": 1})
    );
    assert_eq!(found["sessions_ended_by_reason"], serde_json::json!({"lastParticipantLeft": 1}));
    // Of another time.
    let none = json_of(
        run(&mut stats(&["--json", "--until", "2023-11-01"], directory.path())).expect(0, &[]),
    );
    assert_eq!(
        (&none["rejected"], &none["participants_left_by_reason"]),
        (&0.into(), &serde_json::json!({}))
    );
    let table = run(&mut stats(&[], directory.path())).expect(0, &[]).stdout;
    for text in [
        "rejected bodies",
        "why participants left",
        "disconnect",
        "why bodies were rejected",
        "event_missing",
    ] {
        assert!(table.contains(text), "{text:?} is missing: {table}");
    }
}

#[test]
fn a_table_without_a_terminal_has_neither_colours_nor_bars() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("CDR.2023-11-14_22-13-20.log"), day()).unwrap();
    let text = run(&mut stats(&["--by", "day"], directory.path())).expect(0, &[]).stdout;
    assert!(text.is_ascii() && !text.contains('\u{1b}'), "{text}");
    assert!(text.contains("participant-minutes"), "{text}");
    assert!(text.lines().any(|line| line.starts_with("2023-11-14")), "{text}");
    assert!(text.lines().all(|line| line.trim_end() == line), "{text:?}");
}

#[test]
fn real_events_of_all_servers_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cdr.jsonl");
    fs::write(&path, CDR).unwrap();
    let found = json_of(run(&mut stats(&["--json"], &path)).expect(0, &[]));
    assert_eq!((&found["lines"], &found["lines_bad"]), (&51.into(), &0.into()));
    assert_eq!(found["recordings"], 4);
    assert_eq!(found["recording_bytes"], 1_973_428 + 617_509 + 7_340_032 + 1_048_576);
}

#[test]
fn lines_that_are_no_events_are_counted_and_named_and_fail_only_where_it_is_strict() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("CDR.2023-11-14_22-13-20.log");
    let bad = "\0\0\0\nnonsense\n{\"a\":1}\n".repeat(5);
    fs::write(&path, day() + &bad + "{\"sessionCreated\":{\"sess").unwrap();
    let name = path.to_str().unwrap();
    let first = format!("cdrlog: {name}: byte {}: not an event: a byte 0, ", day().len());
    let ended = run(&mut stats(&["--json"], &path)).expect(0, &[&first, "16 lines are not events"]);
    assert_eq!(ended.stderr.lines().count(), 11, "{ended:?}");
    let found = json_of(ended);
    assert_eq!((&found["events"], &found["lines_bad"]), (&8.into(), &16.into()));
    run(&mut stats(&["--json", "--strict"], &path)).expect(1, &[&first]);
    let cut = run_with(&mut stats(&[], &path), b"");
    assert_eq!(cut.code, Some(0));
}

#[test]
fn a_compressed_file_that_is_cut_gives_what_there_is_of_it_and_exit_code_1() {
    let directory = tempfile::tempdir().unwrap();
    let plain = directory.path().join("CDR.2023-11-14_22-13-20.log");
    fs::write(&plain, lines(20_000)).unwrap();
    match Command::new("gzip").arg(&plain).status() {
        Ok(status) if status.success() => {}
        _ => return skip("gzip cannot be run", "apt-get install gzip"),
    }
    let path = directory.path().join("CDR.2023-11-14_22-13-20.log.gz");
    let found = json_of(run(&mut stats(&["--json"], directory.path())).expect(0, &[]));
    assert_eq!(found["events"], 20_000);
    let content = fs::read(&path).unwrap();
    fs::write(&path, &content[..content.len() / 2]).unwrap();
    // The file behind it is read all the same.
    fs::write(directory.path().join("CDR.2023-11-15_00-00-00.log"), day()).unwrap();
    let ended =
        run(&mut stats(&["--json"], directory.path())).expect(1, &[plain.to_str().unwrap()]);
    let found = json_of(ended);
    assert!(
        found["events"].as_u64().is_some_and(|events| (1008..20_008).contains(&events)),
        "{found}"
    );
    assert_eq!(found["sessions"], 2);
}

#[test]
fn since_and_until_choose_what_is_counted() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cdr.jsonl");
    fs::write(&path, day()).unwrap();
    let options = ["--json", "--since", "1700000300000", "--until", "2023-11-14T22:23:21Z"];
    let found = json_of(run(&mut stats(&options, &path)).expect(0, &[]));
    assert_eq!((&found["events"], &found["sessions"]), (&4.into(), &1.into()));
    assert_eq!((&found["participant_minutes"], &found["peak_sessions"]), (&10.0.into(), &2.into()));
    run(&mut stats(&["--since", "soon"], &path)).expect(2, &["'soon'", "neither a time"]);
}

#[test]
fn what_is_not_there_is_said_before_anything_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let ended =
        run(&mut stats(&[], &missing)).expect(1, &["does not exist", missing.to_str().unwrap()]);
    assert_eq!(ended.stdout, "");
    let ended = run(&mut stats(&[], directory.path())).expect(0, &["has no CDR files"]);
    assert!(ended.stdout.starts_with("no event with a time, 0 B\n"), "{ended:?}");
}

#[test]
fn a_directory_that_is_written_to_can_be_counted() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = append(directory.path());
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    (0..1000).for_each(|number| writeln!(input, "{}", body(number)).unwrap());
    let counted = json_of(run(&mut stats(&["--json"], directory.path())).expect(0, &[]));
    assert_eq!(counted["lines_bad"], 0);
    drop(input);
    end(child).expect(0, &[]);
    let counted = json_of(run(&mut stats(&["--json"], directory.path())).expect(0, &[]));
    assert_eq!(counted["events"], 1000);
}

#[test]
fn a_closed_pipe_ends_it_quietly_and_a_full_disk_does_not() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cdr.jsonl");
    fs::write(&path, day()).unwrap();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = stats(&[], &path).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let ended = end(child);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let full = File::options().write(true).open("/dev/full").unwrap();
    let child = stats(&[], &path).stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    end(child).expect(1, &["cannot write to standard output"]);
}
