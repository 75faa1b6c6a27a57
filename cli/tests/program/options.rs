//! Options: the directory, sizes, durations and the environment are the same in every command.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{CDR, WEBHOOKS, cdr, files};
use crate::run::{Run, append, cdrlog, run, run_with};

/// The commands that read a directory.
const READERS: [&str; 4] = ["tail", "stats", "verify", "recover"];

/// A directory with the lines of `CDR`.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("CDR.2026-11-23_00-00-00.log"), CDR).unwrap();
    directory
}

/// What tells one run from another: times differ.
fn stdout(ended: Run) -> String {
    ended.expect(0, &[]).stdout
}

#[test]
fn every_command_that_reads_takes_the_directory_as_an_argument_and_as_an_option() {
    let (directory, other) = (directory(), tempfile::tempdir().unwrap());
    for command in READERS {
        let expected = stdout(run(cdrlog().arg(command).arg(directory.path())));
        let with_option = run(cdrlog().arg(command).arg("--dir").arg(directory.path()));
        assert_eq!(stdout(with_option), expected, "{command}");
        // The argument comes before the environment, and so does the option.
        for arguments in [&[][..], &["--dir"]] {
            let mut line = cdrlog();
            line.env("OPENVIDU_CDR_PATH", other.path()).arg(command).args(arguments);
            assert_eq!(stdout(run(line.arg(directory.path()))), expected, "{command}");
        }
        let mut line = cdrlog();
        line.env("OPENVIDU_CDR_PATH", directory.path()).arg(command);
        assert_eq!(stdout(run(&mut line)), expected, "{command}");
    }
}

#[test]
fn an_argument_and_an_option_that_name_different_directories_are_wrong_usage() {
    let (directory, other) = (directory(), tempfile::tempdir().unwrap());
    for command in READERS {
        let both = |argument: &Path| {
            let mut line = cdrlog();
            run(line.arg(command).arg("--dir").arg(directory.path()).arg(argument))
        };
        both(directory.path()).expect(0, &[]);
        let ended = both(other.path()).expect(2, &["name different places", "--help"]);
        for path in [directory.path(), other.path()] {
            assert!(ended.stderr.contains(path.to_str().unwrap()), "{ended:?}");
        }
    }
}

#[cfg(feature = "serve")]
#[test]
fn serve_takes_the_directory_as_an_argument_too() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let serve = || {
        let mut line = cdrlog();
        line.env_remove("CDRLOG_LISTEN").args(["serve", "--listen", "127.0.0.1:0"]);
        line
    };
    // A file is no directory, and the message names the one that was looked at.
    let path = file.path().to_str().unwrap();
    let mut line = serve();
    run(line.env("OPENVIDU_CDR_PATH", "/nowhere").arg(path)).expect(1, &[path]);
    run(serve().args(["--dir", path])).expect(1, &[path]);
    run(serve().args(["--dir", "/nowhere", path])).expect(2, &["name different places", path]);
    // What follows --no-auth is its value, or an error: never a server that is open by mistake.
    run(serve().args(["--no-auth", path])).expect(2, &["--no-auth"]);
}

#[test]
fn sizes_and_durations_have_units_on_the_command_line_and_in_the_environment() {
    let lengths = |prepare: &dyn Fn(&mut Command)| {
        let directory = tempfile::tempdir().unwrap();
        let mut command = append(directory.path());
        prepare(&mut command);
        run_with(&mut command, WEBHOOKS.as_bytes()).expect(0, &["51 lines"]);
        assert_eq!(cdr(directory.path()), CDR);
        let files = files(directory.path(), "CDR.");
        files.iter().map(|path| fs::metadata(path).unwrap().len()).collect::<Vec<_>>()
    };
    let expected = lengths(&|line| _ = line.args(["--rotate-bytes", "4096"]));
    assert!(expected.len() > 3 && expected.iter().all(|bytes| *bytes <= 4096), "{expected:?}");
    for size in ["4K", "4KiB", "4 k"] {
        assert_eq!(lengths(&|line| _ = line.args(["--rotate-bytes", size])), expected);
        assert_eq!(lengths(&|line| _ = line.env("CDRLOG_ROTATE_BYTES", size)), expected);
    }
    for (option, good) in [
        ("--write-retry-timeout", &["10", "500ms", "5m", "2d"][..]),
        ("--retention-days", &["30", "0", "2w", "36h"]),
        ("--retention-bytes", &["20GB", "1T", "0"]),
        ("--event-bytes-max", &["1MiB", "64K", "1048576"]),
    ] {
        for value in good {
            let directory = tempfile::tempdir().unwrap();
            run(append(directory.path()).args([option, value])).expect(0, &["0 lines"]);
        }
        for wrong in ["", "-1", "10 parsecs", "K"] {
            let directory = tempfile::tempdir().unwrap();
            let mut command = append(directory.path());
            run(command.args([option, wrong])).expect(2, &[option, "--help"]);
        }
    }
}

#[test]
fn a_variable_with_a_wrong_value_is_named_with_its_option() {
    for (command, variable, option, value) in [
        ("append", "CDRLOG_ROTATE_BYTES", "--rotate-bytes", "ten"),
        ("append", "CDRLOG_RETENTION_DAYS", "--retention-days", "-3"),
        ("append", "CDRLOG_WRITE_RETRY_TIMEOUT", "--write-retry-timeout", "soon"),
        ("append", "CDRLOG_EVENT_BYTES_MAX", "--event-bytes-max", "0"),
        ("append", "CDRLOG_SYNC", "--sync", "sometimes"),
        ("append", "CDRLOG_COMPRESS", "--compress", "rar"),
        ("append", "CDRLOG_UTC", "--utc", "perhaps"),
        ("recover", "CDRLOG_UTC", "--utc", "perhaps"),
        ("stats", "CDRLOG_UTC", "--utc", "perhaps"),
    ] {
        let directory = directory();
        let line = || {
            let mut line = cdrlog();
            line.arg(command).arg("--dir").arg(directory.path());
            line
        };
        let ended = run(line().env(variable, value)).expect(2, &[variable, option, value]);
        assert!(ended.stderr.contains("environment"), "{ended:?}");
        // The option comes first; a wrong one is not blamed on the variable.
        let equals = format!("{option}={value}");
        let ended = run(line().env(variable, "true").arg(equals)).expect(2, &[option, value]);
        assert!(!ended.stderr.contains(variable), "{ended:?}");
        assert_eq!(files(directory.path(), "").len(), 1, "something was written");
    }
}

#[test]
fn an_empty_variable_counts_as_one_that_is_not_set() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = append(directory.path());
    for name in [
        "OPENVIDU_CDR_PATH",
        "CDRLOG_COMPRESS",
        "CDRLOG_EVENT_BYTES_MAX",
        "CDRLOG_WRITE_RETRY_TIMEOUT",
        "CDRLOG_RETENTION_BYTES",
        "CDRLOG_RETENTION_DAYS",
        "CDRLOG_ROTATE_BYTES",
        "CDRLOG_SYNC",
        "CDRLOG_UTC",
    ] {
        command.env(name, "");
    }
    let ended = run_with(&mut command, WEBHOOKS.as_bytes()).expect(0, &["51 lines"]);
    // Where the directory is named, nothing has to be said about it.
    assert!(!ended.stderr.contains("is empty"), "{ended:?}");
}

#[test]
fn an_empty_variable_for_the_directory_is_told_with_the_directory_that_is_used() {
    let directory = directory();
    for command in READERS {
        let empty = || {
            let mut line = cdrlog();
            line.env("OPENVIDU_CDR_PATH", "").arg(command);
            line
        };
        // The default is looked at, which may be there or not.
        let ended = run(&mut empty());
        let note = "cdrlog: OPENVIDU_CDR_PATH is empty and counts as not set: the directory is \
                    /opt/openvidu/cdr\n";
        assert!(ended.stderr.starts_with(note), "{ended:?}");
        for arguments in [&[][..], &["--dir"]] {
            let ended = run(empty().args(arguments).arg(directory.path()));
            assert!(!ended.stderr.contains("is empty"), "{ended:?}");
        }
    }
}

#[test]
fn an_option_and_a_variable_that_were_renamed_keep_their_earlier_names_too() {
    let directory = directory();
    let line = |command: &str| {
        let mut line = cdrlog();
        line.args([command, "--dir"]).arg(directory.path());
        line
    };
    let (today, earlier) = ("CDRLOG_WRITE_RETRY_TIMEOUT", "CDRLOG_PATIENCE");
    run(line("append").args(["--patience", "10s"])).expect(0, &["0 lines"]);
    run(line("append").args(["--patience=soon"])).expect(2, &["--write-retry-timeout", "soon"]);
    run(line("append").env(earlier, "10s")).expect(0, &["0 lines"]);
    let ended = run(line("append").env(earlier, "soon")).expect(2, &[earlier, "soon"]);
    assert!(ended.stderr.contains("--write-retry-timeout"), "{ended:?}");
    // Today's name comes first, unless it is empty; the command line comes before both.
    run(line("append").env(today, "1s").env(earlier, "soon")).expect(0, &["0 lines"]);
    run(line("append").env(today, "").env(earlier, "soon")).expect(2, &[earlier]);
    run(line("append").env(earlier, "soon").args(["--patience", "1"])).expect(0, &["0 lines"]);
}

#[test]
fn a_period_that_ends_before_it_begins_is_wrong_usage() {
    let directory = tempfile::tempdir().unwrap();
    let (early, late) = ("2026-11-20T11:00:00Z", "2026-11-20T12:00:00Z");
    for command in ["tail", "stats", "sessions", "audit"] {
        let between = |since, until| {
            let mut line = cdrlog();
            line.arg(command).arg(directory.path()).args(["--since", since, "--until", until]);
            run(&mut line)
        };
        between(late, early).expect(2, &["--since is after --until", early, late]);
        between(early, late).expect(0, &[]);
        // Nothing is in it, but a script may well ask for it.
        between(late, late).expect(0, &[]);
        between("1h", "1h").expect(0, &[]);
    }
}
