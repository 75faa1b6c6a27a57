//! A sync that fails: nobody gets a 200 for what is not on the disk.
//!
//! `strace` lets the calls of a running server fail. Skipped where it cannot.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::common::{body, cdr, lines};
use crate::daemon::{Daemon, start};
use crate::skip::skip;

/// Lets every `fdatasync` of a server fail, until it is dropped.
struct FailingSyncs(Child);

impl FailingSyncs {
    fn new(daemon: &Daemon) -> Option<Self> {
        let strace = Command::new("strace")
            .args(["-f", "-p", &daemon.id().to_string(), "-e", "trace=fdatasync"])
            .args(["-e", "inject=fdatasync:error=EIO"])
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match strace {
            Ok(child) => child,
            Err(reason) => {
                skip(&format!("no strace: {reason}"), "apt-get install strace");
                return None;
            }
        };
        let mut said = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        let is_attached = line.contains("attached");
        // Read on, so that it never waits for a reader.
        std::thread::spawn(move || std::io::copy(&mut said, &mut std::io::sink()));
        let this = Self(child);
        if !is_attached {
            skip(&format!("strace cannot attach: {line}"), "run as root, with CAP_SYS_PTRACE");
            return None;
        }
        Some(this)
    }
}

impl Drop for FailingSyncs {
    fn drop(&mut self) {
        // It lets go of the server when it is ended in order.
        let id = self.0.id().to_string();
        let _ = Command::new("kill").args(["-s", "TERM", &id]).status();
        let _ = self.0.wait();
    }
}

#[test]
fn an_event_whose_sync_fails_gets_503_and_so_does_every_later_one() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &["--ack", "synced", "--sync", "never"]);
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    let Some(failing) = FailingSyncs::new(&daemon) else { return };
    let answer = daemon.connect().post(&body(1));
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    assert!(answer.text().contains("cannot sync"), "{}", answer.text());
    drop(failing);
    // Syncs work again, but what became of the bytes before is not known: it stays a failure.
    assert_eq!(daemon.connect().post(&body(2)).status, 503);
    let health = daemon.connect().get("/healthz");
    assert_eq!(health.status, 503);
    assert!(health.text().contains("a sync has failed"), "{}", health.text());
    let metrics = daemon.connect().get("/metrics");
    assert!(metrics.text().contains("\ncdrlog_sync_errors_total 1\n"), "{}", metrics.text());
    daemon.signal("TERM");
    let (status, said) = daemon.end();
    assert_eq!(status.code(), Some(1), "{said:?}");
    // Every line is there: only its safety failed.
    assert_eq!(cdr(directory.path()), lines(3));
}
