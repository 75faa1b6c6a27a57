//! What becomes of requests and connections that are open during a hand-over.

use super::*;

#[test]
fn a_slow_request_in_flight_is_finished_and_holds_up_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--end-timeout", "600", "--body-timeout", "600"]);
    let event = body(0);
    let mut slow = daemon.connect();
    let head =
        post_head("/", event.len(), "").replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    slow.send(head.as_bytes()).unwrap();
    assert_eq!(slow.read("HEAD").unwrap().status, 100);
    let (peer, _sockets) = Peer::greet(directory.path());
    peer.go();
    daemon.wait_until_it_says("handing over");
    for number in 1..50 {
        assert_eq!(daemon.connect().post(&body(number)).status, 200);
        std::thread::sleep(Duration::from_millis(50));
    }
    slow.send(event.as_bytes()).unwrap();
    let answer = slow.read("POST").unwrap();
    assert_eq!((answer.status, answer.header("connection")), (200, Some("close")));
    assert_eq!(peer.hear().0, r#""closed""#);
    assert_eq!(cdr(directory.path()).lines().count(), 50);
}

#[test]
fn connections_that_stay_open_hear_of_their_end_before_it() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--h2c"]);
    let mut http_1 = daemon.connect();
    assert_eq!(http_1.post(&body(0)).status, 200);
    let mut http_2 = daemon.connect();
    http_2.send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").unwrap();
    // The server's settings: it knows the version of HTTP.
    assert_eq!(frame(&mut http_2), 4);
    let (peer, _sockets) = Peer::greet(directory.path());
    peer.go();
    // This connection posts without a pause, and is never cut.
    for number in 1.. {
        let answer = http_1.post(&body(number));
        assert_eq!(answer.status, 200);
        if answer.header("connection") == Some("close") {
            break;
        }
    }
    assert_eq!(http_1.read_to_end().unwrap(), b"");
    const GOAWAY: u8 = 7;
    while frame(&mut http_2) != GOAWAY {}
    assert_eq!(peer.hear().0, r#""closed""#);
}

/// Reads an HTTP/2 frame, and returns its type.
fn frame(client: &mut Client) -> u8 {
    let head = client.read_exact(9).unwrap();
    let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
    client.read_exact(length).unwrap();
    head[3]
}

#[test]
fn a_unix_socket_is_handed_over_with_its_file() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("http.sock");
    let listen = format!("unix:{}", path.display());
    let cdr_path = directory.path().join("cdr");
    let first = Daemon::start(serve(&cdr_path).args(["--listen", &listen]));
    // A hand-over that fails leaves the file in place.
    let failing = ["--listen", &listen, "--listen", "0.0.0.0:0"];
    assert!(!successor(&cdr_path, &failing).output().unwrap().status.success());
    UnixStream::connect(&path).unwrap();
    let second = Daemon::start(&mut successor(&cdr_path, &["--listen", &listen]));
    first.hand_over();
    UnixStream::connect(&path).unwrap();
    second.terminate();
    assert!(!path.exists());
}
