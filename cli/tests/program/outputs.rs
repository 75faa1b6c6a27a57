//! What a command does where its output goes nowhere, or its input comes from nowhere.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use crate::common::{CDR, WEBHOOKS, body, cdr, files};
use crate::run::{Run, append, cdrlog, end, run, run_with, start};

/// Runs with standard output on a device that is always full.
fn run_full(command: &mut Command) -> Run {
    let full = File::options().write(true).open("/dev/full").unwrap();
    let child = command.stdout(full).stderr(Stdio::piped()).spawn().unwrap();
    end(child)
}

#[test]
fn a_verify_whose_reader_goes_away_counts_to_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("CDR.2026-11-21_00-00-00.log");
    fs::write(&path, "no\n".repeat(16_754)).unwrap();
    for arguments in [&[][..], &["--json"]] {
        let mut child = start(cdrlog().arg("verify").arg(&path).args(arguments));
        drop(child.stdout.take());
        end(child).expect(1, &["1 file, 16,754 lines", "16,754 findings"]);
    }
}

#[test]
fn sessions_whose_reader_goes_away_add_up_to_the_end() {
    let directory = tempfile::tempdir().unwrap();
    // More rows than a pipe holds.
    let line = |number: u64| {
        let at = 1_700_000_000_000 + number;
        format!(
            r#"{{"participantLeft":{{"sessionId":"s","timestamp":{at},"connectionId":"c_{number}","duration":60}}}}"#
        )
    };
    let lines: String = (0..2_000).map(|number| line(number) + "\n").collect();
    fs::write(directory.path().join("CDR.2023-11-14_00-00-00.log"), lines).unwrap();
    let sums = "2,000 rows, 2000.0 participant-minutes";
    for (option, texts) in [("--utc", &[sums][..]), ("--csv", &[]), ("--json", &[])] {
        let mut child = start(cdrlog().arg("sessions").arg(directory.path()).arg(option));
        drop(child.stdout.take());
        let ended = end(child).expect(0, texts);
        assert_eq!(ended.stderr.lines().count(), texts.len(), "{ended:?}");
    }
}

#[test]
fn every_command_says_that_standard_output_cannot_be_written() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("CDR.2026-11-21_00-00-00.log"), format!("{CDR}no\n")).unwrap();
    let of_directory = |command: &str| {
        let mut line = cdrlog();
        line.arg(command).arg(directory.path());
        line
    };
    let plain = |arguments: &[&str]| {
        let mut line = cdrlog();
        line.args(arguments);
        line
    };
    for mut command in [
        of_directory("tail"),
        of_directory("stats"),
        of_directory("sessions"),
        of_directory("verify"),
        of_directory("recover"),
        plain(&["--help"]),
        plain(&["--version"]),
        plain(&["append", "--help"]),
        plain(&["man"]),
        plain(&["completions", "bash"]),
    ] {
        let ended = run_full(&mut command);
        ended.expect(1, &["cannot write to standard output: No space left on device"]);
    }
}

#[test]
fn a_summary_that_cannot_be_written_says_that_all_bodies_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("bodies.jsonl");
    fs::write(&input, WEBHOOKS).unwrap();
    let target = directory.path().join("cdr");
    let ended = run_full(append(&target).arg("--json").arg(&input));
    let texts =
        ["cannot write to standard output", "all 51 bodies were taken, do not give them again"];
    ended.expect(1, &texts);
    assert_eq!(cdr(&target), CDR);
}

#[test]
fn the_summary_names_the_first_and_the_last_file_of_a_run() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = append(directory.path());
    command.args(["--rotate-bytes", "4K", "--json"]);
    let ended = run_with(&mut command, WEBHOOKS.as_bytes()).expect(0, &[]);
    let files = files(directory.path(), "CDR.");
    let (first, last) = (files.first().unwrap(), files.last().unwrap());
    assert!(files.len() > 3);
    let last_name = last.file_name().unwrap().to_str().unwrap();
    let range = format!(", in {} to {last_name}", first.display());
    assert!(ended.only_message().ends_with(&range), "{ended:?}");
    let json: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!(json["cdr_first"], first.to_str().unwrap());
    assert_eq!(json["cdr"], last.to_str().unwrap());
}

#[test]
fn rejected_bodies_are_no_lines_a_second() {
    let directory = tempfile::tempdir().unwrap();
    let input = "no event\n".repeat(1000) + &body(0);
    let ended = run_with(append(directory.path()).arg("--json"), input.as_bytes()).expect(3, &[]);
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    let lines =
        summary["lines_per_second"].as_f64().unwrap() * summary["seconds"].as_f64().unwrap();
    assert!((lines - 1.0).abs() < 0.01, "{summary}");
    assert_eq!(summary["rejected"], 1000);
}

#[test]
fn every_command_names_what_it_cannot_find_or_read() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    for command in ["tail", "stats", "sessions", "audit", "verify", "recover"] {
        let ended = run(cdrlog().arg(command).arg(&missing)).expect(1, &[]);
        assert!(ended.only_message().contains(missing.to_str().unwrap()), "{ended:?}");
        // Nothing is mapped at the address 0, so that reading there is an I/O error.
        let unreadable = run(cdrlog().args([command, "/proc/self/mem"]));
        assert_eq!(unreadable.code, Some(1), "{command}: {unreadable:?}");
        let said = unreadable.stdout + &unreadable.stderr;
        assert!(said.contains("/proc/self/mem"), "{command}: {said}");
    }
}
