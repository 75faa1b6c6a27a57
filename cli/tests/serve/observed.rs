//! What operators see: metrics and health.

use std::collections::BTreeMap;

use crate::common::body;
use crate::daemon::{start, wait_for};

/// The samples of a text of OpenMetrics, by name and labels. Ends the test where it is not one.
fn samples(text: &str) -> BTreeMap<String, f64> {
    assert!(text.ends_with("# EOF\n"), "{text}");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let parse = |line: &str| {
        let (name, value) = line.rsplit_once(' ').unwrap();
        (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")))
    };
    lines.map(parse).collect()
}

#[test]
fn the_metrics_count_what_was_done() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--ack", "written"]);
    let mut client = daemon.connect();
    let mut bytes = 0;
    for number in 0..5 {
        assert_eq!(client.post(&body(number)).status, 200);
        bytes += body(number).len();
    }
    assert_eq!(client.post("nonsense").status, 400);
    assert_eq!(client.get("/nowhere").status, 404);
    // The counters of the appender follow its acknowledgements.
    let answer = wait_for("the counters", || {
        let answer = client.get("/metrics");
        answer.text().contains("\ncdrlog_events_accepted_total 6\n").then_some(answer)
    });
    assert_eq!(answer.status, 200);
    assert!(answer.header("content-type").unwrap().starts_with("application/openmetrics-text"));
    let samples = samples(answer.text());
    for (name, expected) in [
        ("cdrlog_events_accepted_total", 6.0),
        ("cdrlog_events_journaled_total", 5.0),
        ("cdrlog_events_rejected_total", 1.0),
        ("cdrlog_events_queued", 0.0),
        ("cdrlog_write_errors_total", 0.0),
        ("cdrlog_healthy", 1.0),
        ("cdrlog_connections", 1.0),
        ("cdrlog_http_requests_total{status=\"400\"}", 1.0),
        ("cdrlog_http_requests_total{status=\"404\"}", 1.0),
        ("cdrlog_http_body_bytes_total", (bytes + 8) as f64),
        ("cdrlog_ack_seconds_count{level=\"written\"}", 5.0),
    ] {
        assert_eq!(samples.get(name), Some(&expected), "{name}: {}", answer.text());
    }
    assert!(samples["cdrlog_ack_seconds_sum{level=\"written\"}"] > 0.0);
    // What was rejected is written soon after it was acknowledged, not before.
    assert!(samples.contains_key("cdrlog_rejects_bytes_written_total"));
    daemon.terminate();
}

#[test]
fn a_server_that_writes_is_healthy() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let answer = daemon.connect().get("/healthz");
    assert_eq!((answer.status, answer.json()["status"].as_str()), (200, Some("ok")));
}
