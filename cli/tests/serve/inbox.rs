//! The inbox of a server: where it is, and what it keeps of a server that is killed.
//!
//! Without it, an event that was answered with 200 at `--ack accepted` would be gone where the server
//! is killed before the event is journaled.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use crate::common::{body, cdr};
use crate::daemon::{Daemon, serve, start};
use crate::mount::Mount;
use crate::support::{give_inboxes, inbox_directory};

fn plan(directory: &Path) -> serde_json::Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cdrlog"));
    give_inboxes(&mut command);
    let output = command.args(["recover", "--json"]).arg(directory).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Events that are answered on a full disk: the journal takes some, and nothing takes the rest.
#[test]
fn what_was_answered_and_not_journaled_is_written_by_the_next_run_after_kill_9() {
    let Some(mount) = Mount::new("tmpfs", 32) else { return };
    let directory = mount.path().join("cdr");
    let daemon = start(&directory, &["--ack", "accepted", "--dedup-window", "0"]);
    let mut client = daemon.connect();
    let padding = "x".repeat(100_000);
    let event = |number: u64| format!(r#"{{"number":{number},"p":"{padding}","event":"e"}}"#);
    assert_eq!(client.post(&event(0)).status, 200);
    mount.fill();
    let answered = (1..80).take_while(|&number| client.post(&event(number)).status == 200).count();
    daemon.kill();
    mount.free();

    let plan = plan(&directory);
    assert!(plan["inbox_events"].as_u64().unwrap() > 0, "{answered} were answered: {plan}");
    assert_eq!(plan["unusable_inbox"], serde_json::Value::Null, "{plan}");
    start(&directory, &[]).terminate();
    let mut counts = BTreeMap::new();
    for line in cdr(&directory).lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        *counts.entry(line["e"]["number"].as_u64().unwrap()).or_insert(0) += 1;
    }
    assert!(counts.values().all(|&count| count == 1), "{counts:?}");
    let missing: Vec<_> =
        (0..=answered as u64).filter(|number| !counts.contains_key(number)).collect();
    assert!(missing.is_empty(), "{missing:?} of {answered} are missing");
    assert_eq!(fs::read_dir(inbox_directory()).unwrap().count(), 0, "the inbox is still there");
}

#[test]
fn the_inbox_is_where_the_option_says_and_nowhere_for_none() {
    let directory = tempfile::tempdir().unwrap();
    let inboxes = || fs::read_dir(inbox_directory()).unwrap().count();
    let unprotected = |options: &[&str], expected_inboxes: usize| {
        let mut command = serve(directory.path());
        // The second run gets the event of the first.
        let daemon = Daemon::start(command.args(["--dedup-window", "0"]).args(options));
        assert_eq!(daemon.connect().post(&body(0)).status, 200);
        assert_eq!(inboxes(), expected_inboxes, "{options:?}");
        let metrics = daemon.connect().get("/metrics");
        let metrics = metrics.text();
        let name = "cdrlog_events_unprotected_total ";
        let line = metrics.lines().find(|line| line.starts_with(name)).unwrap_or(metrics);
        let count = line.strip_prefix(name).map(str::to_owned);
        daemon.terminate();
        assert_eq!(inboxes(), 0, "{options:?}");
        count.unwrap()
    };
    assert_eq!(unprotected(&[], 1), "0");
    assert_eq!(unprotected(&["--inbox-directory", "none"], 0), "1");
}

#[test]
fn an_inbox_directory_that_is_not_there_is_told_and_events_are_taken() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("missing");
    let mut command = serve(&directory.path().join("cdr"));
    command.arg("--inbox-directory").arg(&missing);
    let daemon = Daemon::start(&mut command);
    let told = daemon.said.iter().find(|line| line.contains("no inbox"));
    let told = told.unwrap_or_else(|| panic!("{:?}", daemon.said));
    assert!(told.contains("WARN") && told.contains(missing.to_str().unwrap()), "{told}");
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    daemon.terminate();
}
