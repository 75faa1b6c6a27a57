//! To S3: a real server of its protocol.

use std::path::Path;
use std::process::Command;

use super::reading::check_reading;
use super::servers::{S3_KEY, S3_SECRET, Server, s3};
use super::{append_events, archive, kills, record, ship};
use crate::run::{append, cdrlog, run, run_with, start};
use crate::support::skip;

/// The server takes seconds to start: all tests of this file are one run of it.
pub fn server() -> Option<Server> {
    let server = s3();
    if server.is_none() {
        skip("there is no server for S3", "install SeaweedFS, so that `weed` can be run");
    }
    server
}

fn address(port: u16, place: &str) -> String {
    format!("s3://{place}?endpoint=http://127.0.0.1:{port}&region=us-east-1")
}

/// Buckets are directories of the server's own file system: they are made at the first write.
pub fn to(port: u16, directory: &Path, place: &str) -> Command {
    let to = address(port, place);
    let mut command = ship(directory, &to);
    with_keys(&mut command);
    command
}

fn with_keys(command: &mut Command) {
    for name in ["AWS_ENDPOINT", "AWS_ENDPOINT_URL", "AWS_REGION", "AWS_SESSION_TOKEN"] {
        command.env_remove(name);
    }
    command.env("AWS_ACCESS_KEY_ID", S3_KEY).env("AWS_SECRET_ACCESS_KEY", S3_SECRET);
}

/// The objects of a prefix, fetched by the server's own means.
pub fn fetch(server: &Server, prefix: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    server.copy_objects(&format!("cdr/{prefix}"), copy.path());
    copy
}

#[test]
fn every_line_is_an_object_of_a_bucket_once() {
    let Some(mut server) = server() else { return };
    let (port, directory) = (server.port, tempfile::tempdir().unwrap());
    let directory = directory.path();
    server.make_bucket("cdr");
    append_events(directory, 0..100, "5K");
    run_with(&mut append(directory), b"no event\n").expect(3, &[]);
    run(to(port, directory, "cdr/one").arg("--once")).expect(0, &[]);
    run(to(port, directory, "cdr/one").arg("--once")).expect(0, &[]);
    let copy = fetch(&server, "one");
    assert_eq!(archive::lines(copy.path(), "lines"), record(directory, "CDR."));
    assert_eq!(archive::lines(copy.path(), "rejects"), record(directory, "rejected."));

    check_reading(directory, &address(port, "cdr/one"), || {
        let mut command = cdrlog();
        with_keys(&mut command);
        command
    });

    // A kill at any time.
    let parent = tempfile::tempdir().unwrap();
    let killed = parent.path().join("cdr");
    kills::kill_at_every_step(&killed, || to(port, &killed, "cdr/two"));
    let copy = fetch(&server, "two");
    assert!(archive::lines(copy.path(), "lines") == record(&killed, "CDR."), "lines differ");

    // A server that is killed.
    let directory_of_killed = tempfile::tempdir().unwrap();
    let of_killed = directory_of_killed.path();
    append_events(of_killed, 0..20, "5K");
    let shipper = start(to(port, of_killed, "cdr/three").args(["--block-age", "0"]));
    kills::append_while_a_server_is_killed(of_killed, shipper, || server.kill_and_restart_s3());
    run(to(port, of_killed, "cdr/three").arg("--once")).expect(0, &[]);
    let copy = fetch(&server, "three");
    assert!(archive::lines(copy.path(), "lines") == record(of_killed, "CDR."), "lines differ");

    // Wrong keys, a bucket that is not there.
    let mut wrong = to(port, directory, "cdr/one");
    let ended = run(wrong.arg("--once").env("AWS_SECRET_ACCESS_KEY", "hunter2hunter2"));
    let ended = ended.expect(1, &["AWS_ACCESS_KEY_ID"]);
    assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
    run(to(port, directory, "nowhere").arg("--once")).expect(1, &["bucket"]);
}
