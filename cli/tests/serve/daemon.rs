//! Starts the program and ends it.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use crate::client::Client;
use crate::support::give_inboxes;
pub use crate::wait::wait_for;

/// A server of this test. Killed where the test forgets it.
pub struct Daemon {
    child: Child,
    /// The first address of TCP; port 0 where it has none.
    pub address: SocketAddr,
    /// The address of the page, if it has one.
    pub page: Option<SocketAddr>,
    /// What it said before it took connections.
    pub said: Vec<String>,
    log: Receiver<String>,
}

/// `cdrlog serve` on a free port, without the environment of whoever runs the tests.
pub fn serve(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cdrlog"));
    for (name, _) in std::env::vars() {
        if ["CDRLOG_", "OPENVIDU_", "LIVEKIT_", "OV_MEET_", "NOTIFY_", "WATCHDOG_", "LISTEN_"]
            .iter()
            .any(|own| name.starts_with(own))
        {
            command.env_remove(name);
        }
    }
    give_inboxes(&mut command);
    command
        .args(["serve", "--listen", "127.0.0.1:0", "--log-form", "json", "--dir"])
        .arg(directory);
    command
}

/// Gives a command the environment of another one.
pub fn copy_environment(from: &Command, to: &mut Command) {
    for (name, value) in from.get_envs() {
        match value {
            Some(value) => to.env(name, value),
            None => to.env_remove(name),
        };
    }
}

/// Starts a server with these options.
pub fn start(directory: &Path, options: &[&str]) -> Daemon {
    Daemon::start(serve(directory).args(options))
}

impl Daemon {
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let log = lines(child.stderr.take().unwrap());
        let mut said = Vec::new();
        let (address, page) = loop {
            let Ok(line) = log.recv_timeout(Duration::from_secs(60)) else {
                panic!("the server did not start: {said:?}");
            };
            let fields: serde_json::Value = serde_json::from_str(&line).unwrap_or_default();
            if let Some(addresses) = fields["listen"].as_str() {
                let mut addresses = addresses.split(", ");
                let address = addresses.find_map(|address| address.parse().ok());
                let page = fields["page"].as_str().map(|page| page.parse().unwrap());
                break (address.unwrap_or(SocketAddr::from(([0, 0, 0, 0], 0))), page);
            }
            said.push(line);
        };
        Self { child, address, page, said, log }
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, name: &str) {
        let id = self.id().to_string();
        let status = Command::new("kill").args(["-s", name, &id]).status().unwrap();
        assert!(status.success(), "kill {name}");
    }

    /// Waits for the end of a server that hands over. Its log may be that of the next one too, and has
    /// no end then.
    #[track_caller]
    pub fn hand_over(mut self) {
        let status = wait_for("the end of the server", || self.child.try_wait().unwrap());
        let said: Vec<_> = self.log.try_iter().collect();
        assert!(status.success(), "{status}: {said:?}");
    }

    /// Reads what it says up to a line with `text` in it. Gives that line.
    #[track_caller]
    pub fn wait_until_it_says(&self, text: &str) -> String {
        let mut said = Vec::new();
        while let Ok(line) = self.log.recv_timeout(Duration::from_secs(60)) {
            if line.contains(text) {
                return line;
            }
            said.push(line);
        }
        panic!("it never said {text:?}, but {said:?}");
    }

    /// `kill -9`.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end, and gives what it had said.
    #[track_caller]
    pub fn end(mut self) -> (ExitStatus, Vec<String>) {
        let status = wait_for("the end of the server", || self.child.try_wait().unwrap());
        let mut said = Vec::new();
        while let Ok(line) = self.log.recv_timeout(Duration::from_secs(60)) {
            said.push(line);
        }
        (status, said)
    }

    /// Ends it in order.
    #[track_caller]
    pub fn terminate(self) {
        self.signal("TERM");
        let (status, said) = self.end();
        assert!(status.success(), "{status}: {said:?}");
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads what it says as long as it lives, so that it never waits for a reader.
fn lines(stderr: ChildStderr) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stderr).lines() {
            let Ok(line) = line else { return };
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
