//! What is there twice counts once, and in whatever order it is read.

use std::fs;
use std::path::Path;

use super::{day, json_of, padding, stats};
use crate::run::{append, run, run_with};

/// What is to be the same of the days of [`day`], however they are read.
fn day_figures(found: &serde_json::Value) -> [u64; 7] {
    [
        "events",
        "sessions",
        "participants",
        "peak_sessions",
        "peak_participants",
        "sessions_open",
        "sessions_before",
    ]
    .map(|name| found[name].as_u64().unwrap())
}

const DAY_FIGURES: [u64; 7] = [8, 2, 2, 2, 2, 0, 0];

#[test]
fn an_archive_that_was_appended_again_counts_once() {
    let directory = tempfile::tempdir().unwrap();
    let bodies: String = day()
        .lines()
        .map(|line| {
            let (name, body) = line[2..line.len() - 1].split_once("\":{").unwrap();
            format!("{{\"event\":\"{name}\",\"uniqueSessionId\":\"u{}\",{body}\n", &body[17..18])
        })
        .collect();
    for _ in 0..3 {
        run_with(&mut append(directory.path()), bodies.as_bytes()).expect(0, &[]);
    }
    let ended = run(&mut stats(&["--json"], directory.path())).expect(0, &[]);
    assert_eq!(ended.stderr, "");
    let found = json_of(ended);
    assert_eq!(day_figures(&found), DAY_FIGURES, "{found}");
    assert_eq!((&found["participant_minutes"], &found["lines"]), (&20.0.into(), &24.into()));
    assert_eq!(
        (&found["events_repeated"], &found["events_not_told_apart"]),
        (&16.into(), &0.into())
    );
}

#[test]
fn an_archive_that_is_twice_in_one_file_counts_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("CDR.2023-11-14_22-13-20.log");
    let later = day().replace(":17000", ":17001").replace("ses_", "late_");
    // Each time more than is read at once.
    let text = day() + &padding(1_700_000_950_000, 400 << 10) + &later;
    fs::write(&path, text.repeat(2) + &day()).unwrap();
    let ended = run(&mut stats(&["--json"], directory.path())).expect(0, &[]);
    assert_eq!(ended.stderr, "");
    let found = json_of(ended);
    assert_eq!(day_figures(&found), [17, 4, 4, 2, 2, 0, 0], "{found}");
    assert_eq!((&found["events_repeated"], &found["lines"]), (&25.into(), &42.into()));
    assert_eq!(found["participant_minutes"], 40.0);
}

#[test]
fn what_may_be_there_twice_is_told_where_it_cannot_be_known() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cdr.jsonl");
    let later = day().replace(":17000", ":17001").replace("ses_", "late_");
    let text = day() + &padding(1_700_000_950_000, 16 << 10) + &later;
    // More than are cut, and more than one block of lines.
    fs::write(&path, text.repeat(102)).unwrap();
    let ended = run(&mut stats(&["--json"], &path)).expect(0, &["they may occur twice"]);
    let (found, said) = (json_of(ended.clone()), ended.stderr);
    let number = |name: &str| found[name].as_u64().unwrap();
    assert_eq!(number("events") + number("events_repeated"), number("lines"));
    assert!(number("events") > 17 && number("events_not_told_apart") > 0, "{found}");
    assert!(said.replace(',', "").contains(&number("events_not_told_apart").to_string()), "{said}");
}

#[test]
fn a_pipe_is_refused_before_anything_is_counted() {
    let ended = run_with(&mut stats(&[], Path::new("/dev/stdin")), day().as_bytes());
    assert_eq!(ended.stdout, "");
    ended.expect(1, &["/dev/stdin is neither a directory nor a regular file"]);
}

#[test]
fn a_file_that_is_named_twice_is_read_once() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("CDR.2023-11-14_22-13-20.log");
    fs::write(&path, day()).unwrap();
    let link = directory.path().join("link");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    let copy = directory.path().join("copy");
    fs::copy(&path, &copy).unwrap();
    let mut command = stats(&["--json"], directory.path());
    let ended =
        run(command.arg(&path).arg(&link)).expect(0, &["and 1 more: named twice, counted once"]);
    let found = json_of(ended);
    assert_eq!(day_figures(&found), DAY_FIGURES, "{found}");
    assert_eq!((&found["files_count"], &found["files_repeated"]), (&1.into(), &2.into()));
    assert_eq!(found["lines"], 8);
    // A copy is another file with the same events.
    let found = json_of(run(stats(&["--json"], &path).arg(&copy)).expect(0, &[]));
    assert_eq!(day_figures(&found), DAY_FIGURES, "{found}");
    assert_eq!((&found["files_count"], &found["events_repeated"]), (&2.into(), &8.into()));
}

#[test]
fn directories_of_two_servers_have_the_peaks_of_both_at_one_time() {
    let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let name = "CDR.2023-11-14_22-13-20.log";
    fs::write(one.path().join(name), day()).unwrap();
    // A session of the same name, of which another server has its own.
    let unique = |text: &str, unique: &str| {
        text.replace("\"timestamp\"", &format!("\"uniqueSessionId\":\"{unique}\",\"timestamp\""))
    };
    fs::write(one.path().join(name), unique(&day(), "a").replace("ses_2", "ses_1x")).unwrap();
    let text = unique(&day(), "b").replace("con_", "con_b").replace("ses_2", "ses_1y");
    let text: String = text
        .lines()
        .filter(|line| line.contains("ses_1\""))
        .map(|line| format!("{line}\n"))
        .collect();
    fs::write(other.path().join(name), text).unwrap();
    let found = json_of(run(stats(&["--json"], one.path()).arg(other.path())).expect(0, &[]));
    assert_eq!(day_figures(&found), [12, 2, 3, 2, 3, 0, 0], "{found}");
}

#[test]
fn a_session_that_its_name_ended_is_over_in_files_that_are_named_one_by_one_too() {
    let directory = tempfile::tempdir().unwrap();
    let begin = |day: u8| {
        let (at, path) = (1_700_000_000_000_i64 + i64::from(day) * 3_600_000, directory.path());
        let path = path.join(format!("CDR.2023-11-1{day}_00-00-00.log"));
        let session =
            format!(r#""sessionId":"daily","uniqueSessionId":"daily_{day}","timestamp":{at}"#);
        fs::write(&path, format!("{{\"sessionCreated\":{{{session}}}}}\n")).unwrap();
        path
    };
    let (first, second) = (begin(4), begin(5));
    for found in [
        run(stats(&["--json"], &second).arg(&first)),
        run(&mut stats(&["--json"], directory.path())),
    ] {
        let found = json_of(found.expect(0, &[]));
        assert_eq!(day_figures(&found), [2, 2, 0, 1, 0, 1, 0], "{found}");
        assert_eq!(found["sessions_without_end"], 1);
    }
}

#[test]
fn peaks_are_those_of_the_times_whatever_order_the_lines_have() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cdr.jsonl");
    // One after the other at one time each, but the next one is written before the end of the last.
    let mut lines = Vec::new();
    for number in 0..50_i64 {
        let (begin, end) = (number * 60_000 + 1000, number * 60_000 + 60_999);
        lines.push((
            begin,
            format!(r#"{{"sessionCreated":{{"sessionId":"s{number}","timestamp":{begin}}}}}"#),
        ));
        lines.push((begin, format!(r#"{{"participantJoined":{{"sessionId":"s{number}","timestamp":{begin},"connectionId":"c"}}}}"#)));
        lines.push((end + 60_000, format!(r#"{{"participantLeft":{{"sessionId":"s{number}","timestamp":{end},"connectionId":"c"}}}}"#)));
        lines.push((
            end + 90_000,
            format!(r#"{{"sessionDestroyed":{{"sessionId":"s{number}","timestamp":{end}}}}}"#),
        ));
    }
    lines.sort_by_key(|(written, _)| *written);
    fs::write(&path, lines.iter().map(|(_, line)| format!("{line}\n")).collect::<String>())
        .unwrap();
    let found = json_of(run(&mut stats(&["--json"], &path)).expect(0, &[]));
    assert_eq!(day_figures(&found), [200, 50, 50, 1, 1, 0, 0], "{found}");
}
