//! A sender that asks for too much is told when to try again, and others are served meanwhile.

use std::net::{Ipv4Addr, SocketAddr};

use crate::client::{Client, post_head};
use crate::common::{body, cdr};
use crate::credentials::{post, with_file_and};
use crate::daemon::{Daemon, serve, start, wait_for};
use crate::refused::{counted_from, told};

/// A client at another address of this machine.
fn another(daemon: &Daemon) -> Client {
    let other = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0));
    Client::connect_from(other, daemon.address)
}

#[test]
fn requests_above_the_limit_of_an_address_get_429_and_another_address_is_served() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--peer-requests-per-second", "2"]);
    let mut client = daemon.connect();
    let answers: Vec<_> = (0..50).map(|number| client.post(&body(number))).collect();
    let taken = answers.iter().filter(|answer| answer.status == 200).count();
    let refused: Vec<_> = answers.iter().filter(|answer| answer.status == 429).collect();
    // On a slow machine, more than the first two are within the limit.
    assert!((2..40).contains(&taken) && taken + refused.len() == 50, "{taken} are taken");
    for answer in &refused {
        assert_eq!(answer.header("retry-after"), Some("1"));
        assert!(answer.text().contains("--peer-requests-per-second"), "{}", answer.text());
    }
    // A client that claims another address is still the same peer.
    let forwarded = [("X-Forwarded-For", "192.0.2.1"), ("Forwarded", "for=192.0.2.1")];
    let asked = || post(&mut daemon.connect(), &forwarded, &body(100)).status;
    wait_for("429", || (asked() == 429).then_some(()));
    assert_eq!(another(&daemon).post(&body(101)).status, 200);
    assert_eq!(told(&daemon, "too_many_requests")["status"], 429);
    // If a sender waits as it was told to, its event is accepted.
    wait_for("200", || (daemon.connect().post(&body(102)).status == 200).then_some(()));
    let metrics = another(&daemon).get("/metrics");
    let counted = counted_from(metrics.text(), "too_many_requests");
    assert!(counted > refused.len() as u64, "{counted}");
    daemon.terminate();
}

#[test]
fn bytes_above_the_limit_of_an_address_get_429_until_they_are_paid_for() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--peer-bytes-per-second", "10K"]);
    // A body larger than the limit passes, and costs half a minute of waiting.
    let large = format!(r#"{{"event":"e","p":"{}"}}"#, "x".repeat(300_000));
    assert_eq!(daemon.connect().post(&large).status, 200);
    let answer = daemon.connect().post(&body(0));
    assert_eq!(answer.status, 429);
    let seconds: u64 = answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..30).contains(&seconds), "{seconds}");
    assert_eq!(another(&daemon).post(&body(1)).status, 200);
    assert_eq!(told(&daemon, "too_many_bytes")["status"], 429);
    daemon.terminate();
    assert_eq!(cdr(directory.path()).lines().count(), 2);
}

/// The length of such a body is not known before it has arrived.
#[test]
fn bytes_in_chunks_are_counted_too() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--peer-bytes-per-second", "10K"]);
    let large = format!(r#"{{"event":"e","p":"{}"}}"#, "x".repeat(300_000));
    let mut client = daemon.connect();
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    client.send(format!("{head}{:x}\r\n{large}\r\n0\r\n\r\n", large.len()).as_bytes()).unwrap();
    assert_eq!(client.read("POST").unwrap().status, 200);
    assert_eq!(client.post(&body(0)).status, 429);
    daemon.terminate();
}

#[test]
fn wrong_credentials_above_the_limit_get_429_right_ones_too_and_a_known_sender_none() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--peer-auth-failures-per-minute", "3"];
    let daemon = with_file_and(directory.path(), "--header-file", "X-Token: right", &options);
    let status = |client: &mut Client, token: &str, number| {
        post(client, &[("X-Token", token)], &body(number)).status
    };
    let mut sender = daemon.connect();
    assert_eq!(status(&mut sender, "right", 0), 200);
    let mut stranger = daemon.connect();
    // A request without credentials is not an attempt.
    assert_eq!([(); 5].map(|()| post(&mut stranger, &[], &body(1)).status), [401; 5]);
    assert_eq!([(); 3].map(|()| status(&mut stranger, "wrong", 1)), [401; 3]);
    // From now on nobody learns which one is right.
    assert_eq!([status(&mut stranger, "wrong", 1), status(&mut stranger, "right", 1)], [429; 2]);
    let list = stranger.request("GET", "/openvidu/cdr", &[("X-Token", "right")]);
    assert_eq!(list.status, 429);
    let seconds: u64 = list.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=20).contains(&seconds), "{seconds}");
    assert_eq!(status(&mut sender, "right", 2), 200);
    assert_eq!(status(&mut another(&daemon), "right", 3), 200);
    assert_eq!(told(&daemon, "too_many_failures")["status"], 429);
    // With new credentials, everybody may try again.
    std::fs::write(directory.path().join("secret"), "X-Token: new").unwrap();
    daemon.signal("HUP");
    wait_for("the new secret", || (status(&mut daemon.connect(), "new", 4) == 200).then_some(()));
    daemon.terminate();
}

#[test]
fn a_stranger_of_http2_cannot_try_secrets_by_streams_that_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    // Eight streams are answered, and some more are refused after their credentials were checked.
    let options = ["--h2c", "--peer-auth-failures-per-minute", "12"];
    let daemon = with_file_and(directory.path(), "--header-file", "x-token: right", &options);
    let mut client = daemon.connect();
    client
        .send(&crate::strangers::gets_without_a_window("/openvidu/cdr", 128, Some("wrong")))
        .unwrap();
    wait_for("429", || {
        let answer = post(&mut daemon.connect(), &[("X-Token", "right")], &body(0));
        (answer.status == 429).then_some(())
    });
    daemon.terminate();
}

#[test]
fn an_address_outside_of_the_allowed_networks_is_closed_and_told_and_others_are_served() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--allow", "10.0.0.0/8", "--allow", "127.0.0.1", "--allow", "2001:db8::/32"];
    let daemon = start(directory.path(), &options);
    assert!(another(&daemon).read_to_end().unwrap_or_default().is_empty());
    // What it says about its address does not count.
    let mut client = another(&daemon);
    let head = post_head("/", body(0).len(), &body(0)).replace(
        "Host: localhost\r\n",
        "Host: localhost\r\nX-Forwarded-For: 127.0.0.1\r\nX-Real-IP: 127.0.0.1\r\n",
    );
    let _ = client.send(head.as_bytes());
    assert!(client.read_to_end().unwrap_or_default().is_empty());
    assert_eq!(daemon.connect().post(&body(1)).status, 200);
    let line = daemon.wait_until_it_says(r#""reason":"not_allowed""#);
    let fields: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert!(fields["peer"].as_str().unwrap().starts_with("127.0.0.2:"), "{line}");
    assert!(fields["detail"].as_str().unwrap().contains("--allow"), "{line}");
    let metrics = daemon.connect().get("/metrics");
    assert_eq!(counted_from(metrics.text(), "not_allowed"), 2);
    daemon.terminate();
    assert_eq!(cdr(directory.path()).lines().count(), 1);
}

#[test]
fn what_is_no_network_is_refused_at_the_start_wherever_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    let cdr = directory.path().join("cdr");
    let file = directory.path().join("cdrlog.toml");
    std::fs::write(&file, "allow = [\"10.0.0.1/8\"]\n").unwrap();
    let mut with_option = serve(&cdr);
    with_option.args(["--allow", "10.0.0.1/8"]);
    let mut with_file = serve(&cdr);
    with_file.arg("--config").arg(&file);
    let mut with_variable = serve(&cdr);
    with_variable.env("CDRLOG_ALLOW", "127.0.0.1,10.0.0.1/8");
    for command in [&mut with_option, &mut with_file, &mut with_variable] {
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{said}");
        assert!(said.contains("10.0.0.0/8"), "{said}");
    }
    assert!(!cdr.exists());
}
