//! Commands read a shipped record as they read the directory that it came from.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::{append_events, archive, record, ship};
use crate::common::WEBHOOKS;
use crate::run::{Run, append, cdrlog, run, run_with, start};

fn to(archive: &Path) -> String {
    format!("file://{}", archive.display())
}

fn once(directory: &Path, archive: &Path, node: &str) {
    run(ship(directory, &to(archive)).args(["--once", "--node", node])).expect(0, &[]);
}

/// A command that reads.
fn read(command: &str, options: &[&str], place: &str) -> Run {
    run(cdrlog().arg(command).args(options).arg(place))
}

/// Checks that commands make the same of a directory and of its shipped copy. `new` makes a command
/// with what it needs to reach the copy.
pub fn check_reading(directory: &Path, place: &str, new: impl Fn() -> Command) {
    let read = |command: &str, options: &[&str], place: &str| {
        run(new().arg(command).args(options).arg(place))
    };
    let local = directory.to_str().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let shipped = read("tail", &["-n", "1000000"], place).expect(0, &["is complete"]);
    assert_eq!(shipped.stdout, text(record(directory, "CDR.")));
    let rejects = read("tail", &["-n", "1000000", "--rejects"], place).expect(0, &[]);
    assert_eq!(rejects.stdout, text(record(directory, "rejected.")));
    for options in [&["-n", "3"][..], &["--event", "sessionDestroyed"], &["--since", "2000-01-01"]]
    {
        let (here, there) = (read("tail", options, local), read("tail", options, place));
        assert_eq!(here.expect(0, &[]).stdout, there.expect(0, &[]).stdout, "{options:?}");
    }
    let options = ["--csv", "--by", "day", "--utc"];
    let (here, there) = (read("stats", &options, local), read("stats", &options, place));
    assert_eq!(here.expect(0, &[]).stdout, there.expect(0, &["is complete"]).stdout);
    let json = |place: &str| {
        let mut json: Value =
            serde_json::from_str(&read("stats", &["--json"], place).expect(0, &[]).stdout).unwrap();
        // Files here, a node there.
        json.as_object_mut().unwrap().remove("files_count");
        json
    };
    assert_eq!(json(local), json(place));
    let options = ["--csv", "--utc"];
    let (here, there) = (read("sessions", &options, local), read("sessions", &options, place));
    assert_eq!(here.expect(0, &[]).stdout, there.expect(0, &[]).stdout);
    let findings = |place: &str| {
        let run = read("audit", &["--json", "--utc"], place);
        let objects = run.stdout.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let findings = objects.filter(|object| object["type"] == "finding");
        (run.code, findings.map(|finding| finding["reason"].clone()).collect::<Vec<_>>())
    };
    assert_eq!(findings(local), findings(place));
    read("verify", &[], place).expect(0, &["nothing is wrong"]);
    #[cfg(feature = "export")]
    check_export(directory, place, new);
}

/// Checks that a copy is exported as the directory is, once.
#[cfg(feature = "export")]
fn check_export(directory: &Path, place: &str, new: impl Fn() -> Command) {
    let targets = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let added = |target: &Path, place: &str| {
        let run = run(new().args(["export", "--json", "--parquet"]).arg(target).arg(place));
        let summary: Value = serde_json::from_str(&run.expect(0, &[]).stdout).unwrap();
        let sessions: Vec<_> = summary["closed_before"].as_i64().into_iter().collect();
        (summary["lines"].clone(), summary["bytes"].clone(), sessions)
    };
    let here = added(targets[0].path(), directory.to_str().unwrap());
    assert_eq!(added(targets[1].path(), place), here);
    let (lines, ..) = added(targets[1].path(), place);
    assert_eq!(lines, 0, "lines are exported twice");
}

#[test]
fn every_command_makes_the_same_of_a_directory_and_of_its_copy() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    run_with(&mut append(directory), format!("{WEBHOOKS}no event\n").as_bytes()).expect(3, &[]);
    once(directory, archive, "media-1");
    check_reading(directory, &to(archive), cdrlog);
}

#[test]
fn calls_of_days_in_many_files_and_blocks_are_counted_as_in_the_directory() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    for numbers in [0..40, 40..60, 50..80] {
        let bodies: String = numbers.map(call).collect();
        let mut append = append(directory);
        run_with(append.args(["--rotate-bytes", "2K"]), bodies.as_bytes()).expect(0, &[]);
        once(directory, archive, "media-1");
    }
    assert!(archive::blocks(archive, "lines").len() > 10, "few blocks");
    check_reading(directory, &to(archive), cdrlog);
}

/// The events of a call; one begins each hour.
pub fn call(number: u64) -> String {
    let begin = 1_793_491_200_000 + number * 3_600_000;
    let end = begin + 600_000;
    format!(
        r#"{{"event":"sessionCreated","timestamp":{begin},"sessionId":"call-{number}"}}
{{"event":"participantJoined","timestamp":{begin},"sessionId":"call-{number}","connectionId":"con_{number}"}}
{{"event":"participantLeft","timestamp":{end},"sessionId":"call-{number}","connectionId":"con_{number}","startTime":{begin},"duration":600,"reason":"disconnect"}}
{{"event":"sessionDestroyed","timestamp":{end},"sessionId":"call-{number}","startTime":{begin},"duration":600,"reason":"lastParticipantLeft"}}
"#
    )
}

#[test]
fn two_nodes_are_one_record_and_each_can_be_read_alone() {
    let archive = tempfile::tempdir().unwrap();
    let nodes = ["media-1", "media-2"].map(|_| tempfile::tempdir().unwrap());
    append_events(nodes[0].path(), 0..30, "1K");
    append_events(nodes[1].path(), 30..50, "1K");
    once(nodes[0].path(), archive.path(), "media-1");
    once(nodes[1].path(), archive.path(), "media-2");
    let place = to(archive.path());
    let all = read("tail", &["-n", "1000"], &place).expect(0, &["is complete"]);
    let mut lines: Vec<_> = all.stdout.lines().collect();
    assert_eq!(lines.len(), 50);
    let local = nodes.iter().flat_map(|node| record(node.path(), "CDR."));
    let local = String::from_utf8(local.collect()).unwrap();
    let mut expected: Vec<_> = local.lines().collect();
    lines.sort_unstable();
    expected.sort_unstable();
    assert_eq!(lines, expected);
    let one = read("tail", &["-n", "1000", "--node", "media-2"], &place).expect(0, &[]);
    assert_eq!(one.stdout.as_bytes(), record(nodes[1].path(), "CDR."));
    read("stats", &["--node", "media-3"], &place).expect(1, &["no node \"media-3\"", "media-1"]);
    let told = ["node media-9 is expected, and never shipped", "not known up to which time"];
    read("stats", &["--expect-node", "media-1,media-9"], &place).expect(0, &told);
    // Together with a directory.
    let both =
        cdrlog().args(["stats", "--json"]).arg(nodes[0].path()).arg(&place).output().unwrap();
    let both: Value = serde_json::from_slice(&both.stdout).unwrap();
    assert_eq!(both["lines"], 80);
}

#[test]
fn verify_finds_what_was_removed_and_what_was_changed() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    append_events(directory, 0..100, "2K");
    once(directory, archive, "media-1");
    let place = to(archive);
    read("verify", &[], &place).expect(0, &["nothing is wrong", "is complete"]);
    let blocks = archive::blocks(archive, "lines");
    let (second, fourth) = (&blocks[1].path, &blocks[3].path);
    // Its lines and its own hash of them: the chain does not agree.
    let object = fs::read(fourth).unwrap();
    let header_end = 8 + u32::from_le_bytes(object[4..8].try_into().unwrap()) as usize;
    let lines = blocks[3].body.to_ascii_uppercase();
    let changed = [&object[..header_end], &zstd::encode_all(lines.as_slice(), 3).unwrap()].concat();
    fs::write(fourth, changed).unwrap();
    let run = read("verify", &["--json"], &place);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("\"body_differs\"") && run.stdout.contains("block 4"), "{run:?}");
    read("stats", &[], &place).expect(1, &["the lines of block 4", "not those that were shipped"]);
    fs::remove_file(second).unwrap();
    let run = read("verify", &[], &place);
    assert_eq!(run.code, Some(1));
    assert!(run.stdout.contains("block 2 is missing"), "{run:?}");
    read("tail", &["-n", "1000"], &place).expect(1, &["block 2 of", "is missing"]);
}

#[test]
fn a_gap_is_told_by_every_command() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    append_events(directory, 0..10, "0");
    once(directory, archive, "media-1");
    append_events(directory, 10..60, "2K");
    let there = crate::common::files(directory, "CDR.");
    fs::remove_file(&there[2]).unwrap();
    let lost = there[2].file_name().unwrap().to_str().unwrap();
    run(ship(directory, &to(archive)).args(["--once", "--accept-gap"])).expect(0, &[]);
    for command in ["tail", "stats", "sessions", "verify"] {
        let options: &[&str] = if command == "tail" { &["-n", "1000"] } else { &[] };
        read(command, options, &to(archive)).expect(0, &[lost]);
    }
    read("audit", &[], &to(archive)).expect(0, &[lost]);
}

#[test]
fn tail_prints_what_is_shipped_while_it_runs() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    append_events(directory.path(), 0..3, "0");
    once(directory.path(), archive.path(), "media-1");
    let mut tail = start(cdrlog().args(["tail", "-f", "-n", "1000"]).arg(to(archive.path())));
    let mut stdout = tail.stdout.take().unwrap();
    let reader = thread::spawn(move || {
        let mut lines = Vec::new();
        let mut buffer = [0; 4096];
        while lines.iter().filter(|byte| **byte == b'\n').count() < 5 {
            let read = stdout.read(&mut buffer).unwrap();
            assert!(read > 0, "tail ended");
            lines.extend_from_slice(&buffer[..read]);
        }
        lines
    });
    append_events(directory.path(), 3..5, "0");
    once(directory.path(), archive.path(), "media-1");
    let begin = Instant::now();
    while !reader.is_finished() {
        assert!(begin.elapsed() < Duration::from_secs(60), "nothing was printed");
        thread::sleep(Duration::from_millis(20));
    }
    assert_eq!(reader.join().unwrap(), record(directory.path(), "CDR."));
    tail.kill().unwrap();
    tail.wait().unwrap();
}

#[test]
fn a_record_that_was_compacted_is_read_as_before() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    append_events(directory, 0..100, "2K");
    once(directory, archive, "media-1");
    // Everything is of today: there is nothing to do yet.
    run(ship(directory, &to(archive)).arg("--compact")).expect(0, &[]);
    assert!(!archive.join("days").exists());
    check_reading(directory, &to(archive), cdrlog);
}

#[test]
fn an_address_that_cannot_be_read_is_explained_and_no_password_is_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--node", "media-1"];
    read("stats", &options, directory.path().to_str().unwrap()).expect(2, &["for shipped records"]);
    read("tail", &[], "file://relative").expect(2, &["absolute path"]);
    read("stats", &[], "file:///nowhere/at/all").expect(1, &["/nowhere/at/all"]);
    let empty = tempfile::tempdir().unwrap();
    read("verify", &[], &to(empty.path())).expect(1, &["nothing was shipped there"]);
    read("stats", &[], &to(empty.path())).expect(0, &["has no CDR files"]);
    if cfg!(not(feature = "postgres")) {
        let run = read("stats", &[], "postgres://cdr:hunter2@db/cdr");
        let run = run.expect(2, &["built without the feature postgres"]);
        assert!(!run.stderr.contains("hunter2"), "{run:?}");
    }
    if cfg!(not(feature = "s3")) {
        read("tail", &[], "s3://bucket/cdr").expect(2, &["built without the feature s3"]);
    }
}
