//! Runs the program and takes down what it did.

use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::give_inboxes;
pub use crate::wait::wait_for;

/// How a run ended and what it said.
#[derive(Clone, Debug)]
pub struct Run {
    /// `None` where a signal ended it.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

impl Run {
    /// The one line that it said on standard error.
    #[track_caller]
    pub fn only_message(&self) -> &str {
        let mut lines = self.stderr.lines();
        match (lines.next(), lines.next()) {
            (Some(message), None) => message,
            _ => panic!("not one message: {self:?}"),
        }
    }

    /// Ends the test unless the exit code is `code` and every text is on standard error.
    #[track_caller]
    pub fn expect(self, code: i32, texts: &[&str]) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        for text in texts {
            assert!(self.stderr.contains(text), "{text:?} is missing: {self:?}");
        }
        self
    }
}

/// The program without arguments, without input, and without the environment of whoever runs the
/// tests.
pub fn cdrlog() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cdrlog"));
    command.env_remove("OPENVIDU_CDR_PATH");
    for name in [
        "COMPRESS",
        "EVENT_BYTES_MAX",
        "MANAGE_FOREIGN",
        "PATIENCE",
        "RETENTION_BYTES",
        "RETENTION_DAYS",
        "ROTATE_BYTES",
        "SYNC",
        "UTC",
        "WRITE_RETRY_TIMEOUT",
    ] {
        command.env_remove(format!("CDRLOG_{name}"));
    }
    give_inboxes(&mut command);
    command.stdin(Stdio::null());
    command
}

/// `cdrlog append` to a directory.
pub fn append(directory: &Path) -> Command {
    let mut command = cdrlog();
    command.args(["append", "--dir"]).arg(directory);
    command
}

/// Starts the program with pipes for all that it reads and says.
pub fn start(command: &mut Command) -> Child {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits for the end of a program that was started.
pub fn end(child: Child) -> Run {
    let output = child.wait_with_output().unwrap();
    Run {
        code: output.status.code(),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// Runs the program with nothing on standard input.
pub fn run(command: &mut Command) -> Run {
    run_with(command, b"")
}

/// Runs the program with `input` on standard input.
pub fn run_with(command: &mut Command, input: &[u8]) -> Run {
    let mut child = start(command);
    match child.stdin.take().unwrap().write_all(input) {
        // It ended before it had read everything.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => {}
        result => result.unwrap(),
    }
    end(child)
}
