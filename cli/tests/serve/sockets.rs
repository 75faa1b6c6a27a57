//! Sockets that a parent passes, and unix sockets.
//!
//! Without them every restart refuses connections for a few moments, and a sender that does not try
//! again loses its events.
//!
//! The long form: `CDRLOG_RESTART_ROUNDS=100 cargo test -p cdrlog-cli --test serve sockets --
//! --nocapture`

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::AsRawFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use crate::activation::pass;
use crate::client::{Client, post_head};
use crate::common::{body, cdr, line, lines};
use crate::daemon::{Daemon, copy_environment, serve, wait_for};
use crate::flood::{Failure, Flood};
use crate::secured::certify;

/// `cdrlog serve` without an address of its own.
fn serve_passed(directory: &Path) -> Command {
    let with_address = serve(directory);
    let arguments: Vec<_> = with_address.get_args().collect();
    let listen = arguments.iter().position(|argument| *argument == "--listen").unwrap();
    let mut command = Command::new(with_address.get_program());
    command.args(&arguments[..listen]).args(&arguments[listen + 2..]);
    copy_environment(&with_address, &mut command);
    command
}

fn rounds(default: u64) -> u64 {
    std::env::var("CDRLOG_RESTART_ROUNDS").map_or(default, |rounds| rounds.parse().unwrap())
}

/// Posts over a unix socket. Returns the status line.
fn post_unix(path: &Path, event: &str) -> String {
    let mut stream = UnixStream::connect(path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(post_head("/", event.len(), event).as_bytes()).unwrap();
    let mut answer = [0; 15];
    stream.read_exact(&mut answer).unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[track_caller]
fn failure(command: &mut Command) -> String {
    let Output { status, stderr, .. } = command.output().unwrap();
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert_eq!(status.code(), Some(1), "{said}");
    said
}

#[test]
fn passed_sockets_are_accepted_from_without_an_address() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("passed.sock");
    let (four, six) =
        (TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("[::1]:0").unwrap());
    let unix = UnixListener::bind(&path).unwrap();
    let cdr_path = directory.path().join("cdr");
    let mut command = pass(&serve_passed(&cdr_path), &[&four, &six, &unix], None);
    let daemon = Daemon::start(&mut command);
    assert_eq!(daemon.address, four.local_addr().unwrap());
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    assert_eq!(Client::connect(six.local_addr().unwrap()).post(&body(1)).status, 200);
    assert_eq!(post_unix(&path, &body(2)), "HTTP/1.1 200 OK");
    daemon.terminate();
    assert_eq!(cdr(&cdr_path), lines(3));
    assert!(path.exists(), "it is not the server's to remove");
}

#[test]
fn an_address_that_is_passed_may_be_asked_for_too() {
    let directory = tempfile::tempdir().unwrap();
    let passed = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = serve_passed(directory.path());
    command.args(["--listen", &passed.local_addr().unwrap().to_string()]);
    let daemon = Daemon::start(&mut pass(&command, &[&passed], Some("")));
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    daemon.terminate();
}

#[test]
fn the_name_of_a_passed_socket_says_whether_it_speaks_tls() {
    let directory = tempfile::tempdir().unwrap();
    certify(directory.path());
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| directory.path().join(name));
    let sockets = [(); 3].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    let [plain, tls, other] = &sockets;
    let mut command = serve_passed(&directory.path().join("cdr"));
    command.arg("--tls-cert").arg(cert).arg("--tls-key").arg(key);
    let names = Some("http:https:cdrlog.socket");
    let daemon = Daemon::start(&mut pass(&command, &[plain, tls, other], names));
    let statuses = [plain, tls, other].map(|socket| {
        let mut client = Client::connect(socket.local_addr().unwrap());
        client.post(&body(0)).status
    });
    // Plain HTTP gets 400 where TLS is spoken.
    assert_eq!(statuses, [200, 400, 400]);
    daemon.terminate();
}

#[test]
fn sockets_that_cannot_be_used_are_one_clear_error() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let exposed = TcpListener::bind("0.0.0.0:0").unwrap();
    let unix = UnixListener::bind(directory.path().join("socket")).unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let connection = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let file = File::open("/dev/null").unwrap();
    let cases: [(&dyn AsRawFd, &str, &str); 7] = [
        (&file, "a", r#"the passed socket \"a\": it is not a socket"#),
        (&udp, "a", "it is not a stream socket"),
        (&connection, "a", "it does not listen"),
        (&listener, "a:b", "LISTEN_FDNAMES"),
        (&listener, "https", "--tls-cert"),
        (&unix, "https", "a unix socket does not speak TLS"),
        (&exposed, "http", "can be reached by others"),
    ];
    let command = serve_passed(&directory.path().join("cdr"));
    for (socket, names, expected) in cases {
        let said = failure(&mut pass(&command, &[socket], Some(names)));
        let plain = expected.replace('\\', "");
        assert!(said.contains(expected) || said.contains(&plain), "{expected}: {said}");
    }
    // A number that is not an open descriptor.
    let mut command = pass(&command, &[&listener], None);
    let said = failure(command.env("LISTEN_FDS", "40"));
    assert!(said.contains("LISTEN_FDS") && said.contains("Bad file descriptor"), "{said}");
    assert!(!directory.path().join("cdr").exists(), "a directory was made");
}

#[test]
fn sockets_for_another_process_are_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = serve(directory.path());
    let daemon = Daemon::start(command.envs([("LISTEN_PID", "1"), ("LISTEN_FDS", "1")]));
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    daemon.terminate();
}

#[test]
fn a_unix_socket_has_its_mode_and_is_there_as_long_as_the_server() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("http.sock");
    let address = format!("unix:{}", path.display());
    let cdr_path = directory.path().join("cdr");
    let command = |options: &[&str]| {
        let mut command = serve(&cdr_path);
        command.args(["--listen", &address]).args(options);
        command
    };
    let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let daemon = Daemon::start(&mut command(&[]));
    assert_eq!(mode(), 0o660);
    assert_eq!(post_unix(&path, &body(0)), "HTTP/1.1 200 OK");
    assert_eq!(daemon.connect().post(&body(1)).status, 200, "the other address is there too");
    let said = failure(serve_passed(&directory.path().join("other")).args(["--listen", &address]));
    assert!(said.contains("another process listens on it"), "{said}");
    assert_eq!(post_unix(&path, &body(2)), "HTTP/1.1 200 OK");
    daemon.kill();
    assert!(path.exists(), "what a killed server leaves");
    let daemon = Daemon::start(&mut command(&["--listen-mode", "0600"]));
    assert_eq!(mode(), 0o600);
    assert_eq!(post_unix(&path, &body(3)), "HTTP/1.1 200 OK");
    daemon.terminate();
    assert!(!path.exists());
    assert_eq!(cdr(&cdr_path), lines(4));
}

/// No browser can reach a unix socket, but everybody may reach the proxy in front of it: it needs
/// credentials just as a proxy in front of a loopback address does.
#[test]
fn peers_of_a_unix_socket_are_checked_and_named_as_those_of_loopback() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("http.sock");
    let mut command = serve_passed(&directory.path().join("cdr"));
    // One connection per address at a time; a unix socket has no such limit.
    command.args(["--listen", &format!("unix:{}", path.display()), "--peer-connections-max", "1"]);
    let daemon = Daemon::start(&mut command);
    let _waiting = [(); 3].map(|()| UnixStream::connect(&path).unwrap());
    assert_eq!(post_unix(&path, &body(0)), "HTTP/1.1 200 OK");
    let mut stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let foreign = post_head("/", 0, "").replace("localhost", "cdr.example.org");
    stream.write_all(foreign.as_bytes()).unwrap();
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 403");
    let told = daemon.wait_until_it_says("refused");
    assert!(told.contains(r#""peer":"unix""#), "{told}");
    daemon.terminate();
}

fn is_stopped(process: u32) -> bool {
    let threads = fs::read_dir(format!("/proc/{process}/task")).unwrap();
    let mut stats = threads.map(|thread| fs::read_to_string(thread.unwrap().path().join("stat")));
    stats.all(|stat| stat.unwrap().contains(") T "))
}

#[test]
fn connections_that_were_not_accepted_outlive_a_kill() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = || Daemon::start(&mut pass(&serve_passed(directory.path()), &[&listener], None));
    let daemon = start();
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    daemon.signal("STOP");
    // It accepts nothing from now on: each of its threads has stopped.
    wait_for("the stop", || is_stopped(daemon.id()).then_some(()));
    let mut clients: Vec<_> = (1..100).map(|number| (number, daemon.connect())).collect();
    for (number, client) in &mut clients {
        let event = body(*number);
        client.send(post_head("/", event.len(), &event).as_bytes()).unwrap();
    }
    daemon.kill();
    let daemon = start();
    for (number, client) in &mut clients {
        assert_eq!(client.read("POST").unwrap().status, 200, "{number}");
    }
    daemon.terminate();
    let mut written: Vec<_> = cdr(directory.path()).lines().map(str::to_owned).collect();
    let mut expected: Vec<_> = (0..100).map(|number| line(number).trim_end().to_owned()).collect();
    written.sort();
    expected.sort();
    assert_eq!(written, expected);
}

#[test]
fn restarts_lose_and_refuse_nothing_where_the_parent_holds_the_socket() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = || Daemon::start(&mut pass(&serve_passed(directory.path()), &[&listener], None));
    let mut daemon = start();
    let flood = Flood::start(daemon.address, 500);
    let rounds = rounds(3);
    for _ in 0..rounds {
        flood.wait(50);
        daemon.terminate();
        daemon = start();
    }
    flood.wait(50);
    let outcome = flood.stop();
    daemon.terminate();
    eprintln!("{rounds} restarts, {outcome}");
    outcome.assert_whole(directory.path());
}

/// A request in flight at a kill may have no answer, and its event may or may not be in the CDR.
/// That is true of nothing else.
#[test]
fn a_kill_costs_no_more_than_the_requests_in_flight_where_the_parent_holds_the_socket() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let start = || Daemon::start(&mut pass(&serve_passed(directory.path()), &[&listener], None));
    let mut daemon = start();
    let flood = Flood::start(daemon.address, 500);
    let (rounds, mut kills) = (rounds(3), Vec::new());
    for _ in 0..rounds {
        flood.wait(50);
        let begin = Instant::now();
        daemon.kill();
        kills.push((begin, Instant::now()));
        daemon = start();
    }
    flood.wait(50);
    let outcome = flood.stop();
    daemon.terminate();
    let counts = outcome.assert_answered(directory.path());
    let (mut unanswered, mut written) = (0, 0);
    for sent in outcome.failed() {
        assert_eq!(sent.outcome, Err(Failure::Unanswered), "{}", sent.number);
        let is_of_kill = kills.iter().any(|(begin, end)| sent.begin <= *end && *begin <= sent.end);
        assert!(is_of_kill, "{} has no answer, and nobody was killed", sent.number);
        unanswered += 1;
        written += u64::from(counts.contains_key(&sent.number));
    }
    eprintln!(
        "{rounds} kills, {outcome}; {unanswered} were in flight and have no answer, {written} of them \
         are in the CDR"
    );
}

/// A proxy has all its clients there, and limits them itself.
#[test]
fn a_unix_socket_has_no_limits_of_an_address_and_is_in_no_network() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("proxy.sock");
    let cdr_path = directory.path().join("cdr");
    let mut command = crate::daemon::serve(&cdr_path);
    command.args(["--listen", &format!("unix:{}", path.display()), "--allow", "127.0.0.1"]);
    command.args(["--peer-requests-per-second", "1", "--peer-bytes-per-second", "1"]);
    let daemon = Daemon::start(&mut command);
    for number in 0..20 {
        assert_eq!(post_unix(&path, &body(number)), "HTTP/1.1 200 OK");
    }
    daemon.terminate();
    assert_eq!(cdr(&cdr_path), lines(20));
}
