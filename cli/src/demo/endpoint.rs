//! The endpoint that a demo posts to: a `cdrlog serve` of its own, which ends with it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};

use rustix::process::{Pid, Signal, kill_process};

use crate::outcome::say;
use crate::print::shown;

/// What could make the server another one than the demo needs: its options come from here alone.
const VARIABLES: [&str; 5] = ["CDRLOG_", "OPENVIDU_", "LIVEKIT_", "OV_MEET_", "LISTEN_"];

/// A running server.
pub(super) struct Endpoint {
    child: Child,
    /// Passes on what the server says from now on.
    log: Option<JoinHandle<()>>,
    pub(super) url: String,
}

impl Endpoint {
    /// Starts a server on a free port of this machine, and waits until it takes connections.
    ///
    /// # Errors
    ///
    /// It does not start; its own messages say why.
    pub(super) fn start(directory: &Path) -> Result<Self, String> {
        let failed = |error| format!("cannot start cdrlog serve: {error}");
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            let is_kept = text == "CDRLOG_INBOX_DIRECTORY" || text == "CDRLOG_UTC";
            if !is_kept && VARIABLES.iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-form", "json", "--dir"]);
        command.arg(directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(failed)?;
        let log = child.stderr.take().ok_or("cdrlog serve has no log")?;
        let mut lines = BufReader::new(log).lines().map_while(Result::ok);
        let address = lines.by_ref().find_map(|line| {
            let address = address_of(&line);
            if address.is_none() {
                pass_on(&line);
            }
            address
        });
        let Some(address) = address else {
            let status = child.wait().map_err(failed)?;
            return Err(format!("cdrlog serve has ended before it began to serve: {status}"));
        };
        let log = thread::spawn(move || lines.for_each(|line| pass_on(&line)));
        Ok(Self { child, log: Some(log), url: format!("http://{address}/") })
    }

    /// Ends the server, which writes and syncs everything first.
    pub(super) fn end(mut self) -> Result<(), String> {
        let status = self.terminate();
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(format!("cdrlog serve has failed: {status}")),
            Err(error) => Err(format!("cannot end cdrlog serve: {error}")),
        }
    }

    fn terminate(&mut self) -> std::io::Result<std::process::ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        kill_process(Pid::from_child(&self.child), Signal::TERM)?;
        let status = self.child.wait()?;
        if let Some(log) = self.log.take() {
            // It ends with the server, and cannot panic.
            let _ = log.join();
        }
        Ok(status)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        if self.log.is_some()
            && let Err(error) = self.terminate()
        {
            say(format_args!("cannot end cdrlog serve: {error}"));
        }
    }
}

/// The address in the line that says that the server serves.
fn address_of(line: &str) -> Option<String> {
    let fields: serde_json::Value = serde_json::from_str(line).ok()?;
    Some(fields["listen"].as_str()?.split(", ").next()?.to_owned())
}

/// Warnings and errors of the server, and what is not of its log.
fn pass_on(line: &str) {
    let fields: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
    match (fields["level"].as_str(), fields["message"].as_str()) {
        (Some("WARN" | "ERROR"), Some(message)) => {
            say(format_args!("serve: {}", shown(message)));
        }
        (Some(_), _) => {}
        (None, _) => say(format_args!("serve: {}", shown(line))),
    }
}
