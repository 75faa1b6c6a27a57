//! How much memory a destination takes while it has much to catch up with.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use super::append_events;
use crate::common::line;
use crate::run::{end, start};

/// What a destination may take in blocks of 8 MiB; those of objects are twice as large.
const BYTES_MAX: u64 = 64 << 20;

/// The bytes of lines that wait: several blocks of each destination.
const FILES: usize = 5;
const FILE_BYTES: usize = 9 << 20;

/// Files of an older writer, which are complete.
fn add_backlog(directory: &Path) {
    let lines: String = (0..1000).map(line).collect();
    for index in 1..=FILES {
        let path = directory.join(format!("CDR.2026-01-0{index}_00-00-00.log"));
        let mut file = fs::File::create(path).unwrap();
        for _ in 0..FILE_BYTES.div_ceil(lines.len()) {
            file.write_all(lines.as_bytes()).unwrap();
        }
    }
}

/// The most memory that a run took.
fn peak_bytes(shipper: &mut Command) -> u64 {
    let mut child = start(shipper.arg("--once"));
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|it| it.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        peak = peak.max(kib.unwrap_or(0) << 10);
        std::thread::sleep(Duration::from_millis(2));
    }
    end(child).expect(0, &[]);
    assert!(peak > 0, "the run was too short to look at");
    peak
}

#[track_caller]
fn check(shipper: impl Fn(&Path) -> Command) {
    let [small, large] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    // Nobody ships what another node has.
    append_events(small.path(), 0..10, "0");
    append_events(large.path(), 10..20, "0");
    add_backlog(large.path());
    let idle = peak_bytes(&mut shipper(small.path()));
    let peak = peak_bytes(&mut shipper(large.path()));
    let more = peak.saturating_sub(idle);
    assert!(more < BYTES_MAX, "{} MiB more than with ten lines", more >> 20);
}

#[test]
fn a_backlog_for_a_stream_takes_less_than_64_mib() {
    let Some(server) = super::nats::server() else { return };
    let directory = tempfile::tempdir().unwrap();
    super::nats::init(&server, directory.path());
    check(|directory| super::nats::to_port(server.port, directory, "CDR"));
}

#[test]
fn a_backlog_for_a_database_takes_less_than_64_mib() {
    let Some(server) = super::postgres::server() else { return };
    let directory = tempfile::tempdir().unwrap();
    super::postgres::init(&server, directory.path());
    check(|directory| super::ship(directory, &server.database()));
}

#[test]
fn a_backlog_for_a_bucket_takes_less_than_64_mib() {
    let Some(server) = super::s3::server() else { return };
    server.make_bucket("cdr");
    check(|directory| super::s3::to(server.port, directory, "cdr/backlog"));
}
