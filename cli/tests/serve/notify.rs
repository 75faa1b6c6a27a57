//! What systemd hears, by a socket that a test reads in its place.

use std::os::unix::net::UnixDatagram;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::common::body;
use crate::daemon::{Daemon, serve};

/// The socket.
pub struct Systemd {
    socket: UnixDatagram,
    directory: tempfile::TempDir,
}

/// How long systemd waits for a sign of life. A server gives three in that time.
const WATCHDOG: Duration = Duration::from_secs(3);

impl Systemd {
    pub fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let socket = UnixDatagram::bind(directory.path().join("notify")).unwrap();
        socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        Self { socket, directory }
    }

    pub fn adopt(&self, command: &mut Command) {
        command
            .env("NOTIFY_SOCKET", self.directory.path().join("notify"))
            .env("WATCHDOG_USEC", WATCHDOG.as_micros().to_string())
            .env_remove("WATCHDOG_PID");
    }

    /// The next message, if there is one within a second.
    fn next(&self) -> Option<String> {
        let mut message = [0; 4096];
        let length = self.socket.recv(&mut message).ok()?;
        Some(String::from_utf8(message[..length].to_vec()).unwrap())
    }

    /// Reads until one of these comes, and gives the whole message.
    #[track_caller]
    pub fn wait_for(&self, state: &str) -> String {
        let begin = Instant::now();
        while begin.elapsed() < Duration::from_secs(60) {
            if let Some(message) = self.next()
                && message.lines().any(|line| line == state)
            {
                return message;
            }
        }
        panic!("{state} never came");
    }

    /// Whatever was on its way is read, then nothing comes for as long as systemd would wait.
    #[track_caller]
    pub fn assert_no_sign_of_life(&self) {
        self.socket.set_nonblocking(true).unwrap();
        while self.next().is_some() {}
        self.socket.set_nonblocking(false).unwrap();
        let begin = Instant::now();
        while begin.elapsed() < WATCHDOG {
            assert_eq!(self.next(), None);
        }
    }
}

#[test]
fn systemd_hears_of_readiness_life_reload_and_end() {
    let directory = tempfile::tempdir().unwrap();
    let systemd = Systemd::new();
    let mut command = serve(directory.path());
    systemd.adopt(&mut command);
    let daemon = Daemon::start(&mut command);
    systemd.wait_for("READY=1");
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    for _ in 0..2 {
        systemd.wait_for("WATCHDOG=1");
    }
    daemon.signal("HUP");
    let reloading = systemd.wait_for("RELOADING=1");
    assert!(reloading.contains("MONOTONIC_USEC="), "{reloading}");
    systemd.wait_for("READY=1");
    daemon.signal("TERM");
    systemd.wait_for("STOPPING=1");
    assert!(daemon.end().0.success());
}

/// Without this, a socket that nobody reads blocked the one thread that serves connections.
#[test]
fn a_service_manager_that_does_not_read_holds_up_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let systemd = Systemd::new();
    let filler = UnixDatagram::unbound().unwrap();
    filler.set_nonblocking(true).unwrap();
    while filler.send_to(b"FILLER=1", systemd.directory.path().join("notify")).is_ok() {}
    let mut command = serve(directory.path());
    systemd.adopt(&mut command);
    let daemon = Daemon::start(command.args(["--workers", "1"]));
    // Signs of life are due meanwhile.
    let begin = Instant::now();
    for number in 0.. {
        assert_eq!(daemon.connect().post(&body(number)).status, 200);
        if begin.elapsed() > WATCHDOG {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    // It hears of the start as soon as it reads again.
    systemd.wait_for("READY=1");
    daemon.signal("TERM");
    assert!(daemon.end().0.success());
}
