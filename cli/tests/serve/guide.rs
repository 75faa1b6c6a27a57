//! The commands of docs/openvidu.md do what it says, with curl and openssl in place of the media
//! servers.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::common::cdr;
use crate::daemon::{Daemon, serve, start};
use crate::skip::skip;

const GUIDE: &str = include_str!("../../../docs/openvidu.md");

/// The scripts that send something, in their order.
fn scripts() -> Vec<&'static str> {
    let blocks = GUIDE.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    blocks.filter(|block| block.contains("curl ")).collect()
}

/// The options that the walk-through gives the server, behind address and directory.
fn options_of_the_walk_through() -> Vec<&'static str> {
    let line = GUIDE
        .lines()
        .find_map(|line| line.strip_prefix("cdrlog serve --listen 127.0.0.1:8787 --dir ./cdr"));
    line.expect("the guide starts no server").split_whitespace().collect()
}

fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().is_ok_and(|mut child| child.wait().is_ok())
}

/// Runs a script in `directory`, for the server at `address` instead of the one of the guide. Gives
/// what it printed.
#[track_caller]
fn run(script: &str, directory: &Path, address: SocketAddr) -> String {
    let script = script.replace("127.0.0.1:8787", &address.to_string());
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", &script]).current_dir(directory);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{script}\n{said}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn the_commands_of_the_guide_do_what_it_says() {
    let tools = ["bash", "curl", "openssl"];
    if let Some(missing) = tools.into_iter().find(|tool| !is_there(tool)) {
        skip(&format!("{missing} is not there"), &format!("apt-get install {missing}"));
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path();
    let scripts = scripts();
    let [event, no_event, openvidu, livekit, meet] = scripts[..] else {
        panic!("the guide has other scripts: {scripts:#?}");
    };

    let daemon = start(&path.join("cdr"), &options_of_the_walk_through());
    let printed = run(event, path, daemon.address);
    assert!(printed.starts_with("HTTP/1.1 200 OK\r\n"), "{printed}");
    let line =
        "{\"sessionCreated\":{\"sessionId\":\"ses_Jd8tUyvhXO\",\"timestamp\":1538481330577}}\n";
    assert!(printed.ends_with(line) && GUIDE.contains(line), "{printed}");
    assert!(run(event, path, daemon.address).ends_with(line), "the retry is there too");
    let printed = run(no_event, path, daemon.address);
    assert!(printed.starts_with("HTTP/1.1 400 "), "{printed}");
    daemon.terminate();

    std::fs::write(path.join("livekit.keys"), "devkey: secret\n").unwrap();
    std::fs::write(path.join("meet.key"), "meet-api-key\n").unwrap();
    let mut command = serve(&path.join("secured"));
    command.current_dir(path).env(
        "OPENVIDU_WEBHOOK_HEADERS",
        r#"["Authorization: Basic T1BFTlZJRFVBUFA6TVlfU0VDUkVU"]"#,
    );
    command.args(["--livekit-key-file", "livekit.keys", "--meet-key-file", "meet.key"]);
    let daemon = Daemon::start(&mut command);
    for script in [openvidu, livekit, meet] {
        let printed = run(script, path, daemon.address);
        assert!(printed.starts_with("HTTP/1.1 200 OK\r\n"), "{script}\n{printed}");
    }
    assert!(run(event, path, daemon.address).starts_with("HTTP/1.1 401 "));
    daemon.terminate();
    assert_eq!(cdr(&path.join("secured")).lines().count(), 3);
}
