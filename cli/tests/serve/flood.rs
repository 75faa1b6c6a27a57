//! Senders that never try again, at a steady rate. Each event uses a connection of its own, or one
//! that stays open until the server says that it closes.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::client::Client;
use crate::common::cdr;
use crate::daemon::wait_for;

/// The number of concurrent connections. Senders that wait for an answer send nothing.
const SENDERS: u64 = 48;

/// A connection that was idle for longer is not used again, as in clients that know the idle
/// timeout of their server.
const KEPT_TIME: Duration = Duration::from_millis(500);

/// A stream of events, until it is told to stop.
pub struct Flood {
    shared: Arc<Shared>,
    senders: Vec<JoinHandle<Vec<Sent>>>,
}

struct Shared {
    address: SocketAddr,
    keeps_connections: bool,
    answered: AtomicU64,
    is_over: AtomicBool,
}

/// The result of one event.
pub struct Sent {
    pub number: u64,
    pub begin: Instant,
    pub end: Instant,
    /// 200, or why not.
    pub outcome: Result<(), Failure>,
}

#[derive(Debug, PartialEq, Eq)]
pub enum Failure {
    /// There was no connection.
    Refused,
    /// The connection ended without an answer.
    Unanswered,
    Status(u16),
}

impl Flood {
    /// So many events per second, from all senders together, each over a new connection.
    pub fn start(address: SocketAddr, events_per_second: u64) -> Self {
        Self::run(address, events_per_second, false)
    }

    /// The same over connections that stay open.
    pub fn start_keeping(address: SocketAddr, events_per_second: u64) -> Self {
        Self::run(address, events_per_second, true)
    }

    fn run(address: SocketAddr, events_per_second: u64, keeps_connections: bool) -> Self {
        let (answered, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
        let shared = Arc::new(Shared { address, keeps_connections, answered, is_over });
        let interval = Duration::from_secs(1) * u32::try_from(SENDERS).unwrap();
        let interval = interval / u32::try_from(events_per_second).unwrap();
        let senders = (0..SENDERS).map(|sender| {
            let shared = shared.clone();
            let offset = interval * u32::try_from(sender).unwrap() / SENDERS as u32;
            let builder = thread::Builder::new().stack_size(128 << 10);
            builder.spawn(move || shared.run(sender, offset, interval)).unwrap()
        });
        Self { senders: senders.collect(), shared }
    }

    /// Waits until this many more events were answered.
    pub fn wait(&self, events: u64) {
        let answered = || self.shared.answered.load(Ordering::Relaxed);
        let enough = answered() + events;
        wait_for("answers", || (answered() >= enough).then_some(()));
    }

    /// Stops, and returns the result of every event.
    pub fn stop(self) -> Outcome {
        self.shared.is_over.store(true, Ordering::Relaxed);
        let sent = self.senders.into_iter().flat_map(|sender| sender.join().unwrap()).collect();
        Outcome { sent }
    }
}

impl Shared {
    fn run(&self, sender: u64, offset: Duration, interval: Duration) -> Vec<Sent> {
        let (mut sent, mut kept) = (Vec::new(), None);
        let mut next = Instant::now() + offset;
        for number in (sender..).step_by(SENDERS as usize) {
            thread::sleep(next.saturating_duration_since(Instant::now()));
            if self.is_over.load(Ordering::Relaxed) {
                break;
            }
            // Events that were not sent during a wait are not made up for.
            next = (next + interval).max(Instant::now());
            let begin = Instant::now();
            let outcome = self.send(number, &mut kept);
            if outcome.is_ok() {
                self.answered.fetch_add(1, Ordering::Relaxed);
            }
            sent.push(Sent { number, begin, end: Instant::now(), outcome });
        }
        sent
    }

    fn send(&self, number: u64, kept: &mut Option<(Client, Instant)>) -> Result<(), Failure> {
        let mut client = match kept.take() {
            Some((client, used)) if used.elapsed() < KEPT_TIME => client,
            _ => Client::try_connect(self.address).map_err(|_| Failure::Refused)?,
        };
        let event = format!(r#"{{"number":{number},"timestamp":1,"event":"e"}}"#);
        match client.try_post("/", &event) {
            Ok(answer) if answer.status == 200 => {
                if self.keeps_connections && answer.header("connection") != Some("close") {
                    *kept = Some((client, Instant::now()));
                }
                Ok(())
            }
            Ok(answer) => Err(Failure::Status(answer.status)),
            Err(_) => Err(Failure::Unanswered),
        }
    }
}

/// The results of all events.
pub struct Outcome {
    pub sent: Vec<Sent>,
}

impl Outcome {
    /// How often each number is in the CDR.
    fn counts(directory: &Path) -> BTreeMap<u64, u64> {
        let mut counts = BTreeMap::new();
        for line in cdr(directory).lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            *counts.entry(line["e"]["number"].as_u64().unwrap()).or_insert(0) += 1;
        }
        counts
    }

    /// Every event was answered with 200 and is in the CDR once, and nothing else is.
    #[track_caller]
    pub fn assert_whole(&self, directory: &Path) {
        let failed: Vec<_> = self.failed().map(|sent| (sent.number, &sent.outcome)).collect();
        assert!(failed.is_empty(), "{} of {}: {failed:?}", failed.len(), self.sent.len());
        let counts = self.assert_answered(directory);
        assert_eq!(counts.len(), self.sent.len());
    }

    /// Every event that was answered with 200 is in the CDR, and none is there twice.
    #[track_caller]
    pub fn assert_answered(&self, directory: &Path) -> BTreeMap<u64, u64> {
        let counts = Self::counts(directory);
        let doubled: Vec<_> = counts.iter().filter(|(_, count)| **count != 1).collect();
        assert!(doubled.is_empty(), "written more than once: {doubled:?}");
        let answered = self.sent.iter().filter(|sent| sent.outcome.is_ok());
        let lost: Vec<_> = answered
            .map(|sent| sent.number)
            .filter(|number| !counts.contains_key(number))
            .collect();
        assert!(lost.is_empty(), "answered with 200, and not in the CDR: {lost:?}");
        counts
    }

    pub fn failed(&self) -> impl Iterator<Item = &Sent> {
        self.sent.iter().filter(|sent| sent.outcome.is_err())
    }
}

/// Events, and how long their answers took.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut times: Vec<_> = self.sent.iter().map(|sent| sent.end - sent.begin).collect();
        times.sort();
        let at = |share: usize| times[(times.len() - 1) * share / 1000];
        let seconds = |sent: &Sent| (sent.end, sent.begin);
        let last = self.sent.iter().map(|sent| seconds(sent).0).max().unwrap();
        let first = self.sent.iter().map(|sent| seconds(sent).1).min().unwrap();
        let rate = self.sent.len() as f64 / (last - first).as_secs_f64();
        write!(
            f,
            "{} events, {rate:.0} a second, p50 {:.1?}, p99 {:.1?}, p99.9 {:.1?}, longest {:.1?}",
            self.sent.len(),
            at(500),
            at(990),
            at(999),
            at(1000)
        )
    }
}
