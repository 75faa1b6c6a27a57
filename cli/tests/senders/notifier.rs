//! A sender that behaves like LiveKit's queued notifier.
//!
//! Each room has a queue of its own, for at most 200 events, which are sent one after the other. If
//! it is full, the event is dropped. If there is no connection, or the answer is 429 or at least
//! 500, the same request is sent again with the same token: five times in all, after pauses that
//! double (at first 1 s; here a thousandth of that), or as long as `Retry-After` says. Any other
//! status counts as sent. An event that waited for more than 30 s is dropped. In earlier servers,
//! the notifier says in the next event how many it dropped: `numDropped`.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::openvidu::{audit, audit_of};
use crate::client::Client;
use crate::common::cdr;
use crate::credentials::{token, with_file};
use crate::daemon::Daemon;

const QUEUE_MAX: usize = 200;
const TRIES: u32 = 5;
const PAUSE: Duration = Duration::from_millis(1);

struct Notifier {
    endpoint: SocketAddr,
    queue: VecDeque<Value>,
    dropped: u64,
    /// The status of each answer.
    statuses: Vec<u16>,
}

impl Notifier {
    fn new(endpoint: SocketAddr) -> Self {
        Self { endpoint, queue: VecDeque::new(), dropped: 0, statuses: Vec::new() }
    }

    /// Adds an event to the queue of its room. False if it is full.
    fn notify(&mut self, event: Value) -> bool {
        if self.queue.len() >= QUEUE_MAX {
            self.dropped += 1;
            return false;
        }
        self.queue.push_back(event);
        true
    }

    /// Sends what waits. `between` is called after each failed try.
    fn work(&mut self, mut between: impl FnMut(&mut Self, u32)) {
        let mut client = None;
        while let Some(mut event) = self.queue.pop_front() {
            let before = std::mem::take(&mut self.dropped);
            if before > 0 {
                event["numDropped"] = json!(before);
            }
            let body = event.to_string();
            let token = token("devkey", "secret", &body);
            if !self.send(&mut client, &body, &token, &mut between) {
                self.dropped += before + 1;
            }
        }
    }

    fn send(
        &mut self,
        client: &mut Option<Client>,
        body: &str,
        token: &str,
        between: &mut impl FnMut(&mut Self, u32),
    ) -> bool {
        for number in 0..TRIES {
            let answer = client
                .take()
                .map_or_else(|| Client::try_connect(self.endpoint), Ok)
                .and_then(|mut open| Ok((post(&mut open, body, token)?, open)));
            match answer {
                Ok((status, open)) => {
                    *client = Some(open);
                    self.statuses.push(status);
                    if status < 500 && status != 429 {
                        return true;
                    }
                }
                Err(_) => *client = None,
            }
            between(self, number);
            std::thread::sleep(PAUSE * 2_u32.pow(number));
        }
        false
    }
}

fn post(client: &mut Client, body: &str, token: &str) -> std::io::Result<u16> {
    let head = format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nUser-Agent: Go-http-client/1.1\r\nContent-Length: \
         {}\r\nAuthorization: {token}\r\nContent-Type: application/webhook+json\r\n\
         Accept-Encoding: gzip\r\n\r\n",
        body.len()
    );
    client.send(format!("{head}{body}").as_bytes())?;
    Ok(client.read("POST")?.status)
}

fn event(name: &str, number: u64, members: Value) -> Value {
    let mut event = json!({"event": name, "room": {"sid": "RM_1", "name": "daily"}});
    event.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    event["id"] = json!(format!("EV_{number}"));
    event["createdAt"] = json!((1_700_000_000 + number).to_string());
    event
}

fn server(directory: &Path) -> Daemon {
    with_file(directory, "--livekit-key-file", "devkey: secret\n")
}

#[test]
fn what_finds_the_queue_full_is_told_by_the_next_event_and_found_by_the_audit() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = server(directory.path());
    let mut notifier = Notifier::new(daemon.address);
    assert!(notifier.notify(event("room_started", 0, json!({}))));
    for number in 1..205 {
        let participant = json!({"participant": {"sid": format!("PA_{number}")}});
        let is_queued = notifier.notify(event("participant_joined", number, participant));
        assert_eq!(is_queued, number < 200);
    }
    notifier.work(|_, _| panic!("a try failed"));
    assert!(notifier.notify(event("room_finished", 300, json!({}))));
    notifier.work(|_, _| panic!("a try failed"));
    let found = audit_of(daemon, &directory.path().join("cdr"));
    let lines = cdr(&directory.path().join("cdr"));
    assert_eq!(lines.lines().count(), 201);
    assert!(lines.lines().next().unwrap().contains("\"numDropped\":5"), "{lines}");
    assert_eq!(found[0], "events_dropped - -");
    assert_eq!(found.len(), 1);
}

#[test]
fn an_event_that_is_tried_again_while_the_server_starts_anew_is_there_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = Some(server(directory.path()));
    let mut notifier = Notifier::new(daemon.as_ref().unwrap().address);
    notifier.notify(event("room_started", 0, json!({})));
    notifier.work(|_, _| panic!("a try failed"));
    daemon.take().unwrap().kill();
    notifier.notify(event("participant_joined", 1, json!({"participant": {"sid": "PA_a"}})));
    notifier.notify(event("participant_left", 2, json!({"participant": {"sid": "PA_a"}})));
    notifier.notify(event("room_finished", 3, json!({})));
    notifier.work(|notifier, number| {
        if number == 2 {
            let again = server(directory.path());
            notifier.endpoint = again.address;
            daemon = Some(again);
        }
    });
    assert_eq!(notifier.dropped, 0);
    let found = audit_of(daemon.unwrap(), &directory.path().join("cdr"));
    assert_eq!(found, [""; 0]);
    assert_eq!(cdr(&directory.path().join("cdr")).lines().count(), 4);
}

#[test]
fn an_event_that_was_tried_five_times_is_gone_and_is_counted_in_the_next_one() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = server(directory.path());
    let address = daemon.address;
    let nowhere = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let mut notifier = Notifier::new(address);
    notifier.notify(event("room_started", 0, json!({})));
    notifier.notify(event("participant_joined", 1, json!({"participant": {"sid": "PA_a"}})));
    notifier.work(|_, _| panic!("a try failed"));
    notifier.endpoint = nowhere;
    notifier.notify(event("participant_left", 2, json!({"participant": {"sid": "PA_a"}})));
    let mut tries = 0;
    notifier.work(|_, _| tries += 1);
    assert_eq!((tries, notifier.dropped), (TRIES, 1));
    notifier.endpoint = address;
    notifier.notify(event("room_finished", 3, json!({})));
    notifier.work(|_, _| panic!("a try failed"));
    daemon.terminate();
    let found = audit(&directory.path().join("cdr"));
    assert_eq!(found, ["events_dropped - -", "leave_missing PA_a dropped"]);
}

#[test]
fn a_notifier_with_another_secret_is_refused_and_takes_its_events_for_sent() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = with_file(directory.path(), "--livekit-key-file", "devkey: another\n");
    let mut notifier = Notifier::new(daemon.address);
    notifier.notify(event("room_started", 0, json!({})));
    notifier.work(|_, _| panic!("a try failed"));
    assert_eq!((notifier.statuses.as_slice(), notifier.dropped), (&[401][..], 0));
    let metrics = daemon.connect().get("/metrics");
    let refused = "cdrlog_http_refused_total{reason=\"credentials_wrong\"} 1";
    assert!(metrics.text().contains(refused), "{}", metrics.text());
    daemon.terminate();
    assert_eq!(cdr(&directory.path().join("cdr")), "");
}
