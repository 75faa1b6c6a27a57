//! Starts the program again, to take over from this process: the file that is now at its path,
//! which may be another version.

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::process::{self, Child, Command};
use std::thread;

use tokio::sync::mpsc;

/// The environment variable of `--take-over`: the arguments stay the same.
pub(in super::super) const TAKE_OVER: &str = "CDRLOG_TAKE_OVER";

/// What the process was started with.
#[derive(Debug)]
pub(in super::super) struct Launcher {
    program: PathBuf,
    arguments: Vec<OsString>,
    /// How the processes that were started here have ended.
    ended: (mpsc::UnboundedSender<String>, mpsc::UnboundedReceiver<String>),
}

impl Launcher {
    /// Call this at the start: later the path may lead to another file.
    pub(in super::super) fn new() -> io::Result<Self> {
        let mut arguments = env::args_os();
        let named = arguments.next().map(PathBuf::from).unwrap_or_default();
        // A path is kept as it is, because it may be a link to the current version. A bare name was
        // looked up by a shell.
        let is_path = named.parent().is_some_and(|parent| !parent.as_os_str().is_empty());
        let program = if is_path { named } else { env::current_exe()? };
        Ok(Self { program, arguments: arguments.collect(), ended: mpsc::unbounded_channel() })
    }

    /// Starts the program. [`Self::failure`] tells if it fails.
    pub(in super::super) fn launch(&self) -> Result<u32, String> {
        if process::id() == 1 {
            return Err(
                "process 1 of a container cannot hand over, because the container ends with \
                        it: run it under an init (docker run --init)"
                    .to_owned(),
            );
        }
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env(TAKE_OVER, "true");
        // It names this process; without it, systemd's watchdog counts for the new one.
        command.env_remove("WATCHDOG_PID");
        let child = command
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", self.program.display()))?;
        let pid = child.id();
        let ended = self.ended.0.clone();
        thread::Builder::new()
            .name("cdrlog-launch".to_owned())
            .spawn(move || wait(child, &ended))
            .map_err(|error| format!("cannot wait for process {pid}: {error}"))?;
        Ok(pid)
    }

    /// Returns when a process that was started here has ended while this one goes on. May be
    /// cancelled before it is ready.
    pub(in super::super) async fn failure(&mut self) -> String {
        match self.ended.1.recv().await {
            Some(failure) => failure,
            // Never happens: this struct has a sender too.
            None => std::future::pending().await,
        }
    }
}

fn wait(mut child: Child, ended: &mpsc::UnboundedSender<String>) {
    let pid = child.id();
    let how = match child.wait() {
        Ok(status) => status.to_string(),
        Err(error) => error.to_string(),
    };
    // If nobody receives it any more, this process ends too.
    let _ = ended.send(format!("process {pid} has ended ({how})"));
}
