//! The end, and what signals do.

use std::time::{Duration, Instant};

use crate::client::post_head;
use crate::common::{body, cdr, files, line, lines};
use crate::daemon::{start, wait_for};

#[test]
fn a_request_in_flight_is_finished_before_the_end() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let event = body(0);
    let (first, second) = event.split_at(20);
    let mut client = daemon.connect();
    // The server has the head and waits for the body when it has asked for it.
    let head =
        post_head("/", event.len(), "").replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    client.send(head.as_bytes()).unwrap();
    assert_eq!(client.read("HEAD").unwrap().status, 100);
    client.send(first.as_bytes()).unwrap();
    let mut idle = daemon.connect();
    assert_eq!(idle.post(&body(1)).status, 200);
    daemon.signal("TERM");
    assert_eq!(idle.read_to_end().unwrap(), b"", "an idle connection is closed at once");
    client.send(second.as_bytes()).unwrap();
    assert_eq!(client.read("POST").unwrap().status, 200);
    assert_eq!(client.read_to_end().unwrap(), b"");
    let (status, said) = daemon.end();
    assert_eq!(status.code(), Some(0), "{said:?}");
    assert_eq!(cdr(directory.path()), line(1) + &line(0));
}

/// Without this, one stranger with half a head delayed every end by the time for heads.
#[test]
fn the_end_does_not_wait_for_a_request_whose_head_is_not_there() {
    let directory = tempfile::tempdir().unwrap();
    let timeouts = ["--end-timeout", "600", "--header-timeout", "600", "--h2c"];
    let daemon = start(directory.path(), &timeouts);
    let mut clients: Vec<_> =
        ["", "GET /healthz HTTP/1.1\r\nHost: loc", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"]
            .map(|beginning| {
                let mut client = daemon.connect();
                client.send(beginning.as_bytes()).unwrap();
                client
            })
            .into();
    let mut second = daemon.connect();
    assert_eq!(second.post(&body(0)).status, 200);
    second.send(b"POST / HT").unwrap();
    clients.push(second);
    // Whoever connected before it is accepted before it.
    assert_eq!(daemon.connect().post(&body(1)).status, 200);
    let begin = Instant::now();
    daemon.signal("TERM");
    let (status, said) = daemon.end();
    assert_eq!(status.code(), Some(0), "{said:?}");
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    assert_eq!(cdr(directory.path()), lines(2));
}

/// Without this, a connection that was accepted before the signal and registered after it was never
/// told to end: one of eight ends under a burst took as long as it may.
#[test]
fn the_end_does_not_wait_for_connections_that_come_with_it() {
    for _ in 0..8 {
        let directory = tempfile::tempdir().unwrap();
        let timeouts = ["--end-timeout", "600", "--header-timeout", "600", "--workers", "4"];
        let daemon = start(directory.path(), &timeouts);
        let address = daemon.address;
        let burst = std::thread::spawn(move || {
            let mut clients = Vec::new();
            while let Ok(client) = std::net::TcpStream::connect(address) {
                clients.push(client);
                if clients.len() > 300 {
                    clients.clear();
                }
            }
            clients
        });
        std::thread::sleep(Duration::from_millis(20));
        let begin = Instant::now();
        daemon.signal("TERM");
        let (status, said) = daemon.end();
        assert_eq!(status.code(), Some(0), "{said:?}");
        assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
        burst.join().unwrap();
    }
}

#[test]
fn the_end_does_not_wait_for_ever() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--end-timeout", "0.5"]);
    let mut client = daemon.connect();
    client.send(post_head("/", 1000, "{").as_bytes()).unwrap();
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    let begin = Instant::now();
    daemon.signal("INT");
    let (status, said) = daemon.end();
    assert_eq!(status.code(), Some(0), "{said:?}");
    assert!(begin.elapsed() < Duration::from_secs(30));
    assert_eq!(cdr(directory.path()), line(0));
}

#[test]
fn a_second_signal_ends_at_once_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--end-timeout", "600", "--body-timeout", "600"]);
    let mut client = daemon.connect();
    client.send(post_head("/", 1000, "{").as_bytes()).unwrap();
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    daemon.signal("TERM");
    wait_for("the end of the listener", || std::net::TcpStream::connect(daemon.address).err());
    daemon.signal("TERM");
    let (status, said) = daemon.end();
    assert_eq!(status.code(), Some(1), "{said:?}");
    start(directory.path(), &[]).terminate();
    assert_eq!(cdr(directory.path()), line(0));
}

#[test]
fn hang_up_begins_a_new_file() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--ack", "written"]);
    let mut client = daemon.connect();
    assert_eq!(client.post(&body(0)).status, 200);
    daemon.signal("HUP");
    wait_for("a second file", || (files(directory.path(), "CDR.").len() == 2).then_some(()));
    assert_eq!(client.post(&body(1)).status, 200);
    daemon.terminate();
    assert_eq!(cdr(directory.path()), lines(2));
}

#[test]
fn the_log_holds_neither_bodies_nor_headers() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--log", "debug"]);
    let mut client = daemon.connect();
    let head = post_head("/", 26, "").replace("\r\n\r\n", "\r\nX-Secret: sesame\r\n\r\n");
    client.send(head.as_bytes()).unwrap();
    client.send(br#"{"event":"open","p":"pst"}"#).unwrap();
    assert_eq!(client.read("POST").unwrap().status, 200);
    client.post("no event: hush");
    daemon.signal("TERM");
    let (_, said) = daemon.end();
    let said = said.join("\n");
    assert!(said.contains("\"status\":200") && said.contains("\"status\":400"), "{said}");
    for secret in ["sesame", "pst", "hush"] {
        assert!(!said.contains(secret), "{said}");
    }
    for line in said.lines() {
        assert!(serde_json::from_str::<serde_json::Value>(line).is_ok(), "{line}");
    }
}
