//! To NATS JetStream: a real server, which is killed too.

use std::path::Path;
use std::process::Command;

use serde_json::json;

use super::jetstream::Client;
use super::reading::check_reading;
use super::servers::{Server, nats};
use super::{append_events, kills, record, ship};
use crate::run::{append, cdrlog, run, run_with, start};
use crate::support::skip;

pub fn server() -> Option<Server> {
    server_with("")
}

pub fn server_with(configuration: &str) -> Option<Server> {
    let server = nats(configuration);
    if server.is_none() {
        skip("there is no nats-server", "install nats-server 2.12 or later");
    }
    server
}

pub fn to_port(port: u16, directory: &Path, stream: &str) -> Command {
    let mut command = ship(directory, &format!("nats://127.0.0.1:{port}/{stream}"));
    without_credentials(&mut command);
    command
}

pub fn without_credentials(command: &mut Command) {
    for name in ["NATS_CREDS", "NATS_NKEY", "NATS_USER", "NATS_PASSWORD", "NATS_TOKEN"] {
        command.env_remove(name);
    }
}

pub fn to(server: &Server, directory: &Path) -> Command {
    to_port(server.port, directory, "CDR")
}

pub fn init(server: &Server, directory: &Path) {
    run(to(server, directory).arg("--init")).expect(0, &["the stream CDR"]);
}

fn client(server: &Server) -> Client {
    Client::connect(server.port, json!({}))
}

#[track_caller]
pub fn check(server: &Server, directory: &Path) {
    let mut client = client(server);
    assert!(client.lines("CDR", "cdr.lines.*") == record(directory, "CDR."), "lines differ");
    let rejects = client.lines("CDR", "cdr.rejects.*");
    assert!(rejects == record(directory, "rejected."), "rejects differ");
}

#[test]
fn every_line_is_in_one_message_and_in_order() {
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    append_events(directory, 0..100, "5K");
    run_with(&mut append(directory), b"no event\n").expect(3, &[]);
    run(to(&server, directory).arg("--once"))
        .expect(1, &["there is no stream CDR", "cdrlog ship --init"]);
    init(&server, directory);
    init(&server, directory);
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    check(&server, directory);
    append_events(directory, 100..150, "5K");
    run(to(&server, directory).args(["--once", "--node"]).arg(node(directory))).expect(0, &[]);
    check(&server, directory);
}

#[test]
fn commands_read_a_stream_as_they_read_the_directory_that_it_came_from() {
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(&server, directory);
    append_events(directory, 0..100, "5K");
    run(to(&server, directory).args(["--once", "--node", "media-1.example"])).expect(0, &[]);
    append_events(directory, 100..150, "5K");
    run_with(&mut append(directory), b"no event\n").expect(3, &[]);
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    let place = format!("nats://127.0.0.1:{}/CDR", server.port);
    check_reading(directory, &place, || {
        let mut command = cdrlog();
        without_credentials(&mut command);
        command
    });
}

fn node(directory: &Path) -> String {
    std::fs::read_to_string(directory.join(".cdrlog/node")).unwrap().trim().to_owned()
}

#[test]
fn a_node_whose_name_has_points_has_one_subject() {
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    init(&server, directory.path());
    append_events(directory.path(), 0..10, "0");
    run(to(&server, directory.path()).args(["--once", "--node", "media-1.example"])).expect(0, &[]);
    let subject = "cdr.lines.media-1%2Eexample";
    assert!(!client(&server).messages("CDR", subject).is_empty());
    check(&server, directory.path());
}

#[test]
fn a_kill_at_any_time_loses_and_doubles_no_message() {
    let Some(server) = server() else { return };
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("cdr");
    init(&server, parent.path());
    kills::kill_at_every_step(&directory, || to(&server, &directory));
    assert!(!record(&directory, "CDR.").is_empty());
    check(&server, &directory);
}

#[test]
fn a_server_that_is_killed_loses_and_doubles_no_message() {
    let Some(mut server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(&server, directory);
    append_events(directory, 0..20, "5K");
    let shipper = start(to(&server, directory).args(["--block-age", "0"]));
    kills::append_while_a_server_is_killed(directory, shipper, || {
        server.kill_and_restart_nats();
    });
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    check(&server, directory);
}

/// Text that zstd makes hardly smaller.
fn noise(bytes: usize) -> String {
    let mut state = 7_u64;
    let digit = |_| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(
            b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
                [(state % 64) as usize],
        )
    };
    (0..bytes).map(digit).collect()
}

#[test]
fn a_line_that_is_larger_than_a_message_goes_in_pieces() {
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(&server, directory);
    append_events(directory, 0..10, "0");
    let large = format!("{{\"event\":\"large\",\"noise\":\"{}\"}}\n", noise(3 << 20));
    let mut command = append(directory);
    command.args(["--event-bytes-max", "8M", "--sync", "always"]);
    run_with(&mut command, large.as_bytes()).expect(0, &[]);
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    append_events(directory, 10..20, "0");
    // Notes are hints: the tail is found behind the pieces.
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    check(&server, directory);
    let messages = client(&server).messages("CDR", "cdr.lines.*");
    assert!(messages.iter().any(|it| it.header("Cdrlog-Part") == Some("2/3")), "no pieces");
    let largest = messages.iter().map(|it| it.data.len() + it.headers.len()).max().unwrap();
    assert!((1_000_000..=1 << 20).contains(&largest), "{largest} bytes");
}

#[test]
fn a_block_that_was_given_up_after_a_piece_does_not_count() {
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(&server, directory);
    append_events(directory, 0..10, "0");
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    let mut client = client(&server);
    let mut messages = client.messages("CDR", "cdr.lines.*");
    let last = messages.pop().unwrap();
    let header = last.header("Cdrlog-Header").unwrap().replace("\"seq\":", "\"seq\":1");
    let previous = last.seq.to_string();
    let subject = format!("cdr.lines.{}", node(directory));
    let headers = [
        ("Cdrlog-Header", header.as_str()),
        ("Cdrlog-Previous", previous.as_str()),
        ("Cdrlog-Part", "1/2"),
    ];
    client.request(&subject, &headers, b"piece");
    append_events(directory, 10..30, "0");
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    check(&server, directory);
}

#[test]
fn a_stream_that_was_made_anew_is_told_and_gets_every_line_again() {
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    init(&server, directory);
    append_events(directory, 0..100, "5K");
    run(to(&server, directory).arg("--once")).expect(0, &[]);
    let mut client = client(&server);
    let purged = client.api("STREAM.PURGE.CDR", &json!({}));
    assert!(purged["error"]["description"].as_str().unwrap().contains("purge"), "{purged}");
    assert_eq!(client.api("STREAM.DELETE.CDR", &json!({}))["success"], true);
    run(to(&server, directory).arg("--once")).expect(1, &["there is no stream CDR"]);
    init(&server, directory);
    append_events(directory, 100..110, "5K");
    run(to(&server, directory).arg("--once")).expect(0, &["gets them again"]);
    check(&server, directory);
}

#[test]
fn a_stream_that_may_lose_blocks_is_refused_by_the_name_of_the_probe() {
    let Some(server) = server() else { return };
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    append_events(directory, 0..1, "0");
    let mut client = client(&server);
    let mut make = |name: &str, more: serde_json::Value| {
        let mut config = json!({
            "name": name, "subjects": [format!("{name}.>")], "storage": "file", "discard": "new",
            "deny_delete": true, "deny_purge": true,
        });
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let made = client.api(&format!("STREAM.CREATE.{name}"), &config);
        assert!(made["error"].is_null(), "{made}");
    };
    make("MARKS", json!({ "subjects": ["x_MARKS.>"] }));
    for (name, more, told) in [
        ("MEMORY", json!({ "storage": "memory" }), "in memory only"),
        ("OLD", json!({ "discard": "old" }), "--discard new"),
        ("AGE", json!({ "max_age": 3_600_000_000_000_u64 }), "--max-age"),
        ("DELETE", json!({ "deny_delete": false }), "deny_delete"),
        ("ROLLUP", json!({ "allow_rollup_hdrs": true, "deny_purge": false }), "rollup"),
        ("SMALL", json!({ "max_msg_size": 1000 }), "1000 bytes"),
    ] {
        make(name, more);
        make(&format!("{name}_MARKS"), json!({}));
        let address = format!("{name}?prefix={name}");
        run(to_port(server.port, directory, &address).arg("--once"))
            .expect(1, &["the probe", told, name]);
    }
    // The subjects are those of another stream, or of none.
    make("OTHER", json!({ "subjects": ["other.>"] }));
    make("OTHER_MARKS", json!({}));
    run(to_port(server.port, directory, "OTHER?prefix=OLD").arg("--once"))
        .expect(1, &["another stream takes the subjects OLD.>"]);
    run(to_port(server.port, directory, "OTHER?prefix=none").arg("--once"))
        .expect(1, &["no stream takes the subject none.probes."]);
}
