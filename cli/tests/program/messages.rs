//! What comes out beside the CDR: messages, summaries, exit codes, completions.

use std::fs::{self, File};
use std::process::{Command, Stdio};

use crate::common::{CDR, WEBHOOKS, body, cdr, files, line, lines, rejects};
use crate::run::{append, cdrlog, end, run, run_with, start, wait_for};

#[test]
fn the_summary_is_one_line_on_standard_error_that_says_where_the_lines_are() {
    let directory = tempfile::tempdir().unwrap();
    let ended = run_with(&mut append(directory.path()), WEBHOOKS.as_bytes());
    let message = ended.only_message();
    let path = files(directory.path(), "CDR.").remove(0);
    assert!(message.starts_with("cdrlog: 51 lines, 0 rejected, "), "{message}");
    assert!(message.ends_with(&format!(" per second, in {}", path.display())), "{message}");
    assert_eq!(ended.stdout, "");
}

#[test]
fn json_prints_one_object_on_standard_output_and_nothing_else_there() {
    let directory = tempfile::tempdir().unwrap();
    let input = format!("{}\nnonsense\n", body(0));
    let ended = run_with(append(directory.path()).arg("--json"), input.as_bytes()).expect(3, &[]);
    assert_eq!(ended.stdout.lines().count(), 1);
    let summary: serde_json::Value = serde_json::from_str(&ended.stdout).unwrap();
    assert_eq!((&summary["lines"], &summary["rejected"]), (&1.into(), &1.into()));
    assert_eq!(summary["bytes"], input.len());
    assert!(summary["seconds"].as_f64().is_some_and(|seconds| seconds > 0.0), "{summary}");
    assert!(summary["lines_per_second"].as_f64().is_some_and(|rate| rate > 0.0), "{summary}");
    let path_of = |prefix| files(directory.path(), prefix).remove(0).to_str().unwrap().to_owned();
    assert_eq!(summary["cdr"], path_of("CDR."));
    assert_eq!(summary["rejects"], path_of("rejected."));
}

#[test]
fn json_without_rejects_names_no_rejects_file() {
    let directory = tempfile::tempdir().unwrap();
    let ended = run_with(append(directory.path()).arg("--json"), WEBHOOKS.as_bytes());
    let summary: serde_json::Value = serde_json::from_str(&ended.expect(0, &[]).stdout).unwrap();
    assert!(summary["rejects"].is_null());
    assert!(files(directory.path(), "rejected.").is_empty());
}

#[test]
fn standard_output_that_cannot_be_written_is_an_error_after_the_lines_are_safe() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = append(directory.path());
    let child =
        command.arg("--json").stdout(File::options().write(true).open("/dev/full").unwrap());
    let ended = end(child.stderr(Stdio::piped()).spawn().unwrap());
    ended.expect(1, &["cannot write to standard output: No space left"]);
    assert_eq!(files(directory.path(), "CDR.").len(), 1);
}

#[test]
fn rejected_bodies_give_exit_code_3_and_a_message_that_names_their_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut input = (body(0) + "\n{\"timestamp\":1}\n{\"event\":\"?\"}\n" + &body(1)).into_bytes();
    let not_utf8 = input.iter().position(|&byte| byte == b'?').unwrap();
    input[not_utf8] = 0xff;
    let ended = run_with(&mut append(directory.path()), &input);
    let path = files(directory.path(), "rejected.").remove(0);
    let message = format!("2 of 4 bodies were rejected; see {}", path.display());
    ended.expect(3, &["2 lines, 2 rejected", &message]);
    assert_eq!(cdr(directory.path()), lines(2));
    let records = rejects(directory.path());
    assert_eq!(
        (&records[0]["reason"], &records[0]["offset"]),
        (&"event_missing".into(), &14.into())
    );
    assert_eq!(records[0]["body"], "{\"timestamp\":1}");
    assert_eq!(
        (&records[1]["reason"], &records[1]["offset"]),
        (&"invalid_utf8".into(), &10.into())
    );
    assert_eq!(records[1]["body_base64"], "eyJldmVudCI6Iv8ifQ==");
}

#[test]
fn wrong_usage_gives_exit_code_2_and_touches_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let target = directory.path().join("cdr");
    for arguments in [
        &["--no-such-option"][..],
        &["--sync", "sometimes"],
        &["--write-retry-timeout", "-1"],
        &["--event-bytes-max", "many"],
        &["--event-bytes-max", "0"],
        &["--event-bytes-max", "1073741825"],
    ] {
        run(append(&target).args(arguments)).expect(2, &["--help"]);
    }
    run(&mut cdrlog()).expect(2, &["Usage"]);
    run(cdrlog().arg("no-such-command")).expect(2, &["no-such-command"]);
    run(cdrlog().args(["completions", "no-such-shell"])).expect(2, &["no-such-shell"]);
    assert!(!target.exists());
}

#[test]
fn help_and_version_go_to_standard_output() {
    let version = run(cdrlog().arg("--version")).expect(0, &[]);
    assert_eq!(version.stdout, concat!("cdrlog ", env!("CARGO_PKG_VERSION"), "\n"));
    for arguments in [&["--help"][..], &["append", "--help"], &["completions", "--help"]] {
        let help = run(cdrlog().args(arguments)).expect(0, &[]);
        assert!(help.stdout.contains("Usage: cdrlog"), "{help:?}");
        assert_eq!(help.stderr, "");
    }
    let help = run(cdrlog().args(["append", "--help"])).stdout;
    for text in ["Examples:", "Exit codes:", "OPENVIDU_CDR_PATH", "/opt/openvidu/cdr"] {
        assert!(help.contains(text), "{text} is missing: {help}");
    }
}

#[test]
fn the_version_tells_which_vector_instructions_are_used_where_it_is_asked_to() {
    let version = run(cdrlog().args(["--version", "-v"])).expect(0, &[]).stdout;
    let in_use = cdrlog::Instructions::available().next().unwrap();
    let line = format!("\nvector instructions: {in_use} (this processor has {in_use}");
    assert!(version.contains(&line), "{version}");
    for known in cdrlog::Instructions::available() {
        let mut command = cdrlog();
        let version = run(command.args(["-v", "--version"]).env("CDRLOG_VECTOR", known.name()));
        let version = version.expect(0, &[]).stdout;
        assert!(version.contains(&format!("\nvector instructions: {known} (")), "{version}");
    }
    run(cdrlog().args(["-v", "stats", "."])).expect(2, &["Usage"]);
}

#[test]
fn vector_instructions_that_the_processor_does_not_have_are_wrong_usage() {
    let target = tempfile::tempdir().unwrap();
    for arguments in [&["--version", "-v"][..], &["stats"]] {
        let mut command = cdrlog();
        command
            .args(arguments)
            .env("CDRLOG_VECTOR", "avx9")
            .env("OPENVIDU_CDR_PATH", target.path());
        run(&mut command).expect(2, &["CDRLOG_VECTOR is avx9", "it has", "portable"]);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named_before_anything_is_appended() {
    let directory = tempfile::tempdir().unwrap();
    let good = directory.path().join("good.jsonl");
    fs::write(&good, body(0)).unwrap();
    let missing = directory.path().join("missing.jsonl");
    let target = directory.path().join("cdr");
    for (path, reason) in
        [(missing.as_path(), "No such file or directory"), (directory.path(), "it is a directory")]
    {
        let ended = run(append(&target).arg(&good).arg(path)).expect(1, &[reason]);
        let message = ended.only_message();
        assert!(
            message.starts_with(&format!("cdrlog: cannot read {}: ", path.display())),
            "{message}"
        );
        assert!(!target.exists(), "something was appended");
    }
}

#[test]
fn a_file_that_fails_while_it_is_read_is_named_and_what_came_before_is_appended() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = append(directory.path());
    // Nothing is mapped at the address 0, so that reading there is an I/O error.
    let ended = run_with(command.args(["-", "/proc/self/mem", "-"]), body(0).as_bytes());
    ended.expect(
        1,
        &["1 line,", "cannot read /proc/self/mem: ", "the bodies before it were appended"],
    );
    assert_eq!(cdr(directory.path()), line(0));
}

#[test]
fn a_directory_that_cannot_be_written_to_is_named_in_one_sentence() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let below = file.path().join("cdr");
    for path in [std::path::Path::new("/proc/self/cdr"), file.path(), &below] {
        let ended = run(&mut append(path)).expect(1, &[]);
        let message = ended.only_message();
        assert!(message.starts_with("cdrlog: cannot "), "{message}");
        assert!(message.contains(path.to_str().unwrap()), "{message}");
    }
}

#[test]
fn a_directory_in_use_is_refused_with_the_process_that_uses_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut first = start(&mut append(directory.path()));
    wait_for("the first CDR file", || files(directory.path(), "CDR.").pop());
    let refused = run_with(&mut append(directory.path()), body(0).as_bytes()).expect(1, &[]);
    assert_eq!(
        refused.only_message(),
        format!(
            "cdrlog: {} is in use by another appender, in process {}",
            directory.path().display(),
            first.id()
        )
    );
    drop(first.stdin.take());
    end(first).expect(0, &["0 lines"]);
    run_with(&mut append(directory.path()), body(0).as_bytes()).expect(0, &["1 line,"]);
    assert_eq!(cdr(directory.path()), line(0));
}

#[test]
fn the_directory_comes_from_the_environment_unless_it_is_given() {
    let (by_environment, given) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let with_environment = |command: &mut Command| {
        run_with(command.env("OPENVIDU_CDR_PATH", by_environment.path()), WEBHOOKS.as_bytes())
            .expect(0, &[])
    };
    with_environment(&mut append(given.path()));
    assert_eq!((cdr(by_environment.path()).as_str(), cdr(given.path()).as_str()), ("", CDR));
    with_environment(cdrlog().arg("append"));
    assert_eq!(cdr(by_environment.path()), CDR);
}

#[test]
fn a_time_zone_that_does_not_exist_is_warned_of_where_local_time_counts() {
    const WARNING: &str = "cdrlog: this machine does not know the time zone TZ=Europe/Berln";
    let directory = tempfile::tempdir().unwrap();
    for (command, option) in [("append", "--dir"), ("stats", "--by=day")] {
        let mut local = cdrlog_with(command, "TZ", "Europe/Berln");
        run(local.arg(option).arg(directory.path())).expect(0, &[WARNING]);
        let mut utc = cdrlog_with(command, "TZ", "Europe/Berln");
        let ended = run(utc.arg("--utc").arg(option).arg(directory.path())).expect(0, &[]);
        assert!(!ended.stderr.contains("TZ"), "{ended:?}");
        let mut known = cdrlog_with(command, "TZ", "CET-1");
        let ended = run(known.arg(option).arg(directory.path())).expect(0, &[]);
        assert!(!ended.stderr.contains("TZ"), "{ended:?}");
    }
}

fn cdrlog_with(subcommand: &str, variable: &str, value: &str) -> Command {
    let mut command = cdrlog();
    command.arg(subcommand).env(variable, value);
    command
}

#[test]
fn completions_are_printed_for_every_shell_that_the_help_promises() {
    for shell in ["bash", "zsh", "fish"] {
        let ended = run(cdrlog().args(["completions", shell])).expect(0, &[]);
        assert_eq!(ended.stderr, "");
        for text in ["cdrlog", "append", "completions", "event-bytes-max"] {
            assert!(ended.stdout.contains(text), "{shell} does not complete {text}");
        }
    }
}
