//! Events that never came: the sender's own count of them, in the metrics, the log and a file in
//! the CDR directory.

use std::process::Command;

use serde_json::Value;

use crate::common::cdr;
use crate::daemon::start;

fn event(number: u32, dropped: &str) -> String {
    format!(
        r#"{{"event":"room_finished","room":{{"sid":"RM_x","name":"Demo"}},"id":"EV_{number:012}","createdAt":"1795384096"{dropped}}}"#
    )
}

fn noted(directory: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(directory.join("gaps.jsonl")).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn what_a_sender_dropped_is_counted_told_and_noted_once_and_its_event_is_as_any_other() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let mut client = daemon.connect();
    let mut post = |body: &str| assert_eq!(client.post(body).status, 200, "{body}");
    post(&event(0, ""));
    post(&event(1, r#","numDropped":3"#));
    // A retry adds nothing.
    post(&event(1, r#","numDropped":3"#));
    post(&event(2, r#", "numDropped": 4"#));
    // These are events all the same, but not counts.
    post(&event(3, r#","numDropped":"many""#));
    post(&event(4, r#","x":{"numDropped":1}"#));
    let metrics = client.get("/metrics");
    assert!(metrics.text().contains("\ncdrlog_sender_dropped_total 7\n"), "{}", metrics.text());
    let line = daemon.wait_until_it_says("never came");
    let fields: Value = serde_json::from_str(&line).unwrap();
    assert_eq!(
        (&fields["level"], &fields["dropped"], &fields["room"], &fields["peer"]),
        (&"WARN".into(), &3.into(), &"Demo".into(), &"127.0.0.1".into())
    );
    daemon.signal("TERM");
    let (status, said) = daemon.end();
    assert!(status.success());
    // The second one is logged at the end, instead of a minute later.
    assert!(said.iter().any(|line| line.contains(r#""dropped":4"#)), "{said:?}");
    let noted = noted(directory.path());
    let counts: Vec<_> = noted.iter().map(|line| line["dropped"].as_u64().unwrap()).collect();
    assert_eq!(counts, [3, 4]);
    assert_eq!(
        (&noted[0]["session"], &noted[0]["id"]),
        (&"Demo".into(), &"EV_000000000001".into())
    );
    // The CDR has the events as they came, and nothing else.
    let lines = cdr(directory.path());
    assert_eq!(lines.lines().count(), 5);
    assert_eq!(lines.matches("numDropped").count(), 4);
}

#[test]
fn a_report_that_cannot_be_noted_costs_no_event() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join("gaps.jsonl")).unwrap();
    let daemon = start(directory.path(), &[]);
    let mut client = daemon.connect();
    assert_eq!(client.post(&event(1, r#","numDropped":3"#)).status, 200);
    daemon.wait_until_it_says("cannot note what never came");
    let metrics = client.get("/metrics");
    assert!(metrics.text().contains("\ncdrlog_sender_dropped_total 3\n"), "{}", metrics.text());
    daemon.terminate();
    assert_eq!(cdr(directory.path()).lines().count(), 1);
}

fn run(arguments: &[&str], directory: &std::path::Path) -> (Option<i32>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cdrlog"));
    crate::support::give_inboxes(&mut command);
    let output = command.args(arguments).arg(directory).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), said.replace(&directory.display().to_string(), "DIR"))
}

/// The output of the commands, without how long they took.
fn say(directory: &std::path::Path) -> Vec<(Option<i32>, String)> {
    let commands: [&[&str]; 5] = [
        &["stats", "--json"],
        &["tail", "-n", "100"],
        &["verify", "--json", "--threads", "1"],
        &["verify", "--print-hash"],
        &["recover"],
    ];
    let without_time = |said: String| {
        let kept = said.lines().map(|line| match serde_json::from_str::<Value>(line) {
            Ok(Value::Object(mut members)) => {
                members.retain(|name, _| !name.contains("second") && name != "elapsed");
                Value::Object(members).to_string()
            }
            _ => line.to_owned(),
        });
        kept.collect::<Vec<_>>().join("\n")
    };
    commands
        .map(|command| run(command, directory))
        .map(|(code, said)| (code, without_time(said)))
        .into()
}

/// They are not CDR files: no command reads their lines, or lists, counts or removes them.
#[test]
fn no_other_command_is_confused_by_the_file_and_retention_leaves_it() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    assert!((0..10).all(|number| daemon.connect().post(&event(number, "")).status == 200));
    daemon.terminate();
    let before = say(directory.path());
    assert_eq!(before[0].0, Some(0), "{before:?}");
    let files = ["gaps.jsonl", "gaps.1.jsonl"].map(|name| directory.path().join(name));
    for file in &files {
        std::fs::write(file, "{\"at\":1795687200123,\"dropped\":3}\n{torn").unwrap();
    }
    assert_eq!(say(directory.path()), before);
    // A start seals and removes what exceeds the limit, and lists what remains.
    let daemon = start(directory.path(), &["--retention-bytes", "1", "--manage-foreign"]);
    let mut client = daemon.connect();
    crate::daemon::wait_for("the removal", || {
        let metrics = client.get("/metrics");
        metrics.text().contains("\ncdrlog_files_removed_total 1\n").then_some(())
    });
    let list = client.get("/openvidu/cdr");
    assert!(!list.text().contains("gaps"), "{}", list.text());
    assert_eq!(client.get("/openvidu/cdr/gaps.jsonl").status, 404);
    daemon.terminate();
    assert!(files.iter().all(|file| file.exists()));
}
