//! Troubles of the node itself, which last: what they may hold up, and how often they are told.

use std::fs;
use std::path::Path;

use rustix::process::{Pid, Signal, kill_process};

use super::{append_events, archive, record, ship};
use crate::common::files;
use crate::run::{append, end, run, run_with, start, wait_for};
use crate::support::mount::Mount;

fn to(archive: &Path) -> String {
    format!("file://{}", archive.display())
}

fn wait_for_lines(directory: &Path, archive: &Path) {
    let all = record(directory, "CDR.");
    wait_for("every line", || (archive::lines(archive, "lines") == all).then_some(()));
}

/// Without this, each block of the lines waited for the pause of the rejects: a minute in the end.
#[test]
fn a_stream_that_cannot_be_read_does_not_hold_up_the_other_one() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    append_events(directory, 0..10, "0");
    run(ship(directory, &to(archive)).arg("--once")).expect(0, &[]);
    let reject = b"no event, and longer than what one byte of a frame makes of it\n";
    for _ in 0..2 {
        run_with(append(directory).args(["--compress", "zstd"]), reject).expect(3, &[]);
    }
    let rejects = files(directory, "rejected.");
    let damaged = rejects.iter().find(|path| path.extension().is_some_and(|it| it == "zst"));
    let damaged = damaged.expect("nothing is compressed");
    let mut bytes = fs::read(damaged).unwrap();
    bytes[5..].fill(0xff);
    fs::write(damaged, bytes).unwrap();
    // A block for each file.
    append_events(directory, 10..200, "1K");
    let shipper = start(ship(directory, &to(archive)).args(["--block-age", "1"]));
    wait_for_lines(directory, archive);
    kill_process(Pid::from_child(&shipper), Signal::TERM).unwrap();
    end(shipper).expect(0, &["trying again"]);
}

/// Without this, nothing was shipped any more, so that the files which filled the disk stayed for ever.
#[test]
fn what_fills_a_disk_is_shipped_and_the_disk_is_told_once() {
    let Some(mount) = Mount::new("tmpfs", 16) else { return };
    let (directory, archive) = (mount.path().join("cdr"), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.as_path(), archive.path());
    append_events(directory, 0..10, "1K");
    run(ship(directory, &to(archive)).arg("--once")).expect(0, &[]);
    append_events(directory, 10..200, "1K");
    mount.fill();
    let shipper = start(ship(directory, &to(archive)).args(["--block-age", "10ms"]));
    wait_for_lines(directory, archive);
    // Many more looks.
    std::thread::sleep(std::time::Duration::from_millis(500));
    kill_process(Pid::from_child(&shipper), Signal::TERM).unwrap();
    let ended = end(shipper).expect(0, &[]);
    for told in ["the disk is full", "cannot write the status"] {
        assert_eq!(ended.stderr.matches(told).count(), 1, "{told:?}: {}", ended.stderr);
    }
    mount.free();
    append_events(directory, 200..210, "1K");
    run(ship(directory, &to(archive)).arg("--once")).expect(0, &[]);
    assert!(archive::lines(archive, "lines") == record(directory, "CDR."), "lines differ");
}
