//! `cdrlog tail`: the last lines, and those that come.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::Command;

use cdrlog::Appender;
use rustix::process::{Pid, Signal, kill_process};

use crate::common::{body, line, lines};
use crate::run::{Run, cdrlog, end, run, start, wait_for};

fn tail(path: &Path) -> Command {
    let mut command = cdrlog();
    command.arg("tail").arg(path);
    command
}

/// Runs it; all has to be well and nothing said.
#[track_caller]
fn quietly(command: &mut Command) -> String {
    let Run { code, stdout, stderr } = run(command);
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    stdout
}

fn write_compressed(path: &Path, text: &str) {
    let name = path.to_str().unwrap();
    if name.ends_with(".zst") {
        fs::write(path, zstd::encode_all(text.as_bytes(), 1).unwrap()).unwrap();
    } else {
        let file = File::create(path).unwrap();
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        encoder.write_all(text.as_bytes()).unwrap();
        encoder.finish().unwrap();
    }
}

/// Lines `0..30` in three files, the first two of them compressed; half a line at the end.
fn three_files() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let text = |from: u64| (from..from + 10).map(line).collect::<String>();
    write_compressed(&at("CDR.2026-11-21_00-00-00.log.zst"), &text(0));
    write_compressed(&at("CDR.2026-11-22_00-00-00.log.gz"), &text(10));
    fs::write(at("CDR.2026-11-23_00-00-00.log"), text(20) + "{\"half\"").unwrap();
    fs::write(at("rejected.2026-11-24_00-00-00.jsonl"), "no\n").unwrap();
    directory
}

fn numbered(from: u64, to: u64) -> String {
    (from..to).map(line).collect()
}

#[test]
fn the_last_lines_are_printed_as_they_are_whatever_files_they_are_in() {
    let directory = three_files();
    assert!(quietly(&mut tail(directory.path())) == numbered(20, 30));
    for count in [0, 1, 9, 10, 11, 20, 25, 30, 31, 1000] {
        let printed = quietly(tail(directory.path()).args(["-n", &count.to_string()]));
        assert!(printed == numbered(30_u64.saturating_sub(count), 30), "{count}");
    }
    for (name, from) in
        [("CDR.2026-11-22_00-00-00.log.gz", 10), ("CDR.2026-11-23_00-00-00.log", 20)]
    {
        let printed = quietly(tail(&directory.path().join(name)).args(["-n", "3"]));
        assert!(printed == numbered(from + 7, from + 10), "{name}");
    }
}

#[test]
fn the_directory_may_be_named_by_the_environment() {
    let directory = three_files();
    let mut command = cdrlog();
    command.args(["tail", "-n", "1"]).env("OPENVIDU_CDR_PATH", directory.path());
    assert!(quietly(&mut command) == line(29));
}

const EVENTS: &str = "\
{\"sessionCreated\":{\"timestamp\":1700000000000,\"sessionId\":\"a\"}}
{\"participantJoined\":{\"timestamp\":1700000001000,\"sessionId\":\"a\"}}
{\"participantJoined\":{\"timestamp\":1700000002000,\"sessionId\":\"b\",\"x\":\"a\"}}
no event
{\"participantLeft\":{\"timestamp\":1700000003000,\"sessionId\":\"\\u0061\"}}
{\"room_started\":{\"room\":{\"name\":\"a\"},\"createdAt\":\"1700000004\"}}
";

#[test]
fn filters_count_before_the_number_of_lines() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("CDR.2026-11-21_00-00-00.log"), EVENTS).unwrap();
    let events: Vec<_> = EVENTS.split_inclusive('\n').collect();
    let cases: [(&[&str], &[usize]); 13] = [
        (&["-n", "1", "--event", "sessionCreated"], &[0]),
        (&["-n", "1", "--event", "participantJoined"], &[2]),
        (&["--event", "participantJoined", "--event", "participantLeft"], &[1, 2, 4]),
        (&["--session", "a"], &[0, 1, 4, 5]),
        (&["-n", "2", "--session", "a"], &[4, 5]),
        (&["--session", "a", "--event", "participantJoined"], &[1]),
        (&["--since", "2023-11-14T22:13:22Z"], &[2, 4, 5]),
        (&["--since", "2023-11-14T22:13:22Z", "-n", "1"], &[5]),
        (&["--since", "1h"], &[]),
        (&["--until", "2023-11-14T22:13:22Z"], &[0, 1]),
        (&["--until", "2023-11-14T22:13:22Z", "-n", "1"], &[1]),
        (&["--since", "2023-11-14T22:13:21Z", "--until", "2023-11-14T22:13:23Z"], &[1, 2]),
        (&["--until", "2023-11-14"], &[]),
    ];
    for (arguments, expected) in cases {
        let printed = quietly(tail(directory.path()).args(arguments));
        let expected: String = expected.iter().map(|&index| events[index]).collect();
        assert_eq!(printed, expected, "{arguments:?}");
    }
}

#[test]
fn local_times_are_those_of_the_time_zone() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("CDR.2023-11-14_00-00-00.log"), EVENTS).unwrap();
    let since = |zone: &str, since: &str| {
        let mut command = tail(directory.path());
        quietly(command.args(["--since", since]).env("TZ", zone)).lines().count()
    };
    assert_eq!(since("UTC", "2023-11-14 22:13:23"), 2);
    // Rules of POSIX: there may be no files of zones.
    assert_eq!(since("CET-1CEST,M3.5.0,M10.5.0/3", "2023-11-14 23:13:23"), 2);
    assert_eq!(since("EST5EDT,M3.2.0,M11.1.0", "2023-11-14 17:13:23"), 2);
}

#[test]
fn old_files_are_not_read_for_new_events() {
    let directory = tempfile::tempdir().unwrap();
    // It would be an error to read it.
    fs::write(directory.path().join("CDR.2023-11-01_00-00-00.log.zst"), "damaged").unwrap();
    fs::write(directory.path().join("CDR.2023-11-13_00-00-00.log"), EVENTS).unwrap();
    let printed = quietly(tail(directory.path()).args(["--since", "2023-11-14T22:13:22Z"]));
    assert_eq!(printed.lines().count(), 3);
    run(tail(directory.path()).args(["--since", "2023-11-13"]))
        .expect(1, &["2023-11-01", "cannot"]);
}

#[test]
fn files_that_were_begun_later_are_not_read_for_older_events() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("CDR.2023-11-14_00-00-00.log"), EVENTS).unwrap();
    // It would be an error to read it.
    fs::write(directory.path().join("CDR.2023-11-17_00-00-00.log.zst"), "damaged").unwrap();
    for arguments in [&["--until", "2023-11-15"][..], &["--until", "2023-11-15", "-n", "9"]] {
        let printed = quietly(tail(directory.path()).args(arguments));
        assert_eq!(printed.lines().count(), 5, "{arguments:?}");
    }
    run(tail(directory.path()).args(["--until", "2023-11-18"])).expect(1, &["2023-11-17"]);
    run(tail(directory.path()).args(["-f", "--until", "2023-11-18"])).expect(2, &["--follow"]);
}

#[test]
fn a_damaged_file_is_told_and_the_others_are_printed() {
    let directory = three_files();
    let path = directory.path().join("CDR.2026-11-22_00-00-00.log.gz");
    let content = fs::read(&path).unwrap();
    fs::write(&path, &content[..content.len() - 9]).unwrap();
    let run = run(tail(directory.path()).args(["-n", "1000"]));
    assert!(run.stdout.starts_with(&numbered(0, 10)) && run.stdout.ends_with(&numbered(20, 30)));
    run.expect(1, &["cannot read", "CDR.2026-11-22_00-00-00.log"]);
}

#[test]
fn what_is_not_there_and_what_cannot_be_understood_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let run_missing = run(&mut tail(&missing)).expect(1, &["does not exist", "OPENVIDU_CDR_PATH"]);
    assert!(run_missing.only_message().contains(missing.to_str().unwrap()));
    run(tail(directory.path()).args(["--since", "last week"])).expect(2, &["3 days"]);
    run(tail(directory.path()).args(["-n", "x"])).expect(2, &["x"]);
    // Nothing was written yet.
    assert_eq!(quietly(&mut tail(directory.path())), "");
}

#[test]
fn following_misses_and_repeats_no_line_across_rotations() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(directory.path()).rotate_bytes(10_000).open().unwrap();
    let producer = appender.producer();
    let send = |from: u64, to: u64| {
        (from..to).for_each(|number| producer.send_slice(body(number).as_bytes()).unwrap());
    };
    send(0, 50);
    appender.flush().unwrap();
    let mut child = start(tail(directory.path()).args(["-f", "-n", "20"]));
    let mut printed = BufReader::new(child.stdout.take().unwrap());
    let mut expect = |from: u64, to: u64| {
        for number in from..to {
            let mut text = String::new();
            printed.read_line(&mut text).unwrap();
            assert_eq!(text, line(number));
        }
    };
    expect(30, 50);
    for round in 0..20 {
        let from = 50 + round * 100;
        send(from, from + 100);
        appender.rotate().unwrap();
        expect(from, from + 100);
    }
    appender.close().unwrap();
    // As Ctrl-C does. That is ignored where the tests run in the background of a script.
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let Run { code, stderr, .. } = end(child);
    assert_eq!((code, stderr.as_str()), (None, ""));
}

#[test]
fn following_ends_quietly_when_nobody_reads_though_nothing_comes() {
    let directory = three_files();
    let mut child = start(tail(directory.path()).args(["-f", "-n", "1"]));
    let mut printed = child.stdout.take().unwrap();
    let mut text = vec![0; line(29).len()];
    printed.read_exact(&mut text).unwrap();
    assert!(text == line(29).as_bytes());
    drop(printed);
    let status = wait_for("the end of tail", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
    assert_eq!(end(child).stderr, "");
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("CDR.2026-11-21_00-00-00.log"), lines(20_000)).unwrap();
    let mut child = start(tail(directory.path()).args(["-n", "20000"]));
    child.stdout.take().unwrap().read_exact(&mut [0; 100]).unwrap();
    let run = end(child);
    assert_eq!((run.code, run.stderr.as_str()), (Some(0), ""));
}

#[test]
fn a_file_is_followed_by_its_name() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("any name");
    fs::write(&path, "one\n").unwrap();
    let mut child = start(tail(&path).arg("-f"));
    let mut printed = BufReader::new(child.stdout.take().unwrap());
    let mut next = || {
        let mut text = String::new();
        printed.read_line(&mut text).unwrap();
        text
    };
    assert_eq!(next(), "one\n");
    fs::rename(&path, directory.path().join("moved")).unwrap();
    fs::write(&path, "two\n").unwrap();
    assert_eq!(next(), "two\n");
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn events_that_were_written_days_after_their_time_are_found_by_it() {
    let directory = tempfile::tempdir().unwrap();
    let line = |at: &str, number: u64| {
        let ms = at.parse::<jiff::Timestamp>().unwrap().as_millisecond();
        format!(r#"{{"signalSent":{{"timestamp":{ms},"number":{number}}}}}"#) + "\n"
    };
    // An archive of the 20th was appended on the 26th, before what happened on that day.
    let late = [1, 2].map(|number| line("2026-11-20T12:00:00Z", number));
    let files = [("00-00-00.log.zst", &late[0]), ("01-00-00.log.gz", &late[1])];
    for (name, text) in files {
        write_compressed(&directory.path().join(format!("CDR.2026-11-26_{name}")), text);
    }
    let today = directory.path().join("CDR.2026-11-26_02-00-00.log");
    fs::write(today, line("2026-11-26T02:00:00Z", 3)).unwrap();
    fs::write(directory.path().join("CDR.2026-11-27_00-00-00.log"), "damaged\n").unwrap();
    let printed = |since: &str, until: &str| {
        quietly(tail(directory.path()).args(["--since", since, "--until", until]))
    };
    assert_eq!(printed("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z"), late.concat());
    assert_eq!(printed("2026-11-19T00:00:00Z", "2026-11-20T00:00:00Z"), "");
}
