//! Connections that do nothing, or too little: what each of them costs the server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::post_head;
use crate::common::body;
use crate::daemon::{Daemon, start, wait_for};
use crate::skip::skip;
use crate::strangers::resident_bytes;

const SHARED_BYTES_MAX: u64 = 2 << 20;

/// What the test does with each new connection; it gets the number of the connection.
type Treat<'a> = &'a dyn Fn(&mut TcpStream, usize);

/// The long form is `CDRLOG_SERVE_IDLE=10000`.
fn count() -> usize {
    std::env::var("CDRLOG_SERVE_IDLE").map_or(400, |count| count.parse().unwrap())
}

/// Raises the descriptor limit of this process, which holds one end of each connection. `false` if
/// it cannot have that many.
fn allow_descriptors(count: usize) -> bool {
    let wanted = count as u64 + 500;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return true;
    }
    let raised = Rlimit { current: Some(wanted), maximum: limit.maximum };
    setrlimit(Resource::Nofile, raised).is_ok()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = wait_for("a connection", || TcpStream::connect(address).ok());
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream
}

/// Sends an event and reads its answer, a 200 without a body.
fn post(stream: &mut TcpStream, number: usize) {
    let event = body(number as u64);
    stream.write_all(post_head("/", event.len(), &event).as_bytes()).unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"\r\n\r\n") {
        let mut part = [0; 512];
        let bytes = stream.read(&mut part).unwrap();
        assert!(bytes > 0, "it was closed");
        answer.extend_from_slice(&part[..bytes]);
    }
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
}

/// How much memory the server takes for `count` connections that were treated like this, and the
/// connections.
fn bytes_of(
    daemon: &Daemon,
    count: usize,
    treat: impl Fn(&mut TcpStream, usize),
) -> (u64, Vec<TcpStream>) {
    // What all connections share is allocated first: the memory of events, the threads.
    (0..20).for_each(|number| post(&mut connect(daemon.address), 1_000_000 + number));
    let before = resident_bytes(daemon);
    let streams = (0..count)
        .map(|number| {
            let mut stream = connect(daemon.address);
            treat(&mut stream, number);
            stream
        })
        .collect();
    wait_for("all connections", || {
        let metrics = daemon.connect().get("/metrics");
        let name = "\ncdrlog_connections ";
        let (_, rest) = metrics.text().split_once(name).unwrap();
        let open: usize = rest.lines().next().unwrap().parse().unwrap();
        (open > count).then_some(())
    });
    (resident_bytes(daemon).saturating_sub(before), streams)
}

#[test]
fn a_connection_that_does_nothing_costs_less_than_16_kib() {
    let count = count();
    if !allow_descriptors(count) {
        skip(&format!("there are no descriptors for {count} connections"), "ulimit -n 20000");
        return;
    }
    let most = (count + 100).to_string();
    let limits = ["--connections-max", &most, "--peer-connections-max", &most];
    let timeouts = ["--header-timeout", "600", "--body-timeout", "600", "--idle-timeout", "600"];
    let options = [&limits[..], &timeouts].concat();
    // A head that never ends, almost as long as the limit, and one with almost as many headers.
    let long = format!("GET / HTTP/1.1\r\nHost: localhost\r\nX: {}", "x".repeat(15_000));
    let many = (0..90).map(|number| format!("x-{number}: {}\r\n", "y".repeat(150)));
    let many = format!("GET / HTTP/1.1\r\nHost: localhost\r\n{}", many.collect::<String>());
    let half = post_head("/", 20_000, &"x".repeat(15_000));
    let kinds: [(&str, u64, Treat<'_>); 5] = [
        ("silent", 16 << 10, &|_, _| {}),
        ("idle after an event", 16 << 10, &|stream, number| post(stream, number)),
        ("a long head without an end", 32 << 10, &|stream, _| {
            stream.write_all(long.as_bytes()).unwrap();
        }),
        ("many headers without an end", 32 << 10, &|stream, _| {
            stream.write_all(many.as_bytes()).unwrap();
        }),
        ("a body without an end", 48 << 10, &|stream, _| {
            stream.write_all(half.as_bytes()).unwrap();
        }),
    ];
    for (kind, bytes_max, treat) in kinds {
        let directory = tempfile::tempdir().unwrap();
        let daemon = start(directory.path(), &options);
        let (bytes, streams) = bytes_of(&daemon, count, treat);
        let each = bytes / count as u64;
        eprintln!("{count} connections, {kind}: {:.1} KiB each", each as f64 / 1024.0);
        // A crowd makes the allocator and the tables grow, and a few connections do not spread that
        // cost.
        assert!(bytes < SHARED_BYTES_MAX + count as u64 * bytes_max, "{kind}: {each} bytes each");
        // A client with something to send is served meanwhile.
        post(&mut connect(daemon.address), 2_000_000);
        drop(streams);
        daemon.terminate();
    }
}
