//! `cdrlog verify`: a journal that is damaged, or that holds lines which are in no file yet.
//!
//! Such a directory was one in which "nothing is wrong".

use std::fs;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use indicatif::HumanCount;

use crate::common::{body, cdr, line, lines};
use crate::run::{Run, append, cdrlog, end, run, run_with, start, wait_for};
use crate::skip::skip;
use crate::support::inbox_directory;
use crate::verify::{expect_nothing, verify};

/// No file gets longer, in bytes; the segments of the journal are half of it.
const FILE_BYTES_MAX: u64 = 2 << 20;
const COUNT: u64 = 12_000;

/// A directory whose process was killed while it waited for room, with lines in its journal. Gives
/// how many bytes these are.
fn killed() -> (tempfile::TempDir, u64) {
    let directory = tempfile::tempdir().unwrap();
    let all = lines(COUNT);
    assert!(all.len() as u64 > FILE_BYTES_MAX + 100_000);
    // POSIX counts the limit in blocks of 512 bytes.
    let limited = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", FILE_BYTES_MAX / 512);
    let mut command = Command::new("sh");
    // The limit holds for a file on a tmpfs too: an inbox would be too small for all events, and some
    // of those in the middle would not survive.
    command.env("CDRLOG_INBOX_DIRECTORY", "none");
    command.args(["-c", &limited, "sh", env!("CARGO_BIN_EXE_cdrlog"), "append", "--dir"]);
    let mut child = start(command.arg(directory.path()).args(["--write-retry-timeout", "10m"]));
    let bodies: String = (0..COUNT).map(|number| body(number) + "\n").collect();
    child.stdin.as_mut().unwrap().write_all(bodies.as_bytes()).unwrap();
    let fitting = all[..FILE_BYTES_MAX as usize].rfind('\n').unwrap() + 1;
    wait_for("the end of the room", || (cdr(directory.path()).len() >= fitting).then_some(()));
    // The last of it may still be on its way to the journal.
    std::thread::sleep(Duration::from_millis(100));
    child.kill().unwrap();
    end(child);
    let plan = run(cdrlog().args(["recover", "--json"]).arg(directory.path())).expect(0, &[]);
    let plan: serde_json::Value = serde_json::from_str(&plan.stdout).unwrap();
    let pending = plan["lines_bytes"].as_u64().unwrap();
    assert!(pending > 0, "nothing is left in the journal: {plan}");
    (directory, pending)
}

#[track_caller]
fn one_finding(directory: &std::path::Path, reason: &str, text: &str) -> Run {
    let ended = run(&mut verify(directory)).expect(1, &["1 finding"]);
    assert_eq!(ended.stdout.lines().count(), 1, "{ended:?}");
    assert!(ended.stdout.contains(text), "{ended:?}");
    let json = run(verify(directory).arg("--json")).expect(1, &[]);
    assert!(json.stdout.contains(&format!("\"reason\":\"{reason}\"")), "{json:?}");
    ended
}

#[test]
fn journaled_lines_that_were_not_recovered_are_a_finding_until_they_are() {
    let (directory, pending) = killed();
    let before = fs::read(directory.path().join(".cdrlog/control")).unwrap();
    let bytes = format!("{} bytes of lines", HumanCount(pending));
    // The killed process may have left the last line cut too, which is another finding.
    let found = run(&mut verify(directory.path())).expect(1, &["finding"]);
    let first = found.stdout.lines().next().unwrap();
    assert!(first.contains(&bytes) && first.contains("cdrlog recover --apply"), "{found:?}");
    assert_eq!(fs::read(directory.path().join(".cdrlog/control")).unwrap(), before);
    run(cdrlog().args(["recover", "--apply"]).arg(directory.path())).expect(0, &[]);
    assert!(lines(COUNT).starts_with(&cdr(directory.path())));
    expect_nothing(directory.path());
}

#[test]
fn an_inbox_that_went_with_its_process_is_named_in_the_finding() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = start(&mut append(directory.path()));
    writeln!(child.stdin.as_mut().unwrap(), "{}", body(0)).unwrap();
    wait_for("the line", || (cdr(directory.path()) == lines(1)).then_some(()));
    child.kill().unwrap();
    end(child);
    let inbox = fs::read_dir(inbox_directory()).unwrap().next().unwrap().unwrap().path();
    fs::remove_file(&inbox).unwrap();
    let text = format!("accepted events in {} cannot be used: it is not there", inbox.display());
    one_finding(directory.path(), "not_recovered", &text);
}

#[test]
fn a_journal_of_another_user_is_not_checked_and_that_is_told() {
    if !rustix::process::geteuid().is_root() {
        return skip("a journal of another user", "run as root");
    }
    let directory = tempfile::tempdir().unwrap();
    run_with(&mut append(directory.path()), body(0).as_bytes()).expect(0, &[]);
    std::os::unix::fs::chown(directory.path().join(".cdrlog"), Some(65_534), None).unwrap();
    let why = "the journal was not checked: it belongs to user 65534";
    let ended = run(&mut verify(directory.path())).expect(0, &[why, "not everything could be"]);
    assert!(ended.stdout.is_empty() && ended.stderr.contains("run as its owner"), "{ended:?}");
    // Lines may be in the journal and nowhere else.
    assert!(!ended.stderr.contains("remove"), "{ended:?}");
}

#[test]
fn a_damaged_control_file_is_a_finding() {
    let directory = tempfile::tempdir().unwrap();
    run_with(&mut append(directory.path()), body(0).as_bytes()).expect(0, &[]);
    expect_nothing(directory.path());
    let control = directory.path().join(".cdrlog/control");
    let whole = fs::read(&control).unwrap();
    for (offset, text) in [(0, "magic"), (18, "checksum")] {
        let mut damaged = whole.clone();
        damaged[offset] ^= 1;
        fs::write(&control, damaged).unwrap();
        let found = one_finding(directory.path(), "journal_damaged", "it is damaged");
        assert!(found.stdout.contains(control.to_str().unwrap()), "{text}: {found:?}");
    }
    fs::write(&control, &whole[..100]).unwrap();
    one_finding(directory.path(), "journal_damaged", "it is damaged");
}

#[test]
fn what_a_running_process_has_in_its_journal_is_no_finding() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = start(&mut append(directory.path()));
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{}", body(0)).unwrap();
    wait_for("the line", || (cdr(directory.path()) == line(0)).then_some(()));
    expect_nothing(directory.path());
    run(verify(directory.path()).arg("--require-manifest")).expect(1, &["1 finding"]);
    drop(input);
    end(child).expect(0, &[]);
    expect_nothing(directory.path());
}
