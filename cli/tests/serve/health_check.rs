//! `cdrlog health`, which tells a container whether its server can write events.

use std::net::TcpListener;
use std::process::{Command, Output};

use crate::daemon::{copy_environment, serve, start, wait_for};
use crate::mount::Mount;

/// What `cdrlog health` answers about the server at these addresses.
fn health(listen: &str) -> (Option<i32>, String) {
    let place = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cdrlog"));
    copy_environment(&serve(place.path()), &mut command);
    let Output { status, stderr, stdout } =
        command.arg("health").env("CDRLOG_LISTEN", listen).output().unwrap();
    assert!(stdout.is_empty());
    (status.code(), String::from_utf8(stderr).unwrap())
}

#[test]
fn a_server_that_can_write_is_healthy_at_each_kind_of_address() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("http.sock");
    let unix = format!("unix:{}", socket.display());
    let daemon = start(&directory.path().join("cdr"), &["--listen", &unix]);
    let port = daemon.address.port();
    for listen in [format!("0.0.0.0:{port}"), format!("127.0.0.1:{port}"), unix] {
        assert_eq!(health(&listen), (Some(0), String::new()), "{listen}");
    }
    daemon.terminate();
}

#[test]
fn a_server_on_a_full_disk_is_not_and_says_why() {
    let Some(mount) = Mount::new("tmpfs", 16) else { return };
    let daemon = start(&mount.path().join("cdr"), &["--write-retry-timeout", "1"]);
    let address = daemon.address.to_string();
    assert_eq!(health(&address).0, Some(0));
    mount.fill();
    let padding = "x".repeat(100_000);
    let (code, said) = wait_for("a failed write", || {
        daemon.connect().post(&format!(r#"{{"p":"{padding}","event":"e"}}"#));
        Some(health(&address)).filter(|(code, _)| *code != Some(0))
    });
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("the server at {address} answers 503: ")), "{said}");
    assert!(said.contains("cannot write"), "{said}");
    mount.free();
    wait_for("health", || (health(&address).0 == Some(0)).then_some(()));
    daemon.terminate();
}

#[test]
fn a_server_that_is_not_there_or_does_not_answer_is_not_healthy() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (code, said) = health(&address);
    assert_eq!(code, Some(1));
    assert!(said.contains(&format!("cannot ask the server at {address}: timed out")), "{said}");
    drop(listener);
    let (code, said) = health(&address);
    assert_eq!(code, Some(1));
    assert!(said.contains("refused"), "{said}");
}
