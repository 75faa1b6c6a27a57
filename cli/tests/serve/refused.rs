//! Who is refused is told to the operator, and not each time: OpenVidu and LiveKit drop an event that
//! they get no 200 for, so that a wrong secret loses the whole CDR.

use crate::common::body;
use crate::credentials::{post, token, with_file, with_file_and};
use crate::daemon::{Daemon, start};

/// The fields of a warning that a request was refused.
#[track_caller]
fn fields(line: &str) -> serde_json::Value {
    let fields: serde_json::Value = serde_json::from_str(line).unwrap();
    assert_eq!(fields["level"], "WARN", "{line}");
    let peer = fields["peer"].as_str().unwrap();
    assert!(peer.starts_with("127.0.0.1:") && peer.len() > "127.0.0.1:".len(), "{line}");
    fields
}

/// Waits for the warning of a reason.
#[track_caller]
pub fn told(daemon: &Daemon, reason: &str) -> serde_json::Value {
    fields(&daemon.wait_until_it_says(&format!("\"reason\":\"{reason}\"")))
}

/// How many refusals of a reason the metrics show.
pub fn counted_from(metrics: &str, reason: &str) -> u64 {
    let name = format!("cdrlog_http_refused_total{{reason=\"{reason}\"}} ");
    metrics.lines().find_map(|line| line.strip_prefix(&name)).unwrap().parse().unwrap()
}

#[track_caller]
fn counted(daemon: &Daemon, reason: &str, count: u64) {
    let answer = daemon.connect().get("/metrics");
    let line = format!("\ncdrlog_http_refused_total{{reason=\"{reason}\"}} {count}\n");
    assert!(answer.text().contains(&line), "{line} is not in {}", answer.text());
}

#[test]
fn a_wrong_secret_is_told_at_once_with_reason_peer_and_path() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = with_file(directory.path(), "--header-file", "X-Token: a-long-secret");
    assert_eq!(post(&mut daemon.connect(), &[("X-Token", "another-secret")], &body(0)).status, 401);
    let fields = told(&daemon, "credentials_wrong");
    assert_eq!(
        (&fields["status"], &fields["path"], &fields["count"]),
        (&401.into(), &"/".into(), &1.into())
    );
    assert_eq!(fields["detail"], "the credentials are wrong");
    counted(&daemon, "credentials_wrong", 1);
    assert_eq!(post(&mut daemon.connect(), &[], &body(0)).status, 401);
    told(&daemon, "credentials_missing");
    counted(&daemon, "credentials_missing", 1);
    daemon.terminate();
}

#[test]
fn a_thousand_refusals_are_few_lines_and_none_is_left_out_of_the_count() {
    const COUNT: u64 = 1000;
    let directory = tempfile::tempdir().unwrap();
    let no_limit = ["--peer-auth-failures-per-minute", "0"];
    let secret = "X-Token: a-long-secret";
    let daemon = with_file_and(directory.path(), "--header-file", secret, &no_limit);
    let mut client = daemon.connect();
    for number in 0..COUNT {
        assert_eq!(post(&mut client, &[("X-Token", "wrong")], &body(number % 10)).status, 401);
    }
    counted(&daemon, "credentials_wrong", COUNT);
    daemon.signal("TERM");
    let (status, said) = daemon.end();
    assert!(status.success());
    let told: Vec<_> = said.iter().filter(|line| line.contains("credentials_wrong")).collect();
    let count: u64 = told.iter().map(|line| fields(line)["count"].as_u64().unwrap()).sum();
    assert_eq!(count, COUNT, "{told:?}");
    // One at once, one a minute, and one at the end.
    assert!((2..10).contains(&told.len()), "{told:?}");
}

#[test]
fn each_answer_that_costs_an_event_is_told_with_its_reason() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--event-bytes-max", "100000", "--bodies-bytes-max", "50000", "--path", "/hook"];
    let daemon = start(directory.path(), &options);
    let post = |path: &str, body: &str| daemon.connect().try_post(path, body).unwrap().status;
    for (path, body, status, reason) in [
        ("/hook", "nonsense", 400, "not_an_event"),
        ("/hooks", &body(0), 404, "unknown_path"),
        ("/metrics", &body(0), 405, "wrong_method"),
        ("/hook", &"x".repeat(100_001), 413, "large_body"),
        ("/hook", &"x".repeat(60_000), 503, "memory"),
    ] {
        assert_eq!(post(path, body), status, "{reason}");
        let fields = told(&daemon, reason);
        assert_eq!((&fields["status"], &fields["path"]), (&status.into(), &path.into()));
        counted(&daemon, reason, 1);
    }
    // What is no HTTP never gets as far as a path.
    let mut client = daemon.connect();
    client.send(b"\x16\x03\x01\x02\x00\x01\r\n\r\n").unwrap();
    let _ = client.read_to_end();
    told(&daemon, "not_http");
    counted(&daemon, "not_http", 1);
    daemon.terminate();
}

#[test]
fn a_request_without_a_host_is_told_as_no_host() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let event = body(0);
    for (hosts, count) in [("", 1), ("Host: localhost\r\nHost: localhost\r\n", 2)] {
        let mut client = daemon.connect();
        let head = format!("POST / HTTP/1.1\r\n{hosts}Content-Length: {}\r\n\r\n", event.len());
        client.send(format!("{head}{event}").as_bytes()).unwrap();
        assert_eq!(client.read("POST").unwrap().status, 400);
        counted(&daemon, "no_host", count);
    }
    let fields = told(&daemon, "no_host");
    assert_eq!((&fields["status"], &fields["path"]), (&400.into(), &"/".into()));
    daemon.terminate();
}

#[test]
fn a_compressed_body_is_told_as_encoded_body() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let answer = post(&mut daemon.connect(), &[("Content-Encoding", "gzip")], &body(0));
    assert_eq!(answer.status, 415);
    let fields = told(&daemon, "encoded_body");
    assert_eq!((&fields["status"], &fields["path"]), (&415.into(), &"/".into()));
    counted(&daemon, "encoded_body", 1);
    daemon.terminate();
}

#[test]
fn a_connection_too_many_of_an_address_is_told_as_connections_without_a_path() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--peer-connections-max", "2"]);
    let mut own = [daemon.connect(), daemon.connect()];
    for (number, client) in own.iter_mut().enumerate() {
        assert_eq!(client.post(&body(number as u64)).status, 200);
    }
    assert!(daemon.connect().read_to_end().unwrap_or_default().is_empty());
    let fields = told(&daemon, "connections");
    assert!(fields["status"].is_null() && fields["path"].is_null(), "{fields}");
    assert_eq!(fields["detail"], "more than --peer-connections-max");
    let answer = own[0].get("/metrics");
    let line = "\ncdrlog_http_refused_total{reason=\"connections\"} 1\n";
    assert!(answer.text().contains(line), "{}", answer.text());
    daemon.terminate();
}

/// The table of docs/operations.md is where an operator looks up the word in the log.
#[test]
fn every_reason_of_the_metrics_is_in_the_table_of_the_documents() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let metrics = daemon.connect().get("/metrics");
    let mut reasons = Vec::new();
    for line in metrics.text().lines() {
        let label = line.strip_prefix("cdrlog_http_refused_total{reason=\"");
        reasons.extend(label.and_then(|rest| rest.split('"').next()).map(str::to_owned));
    }
    assert!(reasons.len() >= 20, "{reasons:?}");
    let rows = include_str!("../../../docs/operations.md").lines();
    let rows: Vec<_> = rows.filter(|line| line.starts_with("| `")).collect();
    for reason in reasons {
        let word = format!("`{reason}`");
        assert!(rows.iter().any(|row| row.contains(&word)), "{word} is in no row");
    }
    daemon.terminate();
}

#[test]
fn a_token_for_another_body_is_told_as_such() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = with_file(directory.path(), "--livekit-key-file", "key: secret");
    let token = token("key", "secret", &body(0));
    assert_eq!(post(&mut daemon.connect(), &[("Authorization", &token)], &body(1)).status, 403);
    let fields = told(&daemon, "credentials_for_another");
    assert_eq!(fields["detail"], "the token was signed for another body");
    daemon.terminate();
}

#[test]
fn who_only_looks_is_not_told() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let mut client = daemon.connect();
    for (path, status) in [("/healthz", 200), ("/favicon.ico", 404), ("/", 405)] {
        assert_eq!(client.get(path).status, status);
    }
    daemon.signal("TERM");
    let (_, said) = daemon.end();
    assert!(!said.iter().any(|line| line.contains("WARN")), "{said:?}");
}
