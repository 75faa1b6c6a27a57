//! The genuine LiveKit SDKs sign and send, and check what this program signs.
//!
//! They are downloaded once, into cargo's directory for tests. If that is impossible, the tests are
//! skipped and say so.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;

use serde_json::Value;

use crate::common::cdr;
use crate::credentials::with_file;
use crate::daemon::Daemon;
use crate::skip::skip;

const NPM_PACKAGE: &str = "livekit-server-sdk@2.19.2";
const PIP_PACKAGE: &str = "livekit-api==1.2.2";

/// The two SDKs.
#[derive(Clone, Copy, Debug)]
enum Sdk {
    Node,
    Python,
}

impl Sdk {
    /// The command that runs its script; otherwise why it is not available, and how to get it.
    fn command(self) -> Result<Command, (String, &'static str)> {
        static NODE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        static PYTHON: OnceLock<Result<PathBuf, String>> = OnceLock::new();
        let script =
            |name: &str| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/senders").join(name);
        match self {
            Self::Node => {
                let place = NODE.get_or_init(|| install("npm", install_node)).clone();
                let place = place.map_err(|why| (why, "apt-get install nodejs npm"))?;
                // An import is looked up next to the script.
                let copy = place.join("send.mjs");
                fs::copy(script("livekit_server_sdk.mjs"), &copy).unwrap();
                let mut command = Command::new("node");
                command.arg(copy);
                Ok(command)
            }
            Self::Python => {
                let place = PYTHON.get_or_init(|| install("pip", install_python)).clone();
                let place = place.map_err(|why| (why, "apt-get install python3-venv"))?;
                let mut command = Command::new(place.join("bin/python"));
                command.arg(script("livekit_api.py"));
                Ok(command)
            }
        }
    }
}

fn install_node(place: &Path) -> Result<(), String> {
    let options = ["install", "--no-audit", "--no-fund", "--ignore-scripts", "--prefix"];
    run(Command::new("npm").args(options).arg(place).arg(NPM_PACKAGE))
}

fn install_python(place: &Path) -> Result<(), String> {
    run(Command::new("python3").args(["-m", "venv"]).arg(place))?;
    let pip = place.join("bin/pip");
    run(Command::new(pip).args(["install", "--quiet", "--disable-pip-version-check", PIP_PACKAGE]))
}

/// Where a complete SDK is: an interrupted download leaves a directory that is not taken for one.
fn install(name: &str, fetch: fn(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).join("senders").join(name);
    let is_whole = place.join("is-whole");
    if is_whole.exists() {
        return Ok(place);
    }
    fs::create_dir_all(&place).unwrap();
    // Another process may be doing the same: both fetch the same files.
    fetch(&place)?;
    fs::write(is_whole, "").unwrap();
    Ok(place)
}

fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().to_string_lossy().into_owned();
    match command.stdin(Stdio::null()).output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().rfind(|line| !line.trim().is_empty());
            Err(format!("{program}: {}", last.unwrap_or("it failed")))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Err(format!("there is no {program}")),
        Err(error) => Err(format!("{program}: {error}")),
    }
}

/// What the script printed: a JSON object.
#[track_caller]
fn json_of(output: &Output) -> Value {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Sends with an SDK to a server with the key `devkey: secret`: signed correctly, with another
/// secret, with a token for another body, with the token of a participant, and without one.
fn send_by(sdk: Sdk) {
    let mut command = match sdk.command() {
        Ok(command) => command,
        Err((why, how)) => return skip(&why, how),
    };
    let directory = tempfile::tempdir().unwrap();
    let daemon: Daemon = with_file(directory.path(), "--livekit-key-file", "devkey: secret\n");
    let output = command.arg("send").arg(format!("http://{}/", daemon.address)).output().unwrap();
    let statuses = json_of(&output);
    daemon.terminate();
    let expected = serde_json::json!({
        "signed": 200, "bearer": 200, "other_secret": 401, "other_body": 403, "participant": 403,
        "unsigned": 401, "accepted_by_sdk": true
    });
    assert_eq!(statuses, expected, "{sdk:?}");
    let lines = cdr(&directory.path().join("cdr"));
    let names: Vec<_> = lines.lines().filter_map(|line| line.split('"').nth(1)).collect();
    assert_eq!(names, ["room_started", "participant_joined"], "{sdk:?}: {lines}");
    assert!(lines.contains("Zoë"), "{lines}");
}

#[test]
fn events_that_the_genuine_sdk_for_node_signs_are_taken_and_no_others() {
    send_by(Sdk::Node);
}

#[test]
fn events_that_the_genuine_sdk_for_python_signs_are_taken_and_no_others() {
    send_by(Sdk::Python);
}

/// A server that accepts one request, and returns its token.
fn token_of_audit(directory: &Path) -> String {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let asked = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut head = vec![0; 4096];
        let count = stream.read(&mut head).unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{\"rooms\":[]}").unwrap();
        String::from_utf8_lossy(&head[..count]).into_owned()
    });
    let file = directory.join("keys");
    fs::write(&file, "devkey: secret\n").unwrap();
    fs::write(directory.join("CDR.2026-11-23_00-00-00.log"), "").unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_cdrlog"));
    command.args(["audit", "--livekit", &url, "--livekit-key-file"]).arg(file).arg(directory);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let head = asked.join().unwrap();
    let line = head.lines().find_map(|line| {
        let (name, value) = line.split_once(": ")?;
        name.eq_ignore_ascii_case("authorization").then(|| value.to_owned())
    });
    line.unwrap().strip_prefix("Bearer ").unwrap().to_owned()
}

#[test]
fn the_genuine_sdks_accept_the_token_with_which_the_audit_asks_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let token = token_of_audit(directory.path());
    for sdk in [Sdk::Node, Sdk::Python] {
        let mut command = match sdk.command() {
            Ok(command) => command,
            Err((why, how)) => {
                skip(&why, how);
                continue;
            }
        };
        let claims = json_of(&command.args(["verify", &token]).output().unwrap());
        assert_eq!(claims, serde_json::json!({"iss": "devkey", "roomList": true}), "{sdk:?}");
    }
}
