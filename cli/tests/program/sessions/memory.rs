//! The memory that a large record takes.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;

use super::sessions;

/// Short sessions, four at a time.
fn record(lines_count: i64) -> String {
    let mut text = String::new();
    for number in 0..lines_count {
        let (at, session) = (1_700_000_000_000 + number * 100, number / 48 * 4 + number % 4);
        let (name, more) = match number % 48 / 4 {
            0 => ("sessionCreated", ""),
            1 => ("participantJoined", r#","connectionId":"con""#),
            10 => ("participantLeft", r#","connectionId":"con""#),
            11 => ("sessionDestroyed", ""),
            _ => (
                "signalSent",
                r#","type":"chat","data":"a text of some length, as people write it""#,
            ),
        };
        writeln!(
            text,
            r#"{{"{name}":{{"sessionId":"s","uniqueSessionId":"s_{session}","timestamp":{at}{more}}}}}"#
        )
        .unwrap();
    }
    text
}

/// The most memory that a process had, in KiB.
fn peak_kib(process: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().strip_suffix(" kB").unwrap().parse().unwrap()
}

/// The peak once everything was read, and the rows. The first row is printed after the last line was
/// read, and all rows do not fit into the pipe: until they are read, the process is there.
fn peak_and_rows(directory: &Path, lines_count: i64) -> (u64, usize) {
    fs::write(directory.join("CDR.2023-11-14_22-13-20.log"), record(lines_count)).unwrap();
    let mut command = sessions(&["--csv"], &[directory]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdout = BufReader::new(child.stdout.take().unwrap());
    let mut header = String::new();
    stdout.read_line(&mut header).unwrap();
    let peak = peak_kib(child.id());
    let rows = stdout.lines().count();
    assert!(child.wait().unwrap().success());
    (peak, rows)
}

#[test]
fn memory_grows_with_what_is_open_and_not_with_the_record() {
    let directory = tempfile::tempdir().unwrap();
    let (small, small_rows) = peak_and_rows(directory.path(), 12_000);
    let (large, large_rows) = peak_and_rows(directory.path(), 120_000);
    assert_eq!((small_rows, large_rows), (1000, 10_000));
    // The larger record is 15 MB larger, and what its lines say is as much again.
    assert!(large < small + 8 * 1024, "{small} KiB, {large} KiB");
}
