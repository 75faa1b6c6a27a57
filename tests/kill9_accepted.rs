//! A process that dies at any moment loses nothing that a `send` took, and doubles nothing.
//!
//! Without the inbox an event is in memory of the process alone until the rewriter thread looks, up
//! to 10 ms later: what a media server sent last before it died would be missing, which is what
//! somebody will want to read.
//!
//! A child (this very program, started again) sends numbered events by several threads and dies at
//! the very moment when the last `send` has returned, or is killed at a random one; by SIGKILL, by
//! SIGSEGV in another thread, by an abort. Each thread notes in a file how many of its sends have
//! returned: these must be in the CDR, or in the rejects, each once and in order. Some are sent
//! under a common lock: these must be in the order in which the threads had it.
//!
//! The rewriter is asleep in each of its ways when the child dies: while events gather, for each length
//! of that up to the longest; because there was nothing for a second; and because the journal is full.
//! Some children fork in the middle: what they forked sends nothing, and outlives them.
//!
//! The next opening does not wait for the end of a child that is being killed, or of what that forked.
//!
//! A program of its own, because a child that is this program must hold nothing else.
//!
//! The long form: `CDRLOG_KILL9_ROUNDS=300 cargo test --release --test kill9_accepted`.

#![expect(unsafe_code, reason = "a fault of memory on purpose, and a fork")]

mod support;

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::{Child, Command};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use cdrlog::{Appender, Bytes, Durability, OpenError, Producer, SharedProducer, SyncPolicy};
use support::{cdr, files, give_inboxes, inbox_directory, rejects};

const CHILD_DIRECTORY: &str = "CDRLOG_KILL9_ACCEPTED_DIRECTORY";
const CHILD_ROUND: &str = "CDRLOG_KILL9_ACCEPTED_ROUND";
const ROUNDS: &str = "CDRLOG_KILL9_ROUNDS";

/// How a child dies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    /// By SIGKILL, when its last send has returned.
    KillAtOnce,
    /// By SIGSEGV in a thread that has nothing to do with it, then.
    Segfault,
    Abort,
    /// By SIGKILL of its parent, in the middle of its sends.
    KillAtRandom,
}

impl Death {
    const fn of(round: u64) -> Self {
        match round % 4 {
            0 => Self::KillAtOnce,
            1 => Self::Segfault,
            2 => Self::Abort,
            _ => Self::KillAtRandom,
        }
    }

    fn die(self) -> ! {
        match self {
            Self::KillAtOnce => {
                let this = rustix::process::getpid();
                rustix::process::kill_process(this, rustix::process::Signal::KILL).unwrap();
            }
            Self::Segfault => {
                let fault = std::thread::spawn(|| {
                    // SAFETY: none; this is the fault.
                    unsafe { std::ptr::without_provenance_mut::<u8>(8).write_volatile(1) };
                });
                let _ = fault.join();
            }
            Self::Abort => std::process::abort(),
            Self::KillAtRandom => {}
        }
        std::thread::sleep(Duration::from_secs(60));
        panic!("nobody killed the child");
    }
}

/// What a round is like.
struct Round {
    threads: u64,
    events: u64,
    death: Death,
    /// Nothing is sent for so long that the rewriter sleeps until it is woken.
    is_idle_before: bool,
    /// Before which event the first thread forks.
    forks_at: Option<u64>,
}

/// Longer than the rewriter looks for the next event by itself.
const UNTIL_IDLE: Duration = Duration::from_millis(1200);

/// How long what was forked lives.
const FORKED_LIFE: Duration = Duration::from_millis(30);

impl Round {
    fn of(round: u64) -> Self {
        let death = Death::of(round);
        let events = match (death, round / 4 % 4) {
            (Death::KillAtRandom, _) => u64::MAX,
            (_, 0) => 10,
            (_, 1) => 100,
            (_, 2) => 1000,
            _ => 4000,
        };
        Self {
            threads: 1 + round % 3,
            events,
            death,
            is_idle_before: round % 15 == 4,
            forks_at: (round % 7 == 5).then_some(5),
        }
    }
}

fn is_reject(number: u64) -> bool {
    number % 10 == 9
}

/// Sent under the common lock.
fn is_ordered(number: u64) -> bool {
    number % 4 == 1
}

fn body(thread: u64, number: u64, order: u64) -> String {
    let name = if is_reject(number) { "none" } else { "event" };
    // Now and then one that needs a chunk of its own.
    let padding = "p".repeat(if number % 500 == 7 { 30_000 } else { (number % 7 * 60) as usize });
    format!(r#"{{"n":{number},"t":{thread},"o":{order},"{name}":"e","p":"{padding}"}}"#)
}

/// Sends in each of the ways that there are.
fn send(producer: &Producer, shared: &SharedProducer, number: u64, body: String) {
    match number % 7 {
        0 => producer.send_slice(body.as_bytes()).unwrap(),
        1 => producer.send(Bytes::from(body)).unwrap(),
        2 => drop(producer.send_acked(body.into(), Durability::Journaled).unwrap()),
        3 => {
            while producer.try_send_slice(body.as_bytes()).is_err() {
                std::thread::yield_now();
            }
        }
        4 => {
            let send = || producer.try_send_acked_no_wake(body.clone().into(), Durability::Written);
            while send().is_err() {
                std::thread::yield_now();
            }
        }
        5 => block_on(shared.send_async(body.into())).unwrap(),
        _ => block_on(shared.reserve(body.len())).unwrap().send(body.into()).unwrap(),
    }
}

fn block_on<T>(sending: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(sending)
}

/// What is forked sends nothing, and lives on for a moment.
fn fork(producer: &Producer) {
    // SAFETY: the child only tries to send, which takes no lock in it, sleeps and ends.
    let forked = unsafe { libc::fork() };
    assert!(forked >= 0, "no fork");
    if forked == 0 {
        let refused = producer.send_slice(b"of a forked child").is_err();
        std::thread::sleep(FORKED_LIFE);
        // SAFETY: ends the process; nothing of the test harness runs in it.
        unsafe { libc::_exit(if refused { 0 } else { 1 }) };
    }
}

#[test]
#[ignore = "the child of the test below; does nothing by itself"]
fn child() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let number: u64 = std::env::var(CHILD_ROUND).unwrap().parse().unwrap();
    let round = Round::of(number);
    let noted = File::create(Path::new(&directory).with_extension("noted")).unwrap();
    let appender = Appender::builder(&directory)
        .inbox_directory(inbox_directory())
        .event_bytes_max(64 << 10)
        .segment_bytes(if number.is_multiple_of(2) { 1 << 20 } else { 64 << 10 })
        // Every length of the rewriter's sleep, which is a quarter and 10 ms at most; and full queues.
        .flush_interval(Duration::from_millis(1 + number * 7 % 48))
        .queue_bytes_max(if number.is_multiple_of(3) { 256 << 10 } else { 16 << 20 })
        .sync_policy(SyncPolicy::Never)
        .open()
        .unwrap();
    assert!(appender.inbox_path().is_some(), "no inbox");
    if round.is_idle_before {
        std::thread::sleep(UNTIL_IDLE);
    }
    let (order, shared) = (Arc::new(Mutex::new(0)), appender.shared_producer());
    std::thread::scope(|scope| {
        for thread in 0..round.threads {
            let (producer, order) = (appender.producer(), order.clone());
            let (shared, noted) = (&shared, &noted);
            scope.spawn(move || {
                for number in 0..round.events {
                    if thread == 0 && round.forks_at == Some(number) {
                        fork(&producer);
                    }
                    if is_ordered(number) {
                        let mut order = order.lock().unwrap();
                        *order += 1;
                        send(&producer, shared, number, body(thread, number, *order));
                    } else {
                        send(&producer, shared, number, body(thread, number, 0));
                    }
                    noted.write_all_at(&(number + 1).to_le_bytes(), thread * 8).unwrap();
                }
            });
        }
    });
    round.death.die();
}

/// Gives the child, which is dead or dying.
fn run_child(directory: &Path, round: u64, pause: Duration) -> Child {
    let noted = directory.with_extension("noted");
    // Of the round before.
    let _ = std::fs::remove_file(&noted);
    let mut child = give_inboxes(&mut Command::new(std::env::current_exe().unwrap()))
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(CHILD_DIRECTORY, directory)
        .env(CHILD_ROUND, round.to_string())
        .spawn()
        .unwrap();
    if Death::of(round) == Death::KillAtRandom {
        // Not before it sends: then there would be nothing to look at.
        while std::fs::metadata(&noted).map_or(0, |noted| noted.len()) == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(pause);
        child.kill().unwrap();
    } else {
        child.wait().unwrap();
    }
    child
}

/// Opens the directory as soon as the child has let go of it, be it in the middle of its death.
fn open_soon(directory: &Path) -> Appender {
    loop {
        match Appender::builder(directory).open() {
            Err(OpenError::Locked { .. }) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// How many sends of each thread had returned.
fn noted(directory: &Path, threads: u64) -> Vec<u64> {
    let bytes = std::fs::read(directory.with_extension("noted")).unwrap();
    let number = |thread: u64| {
        let bytes = bytes.get(thread as usize * 8..thread as usize * 8 + 8);
        bytes.map_or(0, |bytes| u64::from_le_bytes(bytes.try_into().unwrap()))
    };
    (0..threads).map(number).collect()
}

/// By thread, the numbers in the order of the file; and the common order of those under the lock.
fn numbers(bodies: &[serde_json::Value]) -> (BTreeMap<u64, Vec<u64>>, Vec<u64>) {
    let mut numbers: BTreeMap<u64, Vec<u64>> = BTreeMap::new();
    let mut order = Vec::new();
    for body in bodies {
        let member = |name: &str| body[name].as_u64().unwrap();
        numbers.entry(member("t")).or_default().push(member("n"));
        order.extend(Some(member("o")).filter(|&order| order > 0));
    }
    (numbers, order)
}

fn check(directory: &Path, number: u64) {
    let round = Round::of(number);
    let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let lines: Vec<_> = cdr(directory).lines().map(|line| parse(line)["e"].take()).collect();
    let bodies: Vec<_> =
        rejects(directory).iter().map(|record| parse(record["body"].as_str().unwrap())).collect();
    let (lines, lines_order) = numbers(&lines);
    let (rejects, rejects_order) = numbers(&bodies);
    for order in [lines_order, rejects_order] {
        assert!(
            order.is_sorted(),
            "round {number}: an event is before one that was sent before it"
        );
    }
    for (thread, &sent) in noted(directory, round.threads).iter().enumerate() {
        let thread = thread as u64;
        let of = |found: &BTreeMap<u64, Vec<u64>>| found.get(&thread).cloned().unwrap_or_default();
        let (lines, rejects) = (of(&lines), of(&rejects));
        let end = lines.last().max(rejects.last()).map_or(0, |last| last + 1);
        assert!(end >= sent, "round {number}, thread {thread}: {sent} were sent, {end} are there");
        // One send may not have returned.
        assert!(end <= sent + 1, "round {number}, thread {thread}: {sent} were sent, not {end}");
        let (expected_rejects, expected): (Vec<u64>, Vec<u64>) =
            (0..end).partition(|&number| is_reject(number));
        let fault = format!("round {number}, thread {thread}: lost, doubled or out of order");
        assert!(lines == expected && rejects == expected_rejects, "{fault}");
    }
}

#[test]
fn what_a_send_took_is_there_exactly_once_after_every_death() {
    let rounds: u64 = std::env::var(ROUNDS).map_or(30, |rounds| rounds.parse().unwrap());
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("cdr");
    let mut from_inbox = 0;
    for round in 0..rounds {
        let pause = Duration::from_millis((u64::from(seed) >> (round % 16)) * (round + 1) % 100);
        let mut child = run_child(&directory, round, pause);
        let appender = open_soon(&directory);
        let status = child.wait().unwrap();
        assert_eq!(status.code(), None, "round {round}: the child was not killed: {status}");
        let recovery = appender.recovery().clone();
        appender.close().unwrap();
        assert_eq!(recovery.unusable_inbox, None, "round {round}");
        from_inbox += recovery.inbox_events;
        check(&directory, round);
        for path in files(&directory, "CDR.").iter().chain(&files(&directory, "rejected.")) {
            std::fs::remove_file(path).unwrap();
        }
    }
    assert!(from_inbox > 0, "no event was ever in the inbox: the test tests nothing");
    println!("{rounds} rounds, {from_inbox} events came from the inbox");
}
