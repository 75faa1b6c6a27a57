//! A sender that behaves like `HttpWebhookSender` of OpenVidu 2.20 and newer.
//!
//! One thread sends one event after the other over persistent connections. Any answer ends an
//! event: 200 is success, everything else drops it. Only if there is no answer, because the
//! connection cannot be made, breaks, or is silent for ten seconds, is the event sent again,
//! immediately, and five times in all. A connection that was idle for three seconds is checked
//! before it is used.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::common::cdr;
use crate::daemon::{Daemon, start};
use crate::skip::skip;

/// The `executionCount < 5` of its retry handler.
const TRIES: u32 = 5;
const SOCKET_TIMEOUT: Duration = Duration::from_secs(10);
const VALIDATE_AFTER: Duration = Duration::from_secs(3);

/// The result of an event.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Posted,
    /// Answered with a status other than 200.
    Refused(u16),
    /// Not answered.
    Dropped,
}

struct HttpWebhookSender {
    endpoint: SocketAddr,
    headers: Vec<(String, String)>,
    pooled: Option<(Client, Instant)>,
    connections: u32,
}

impl HttpWebhookSender {
    fn new(endpoint: SocketAddr, headers: &[(&str, &str)]) -> Self {
        let own = [("Content-Type", "application/json")];
        let headers = headers.iter().chain(&own);
        let headers =
            headers.map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        Self { endpoint, headers, pooled: None, connections: 0 }
    }

    fn send(&mut self, event: &Value) -> Fate {
        let body = event.to_string();
        for _ in 0..TRIES {
            match self.try_once(&body) {
                Ok(200) => return Fate::Posted,
                Ok(status) => return Fate::Refused(status),
                Err(_) => {}
            }
        }
        Fate::Dropped
    }

    fn try_once(&mut self, body: &str) -> std::io::Result<u16> {
        let pooled = self.pooled.take().and_then(|(mut client, used)| {
            (used.elapsed() < VALIDATE_AFTER || is_alive(&mut client)).then_some(client)
        });
        let mut client = match pooled {
            Some(client) => client,
            None => {
                self.connections += 1;
                Client::try_connect(self.endpoint)?
            }
        };
        client.set_timeout(SOCKET_TIMEOUT);
        let headers: String =
            self.headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        let head = format!(
            "POST / HTTP/1.1\r\n{headers}Content-Length: {}\r\nHost: {}\r\nConnection: \
             Keep-Alive\r\nUser-Agent: Apache-HttpClient/4.5.13 (Java/11.0.11)\r\nAccept-Encoding: \
             gzip,deflate\r\n\r\n",
            body.len(),
            self.endpoint
        );
        client.send(format!("{head}{body}").as_bytes())?;
        let answer = client.read("POST")?;
        self.pooled = Some((client, Instant::now()));
        Ok(answer.status)
    }
}

/// Whether the server has not closed a connection on which nothing is expected.
fn is_alive(client: &mut Client) -> bool {
    client.set_timeout(Duration::from_millis(1));
    client.is_quiet()
}

fn event(name: &str, at: i64, members: Value) -> Value {
    let mut event = json!({"sessionId": "s", "uniqueSessionId": "s_1", "timestamp": at});
    event.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    // OpenVidu adds the name last.
    event["event"] = json!(name);
    event
}

#[test]
fn a_thousand_events_of_openvidu_go_over_one_connection_and_are_there_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let secret = "Basic T1BFTlZJRFVBUFA6TVlfU0VDUkVU";
    let file = directory.path().join("headers");
    std::fs::write(&file, format!("Authorization: {secret}")).unwrap();
    let cdr_directory = directory.path().join("cdr");
    let daemon = start(&cdr_directory, &["--header-file", file.to_str().unwrap()]);
    let mut sender = HttpWebhookSender::new(daemon.address, &[("Authorization", secret)]);
    for number in 0..1000 {
        let event = event("signalSent", 1_700_000_000_000 + number, json!({"data": number}));
        assert_eq!(sender.send(&event), Fate::Posted);
    }
    assert_eq!(sender.connections, 1);
    let mut stranger = HttpWebhookSender::new(daemon.address, &[("Authorization", "Basic x")]);
    assert_eq!(stranger.send(&event("signalSent", 1, json!({}))), Fate::Refused(401));
    daemon.terminate();
    let numbers: Vec<i64> = cdr(&cdr_directory)
        .lines()
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            line["signalSent"]["data"].as_i64().unwrap()
        })
        .collect();
    assert_eq!(numbers, (0..1000).collect::<Vec<_>>());
}

#[test]
fn what_openvidu_drops_while_the_server_is_down_is_what_the_audit_finds() {
    let directory = tempfile::tempdir().unwrap();
    let begin = 1_700_000_000_000;
    let joined = |id: &str, at: i64| event("participantJoined", at, json!({"connectionId": id}));
    let left = |id: &str, at: i64| {
        event("participantLeft", at, json!({"connectionId": id, "startTime": begin + 60_000}))
    };
    let daemon = start(directory.path(), &["--ack", "written"]);
    let mut sender = HttpWebhookSender::new(daemon.address, &[]);
    for event in [
        event("sessionCreated", begin, json!({})),
        joined("a", begin + 1000),
        joined("b", begin + 2000),
    ] {
        assert_eq!(sender.send(&event), Fate::Posted);
    }
    daemon.terminate();
    // Five tries at once, and then never again.
    assert_eq!(sender.send(&left("a", begin + 50_000)), Fate::Dropped);
    assert_eq!(sender.send(&joined("c", begin + 60_000)), Fate::Dropped);
    let daemon = start(directory.path(), &["--ack", "written"]);
    sender.endpoint = daemon.address;
    for event in [
        left("b", begin + 100_000),
        left("c", begin + 110_000),
        event("sessionDestroyed", begin + 120_000, json!({"startTime": begin})),
    ] {
        assert_eq!(sender.send(&event), Fate::Posted);
    }
    daemon.terminate();
    assert_eq!(
        audit(directory.path()),
        ["join_missing c down".to_owned(), "leave_missing a down".to_owned()]
    );
}

#[test]
fn a_connection_of_the_pool_that_a_restart_has_broken_loses_no_event() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), &[]);
    let mut sender = HttpWebhookSender::new(daemon.address, &[]);
    assert_eq!(sender.send(&event("sessionCreated", 1, json!({}))), Fate::Posted);
    daemon.kill();
    let daemon = start(directory.path(), &[]);
    sender.endpoint = daemon.address;
    // Not idle for long enough to be checked: the first try fails, and the next one succeeds.
    assert_eq!(sender.send(&event("sessionDestroyed", 2, json!({}))), Fate::Posted);
    assert_eq!(sender.connections, 2);
    daemon.terminate();
    assert_eq!(cdr(directory.path()).lines().count(), 2);
}

/// The genuine client with OpenVidu's settings, in `WebhookSender.java`.
struct Java {
    child: Child,
    fates: BufReader<ChildStdout>,
}

impl Java {
    /// `None` if it is not available; the test then says so.
    fn start(endpoint: SocketAddr, (name, value): (&str, &str)) -> Option<Self> {
        let jars = ["httpclient", "httpcore", "commons-logging", "commons-codec"]
            .map(|jar| format!("/usr/share/java/{jar}.jar"));
        if let Some(missing) = jars.iter().find(|jar| !Path::new(jar).exists()) {
            skip(&format!("there is no {missing}"), "apt-get install libhttpclient-java");
            return None;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/senders/WebhookSender.java");
        let mut command = Command::new("java");
        // What its log says about each try is in the answers.
        command.arg("-Dorg.apache.commons.logging.Log=org.apache.commons.logging.impl.NoOpLog");
        command.arg("-cp").arg(jars.join(":")).arg(script);
        command.arg(format!("http://{endpoint}/")).args([name, value]);
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let Ok(mut child) = child else {
            skip("there is no java", "apt-get install default-jdk-headless");
            return None;
        };
        let fates = BufReader::new(child.stdout.take().unwrap());
        Some(Self { child, fates })
    }

    /// The status or `dropped`, and the number of tries.
    fn send(&mut self, event: &Value) -> String {
        writeln!(self.child.stdin.as_mut().unwrap(), "{event}").unwrap();
        let mut fate = String::new();
        assert!(self.fates.read_line(&mut fate).unwrap() > 0, "java has ended");
        fate.trim_end().to_owned()
    }
}

impl Drop for Java {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn the_genuine_client_of_openvidu_is_served_and_drops_what_it_cannot_post_after_five_tries() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("headers");
    std::fs::write(&file, "Authorization: Basic x").unwrap();
    let cdr_directory = directory.path().join("cdr");
    let daemon = start(&cdr_directory, &["--header-file", file.to_str().unwrap()]);
    let Some(mut java) = Java::start(daemon.address, ("Authorization", "Basic x")) else { return };
    for number in 0..100 {
        let fate = java.send(&event("signalSent", 1_700_000_000_000 + number, json!({})));
        assert_eq!(fate, "200 1");
    }
    let Some(mut stranger) = Java::start(daemon.address, ("Authorization", "Basic y")) else {
        return;
    };
    assert_eq!(stranger.send(&event("signalSent", 1, json!({}))), "401 1");
    daemon.terminate();
    assert_eq!(java.send(&event("signalSent", 2, json!({}))), "dropped 5");
    assert_eq!(cdr(&cdr_directory).lines().count(), 100);
}

/// Reason, participant and cause of each finding.
pub fn audit(directory: &Path) -> Vec<String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_cdrlog"));
    command.env("TZ", "UTC").env_remove("CDRLOG_LIVEKIT_KEY_FILE");
    let output = command.args(["audit", "--json"]).arg(directory).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let objects = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let findings = objects.filter(|object| object["type"] == "finding");
    let word = |value: &Value| value.as_str().unwrap_or("-").to_owned();
    let names = ["reason", "participant", "cause"];
    findings.map(|found| names.map(|name| word(&found[name])).join(" ")).collect()
}

/// The same for a server that a test talks to.
pub fn audit_of(daemon: Daemon, directory: &Path) -> Vec<String> {
    daemon.terminate();
    audit(directory)
}
