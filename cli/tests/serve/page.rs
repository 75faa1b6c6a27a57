//! The page: what viewers get, and what it costs nobody.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::client::{Answer, Client};
use crate::common::body;
use crate::daemon::{Daemon, start, wait_for};

/// A server with a page, without credentials unless the options say so.
pub fn start_with_page(directory: &Path, options: &[&str]) -> Daemon {
    start(directory, &[&["--ui", "127.0.0.1:0"], options].concat())
}

pub fn page(daemon: &Daemon) -> SocketAddr {
    daemon.page.expect("the server has a page")
}

/// The messages of a live view.
pub struct Viewer(BufReader<TcpStream>);

impl Viewer {
    pub fn connect(page: SocketAddr) -> Self {
        let mut stream = TcpStream::connect(page).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        stream.write_all(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n").unwrap();
        Self(BufReader::new(stream))
    }

    /// The name of the next message and what it says; `None` at the end.
    pub fn next(&mut self) -> Option<(String, Value)> {
        let (mut name, mut line) = (String::new(), String::new());
        loop {
            line.clear();
            if self.0.read_line(&mut line).unwrap() == 0 {
                return None;
            }
            // The lines between are the lengths of chunks.
            if let Some(event) = line.strip_prefix("event: ") {
                name = event.trim().to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                return Some((name, serde_json::from_str(data).unwrap()));
            }
        }
    }
}

/// The numbers of a figure in all minutes, as a viewer sums them up.
#[derive(Default)]
struct Sums(std::collections::BTreeMap<i64, Value>);

impl Sums {
    fn apply(&mut self, message: &Value) {
        for row in message["series"]["minutes"].as_array().unwrap() {
            self.0.insert(row[0].as_i64().unwrap(), row.clone());
        }
    }

    fn sum(&self, figure: usize) -> u64 {
        self.0.values().map(|row| row[figure].as_u64().unwrap()).sum()
    }
}

/// Events of this time, each of a participant of its own.
fn joined(number: usize) -> String {
    let at = jiff::Timestamp::now().as_millisecond();
    format!(
        r#"{{"event":"participantJoined","timestamp":{at},"sessionId":"s{}","participantId":"p{number}"}}"#,
        number % 7
    )
}

pub fn get(page: SocketAddr, path: &str) -> Answer {
    Client::connect(page).get(path)
}

#[test]
fn a_viewer_gets_everything_at_first_and_then_what_is_new_with_exact_counts() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_page(directory.path(), &[]);
    let mut client = daemon.connect();
    (0..50).for_each(|number| assert_eq!(client.post(&joined(number)).status, 200));
    let mut viewer = Viewer::connect(page(&daemon));
    let (name, state) = viewer.next().unwrap();
    assert_eq!((name.as_str(), &state["about"]["has_endpoint"]), ("state", &Value::Bool(true)));
    let mut sums = Sums::default();
    sums.apply(&state);
    // More than are shown in a message.
    (50..500).for_each(|number| assert_eq!(client.post(&joined(number)).status, 200));
    // One that comes again is not counted again.
    let again = joined(1000);
    (0..3).for_each(|_| assert_eq!(client.post(&again).status, 200));
    assert_eq!(client.post("no event").status, 400);
    let mut last = state;
    while sums.sum(1) < 501 || sums.sum(6) < 1 || last["open"]["participants"] != 501 {
        let (name, message) = viewer.next().unwrap();
        assert_eq!(name, "tick");
        assert!(message["events"].as_array().unwrap().len() <= 20, "events are sampled");
        sums.apply(&message);
        last = message;
    }
    assert_eq!((sums.sum(1), sums.sum(2), sums.sum(6)), (501, 501, 1));
    assert_eq!(last["open"]["rooms"], 7);
    daemon.terminate();
}

#[test]
fn a_viewer_hears_how_the_endpoint_is_and_why_requests_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_page(directory.path(), &[]);
    let mut client = daemon.connect();
    assert_eq!(client.try_post("/nowhere", &body(0)).unwrap().status, 404);
    let mut viewer = Viewer::connect(page(&daemon));
    let status = loop {
        let (_, message) = viewer.next().unwrap();
        if message["status"]["refused"].as_array().is_some_and(|refused| !refused.is_empty()) {
            break message["status"].clone();
        }
    };
    assert_eq!(status["refused"], serde_json::json!([["unknown_path", 1]]));
    assert_eq!(status["failure"], Value::Null);
    daemon.terminate();
}

#[test]
fn open_views_neither_keep_a_server_from_ending_nor_from_taking_events() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_page(directory.path(), &["--connections-max", "2"]);
    // Many more than the endpoint has connections for, and none of them reads.
    let _idle: Vec<_> = (0..50).map(|_| Viewer::connect(page(&daemon))).collect();
    let mut viewer = Viewer::connect(page(&daemon));
    viewer.next().unwrap();
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    daemon.signal("TERM");
    while viewer.next().is_some() {}
    let (status, said) = daemon.end();
    assert!(status.success(), "{said:?}");
}

#[test]
fn nobody_can_post_events_at_the_address_of_the_page_or_look_at_that_of_the_endpoint() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start_with_page(directory.path(), &[]);
    let mut client = Client::connect(page(&daemon));
    assert_eq!(client.post(&body(0)).status, 405);
    for path in ["/page.js", "/live", "/api/day?from=0&until=1"] {
        assert_eq!(daemon.connect().get(path).status, 404, "{path}");
    }
    for path in ["/openvidu/cdr", "/metrics", "/../etc/passwd", "/assets/page.js"] {
        assert_eq!(get(page(&daemon), path).status, 404, "{path}");
    }
    daemon.terminate();
}

#[test]
fn a_past_day_a_search_and_the_events_of_a_room_are_read_from_the_record() {
    let directory = tempfile::tempdir().unwrap();
    let lines = [
        r#"{"sessionCreated":{"sessionId":"old","uniqueSessionId":"old_1","timestamp":1700000000000}}"#,
        r#"{"participantJoined":{"sessionId":"old","uniqueSessionId":"old_1","participantId":"ada","timestamp":1700000001000}}"#,
        r#"{"participantLeft":{"sessionId":"old","uniqueSessionId":"old_1","participantId":"ada","timestamp":1700000301000,"reason":"networkDisconnect"}}"#,
        r#"{"signalSent":{"sessionId":"other","timestamp":1700000400000}}"#,
    ];
    let file = directory.path().join("CDR.2023-11-14_00-00-00.log");
    std::fs::write(file, lines.map(|line| format!("{line}\n")).concat()).unwrap();
    let daemon = start_with_page(directory.path(), &[]);
    let span = "from=1699999000000&until=1700003000000";
    let ask = |path: &str| {
        let answer = get(page(&daemon), path);
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
        answer.json()
    };
    let day = ask(&format!("/api/day?{span}"));
    let mut sums = Sums::default();
    sums.apply(&day);
    assert_eq!((sums.sum(1), sums.sum(2), sums.sum(3)), (4, 1, 1));
    assert_eq!(day["series"]["quarters"][1][1]["left"]["networkDisconnect"], 1);
    let found = ask(&format!("/api/rooms?{span}&q=ADA"));
    assert_eq!((&found["count"], &found["rooms"][0]["name"]), (&1.into(), &"old".into()));
    assert_eq!(ask(&format!("/api/rooms?{span}&q=nobody"))["count"], 0);
    let room = ask(&format!("/api/room?{span}&name=old&unique=old_1"));
    let events = room["events"].as_array().unwrap();
    assert_eq!(events.len(), 3);
    assert_eq!(events[2]["participantLeft"]["reason"], "networkDisconnect");
    for wrong in [
        "/api/day",
        "/api/day?from=0&until=99999999999",
        "/api/room?from=0&until=9",
        "/api/rooms?from=a&until=b",
    ] {
        assert_eq!(get(page(&daemon), wrong).status, 400, "{wrong}");
    }
    daemon.terminate();
}

/// `cdrlog ui`, ended when it is dropped.
pub struct Alone(Child, pub SocketAddr);

impl Alone {
    pub fn start(directory: &Path) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cdrlog"));
        command.args(["ui", "--listen", "127.0.0.1:0"]).arg(directory);
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut said = BufReader::new(child.stderr.take().unwrap()).lines();
        let line = said.next().unwrap().unwrap();
        let address = line.strip_prefix("cdrlog: the page is at http://");
        let address = address.and_then(|rest| rest.trim_end_matches('/').parse().ok());
        let address = address.unwrap_or_else(|| panic!("{line}"));
        std::thread::spawn(move || said.for_each(drop));
        Self(child, address)
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_page_of_a_directory_follows_it_without_the_endpoint() {
    let directory = tempfile::tempdir().unwrap();
    let alone = Alone::start(directory.path());
    let mut viewer = Viewer::connect(alone.1);
    let (_, state) = viewer.next().unwrap();
    assert_eq!(state["about"]["has_endpoint"], Value::Bool(false));
    // Another process writes.
    let mut append = Command::new(env!("CARGO_BIN_EXE_cdrlog"));
    crate::support::give_inboxes(&mut append);
    append.arg("append").arg("--dir").arg(directory.path()).stderr(Stdio::null());
    let mut child = append.stdin(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{}", joined(1)).unwrap();
    assert!(child.wait().unwrap().success());
    let message = std::iter::from_fn(|| viewer.next());
    let mut open = message.map(|(_, message)| message["open"]["participants"].clone());
    assert!(open.any(|participants| participants == 1));
}

#[test]
fn a_page_whose_address_is_in_use_keeps_the_server_from_starting() {
    let directory = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let mut command = crate::daemon::serve(directory.path());
    let output = command.args(["--ui", &address]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("the page cannot listen on"), "{said}");
}

#[test]
fn the_page_goes_on_in_the_process_that_takes_over() {
    let directory = tempfile::tempdir().unwrap();
    // Free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let options = ["--ui", &free.to_string()];
    let running = start(directory.path(), &options);
    assert_eq!(get(free, "/").status, 200);
    let endpoint = running.address.to_string();
    let mut command = crate::daemon::serve(directory.path());
    command.args(["--take-over", "--listen", &endpoint]).args(options);
    let next = Daemon::start(&mut command);
    running.hand_over();
    wait_for("the page of the next process", || Client::try_connect(free).ok()?.try_get("/").ok());
    assert_eq!(next.connect().post(&body(0)).status, 200);
    next.terminate();
}
