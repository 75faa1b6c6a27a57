//! A new process takes over from a running one: nothing is refused, lost or doubled.
//!
//! Without it, an upgrade loses the events of a few moments: OpenVidu 2 sends each of them only
//! once.
//!
//! The long form: `CDRLOG_HANDOVER_ROUNDS=100 cargo test -p cdrlog-cli --test serve hand_overs_ --
//! --nocapture`, with `CDRLOG_HANDOVER_RATE=1000` events per second (500 by default) and
//! `CDRLOG_HANDOVER_PAUSE=2` seconds between two hand-overs (0.2 by default).

mod connections;
mod failed;

use std::fs;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketType, recvmsg, sendmsg, socket,
};

use crate::activation::pass;
use crate::client::{Client, post_head};
use crate::common::{body, cdr, line, lines};
use crate::daemon::{Daemon, copy_environment, serve, start, wait_for};
use crate::flood::Flood;
use crate::mount::Mount;
use crate::notify::Systemd;
use crate::skip::skip;

/// One end of the conversation of a hand-over, played by a test.
struct Peer(OwnedFd);

impl Peer {
    fn connect(directory: &Path) -> Self {
        let peer = socket(AddressFamily::UNIX, SocketType::SEQPACKET, None).unwrap();
        rustix::net::connect(&peer, &SocketAddrUnix::new(control(directory)).unwrap()).unwrap();
        Self(peer)
    }

    /// Has the sockets of the server, and can say [`Self::go`] next.
    fn greet(directory: &Path) -> (Self, Vec<OwnedFd>) {
        let peer = Self::connect(directory);
        peer.say(r#"{"take_over":{"version":1}}"#, &[]);
        let (said, sockets) = peer.hear();
        assert!(said.starts_with(r#"{"sockets":{"sockets":[{"asked":"127.0.0.1:0"}]"#), "{said}");
        (peer, sockets)
    }

    fn go(&self) {
        self.say(r#""go""#, &[]);
    }

    fn say(&self, text: &str, sockets: &[&OwnedFd]) {
        let sockets: Vec<_> = sockets.iter().map(|socket| socket.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !sockets.is_empty() {
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(&sockets)));
        }
        let parts = [IoSlice::new(text.as_bytes())];
        sendmsg(&self.0, &parts, &mut ancillary, SendFlags::empty()).unwrap();
    }

    /// What the other end says; nothing if it is closed.
    fn hear(&self) -> (String, Vec<OwnedFd>) {
        let mut text = [0; 4096];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(8))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(&mut text)];
        let flags = RecvFlags::CMSG_CLOEXEC;
        let received = recvmsg(&self.0, &mut parts, &mut ancillary, flags).unwrap();
        let mut sockets = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = message {
                sockets.extend(received);
            }
        }
        (String::from_utf8(text[..received.bytes].to_vec()).unwrap(), sockets)
    }
}

fn control(directory: &Path) -> PathBuf {
    directory.join(".cdrlog/handover.sock")
}

fn successor(directory: &Path, options: &[&str]) -> Command {
    let mut command = serve(directory);
    command.arg("--take-over").args(options);
    command
}

/// A server that another server has started. Killed if the test does not end it.
struct Started(u32);

impl Started {
    /// The one that a log names.
    fn of(told: &str) -> Self {
        let fields: serde_json::Value = serde_json::from_str(told).unwrap();
        Self(u32::try_from(fields["pid"].as_u64().unwrap()).unwrap())
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.0.to_string()]).status();
        assert!(status.unwrap().success(), "kill {name}");
    }

    /// Ends it cleanly.
    fn terminate(self) {
        self.signal("TERM");
        wait_for("the end of the server", || self.is_gone().then_some(()));
    }

    fn is_gone(&self) -> bool {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0)).unwrap_or_default();
        stat.is_empty() || stat.contains(") Z ")
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        if !self.is_gone() {
            self.signal("KILL");
        }
    }
}

#[test]
fn hand_overs_refuse_lose_and_double_nothing() {
    hand_over_under(Flood::start);
}

#[test]
fn hand_overs_cut_no_connection_that_stays_open() {
    hand_over_under(Flood::start_keeping);
}

fn hand_over_under(start_flood: fn(SocketAddr, u64) -> Flood) {
    let rounds =
        std::env::var("CDRLOG_HANDOVER_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
    let rate = std::env::var("CDRLOG_HANDOVER_RATE").map_or(500, |rate| rate.parse().unwrap());
    let pause = std::env::var("CDRLOG_HANDOVER_PAUSE").map_or(0.2, |pause| pause.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = start(directory.path(), &[]);
    let address = daemon.address;
    let flood = start_flood(address, rate);
    for _ in 0..rounds {
        std::thread::sleep(Duration::from_secs_f64(pause));
        flood.wait(1);
        let new = Daemon::start(&mut successor(directory.path(), &[]));
        assert_eq!(new.address, address);
        std::mem::replace(&mut daemon, new).hand_over();
    }
    flood.wait(1);
    let outcome = flood.stop();
    daemon.terminate();
    eprintln!("{rounds} hand-overs, {outcome}");
    outcome.assert_whole(directory.path());
}

#[test]
fn what_was_written_before_a_hand_over_is_known_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let first = start(directory.path(), &[]);
    assert!((0..100).all(|number| first.connect().post(&body(number)).status == 200));
    let second = Daemon::start(&mut successor(directory.path(), &[]));
    first.hand_over();
    assert!((0..101).all(|number| second.connect().post(&body(number)).status == 200));
    second.terminate();
    assert_eq!(cdr(directory.path()), lines(101));
    assert!(!control(directory.path()).exists());
}

#[test]
fn without_a_running_server_it_is_a_usual_start() {
    let directory = tempfile::tempdir().unwrap();
    Daemon::start(&mut successor(directory.path(), &[])).terminate();
    let daemon = Daemon::start(&mut successor(directory.path(), &[]));
    daemon.kill();
    assert!(control(directory.path()).exists(), "what a killed server leaves");
    let daemon = Daemon::start(&mut successor(directory.path(), &[]));
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    daemon.terminate();
}

#[test]
fn a_signal_starts_the_program_that_is_at_the_path_now_and_systemd_hears_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let program = directory.path().join("cdrlog");
    let install = || {
        let new = directory.path().join("new");
        fs::copy(env!("CARGO_BIN_EXE_cdrlog"), &new).unwrap();
        fs::rename(new, &program).unwrap();
    };
    install();
    let cdr_path = directory.path().join("cdr");
    let usual = serve(&cdr_path);
    let mut command = Command::new(&program);
    command.args(usual.get_args());
    copy_environment(&usual, &mut command);
    let systemd = Systemd::new();
    systemd.adopt(&mut command);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let daemon = Daemon::start(&mut pass(&command, &[&listener], Some("http")));
    systemd.wait_for("READY=1");

    // First no program at all, then one that cannot be executed: the old server goes on.
    fs::remove_file(&program).unwrap();
    for garbage in [None, Some("no program")] {
        if let Some(garbage) = garbage {
            fs::write(&program, garbage).unwrap();
            fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        }
        daemon.signal("USR2");
        systemd.wait_for("RELOADING=1");
        let told = daemon.wait_until_it_says("not handed over");
        assert!(told.contains(program.to_str().unwrap()), "{told}");
        systemd.wait_for("READY=1");
        assert_eq!(daemon.connect().post(&body(0)).status, 200);
    }

    install();
    daemon.signal("USR2");
    let new = Started::of(&daemon.wait_until_it_says("started a process that takes over"));
    let told = systemd.wait_for(&format!("MAINPID={}", new.0));
    assert!(told.contains("READY=1"), "{told}");
    let environment = fs::read_to_string(format!("/proc/{}/environ", new.0)).unwrap();
    for name in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"] {
        assert!(!environment.contains(name), "{environment}");
    }
    systemd.wait_for("WATCHDOG=1");
    let address = daemon.address;
    daemon.hand_over();
    assert_eq!(Client::connect(address).post(&body(1)).status, 200);
    new.terminate();
    assert_eq!(cdr(&cdr_path), lines(2));
}

#[test]
fn a_process_of_another_user_gets_nothing() {
    if !rustix::process::geteuid().is_root() {
        skip("only root can be another user", "run it as root");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    // As if somebody had made everything accessible to everybody.
    for path in [directory.path(), &directory.path().join(".cdrlog"), &control(directory.path())] {
        fs::set_permissions(path, fs::Permissions::from_mode(0o777)).unwrap();
    }
    let path = directory.path().to_owned();
    let stranger = std::thread::spawn(move || {
        const NOBODY: libc::uid_t = 65_534;
        // SAFETY: a system call that takes only numbers. It changes the user of this thread alone,
        // which the C library's function would not do.
        let changed = unsafe { libc::syscall(libc::SYS_setresuid, NOBODY, NOBODY, NOBODY) };
        assert_eq!(changed, 0);
        let peer = Peer::connect(&path);
        peer.say(r#"{"take_over":{"version":1}}"#, &[]);
        peer.hear()
    });
    let (said, sockets) = stranger.join().unwrap_or_else(|_| (String::new(), Vec::new()));
    assert!(said.is_empty() && sockets.is_empty(), "{said}");
    daemon.wait_until_it_says("refused to hand over to a process of another user");
    // The new process does not trust one either.
    let output = successor(directory.path(), &[]).uid(65_534).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("a process of another user (0) listens on"), "{said}");
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    daemon.terminate();
}

/// A large body over a slow line gets time to arrive, and the other senders do not wait for it.
#[test]
fn a_process_that_hands_over_by_another_version_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let peer = Peer::connect(directory.path());
    peer.say(r#"{"take_over":{"version":99}}"#, &[]);
    let (said, sockets) = peer.hear();
    assert!(said.contains("version 1, not 99: restart it") && sockets.is_empty(), "{said}");
    daemon.terminate();
}

#[test]
fn a_server_that_is_told_to_end_hands_over_to_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--body-timeout", "600"]);
    let mut slow = daemon.connect();
    let head = post_head("/", 100, "").replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n");
    slow.send(head.as_bytes()).unwrap();
    assert_eq!(slow.read("HEAD").unwrap().status, 100);
    let (peer, _sockets) = Peer::greet(directory.path());
    peer.go();
    daemon.wait_until_it_says("handing over");
    daemon.signal("TERM");
    assert_eq!(peer.hear().0, r#"{"refused":{"reason":"it was told to end"}}"#);
    drop(slow);
    assert!(daemon.end().0.success());
}
