//! Options from three places.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::common::body;
use crate::daemon::{Daemon, serve};

fn serve_with(directory: &Path, text: &str) -> Command {
    let file = directory.join("cdrlog.toml");
    fs::write(&file, text).unwrap();
    let mut command = serve(&directory.join("cdr"));
    command.arg("--config").arg(file);
    command
}

/// The paths of /file, /variable and /line that take events.
fn paths(command: &mut Command) -> Vec<&'static str> {
    let daemon = Daemon::start(command);
    let mut client = daemon.connect();
    let mut taken = vec!["/file", "/variable", "/line"];
    taken.retain(|path| client.try_post(path, &body(0)).unwrap().status == 200);
    daemon.terminate();
    taken
}

#[test]
fn the_command_line_comes_before_the_environment_and_that_before_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = serve_with(directory.path(), "path = [\"/file\"]\ndedup_window = 0\n");
    assert_eq!(paths(&mut command), ["/file"]);
    assert_eq!(paths(command.env("CDRLOG_PATH", "/variable")), ["/variable"]);
    assert_eq!(paths(command.args(["--path", "/line"])), ["/line"]);
}

#[test]
fn a_file_that_cannot_be_used_is_named_with_the_line_and_nothing_begins() {
    let directory = tempfile::tempdir().unwrap();
    for (text, expected) in [
        (
            "utc = true\npaht = [\"/\"]\n",
            "cdrlog.toml, line 2: unknown option \"paht\"; did you mean \"path\"?",
        ),
        ("patience = \"long\"\n", "cdrlog.toml, line 1: patience: "),
        ("patience = \n", "cdrlog.toml, line 1: "),
    ] {
        let output = serve_with(directory.path(), text).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!directory.path().join("cdr").exists());
    }
}

#[test]
fn a_secret_in_a_file_that_others_may_read_is_warned_of_and_used() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = serve_with(directory.path(), "header = [\"X-Token: abc\"]\n");
    let file = directory.path().join("cdrlog.toml");
    for (mode, warned) in [(0o644, true), (0o600, false)] {
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let daemon = Daemon::start(&mut command);
        assert_eq!(daemon.connect().post(&body(0)).status, 401);
        assert_eq!(daemon.said.iter().any(|line| line.contains("cdrlog.toml")), warned);
        daemon.terminate();
    }
}
