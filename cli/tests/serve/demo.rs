//! `demo`: a made-up day goes through the real endpoint, and the other commands have something to
//! show.

use std::path::Path;
use std::process::{Command, Output};

use crate::common::cdr;
use crate::daemon::start;
use crate::support::give_inboxes;

/// `cdrlog` with these words, without the environment of whoever runs the tests.
fn cdrlog(words: &[&str], path: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cdrlog"));
    for name in ["CDRLOG_UTC", "OPENVIDU_CDR_PATH"] {
        command.env_remove(name);
    }
    give_inboxes(&mut command);
    // What belongs to the server of somebody else must not reach the one of the demo.
    command.env("OPENVIDU_WEBHOOK_HEADERS", "[\"Authorization: Basic c2VjcmV0\"]");
    command.args(words).arg(path).output().unwrap()
}

fn demo(words: &[&str], path: &Path) -> Output {
    let day = ["demo", "--utc", "--day", "2025-11-25"];
    let words: Vec<_> = day.iter().chain(words).copied().chain(["--dir"]).collect();
    cdrlog(&words, path)
}

/// The commands of the README that take a newcomer to rows.
fn words_of_the_readme(begin: &str) -> Vec<&'static str> {
    let readme = include_str!("../../../README.md");
    let line = readme.lines().find_map(|line| line.strip_prefix(begin));
    let line = line.unwrap_or_else(|| panic!("README.md has no line that begins with {begin}"));
    line.split('#').next().unwrap().split_whitespace().collect()
}

#[test]
fn two_commands_take_a_newcomer_from_an_empty_directory_to_rows() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("cdr");
    let words = words_of_the_readme("cdrlog demo ");
    assert_eq!(words, ["--dir", "./cdr"]);
    let played = cdrlog(&["demo", "--dir"], &path);
    assert!(played.status.success(), "{played:?}");
    let words = words_of_the_readme("cdrlog sessions ");
    let (last, words) = words.split_last().unwrap();
    assert_eq!(*last, "./cdr");
    let rows = cdrlog(&[&["sessions"], words].concat(), &path);
    assert!(rows.status.success(), "{rows:?}");
    let rows = String::from_utf8(rows.stdout).unwrap();
    assert!(rows.lines().count() > 200, "{rows}");
    for told in [" leave ", " session end ", " open ", " (session) "] {
        assert!(rows.contains(told), "{told}: {rows}");
    }
}

#[test]
fn a_day_is_the_same_for_the_same_seed_wherever_it_is_posted_to() {
    let directory = tempfile::tempdir().unwrap();
    let [one, same, other] = ["one", "same", "other"].map(|name| directory.path().join(name));
    for (path, seed) in [(&one, "7"), (&other, "8")] {
        let played = demo(&["--calls", "5", "--seed", seed], path);
        assert!(played.status.success(), "{played:?}");
        let said = String::from_utf8(played.stderr).unwrap();
        assert!(said.contains("events of 5 calls are in "), "{said}");
    }
    let daemon = start(&same, &["--header", "X-Key: secret"]);
    let url = format!("http://{}/", daemon.address);
    let words = ["demo", "--utc", "--day", "2025-11-25", "--calls", "5", "--seed", "7"];
    let refused = cdrlog(&[&words[..], &["--url"]].concat(), Path::new(&url));
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(said.contains("the endpoint answered 401"), "{said}");
    let header = ["--header", "X-Key: secret", "--url"];
    let played = cdrlog(&[&words[..], &header].concat(), Path::new(&url));
    assert!(played.status.success(), "{played:?}");
    daemon.terminate();
    assert!(cdr(&one).lines().count() > 50);
    assert_eq!(cdr(&one), cdr(&same));
    assert_ne!(cdr(&one), cdr(&other));
}

#[test]
fn a_demo_whose_endpoint_cannot_start_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    std::fs::write(&path, "no directory").unwrap();
    let failed = demo(&["--calls", "1"], &path);
    assert_eq!(failed.status.code(), Some(1), "{failed:?}");
    let said = String::from_utf8(failed.stderr).unwrap();
    assert!(said.contains("cdrlog serve has ended before it began to serve"), "{said}");
    assert!(said.contains(path.to_str().unwrap()), "{said}");
}
