//! The inbox of `cdrlog append`: where `--inbox-directory` says, nowhere for `none`, and told where it
//! cannot be had.
//!
//! Without the option, a container whose `/dev/shm` goes with it could not keep what was accepted; without
//! the message, nobody would know that a crash loses events.

use std::fs;
use std::io::Write;
use std::path::PathBuf;

use crate::common::{body, cdr, files, lines};
use crate::run::{append, end, run_with, start, wait_for};
use crate::support::inbox_directory;

fn inboxes() -> Vec<PathBuf> {
    let entries = fs::read_dir(inbox_directory()).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

#[test]
fn the_inbox_is_in_the_directory_of_the_option_until_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = append(directory.path());
    command.env_remove("CDRLOG_INBOX_DIRECTORY");
    let mut child = start(command.arg("--inbox-directory").arg(inbox_directory()));
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{}", body(0)).unwrap();
    let inbox = wait_for("the inbox", || inboxes().pop());
    assert_eq!(inbox.extension().unwrap(), "inbox");
    drop(input);
    let ended = end(child).expect(0, &[]);
    assert!(ended.only_message().contains("0 rejected"), "{ended:?}");
    assert_eq!(inboxes(), Vec::<PathBuf>::new());
    assert_eq!(cdr(directory.path()), lines(1));
}

#[test]
fn none_makes_no_inbox_and_says_nothing_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = start(append(directory.path()).args(["--inbox-directory", "none"]));
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{}", body(0)).unwrap();
    // It is made after the inbox would be, which the environment has a directory for.
    wait_for("the CDR file", || files(directory.path(), "CDR.").pop());
    assert_eq!(inboxes(), Vec::<PathBuf>::new());
    drop(input);
    let ended = end(child).expect(0, &[]);
    assert!(!ended.only_message().contains("inbox"), "{ended:?}");
    assert_eq!(cdr(directory.path()), lines(1));
}

#[test]
fn a_directory_that_cannot_have_an_inbox_is_told_with_the_reason_and_all_is_appended() {
    let missing = inbox_directory().join("missing");
    let cases = [
        (PathBuf::from("/proc"), "it is not a tmpfs: a store to it could wait for a disk"),
        (missing, "No such file or directory"),
    ];
    for (place, reason) in cases {
        let directory = tempfile::tempdir().unwrap();
        let mut command = append(directory.path());
        let ended = run_with(
            command.arg("--inbox-directory").arg(&place),
            format!("{}\n", body(0)).as_bytes(),
        );
        let expected = format!("cdrlog: no inbox, {}: {reason}", place.display());
        let ended = ended.expect(0, &[&expected, "a crash loses what is not journaled"]);
        assert_eq!(ended.stderr.lines().count(), 2, "it is told once: {ended:?}");
        assert_eq!(cdr(directory.path()), lines(1));
    }
}

#[test]
fn an_empty_name_is_wrong_usage() {
    let directory = tempfile::tempdir().unwrap();
    let ended = run_with(append(directory.path()).args(["--inbox-directory", ""]), b"");
    ended.expect(2, &["a value is required for '--inbox-directory <DIR|none>'"]);
    assert!(!directory.path().join(".cdrlog").exists(), "it was opened");
}
