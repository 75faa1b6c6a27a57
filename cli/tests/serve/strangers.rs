//! Peers that show no credentials: what they may take, and that nobody else pays for it.
//!
//! An endpoint that held the answers a peer did not read, or counted bodies whose signature nobody
//! had checked together with those of its senders, was ended or blocked by strangers.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::common::{body, cdr};
use crate::credentials::{now, post, signature};
use crate::daemon::{Daemon, start, wait_for};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Frame types and flags of HTTP/2.
const HEADERS: u8 = 1;
const RESET: u8 = 3;
const REFUSED_STREAM: [u8; 4] = [0, 0, 0, 7];

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    let mut frame = length[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// The beginning of a connection whose peer takes no byte of any answer, and `count` times a GET of
/// this path, with this `x-token`; both have less than 127 bytes.
pub fn gets_without_a_window(path: &str, count: u32, token: Option<&str>) -> Vec<u8> {
    let mut bytes = PREFACE.to_vec();
    bytes.extend(frame(4, 0, 0, &[0, 4, 0, 0, 0, 0]));
    let mut head = vec![0x82, 0x86, 0x04, u8::try_from(path.len()).unwrap()];
    head.extend(path.as_bytes());
    head.extend(b"\x01\x09localhost");
    if let Some(token) = token {
        head.extend(b"\0\x07x-token");
        head.push(u8::try_from(token.len()).unwrap());
        head.extend(token.as_bytes());
    }
    (0..count).for_each(|number| bytes.extend(frame(HEADERS, 5, 2 * number + 1, &head)));
    bytes
}

/// Resident memory of a server, in bytes.
pub fn resident_bytes(daemon: &Daemon) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", daemon.id())).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}

fn with_meet_and_header(directory: &Path, options: &[&str]) -> Daemon {
    let [meet, header] = ["meet", "header"].map(|name| directory.join(name));
    std::fs::write(&meet, "meet-api-key\n").unwrap();
    std::fs::write(&header, "X-Token: secret-of-a-sender\n").unwrap();
    let files =
        ["--meet-key-file", meet.to_str().unwrap(), "--header-file", header.to_str().unwrap()];
    start(&directory.join("cdr"), &[&files[..], options].concat())
}

/// A POST with a signature that nobody has made, whose last byte is not sent.
fn stop_one_byte_short(daemon: &Daemon, bytes: usize) -> Client {
    let mut client = daemon.connect();
    let (time, signature) = (now().as_millis(), "0".repeat(64));
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: {bytes}\r\nX-Timestamp: {time}\r\n\
         X-Signature: {signature}\r\n\r\n"
    );
    client.send(head.as_bytes()).unwrap();
    // The server may have ended it before all is sent.
    let _ = client.send(&vec![b' '; bytes - 1]);
    client
}

#[test]
fn http2_in_clear_is_spoken_only_where_it_is_asked_for() {
    let directory = tempfile::tempdir().unwrap();
    for (options, speaks) in [(&[][..], false), (&["--h2c"][..], true)] {
        let daemon = start(directory.path(), options);
        let mut client = daemon.connect();
        client.send(PREFACE).unwrap();
        client.send(&frame(4, 0, 0, &[])).unwrap();
        if !speaks {
            // Without a frame of HTTP/2 in it.
            let answer = client.read_to_end().unwrap_or_default();
            assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 "), "{answer:?}");
        } else {
            assert_eq!(client.read_exact(9).unwrap()[3], 4, "SETTINGS come first");
        }
        assert_eq!(daemon.connect().get("/healthz").status, 200);
        daemon.terminate();
    }
}

#[test]
fn a_connection_without_credentials_gets_few_streams() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = with_meet_and_header(directory.path(), &["--h2c"]);
    let mut client = daemon.connect();
    client.send(&gets_without_a_window("/nowhere", 32, None)).unwrap();
    let (mut answered, mut refused) = (0, 0);
    while answered + refused < 32 {
        let head = client.read_exact(9).unwrap();
        let payload = client.read_exact(usize::from(head[1]) << 8 | usize::from(head[2])).unwrap();
        match head[3] {
            HEADERS => answered += 1,
            // A sender may try again what was refused in this way: it was not looked at.
            RESET if payload == REFUSED_STREAM => refused += 1,
            RESET => panic!("reset for another reason: {payload:?}"),
            _ => {}
        }
    }
    assert_eq!((answered, refused), (8, 24));
    daemon.terminate();
}

/// `CDRLOG_SERVE_STRANGERS=4096` is the long form; it takes as many descriptors.
#[test]
fn answers_that_strangers_do_not_read_take_a_bounded_memory_and_give_it_back() {
    let directory = tempfile::tempdir().unwrap();
    let count: u32 =
        std::env::var("CDRLOG_SERVE_STRANGERS").map_or(150, |count| count.parse().unwrap());
    let limits = ["--connections-max", "5000", "--peer-connections-max", "5000"];
    // They stay for as long as they may.
    let timeouts = ["--body-timeout", "600", "--h2c"];
    let daemon = with_meet_and_header(directory.path(), &[&limits[..], &timeouts].concat());
    let before = resident_bytes(&daemon);
    let attack: Vec<Vec<u8>> =
        ["/metrics", "/nowhere"].map(|path| gets_without_a_window(path, 128, None)).into();
    let mut most = before;
    let clients: Vec<_> = (0..count as usize)
        .map(|number| {
            // The server is busy with those before, and ends some of them while they send.
            let mut client = wait_for("a connection", || Client::try_connect(daemon.address).ok());
            let _ = client.send(&attack[number % 2]);
            if number % 16 == 0 {
                most = most.max(resident_bytes(&daemon));
            }
            client
        })
        .collect();
    // Who has credentials is served meanwhile.
    let token = [("X-Token", "secret-of-a-sender")];
    assert_eq!(post(&mut daemon.connect(), &token, &body(0)).status, 200);
    most = most.max(resident_bytes(&daemon));
    let bound = (16 << 20) + u64::from(count) * (20 << 10);
    eprintln!("{count} strangers: {} KiB, then {} KiB", before >> 10, most >> 10);
    assert!(most - before < bound, "{} MiB for {count} strangers", (most - before) >> 20);
    assert!(count < 4096 || most < 100 << 20, "{} MiB in all", most >> 20);
    drop(clients);
    wait_for("the memory", || (resident_bytes(&daemon) < before + (24 << 20)).then_some(()));
    daemon.terminate();
}

#[test]
fn bodies_that_nobody_has_signed_never_take_from_those_of_senders() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = with_meet_and_header(directory.path(), &["--bodies-bytes-max", "4000000"]);
    let strangers: Vec<_> = (0..64).map(|_| stop_one_byte_short(&daemon, 1_000_000)).collect();
    let large = |event: &str| format!(r#"{{"event":"{event}","p":"{}"}}"#, "x".repeat(900_000));
    // One in a piece, and one in many.
    for event in [body(0), large("header")] {
        let token = [("X-Token", "secret-of-a-sender")];
        let answer = post(&mut daemon.connect(), &token, &event);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    for event in [body(1), large("meet")] {
        let (signature, time) = signature("meet-api-key", &event);
        let headers = [("X-Signature", signature.as_str()), ("X-Timestamp", time.as_str())];
        let answer = post(&mut daemon.connect(), &headers, &event);
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    drop(strangers);
    daemon.terminate();
    assert_eq!(cdr(&directory.path().join("cdr")).lines().count(), 4);
}

#[test]
fn a_body_that_is_not_verified_yet_gets_a_short_time() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = with_meet_and_header(directory.path(), &["--body-timeout", "600"]);
    let begin = Instant::now();
    let mut client = stop_one_byte_short(&daemon, 1000);
    assert_eq!(client.read("POST").unwrap().status, 408);
    assert!(begin.elapsed() < Duration::from_secs(30), "{:?}", begin.elapsed());
    daemon.terminate();
}

#[test]
fn one_address_gets_its_share_of_the_connections() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--peer-connections-max", "3"]);
    let mut own: Vec<_> = (0..3).map(|_| daemon.connect()).collect();
    for (number, client) in own.iter_mut().enumerate() {
        assert_eq!(client.post(&body(number as u64)).status, 200);
    }
    // Closed at once, while those before are served.
    assert!(daemon.connect().read_to_end().unwrap_or_default().is_empty());
    assert_eq!(own[0].post(&body(3)).status, 200);
    // Another address of this machine.
    let other = SocketAddr::from((Ipv4Addr::new(127, 0, 0, 2), 0));
    let mut client = Client::connect_from(other, daemon.address);
    assert_eq!(client.post(&body(4)).status, 200);
    // A connection that has ended makes room.
    own.pop();
    wait_for("room", || {
        let mut client = daemon.connect();
        client.try_post("/", &body(5)).ok()
    });
    daemon.terminate();
}

#[test]
fn silent_connections_make_room_for_new_ones_and_senders_keep_theirs() {
    let directory = tempfile::tempdir().unwrap();
    let options = ["--connections-max", "4", "--header-timeout", "600", "--idle-timeout", "600"];
    let daemon = with_meet_and_header(directory.path(), &options);
    let token = [("X-Token", "secret-of-a-sender")];
    let mut sender = daemon.connect();
    assert_eq!(post(&mut sender, &token, &body(0)).status, 200);
    let mut silent = Vec::new();
    for number in 1..20 {
        for _ in 0..8 {
            silent.push(daemon.connect());
            let _ = silent.last_mut().unwrap().send(b"POST / HTT");
        }
        assert_eq!(post(&mut daemon.connect(), &token, &body(number)).status, 200);
    }
    assert_eq!(post(&mut sender, &token, &body(20)).status, 200, "its place was taken");
    daemon.terminate();
}
