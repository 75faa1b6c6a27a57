//! `kill -9` under load, again and again: every event that got 200 is in the CDR.
//!
//! The senders keep OpenVidu's rules: one request in flight, at most five tries after an I/O error,
//! and whatever is answered but with 200 is dropped. An event whose first try was journaled but not
//! answered, because of the kill, is sent again; `--dedup-window` keeps it from being written twice.
//!
//! The long form: `CDRLOG_SERVE_KILL_ROUNDS=50 cargo test --release --test serve kills`.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::client::Client;
use crate::common::cdr;
use crate::daemon::{Daemon, serve, start, wait_for};

const SENDERS: u64 = 8;
const TRIES: u32 = 5;
const TRY_PAUSE: Duration = Duration::from_millis(200);
/// Each life of the server acknowledges at least as many, however slow the machine is.
const ACKNOWLEDGED_MIN: u64 = 50;

/// What a sender has brought, and what it has given up.
#[derive(Default)]
struct Sent {
    acknowledged: Vec<u64>,
    dropped: Vec<u64>,
}

struct Load {
    /// Where the server is now.
    address: Mutex<SocketAddr>,
    acknowledged: AtomicU64,
    is_over: AtomicBool,
}

impl Load {
    fn wait_for_acknowledged(&self) {
        let count = || self.acknowledged.load(Ordering::Relaxed);
        let enough = count() + ACKNOWLEDGED_MIN;
        wait_for("the load", || (count() >= enough).then_some(()));
    }

    /// One event, as OpenVidu sends it. Gives whether it got 200.
    fn send(&self, client: &mut Option<Client>, event: &str) -> bool {
        for _ in 0..TRIES {
            if client.is_none() {
                let address = *self.address.lock().unwrap();
                *client = Client::try_connect(address).ok();
            }
            match client.as_mut().map(|client| client.try_post("/", event)) {
                Some(Ok(answer)) => return answer.status == 200,
                _ => {
                    *client = None;
                    std::thread::sleep(TRY_PAUSE);
                }
            }
        }
        false
    }

    fn run(&self, sender: u64) -> Sent {
        let (mut sent, mut client) = (Sent::default(), None);
        for number in 0_u64.. {
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            let padding = "x".repeat((number % 300) as usize);
            let event =
                format!(r#"{{"from":{sender},"number":{number},"p":"{padding}","event":"e"}}"#);
            match self.send(&mut client, &event) {
                true => {
                    self.acknowledged.fetch_add(1, Ordering::Relaxed);
                    sent.acknowledged.push(number);
                }
                false => sent.dropped.push(number),
            }
        }
        sent
    }
}

fn restart(directory: &std::path::Path, load: &Load, daemon: Daemon) -> Daemon {
    daemon.kill();
    let daemon = Daemon::start(serve(directory).args(["--sync", "never"]));
    *load.address.lock().unwrap() = daemon.address;
    daemon
}

#[test]
fn every_event_that_got_200_is_in_the_cdr_once_after_kill_9_under_load() {
    let rounds =
        std::env::var("CDRLOG_SERVE_KILL_ROUNDS").map_or(3, |rounds| rounds.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = start(directory.path(), &["--sync", "never"]);
    let load = Arc::new(Load {
        address: Mutex::new(daemon.address),
        acknowledged: AtomicU64::new(0),
        is_over: AtomicBool::new(false),
    });
    let senders: Vec<_> = (0..SENDERS)
        .map(|sender| {
            let load = load.clone();
            std::thread::spawn(move || load.run(sender))
        })
        .collect();
    for round in 0..rounds {
        load.wait_for_acknowledged();
        std::thread::sleep(Duration::from_millis(round * 37 % 300));
        daemon = restart(directory.path(), &load, daemon);
    }
    load.wait_for_acknowledged();
    load.is_over.store(true, Ordering::Relaxed);
    let sent: Vec<_> = senders.into_iter().map(|sender| sender.join().unwrap()).collect();
    daemon.terminate();
    let mut counts = BTreeMap::new();
    for line in cdr(directory.path()).lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let id = (line["e"]["from"].as_u64().unwrap(), line["e"]["number"].as_u64().unwrap());
        *counts.entry(id).or_insert(0) += 1;
    }
    let total: usize = sent.iter().map(|sent| sent.acknowledged.len()).sum();
    let dropped: usize = sent.iter().map(|sent| sent.dropped.len()).sum();
    eprintln!("{rounds} kills, {total} events got 200, {dropped} were dropped");
    let doubled: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).collect();
    assert!(doubled.is_empty(), "written twice: {doubled:?}");
    for (sender, sent) in sent.iter().enumerate() {
        for number in &sent.acknowledged {
            assert!(counts.contains_key(&(sender as u64, *number)), "{sender}/{number} is lost");
        }
    }
}
