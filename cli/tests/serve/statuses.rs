//! Every answer that is not 200.

use std::net::TcpListener;
use std::process::Command;

use crate::client::{Client, post_head};
use crate::common::{body, cdr, rejects};
use crate::credentials;
use crate::daemon::{serve, start};
use crate::support::give_inboxes;

#[test]
fn other_paths_are_404_and_other_methods_405_with_those_there_are() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--path", "/", "--path", "/hooks/cdr"]);
    let mut client = daemon.connect();
    assert_eq!(client.try_post("/hooks/cdr", &body(0)).unwrap().status, 200);
    for (method, path, status, allow) in [
        ("GET", "/", 405, Some("POST")),
        ("PUT", "/hooks/cdr", 405, Some("POST")),
        ("DELETE", "/healthz", 405, Some("GET, HEAD")),
        ("PATCH", "/openvidu/cdr", 405, Some("GET, HEAD")),
        ("GET", "/hooks", 404, None),
        ("POST", "/hooks/cdr/", 404, None),
        ("GET", "/openvidu", 404, None),
        ("GET", "/openvidu/cdrs", 404, None),
    ] {
        let answer = client.request(method, path, &[("Content-Length", "0")]);
        assert_eq!((answer.status, answer.header("allow")), (status, allow), "{method} {path}");
        assert!(answer.json()["error"].is_string(), "{method} {path}");
    }
    assert_eq!(client.request("HEAD", "/healthz", &[]).status, 200);
}

#[test]
fn a_body_above_the_limit_is_413_and_nowhere() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--event-bytes-max", "1000", "--ack", "written"]);
    let event = |bytes: usize| format!("{{\"event\":\"e\"}}{}", " ".repeat(bytes - 13));
    let mut client = daemon.connect();
    assert_eq!(client.post(&event(1000)).status, 200);
    // Said in the head, and found out while reading.
    assert_eq!(client.post(&event(1001)).status, 413);
    let mut client = daemon.connect();
    let head = "POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunk = format!("{:x}\r\n{}\r\n0\r\n\r\n", 2000, event(2000));
    client.send(format!("{head}{chunk}").as_bytes()).unwrap();
    assert_eq!(client.read("POST").unwrap().status, 413);
    // The sender hears it also where it goes on to send all of it.
    assert_eq!(daemon.connect().post(&event(3 << 20)).status, 413);
    daemon.terminate();
    assert_eq!(cdr(directory.path()), "{\"e\":{}}\n");
    assert!(rejects(directory.path()).is_empty());
}

#[test]
fn who_asks_before_sending_is_told_before_sending() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--event-bytes-max", "1000"]);
    let mut client = daemon.connect();
    let head = |bytes: usize| {
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: {bytes}\r\n\r\n"
        )
    };
    client.send(head(body(0).len()).as_bytes()).unwrap();
    assert_eq!(client.read("HEAD").unwrap().status, 100);
    client.send(body(0).as_bytes()).unwrap();
    assert_eq!(client.read("POST").unwrap().status, 200);
    client.send(head(1001).as_bytes()).unwrap();
    assert_eq!(client.read("POST").unwrap().status, 413);
}

#[test]
fn what_is_not_http_gets_400_or_no_answer_and_does_no_harm() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    for bytes in [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".as_slice(),
        b"GET / HTTP/1.1\r\nHost: localhost\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense and more of it",
        b"\0\0\0\0\r\n\r\n",
    ] {
        let mut client = daemon.connect();
        client.send(bytes).unwrap();
        if let Ok(answer) = client.read("GET") {
            assert!(answer.status == 400, "{answer:?}");
        }
    }
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    daemon.terminate();
}

#[test]
fn a_taken_address_and_a_taken_directory_are_said_and_begin_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cdrlog"));
    give_inboxes(&mut command);
    let output = command
        .args(["serve", "--listen", &address, "--dir"])
        .arg(directory.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains(&address), "{said}");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let daemon = start(directory.path(), &[]);
    let output = serve(directory.path()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("in use"), "{said}");
    daemon.terminate();
}

#[test]
fn options_out_of_range_are_named() {
    let directory = tempfile::tempdir().unwrap();
    for (option, value) in [
        ("--event-bytes-max", "0"),
        ("--write-retry-timeout", "-1"),
        ("--idle-timeout", "soon"),
        ("--header-bytes-max", "10"),
        ("--connections-max", "0"),
        ("--path", "hooks"),
        ("--ack", "maybe"),
    ] {
        let output = serve(directory.path()).arg(format!("{option}={value}")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{option}: {said}");
        assert!(said.contains(option), "{option}: {said}");
    }
}

/// RFC 9112, section 3.2: two names, or none, are how a request is smuggled past a proxy.
#[test]
fn a_request_of_http11_names_one_host() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let status = |head: &str| {
        let mut client = daemon.connect();
        let event = body(0);
        let length = event.len();
        let request = format!("POST / {head}Content-Length: {length}\r\n\r\n{event}");
        client.send(request.as_bytes()).unwrap();
        client.read("POST").unwrap().status
    };
    assert_eq!(status("HTTP/1.1\r\n"), 400);
    assert_eq!(status("HTTP/1.1\r\nHost: localhost\r\nhost: localhost\r\n"), 400);
    assert_eq!(cdr(directory.path()), "");
    assert_eq!(status("HTTP/1.0\r\n"), 200);
    assert_eq!(status("HTTP/1.1\r\nHost: localhost\r\n"), 200);
    daemon.terminate();
}

#[test]
fn a_client_that_closes_its_half_gets_its_answer() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--ack", "synced"]);
    for number in 0..10 {
        let mut client = daemon.connect();
        let event = body(number);
        client.send(post_head("/", event.len(), &event).as_bytes()).unwrap();
        client.close_write();
        assert_eq!(client.read("POST").unwrap().status, 200);
        assert_eq!(client.read_to_end().unwrap(), b"");
    }
    daemon.terminate();
}

#[test]
fn a_body_that_is_encoded_gets_415() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let mut client = daemon.connect();
    let event = body(0);
    let ask = |client: &mut Client, coding: &str| {
        credentials::post(client, &[("Content-Encoding", coding)], &event)
    };
    let refused = ask(&mut client, "gzip");
    assert_eq!((refused.status, refused.header("accept-encoding")), (415, Some("identity")));
    assert!(refused.text().contains("gzip") || refused.text().contains("Content-Encoding"));
    assert_eq!(ask(&mut daemon.connect(), "identity").status, 200);
    daemon.terminate();
    assert!(rejects(directory.path()).is_empty());
}
