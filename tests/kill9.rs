//! A process that is killed loses nothing that was journaled, and doubles nothing.
//!
//! Without the anchor and the next opening's recovery, up to four megabytes of committed lines
//! would stay behind in the journal, and a line that the kill cut in the middle of its `write`
//! would stay cut in the CDR for ever.
//!
//! A child (this very program, started again) appends from several threads, each numbering its
//! events, every tenth of which is no event. It is killed by SIGKILL at a random time and the
//! directory is opened again, over and over. In the end the CDR must hold for each thread of each
//! round exactly the numbers from 0 up to some last one, each once and in order, the same for the
//! rejects, and nothing less than what the child was told is written. One more thread sends with
//! acknowledgements, half of them at `Journaled` and half at `Written`, and says each number that
//! came back: all of those must be there.
//!
//! A program of its own, because a child that is this program must hold nothing else.
//!
//! The long form: `CDRLOG_KILL9_ROUNDS=300 cargo test --release --test kill9`.

mod support;

use std::collections::{BTreeMap, VecDeque};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use cdrlog::{Appender, Durability, Producer, SyncPolicy};
use support::{cdr, files, give_inboxes, inbox_directory, rejects};

const CHILD_DIRECTORY: &str = "CDRLOG_KILL9_CHILD_DIRECTORY";
const CHILD_ROUND: &str = "CDRLOG_KILL9_CHILD_ROUND";
const ROUNDS: &str = "CDRLOG_KILL9_ROUNDS";
const SENDERS: u64 = 3;
/// The sender that waits for acknowledgements, this many at a time.
const ACKED_SENDER: u64 = SENDERS;
const ACKS_WAITING: usize = 64;

/// The child: appends until it is killed, and says after each flush how far every sender was before
/// it.
#[test]
#[ignore = "the child of the test below; does nothing by itself"]
fn child() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let round: u64 = std::env::var(CHILD_ROUND).unwrap().parse().unwrap();
    let appender = Appender::builder(directory)
        .inbox_directory(inbox_directory())
        // Now large, now small rings: kills fall on every step of the reuse of segments.
        .segment_bytes(if round.is_multiple_of(2) { 1 << 20 } else { 16 << 10 })
        .event_bytes_max(8192)
        .segment_count(2 + (round % 3) as usize)
        // Short, so that acknowledgements come often.
        .queue_events_max(1 << 10)
        .flush_interval(Duration::from_millis(1 + round % 20))
        .sync_policy(SyncPolicy::Never)
        // In every third round a new file is begun many times a second.
        .rotate_bytes(if round % 3 == 2 { 100 << 10 } else { u64::MAX })
        .open()
        .unwrap();
    for sender in 0..SENDERS {
        let producer = appender.producer();
        std::thread::spawn(move || {
            let padding = "p".repeat((sender * 400) as usize);
            for number in 0_u64.. {
                let name = if number % 10 == 9 { "none" } else { "event" };
                let body = format!(
                    r#"{{"n":{number},"from":"{round}/{sender}","{name}":"e","p":"{padding}"}}"#
                );
                producer.send_slice(body.as_bytes()).unwrap();
            }
        });
    }
    let producer = appender.producer();
    std::thread::spawn(move || send_acked(&producer, round));
    loop {
        // Lines written so far: a promise that no kill may break.
        appender.flush().unwrap();
        say(format!("written {}\n", appender.stats().bytes_written));
    }
}

/// Sends and says the number of each event that was acknowledged.
fn send_acked(producer: &Producer, round: u64) {
    let mut acks = VecDeque::new();
    for number in 0_u64.. {
        let body = format!(r#"{{"n":{number},"from":"{round}/{ACKED_SENDER}","event":"e"}}"#);
        let durability = if number % 2 == 0 { Durability::Journaled } else { Durability::Written };
        acks.push_back((number, producer.send_acked(body.into(), durability).unwrap()));
        if acks.len() == ACKS_WAITING {
            let (number, ack) = acks.pop_front().unwrap();
            ack.wait().unwrap();
            say(format!("acked {number}\n"));
        }
    }
}

/// One call of `write`, so that a kill leaves a whole word or none.
fn say(word: String) {
    std::io::stdout().lock().write_all(word.as_bytes()).unwrap();
}

/// What the child said before it was killed.
#[derive(Default)]
struct Said {
    /// Bytes of lines that are written.
    written: u64,
    /// The last number of an event that was acknowledged.
    acked: Option<u64>,
}

/// Starts the child and kills it after `pause`.
fn run_and_kill(directory: &Path, round: u64, pause: Duration) -> Said {
    let mut child = give_inboxes(&mut Command::new(std::env::current_exe().unwrap()))
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(CHILD_DIRECTORY, directory)
        .env(CHILD_ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let listener = std::thread::spawn(move || listen(stdout));
    std::thread::sleep(pause);
    child.kill().unwrap();
    child.wait().unwrap();
    listener.join().unwrap()
}

fn listen(stdout: impl BufRead) -> Said {
    let mut said = Said::default();
    for line in stdout.lines().map_while(Result::ok) {
        match line.split_once(' ') {
            Some(("written", bytes)) => said.written = bytes.parse().unwrap(),
            Some(("acked", number)) => said.acked = Some(number.parse().unwrap()),
            _ => {}
        }
    }
    said
}

/// The numbers of each round and sender, in the order of the file.
fn numbers<'a>(records: impl Iterator<Item = &'a serde_json::Value>) -> BTreeMap<String, Vec<u64>> {
    let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for record in records {
        let from = record["from"].as_str().unwrap().to_owned();
        numbers.entry(from).or_default().push(record["n"].as_u64().unwrap());
    }
    numbers
}

#[test]
fn what_was_journaled_is_in_the_cdr_exactly_once_after_every_kill() {
    let rounds: u64 = std::env::var(ROUNDS).map_or(30, |rounds| rounds.parse().unwrap());
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
    let directory = tempfile::tempdir().unwrap();
    let (mut recovered_bytes, mut acked) = (0, 0);
    for round in 0..rounds {
        let pause_ms = 20 + (u64::from(seed) >> (round % 16)) * (round + 1) % 150;
        let before = cdr(directory.path()).len() as u64;
        let said = run_and_kill(directory.path(), round, Duration::from_millis(pause_ms));
        let appender = Appender::builder(directory.path()).open().unwrap();
        recovered_bytes += appender.recovery().lines_bytes;
        appender.close().unwrap();
        let after = cdr(directory.path()).len() as u64;
        assert!(
            after - before >= said.written,
            "round {round}: {} bytes were written, {} are there",
            said.written,
            after - before
        );
        check(directory.path(), round, said.acked);
        acked += said.acked.map_or(0, |last| last + 1);
        // Keeps a long run from reading hundreds of megabytes again and again.
        for path in
            files(directory.path(), "CDR.").iter().chain(&files(directory.path(), "rejected."))
        {
            std::fs::remove_file(path).unwrap();
        }
    }
    println!("{rounds} rounds, {recovered_bytes} bytes of lines recovered, {acked} acknowledged");
}

fn check(directory: &Path, round: u64, acked: Option<u64>) {
    let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let lines: Vec<_> = cdr(directory).lines().map(|line| parse(line)["e"].take()).collect();
    let lines = numbers(lines.iter());
    let acked_sender = format!("{round}/{ACKED_SENDER}");
    let last_acked = lines.get(&acked_sender).and_then(|found| found.last().copied());
    assert!(last_acked >= acked, "{acked:?} was acknowledged, {last_acked:?} is there");
    for (from, found) in lines {
        let last = *found.last().unwrap();
        let all = from == acked_sender;
        let expected: Vec<_> = (0..=last).filter(|number| all || number % 10 != 9).collect();
        assert!(found == expected, "events of {from} are lost, doubled or out of order");
    }
    let bodies: Vec<_> =
        rejects(directory).iter().map(|record| parse(record["body"].as_str().unwrap())).collect();
    for (from, found) in numbers(bodies.iter()) {
        let expected: Vec<_> = (9..=*found.last().unwrap()).step_by(10).collect();
        assert!(found == expected, "rejects of {from} are lost, doubled or out of order");
    }
}
