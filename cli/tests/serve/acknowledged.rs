//! 200 says that the event is as safe as the level says, and not a moment earlier.

use std::process::Command;

use crate::common::{body, cdr, line, lines, rejects};
use crate::daemon::{start, wait_for};
use crate::skip::skip;

#[test]
fn an_event_that_got_200_is_in_the_cdr_after_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--sync", "never"]);
    let mut client = daemon.connect();
    for number in 0..50 {
        assert_eq!(client.post(&body(number)).status, 200);
    }
    daemon.kill();
    start(directory.path(), &[]).terminate();
    assert_eq!(cdr(directory.path()), lines(50));
}

#[test]
fn an_event_that_got_200_at_written_can_be_read_at_once() {
    for level in ["written", "synced"] {
        let directory = tempfile::tempdir().unwrap();
        let daemon = start(directory.path(), &["--ack", level]);
        let mut client = daemon.connect();
        for number in 0..5 {
            assert_eq!(client.post(&body(number)).status, 200, "{level}");
            assert_eq!(cdr(directory.path()), lines(number + 1), "{level}");
        }
    }
}

#[test]
fn an_accepted_event_is_written_soon() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--ack", "accepted"]);
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    wait_for("the line", || (cdr(directory.path()) == line(0)).then_some(()));
}

#[test]
fn a_body_in_pieces_is_the_same_event() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--ack", "written"]);
    let mut client = daemon.connect();
    let event = format!(r#"{{"padding":"{}","event":"large"}}"#, "x".repeat(500_000));
    assert_eq!(client.post(&event).status, 200);
    // In chunks, and slowly.
    let small = body(7);
    let (first, second) = small.split_at(10);
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}{:x}\r\n{first}\r\n", first.len()).as_bytes()).unwrap();
    client.send(format!("{:x}\r\n{second}\r\n0\r\n\r\n", second.len()).as_bytes()).unwrap();
    assert_eq!(client.read("POST").unwrap().status, 200);
    let large = format!("{{\"large\":{{\"padding\":\"{}\"}}}}\n", "x".repeat(500_000));
    assert_eq!(cdr(directory.path()), large + &line(7));
}

#[test]
fn what_is_no_event_gets_400_with_the_reason_and_is_in_the_rejects_file() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let answer = daemon.connect().post(r#"{"timestamp":1}"#);
    assert_eq!(answer.status, 400);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert_eq!(
        (&answer.json()["reason"], &answer.json()["offset"]),
        (&"event_missing".into(), &14.into())
    );
    daemon.terminate();
    let rejects = rejects(directory.path());
    assert_eq!(rejects.len(), 1);
    assert_eq!(rejects[0]["body"], r#"{"timestamp":1}"#);
}

#[test]
fn curl_posts_over_both_versions_of_http() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--ack", "written", "--h2c"]);
    for (number, version) in ["--http1.1", "--http2-prior-knowledge"].into_iter().enumerate() {
        let output = Command::new("curl")
            .args(["-sS", version, "-w", "%{http_code}", "-d", &body(number as u64)])
            .arg(format!("http://{}/", daemon.address))
            .output();
        let Ok(output) = output else {
            skip("there is no curl", "apt-get install curl");
            return;
        };
        assert_eq!(String::from_utf8_lossy(&output.stdout), "200", "{version}: {output:?}");
    }
    assert_eq!(cdr(directory.path()), lines(2));
}
