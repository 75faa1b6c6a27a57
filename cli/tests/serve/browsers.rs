//! A server without credentials answers the programs of its machine, and no web page that a browser
//! of this machine shows: neither one that posts to it, nor one whose name was made to lead here.

use crate::client::{Answer, Client};
use crate::common::{body, cdr};
use crate::credentials::with_file;
use crate::daemon::{Daemon, start};

/// A POST to a host, with more headers.
fn post_to(daemon: &Daemon, host: &str, headers: &str, body: &str) -> Answer {
    let mut client = daemon.connect();
    let head = format!("POST / HTTP/1.1\r\n{host}{headers}Content-Length: {}\r\n", body.len());
    client.send(format!("{head}\r\n{body}").as_bytes()).unwrap();
    client.read("POST").unwrap()
}

fn get(client: &mut Client, path: &str, head: &str) -> u16 {
    client.send(format!("GET {path} HTTP/1.1\r\n{head}\r\n").as_bytes()).unwrap();
    client.read("GET").unwrap().status
}

#[test]
fn a_page_of_another_origin_can_neither_post_nor_read() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let port = daemon.address.port();
    let host = format!("Host: 127.0.0.1:{port}\r\n");
    for origin in ["http://evil.example", "null", "http://localhost:3000", "http://127.0.0.1", ""] {
        let answer = post_to(&daemon, &host, &format!("Origin: {origin}\r\n"), &body(0));
        assert_eq!(answer.status, 403, "{origin}");
        assert!(answer.text().contains("Origin"), "{}", answer.text());
        let head = format!("{host}Origin: {origin}\r\n");
        assert_eq!(get(&mut daemon.connect(), "/openvidu/cdr", &head), 403, "{origin}");
    }
    let own = format!("Origin: http://127.0.0.1:{port}\r\n");
    assert_eq!(post_to(&daemon, &host, &own, &body(1)).status, 200);
    let line = daemon.wait_until_it_says(r#""reason":"foreign_origin""#);
    assert!(line.contains("WARN"), "{line}");
    daemon.terminate();
    assert_eq!(cdr(directory.path()).lines().count(), 1);
}

#[test]
fn a_name_that_was_made_to_lead_here_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let paths = ["/openvidu/cdr", "/metrics", "/healthz"];
    for host in [
        "evil.example",
        "evil.example:8787",
        "localhost.evil.example",
        "10.0.0.1",
        "[::2]",
        "127.0.0.1.evil.example",
        "",
        "localhost@evil.example",
    ] {
        let head = format!("Host: {host}\r\n");
        assert_eq!(post_to(&daemon, &head, "", &body(0)).status, 403, "{host}");
        for path in paths {
            assert_eq!(get(&mut daemon.connect(), path, &head), 403, "{host} {path}");
        }
    }
    let twice = "Host: localhost\r\nHost: evil.example\r\n";
    assert_eq!(post_to(&daemon, twice, "", &body(0)).status, 400);
    for (number, host) in
        ["localhost", "LOCALHOST:8787", "127.0.0.1", "127.8.9.1:1", "[::1]:8787", "cdr.localhost"]
            .into_iter()
            .enumerate()
    {
        let head = format!("Host: {host}\r\n");
        assert_eq!(post_to(&daemon, &head, "", &body(number as u64)).status, 200, "{host}");
        for path in paths {
            assert_eq!(get(&mut daemon.connect(), path, &head), 200, "{host} {path}");
        }
    }
    // A probe of HTTP/1.0 names no host, and no browser speaks it.
    let mut client = daemon.connect();
    client.send(b"GET /healthz HTTP/1.0\r\n\r\n").unwrap();
    assert_eq!(client.read("GET").unwrap().status, 200);
    daemon.terminate();
}

#[test]
fn with_credentials_or_no_auth_any_name_leads_here() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = with_file(directory.path(), "--header-file", "X-Token: a-long-secret");
    let headers = "X-Token: a-long-secret\r\nOrigin: null\r\n";
    assert_eq!(post_to(&daemon, "Host: cdr.example.org\r\n", headers, &body(0)).status, 200);
    daemon.terminate();
    let daemon = start(&directory.path().join("open"), &["--no-auth"]);
    assert_eq!(post_to(&daemon, "Host: cdr.example.org\r\n", "", &body(0)).status, 200);
    let foreign = "Origin: http://evil.example\r\n";
    assert_eq!(post_to(&daemon, "Host: cdr.example.org\r\n", foreign, &body(1)).status, 403);
    daemon.terminate();
}
