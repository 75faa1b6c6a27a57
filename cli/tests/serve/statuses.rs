//! Every answer that is not 200.

use std::net::TcpListener;
use std::process::Command;

use crate::common::{body, cdr, rejects};
use crate::daemon::{serve, start};

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
        ("--patience", "-1"),
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
