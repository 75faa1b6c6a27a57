//! The dashboard and the alert rules ask for what `GET /metrics` has, and Prometheus takes them.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::daemon::start;
use crate::skip::skip;

const DASHBOARD: &str = include_str!("../../packaging/grafana/cdrlog.json");
const RULES: &str = include_str!("../../packaging/prometheus/cdrlog.yml");

const METRICS_SOURCE: &str = include_str!("../../src/serve/metrics.rs");

/// The names of metrics in a text.
fn names(text: &str) -> BTreeSet<&str> {
    let is_of_name = |one: char| one.is_ascii_alphanumeric() || one == '_';
    let rests = text.match_indices("cdrlog_").map(|(at, _)| &text[at..]);
    rests.map(|rest| rest.split(|one| !is_of_name(one)).next().unwrap()).collect()
}

#[test]
fn dashboard_and_rules_ask_only_for_metrics_and_reasons_that_there_are() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let metrics = daemon.connect().get("/metrics").text().to_owned();
    daemon.terminate();
    serde_json::from_str::<serde_json::Value>(DASHBOARD).unwrap();
    for (file, text) in [("the dashboard", DASHBOARD), ("the rules", RULES)] {
        let asked = names(text);
        assert!(asked.len() > 8, "{file}: {asked:?}");
        for name in asked.iter().filter(|name| **name != "cdrlog_test") {
            let is_shown = metrics.lines().any(|line| {
                line.strip_prefix(name).is_some_and(|rest| rest.starts_with([' ', '{']))
            });
            // These are shown only while a destination is away, or there is one at all.
            let of_shipping = format!("\"{}\"", name.trim_start_matches("cdrlog_"));
            let is_there = is_shown
                || name.starts_with("cdrlog_ship_") && METRICS_SOURCE.contains(&of_shipping);
            assert!(is_there, "{file}: there is no {name}");
        }
    }
    let reasons = RULES.split("reason=~\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let mut count = 0;
    for reason in reasons.flat_map(|reasons| reasons.split('|')) {
        let label = format!("reason=\"{}", reason.trim_end_matches(".*"));
        assert!(metrics.contains(&label), "there is no reason {reason}");
        count += 1;
    }
    assert!(count > 8, "{count}");
}

#[test]
fn prometheus_takes_the_rules_and_they_fire_when_they_should() {
    let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("packaging/prometheus");
    for arguments in [["check", "rules", "cdrlog.yml"], ["test", "rules", "cdrlog_test.yml"]] {
        let mut command = Command::new("promtool");
        command.args(arguments).current_dir(&place).stdin(Stdio::null());
        let Ok(output) = command.output() else {
            skip("promtool is not there", "apt-get install prometheus");
            return;
        };
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    }
}
