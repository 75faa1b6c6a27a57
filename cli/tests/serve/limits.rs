//! No peer holds a place by doing nothing, or a byte now and then.

use std::time::{Duration, Instant};

use crate::client::{Client, post_head};
use crate::common::body;
use crate::daemon::{start, wait_for};

const TIMEOUTS: [&str; 6] = ["--header-timeout", "1", "--body-timeout", "1", "--idle-timeout", "1"];

/// Sends byte after byte until the server closes the connection or answers.
fn drip(client: &mut Client, bytes: &[u8]) -> Duration {
    let begin = Instant::now();
    client.set_timeout(Duration::from_millis(50));
    for byte in bytes.iter().cycle() {
        if client.send(&[*byte]).is_err() || !client.is_quiet() {
            break;
        }
        assert!(begin.elapsed() < Duration::from_secs(60), "the server waits for ever");
    }
    begin.elapsed()
}

#[test]
fn a_head_that_comes_byte_by_byte_loses_its_connection() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &TIMEOUTS);
    for beginning in ["", "GET / HTTP/1.1\r\nX: ", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0"] {
        let mut client = daemon.connect();
        client.send(beginning.as_bytes()).unwrap();
        let lasted = drip(&mut client, b"P");
        assert!(lasted < Duration::from_secs(30), "{beginning:?} lasted {lasted:?}");
    }
    // The second request of a connection too.
    let mut client = daemon.connect();
    assert_eq!(client.post(&body(0)).status, 200);
    drip(&mut client, b"P");
    assert_eq!(daemon.connect().post(&body(1)).status, 200);
    daemon.terminate();
}

#[test]
fn a_body_that_comes_byte_by_byte_gets_408() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &TIMEOUTS);
    let mut client = daemon.connect();
    client.send(post_head("/", 1_000_000, "{").as_bytes()).unwrap();
    drip(&mut client, b" ");
    client.set_timeout(Duration::from_secs(60));
    assert_eq!(client.read("POST").unwrap().status, 408);
    daemon.terminate();
}

#[test]
fn silent_connections_are_closed() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &TIMEOUTS);
    let mut fresh = daemon.connect();
    let mut used = daemon.connect();
    assert_eq!(used.post(&body(0)).status, 200);
    assert_eq!(fresh.read_to_end().unwrap(), b"");
    assert_eq!(used.read_to_end().unwrap(), b"");
    daemon.terminate();
}

#[test]
fn a_head_above_the_limit_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--header-bytes-max", "8192"]);
    let mut client = daemon.connect();
    let value = "x".repeat(20_000);
    client
        .send(format!("GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: {value}\r\n\r\n").as_bytes())
        .unwrap();
    assert_eq!(client.read("GET").unwrap().status, 431);
    assert_eq!(daemon.connect().get("/healthz").status, 200);
    daemon.terminate();
}

#[test]
fn more_connections_than_there_are_places_wait_until_idle_ones_make_room() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--connections-max", "3"]);
    let mut idle: Vec<_> = (0..3).map(|_| daemon.connect()).collect();
    for (number, client) in idle.iter_mut().enumerate() {
        assert_eq!(client.post(&body(number as u64)).status, 200);
    }
    // The idle time-out is far away; these get their places all the same.
    for number in 3..6 {
        assert_eq!(daemon.connect().post(&body(number)).status, 200);
    }
    daemon.terminate();
}

#[test]
fn a_peer_that_does_not_read_its_download_loses_its_connection() {
    let directory = tempfile::tempdir().unwrap();
    let name = "CDR.2020-01-01_00-00-00.log";
    std::fs::write(directory.path().join(name), vec![b'x'; 64 << 20]).unwrap();
    let daemon = start(directory.path(), &TIMEOUTS);
    let mut client = daemon.connect();
    let head = format!("GET /openvidu/cdr/{name} HTTP/1.1\r\nHost: localhost\r\n\r\n");
    client.send(head.as_bytes()).unwrap();
    wait_for("the end of the connection", || {
        let metrics = daemon.connect().get("/metrics");
        metrics.text().contains("\ncdrlog_connections 1\n").then_some(())
    });
    daemon.terminate();
}

#[test]
fn large_bodies_at_the_same_time_share_a_bounded_memory() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--bodies-bytes-max", "600000"]);
    let half = format!("{{\"event\":\"e\",\"p\":\"{}", "x".repeat(400_000));
    let mut first = daemon.connect();
    first.send(post_head("/", half.len() + 2, &half).as_bytes()).unwrap();
    wait_for("the first body", || {
        let share = format!("\ncdrlog_bodies_bytes {}\n", half.len());
        daemon.connect().get("/metrics").text().contains(&share).then_some(())
    });
    let answer = daemon.connect().post(&format!("{half}\"}}"));
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    first.send(b"\"}").unwrap();
    assert_eq!(first.read("POST").unwrap().status, 200);
    daemon.terminate();
}

#[test]
fn hundreds_of_connections_at_once_are_served() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    // The other tests have some descriptors of this process too.
    let descriptors = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let count = descriptors.unwrap_or(u64::MAX).saturating_sub(150).clamp(10, 800);
    let mut clients: Vec<_> = (0..count).map(|_| daemon.connect()).collect();
    for (number, client) in clients.iter_mut().enumerate() {
        let head = post_head("/", body(number as u64).len(), "");
        client.send(head.as_bytes()).unwrap();
    }
    for (number, client) in clients.iter_mut().enumerate() {
        client.send(body(number as u64).as_bytes()).unwrap();
    }
    for client in &mut clients {
        assert_eq!(client.read("POST").unwrap().status, 200);
    }
    drop(clients);
    daemon.terminate();
    assert_eq!(crate::common::cdr(directory.path()).lines().count() as u64, count);
}

#[test]
fn a_peer_of_http2_that_takes_no_answer_loses_its_connection() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[&TIMEOUTS[..], &["--h2c"]].concat());
    let mut client = daemon.connect();
    // SETTINGS: a window of no byte for answers. HEADERS: GET /nowhere, whose 404 has a body.
    let head = b"\x82\x86\x04\x08/nowhere\x01\x09localhost";
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    bytes.extend_from_slice(b"\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0");
    bytes.extend_from_slice(&[0, 0, head.len() as u8, 1, 5, 0, 0, 0, 1]);
    bytes.extend_from_slice(head);
    client.send(&bytes).unwrap();
    // It ends before the time-out of the client.
    let answered = client.read_to_end().unwrap();
    assert!(answered.windows(9).any(|frame| frame[3..] == [1, 4, 0, 0, 0, 1]), "no answer began");
    daemon.terminate();
}
