//! `kill -9` of the shipper and of the writer at any time.
//!
//! `CDRLOG_SHIP_KILL_ROUNDS=1000` kills as often. Rounds are compared line by line with the local
//! record.

use std::fs;
use std::path::Path;
use std::process::{Child, Command};
use std::time::Duration;

#[cfg(all(feature = "nats", feature = "postgres", feature = "s3"))]
use super::append_events;
use super::{archive, record, ship};
use crate::common::body;
use crate::run::{append, end, run, run_with, start};

pub fn rounds() -> u64 {
    let given = std::env::var("CDRLOG_SHIP_KILL_ROUNDS").ok();
    given.map_or(30, |given| given.parse().expect("CDRLOG_SHIP_KILL_ROUNDS is a number"))
}

/// Each round appends some events, kills the writer in every third, and kills the shipper meanwhile,
/// a little later in each round, so that every step of it is hit.
pub fn kill_at_every_step(directory: &Path, shipper: impl Fn() -> Command) {
    const EVENTS: u64 = 40;
    for round in 0..rounds() {
        let numbers = round * EVENTS..(round + 1) * EVENTS;
        let input = directory.with_extension("bodies");
        fs::write(&input, numbers.map(|number| body(number) + "\n").collect::<String>()).unwrap();
        let mut writer = append(directory);
        writer.args(["--rotate-bytes", "6K", "--sync", "always"]).arg(&input);
        if round % 2 == 1 {
            writer.args(["--compress", "zstd"]);
        }
        if round % 3 == 0 {
            kill_after(start(writer.arg("-")), round % 40);
        } else {
            run(&mut writer).expect(0, &[]);
        }
        let child = start(shipper().args(["--block-age", "0"]));
        kill_after(child, round * 7 % 120);
        fs::remove_file(&input).unwrap();
    }
    // The last writer recovers what is left.
    run_with(&mut append(directory), b"").expect(0, &[]);
    run(shipper().arg("--once")).expect(0, &[]);
}

/// Appends events while a server is killed, which ends no shipper.
#[cfg(all(feature = "nats", feature = "postgres", feature = "s3"))]
pub fn append_while_a_server_is_killed(
    directory: &Path,
    mut shipper: Child,
    mut kill_and_restart: impl FnMut(),
) {
    for round in 1..4 {
        append_events(directory, round * 100..round * 100 + 80, "5K");
        kill_and_restart();
    }
    let ended = shipper.try_wait().unwrap();
    shipper.kill().unwrap();
    let told = end(shipper);
    assert_eq!(ended, None, "{told:?}");
}

fn kill_after(mut child: Child, ms: u64) {
    std::thread::sleep(Duration::from_millis(ms));
    child.kill().unwrap();
    end(child);
}

#[test]
fn a_kill_at_any_time_loses_and_doubles_no_line_in_a_directory() {
    let (parent, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let directory = parent.path().join("cdr");
    let to = format!("file://{}", archive.path().display());
    kill_at_every_step(&directory, || ship(&directory, &to));
    let local = record(&directory, "CDR.");
    assert!(!local.is_empty());
    assert!(archive::lines(archive.path(), "lines") == local, "lines differ");
}
