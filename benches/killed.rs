//! What is left of the events that were sent when the process is killed.
//!
//! A child sends events, at the rate of a server or in one burst, and kills itself with SIGKILL as soon
//! as the last send returned. What the log holds is opened again where that means something, and its
//! lines are counted. The table says how many events are missing: the median of the rounds, and the worst
//! of them.
//!
//! ```sh
//! cargo bench --bench killed
//! ```

mod common;
mod corpus;

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use common::ours::CdrlogSlice;
use common::peers::{MutexBufWriter, MutexRewriter, Spdlog, TracingRaw};
use common::{CORPUS, Logger, Sender};
use rustix::process::{Signal, getpid, kill_process};
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Events before the kill, and how many are sent every 10 ms: none at a time is flat out.
struct Load {
    name: &'static str,
    events: usize,
    every_10_ms: usize,
}

const LOADS: [Load; 2] = [
    Load { name: "2 s at 1 000/s", events: 2_000, every_10_ms: 10 },
    Load { name: "a burst of 10 000", events: 10_000, every_10_ms: 0 },
];

/// Says to the child which logger, which load and which directory.
const CHILD: &str = "CDRLOG_BENCH_KILLED";

struct Peer {
    name: &'static str,
    send_and_die: fn(&Path, &Load),
    /// What the program does when it starts again: only cdrlog has anything to do.
    open_again: fn(&Path),
}

impl Peer {
    const fn of<L: Logger>(name: &'static str) -> Self {
        Self { name, send_and_die: send_and_die::<L>, open_again: |_| () }
    }
}

const PEERS: [Peer; 6] = [
    Peer { open_again: recover, ..Peer::of::<CdrlogSlice>("cdrlog") },
    Peer::of::<TracingUnbuffered>("tracing-appender, its own file"),
    Peer::of::<TracingRaw>("tracing-appender, a buffer of 256 KiB"),
    Peer::of::<Spdlog>("spdlog-rs"),
    Peer::of::<MutexBufWriter>("Mutex<BufWriter>, 256 KiB"),
    Peer::of::<MutexRewriter>("the same, rewriting"),
];

/// With the file that tracing-appender opens itself, which has no buffer. It waits where its queue is
/// full, which is not its default.
struct TracingUnbuffered(NonBlocking, WorkerGuard);

impl Logger for TracingUnbuffered {
    type Sender = UnbufferedSender;

    fn open(directory: &Path) -> Self {
        let file = tracing_appender::rolling::never(directory, "peer.log");
        let (writer, guard) = NonBlockingBuilder::default().lossy(false).finish(file);
        Self(writer, guard)
    }

    fn sender(&self, _events: usize) -> UnbufferedSender {
        UnbufferedSender(self.0.clone())
    }

    fn close(self) -> usize {
        drop(self.1);
        0
    }
}

struct UnbufferedSender(NonBlocking);

impl Sender for UnbufferedSender {
    fn send(&mut self, number: usize) -> bool {
        self.0.write_all(CORPUS.line(number).as_bytes()).is_ok()
    }
}

fn send_and_die<L: Logger>(directory: &Path, load: &Load) {
    let logger = L::open(directory);
    let mut sender = logger.sender(load.events);
    let begin = Instant::now();
    for number in 0..load.events {
        if load.every_10_ms != 0 && number % load.every_10_ms == 0 {
            let at = begin
                + Duration::from_millis(10)
                    * u32::try_from(number / load.every_10_ms).expect("few");
            std::thread::sleep(at.saturating_duration_since(Instant::now()));
        }
        assert!(sender.send(number), "an event was refused");
    }
    kill_process(getpid(), Signal::KILL).expect("a signal to oneself");
}

fn recover(directory: &Path) {
    CdrlogSlice::open(directory).close();
}

/// How many of the events are not in the log after one kill.
fn missing(peer: &Peer, load: &Load) -> usize {
    let directory = common::directory();
    let path = directory.path().to_str().expect("a path in UTF-8");
    let child = Command::new(std::env::current_exe().expect("this program"))
        .env(CHILD, format!("{}|{}|{path}", peer.name, load.name))
        .stdout(Stdio::null())
        .status()
        .expect("a child");
    assert_eq!(child.signal(), Some(Signal::KILL.as_raw()), "{}: {child}", peer.name);
    (peer.open_again)(directory.path());
    let found = common::count_lines(directory.path());
    load.events.checked_sub(found).unwrap_or_else(|| panic!("{}: {found} lines", peer.name))
}

fn main() {
    if let Ok(order) = std::env::var(CHILD) {
        let mut parts = order.splitn(3, '|');
        let mut part = || parts.next().expect("three parts");
        let (peer, load, directory) = (part(), part(), part());
        let peer = PEERS.iter().find(|one| one.name == peer).expect("a logger");
        let load = LOADS.iter().find(|one| one.name == load).expect("a load");
        (peer.send_and_die)(Path::new(directory), load);
        return;
    }
    let rounds = if common::is_test() { 1 } else { 11 };
    println!(
        "| events missing after kill -9: median, worst of {rounds} | {} | {} |",
        LOADS[0].name, LOADS[1].name
    );
    println!("|---|---|---|");
    for peer in &PEERS {
        print!("| {} |", peer.name);
        for load in &LOADS {
            let mut lost: Vec<usize> = (0..rounds).map(|_| missing(peer, load)).collect();
            lost.sort_unstable();
            print!(" {}, {} |", lost[rounds / 2], lost[rounds - 1]);
        }
        println!();
    }
}
