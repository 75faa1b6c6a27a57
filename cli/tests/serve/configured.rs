//! Options from three places.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use crate::common::body;
use crate::daemon::{Daemon, serve};
use crate::support::give_inboxes;

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
        ("write_retry_timeout = \"long\"\n", "cdrlog.toml, line 1: write_retry_timeout: "),
        ("write_retry_timeout = \n", "cdrlog.toml, line 1: "),
    ] {
        let output = serve_with(directory.path(), text).output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(matches!(output.status.code(), Some(1 | 2)), "{said}");
        assert!(said.contains(expected), "{said}");
        assert!(!directory.path().join("cdr").exists());
    }
}

#[test]
fn a_check_names_what_cannot_be_used_and_opens_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let check = |text: &str, arguments: &[&str]| {
        let output = serve_with(directory.path(), text).arg("--check").args(arguments).output();
        let output = output.unwrap();
        assert!(!directory.path().join("cdr").exists());
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let usable = (Some(0), "cdrlog: the options can be used\n".to_owned());
    // In use: a server that runs with the same options is no fault.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    assert_eq!(check("utc = true\n", &["--listen", &listen]), usable);
    let open_to_all = ["--listen", "0.0.0.0:0"];
    for (text, arguments, expected) in [
        ("paht = [\"/\"]\n", &[][..], "unknown option \"paht\""),
        ("header_file = \"/no/such/file\"\n", &[], "/no/such/file"),
        ("tls_cert = \"/no/such/file\"\n", &[], "--tls-cert and --tls-key go together"),
        ("", &open_to_all, "0.0.0.0:0 can be reached by others"),
    ] {
        let (code, said) = check(text, arguments);
        assert!(code == Some(1) && said.contains(expected), "{code:?} {said}");
    }
}

#[test]
fn the_packaged_file_names_every_option() {
    let help = Command::new(env!("CARGO_BIN_EXE_cdrlog")).args(["serve", "--help"]).output();
    let help = String::from_utf8(help.unwrap().stdout).unwrap();
    let options = help.lines().filter_map(|line| line.strip_prefix("      --"));
    let options = options.map(|line| line.split([' ', '[', '=']).next().unwrap());
    // Those that only a command line has, and the one that others can see there.
    let only_there = ["config", "take-over", "check", "header"];
    let file = include_str!("../../packaging/cdrlog.toml");
    let mut count = 0;
    for option in options.filter(|option| !only_there.contains(option)) {
        let name = format!("{} = ", option.replace('-', "_"));
        let is_named =
            file.lines().any(|line| line.trim_start_matches(['#', ' ']).starts_with(&name));
        assert!(is_named, "cdrlog.toml has no {name}");
        count += 1;
    }
    assert!(count > 30, "{count} options");
    assert!(file.contains("[[ship]]"), "cdrlog.toml has no [[ship]]");
}

#[test]
fn an_empty_variable_for_the_directory_is_told_with_the_directory_that_is_used() {
    let directory = tempfile::tempdir().unwrap();
    let cdr = directory.path().join("of-the-file");
    let file = directory.path().join("cdrlog.toml");
    fs::write(&file, format!("dir = {cdr:?}\n")).unwrap();
    let start = |dir: Option<&Path>| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cdrlog"));
        give_inboxes(&mut command);
        command.args(["serve", "--listen", "127.0.0.1:0", "--log-form", "json", "--config"]);
        command.arg(&file).args(dir).env("OPENVIDU_CDR_PATH", "");
        Daemon::start(&mut command)
    };
    let daemon = start(None);
    let told = daemon.said.iter().find(|line| line.contains("OPENVIDU_CDR_PATH is empty"));
    let told = told.unwrap_or_else(|| panic!("{:?}", daemon.said));
    assert!(told.contains("WARN") && told.contains(cdr.to_str().unwrap()), "{told}");
    daemon.terminate();
    // Where the command line names one, nothing has to be said.
    let daemon = start(Some(&directory.path().join("named")));
    assert!(!daemon.said.iter().any(|line| line.contains("is empty")), "{:?}", daemon.said);
    daemon.terminate();
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

#[test]
fn a_file_of_secrets_that_others_may_read_is_warned_of_and_used() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("keys");
    for (option, text) in [
        ("--header-file", "X-Token: abc"),
        ("--livekit-key-file", "key: secret"),
        ("--meet-key-file", "meet-api-key"),
    ] {
        fs::write(&file, text).unwrap();
        for (mode, warned) in [(0o644, true), (0o600, false)] {
            fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
            let daemon = Daemon::start(serve(&directory.path().join("cdr")).arg(option).arg(&file));
            assert_eq!(daemon.connect().post(&body(0)).status, 401);
            let path = file.to_str().unwrap();
            assert_eq!(daemon.said.iter().any(|line| line.contains(path)), warned, "{option}");
            daemon.terminate();
        }
    }
}

#[test]
fn a_private_key_that_others_may_read_is_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    crate::secured::certify(directory.path());
    let key = directory.path().join("key.pem");
    for (mode, warned) in [(0o644, true), (0o600, false)] {
        fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let daemon = crate::secured::start_with_tls(directory.path());
        let is_warned = daemon.said.iter().any(|line| line.contains("key.pem"));
        assert_eq!(is_warned, warned, "{:?}", daemon.said);
        daemon.terminate();
    }
}

#[test]
fn an_empty_directory_in_the_file_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("cdrlog.toml");
    fs::write(&file, "dir = \"\"\n").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cdrlog"));
    give_inboxes(&mut command);
    command.args(["serve", "--listen", "127.0.0.1:0", "--config"]).arg(&file);
    let output = command.env_remove("OPENVIDU_CDR_PATH").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("dir: it is empty"), "{said}");
}

#[test]
fn a_time_zone_that_does_not_exist_is_warned_of() {
    let directory = tempfile::tempdir().unwrap();
    for (zone, options, warned) in [
        ("Europe/Berln", &[][..], true),
        ("Europe/Berln", &["--utc=true"], false),
        ("CET-1", &[], false),
    ] {
        let daemon = Daemon::start(serve(directory.path()).args(options).env("TZ", zone));
        let is_warned = daemon.said.iter().any(|line| line.contains("TZ") && line.contains(zone));
        assert_eq!(is_warned, warned, "{:?}", daemon.said);
        daemon.terminate();
    }
}

fn with_descriptors(directory: &Path, limits: &str, options: &str) -> Daemon {
    let own = serve(directory);
    let mut command = Command::new("sh");
    for (name, value) in own.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let script = format!("ulimit {limits} && exec \"$0\" \"$@\" {options}");
    command.arg("-c").arg(script).arg(own.get_program()).args(own.get_args());
    Daemon::start(&mut command)
}

/// Without this, connections beyond the limit of descriptors found a server that said it had room.
#[test]
fn the_limit_of_descriptors_is_raised_for_the_connections_or_they_are_fewer() {
    let directory = tempfile::tempdir().unwrap();
    let raised = with_descriptors(directory.path(), "-Sn 100", "--connections-max 200");
    let limits = fs::read_to_string(format!("/proc/{}/limits", raised.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    let soft: u64 = line.split_whitespace().nth(3).unwrap().parse().unwrap();
    assert!(soft >= 264, "{line}");
    assert!(!raised.said.iter().any(|line| line.contains("descriptors")), "{:?}", raised.said);
    raised.terminate();
    let bounded = with_descriptors(directory.path(), "-n 100", "--connections-max 200");
    let said = bounded.said.join("\n");
    assert!(said.contains("descriptors") && said.contains("LimitNOFILE"), "{said}");
    // More connections than there is room for: somebody who posts is served all the same.
    let silent: Vec<_> = (0..150).map(|_| bounded.connect()).collect();
    assert_eq!(bounded.connect().post(&body(0)).status, 200);
    drop(silent);
    bounded.terminate();
}
