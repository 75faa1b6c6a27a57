//! A process that is killed loses nothing that was journaled, and doubles nothing.
//!
//! Without the anchor and the next opening's recovery, up to four megabytes of committed lines would stay behind in
//! the journal, and a line that the kill cut in the middle of its `write` would stay cut in the CDR for ever.
//!
//! A child (this very program, started again) appends from several threads, each numbering its events, every tenth of
//! which is no event. It is killed by SIGKILL at a random time and the directory is opened again, over and over. In the
//! end the CDR must hold for each thread of each round exactly the numbers from 0 up to some last one, each once and in
//! order, the same for the rejects, and nothing less than what the child was told is written.
//!
//! The long form: `CDRLOG_KILL9_ROUNDS=300 cargo test --release --test kill9`.

#[expect(dead_code, reason = "shared by several test files")]
mod common;

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

use cdrlog::{Appender, SyncPolicy};
use common::{cdr, files, rejects};

const CHILD_DIRECTORY: &str = "CDRLOG_KILL9_CHILD_DIRECTORY";
const CHILD_ROUND: &str = "CDRLOG_KILL9_CHILD_ROUND";
const ROUNDS: &str = "CDRLOG_KILL9_ROUNDS";
const SENDERS: u64 = 3;

/// The child: appends until it is killed, and says after each flush how far every sender was before it.
#[test]
#[ignore = "the child of the test below; does nothing by itself"]
fn child() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    let round: u64 = std::env::var(CHILD_ROUND).unwrap().parse().unwrap();
    let appender = Appender::builder(directory)
        // Now large, now small rings: kills fall on every step of the reuse of segments.
        .segment_bytes(if round.is_multiple_of(2) { 1 << 20 } else { 16 << 10 })
        .event_bytes_max(8192)
        .segment_count(2 + (round % 3) as usize)
        .flush_interval(Duration::from_millis(1 + round % 20))
        .sync_policy(SyncPolicy::Never)
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
    loop {
        // Lines written so far: a promise that no kill may break.
        appender.flush().unwrap();
        println!("{}", appender.stats().bytes_written);
    }
}

/// Starts the child, kills it after `pause`; gives the number of bytes that it was told are written.
fn run_and_kill(directory: &Path, round: u64, pause: Duration) -> u64 {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--ignored", "--nocapture"])
        .env(CHILD_DIRECTORY, directory)
        .env(CHILD_ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    std::thread::sleep(pause);
    child.kill().unwrap();
    child.wait().unwrap();
    let told = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
    told.filter_map(|line| line.parse().ok()).max().unwrap_or(0)
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
    let rounds: u64 = std::env::var(ROUNDS).map_or(8, |rounds| rounds.parse().unwrap());
    let seed = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().subsec_nanos();
    let directory = tempfile::tempdir().unwrap();
    let mut recovered_bytes = 0;
    for round in 0..rounds {
        let pause_ms = 20 + (u64::from(seed) >> (round % 16)) * (round + 1) % 150;
        let before = cdr(directory.path()).len() as u64;
        let told = run_and_kill(directory.path(), round, Duration::from_millis(pause_ms));
        let appender = Appender::builder(directory.path()).open().unwrap();
        recovered_bytes += appender.recovery().lines_bytes;
        appender.close().unwrap();
        let after = cdr(directory.path()).len() as u64;
        assert!(
            after - before >= told,
            "round {round}: {told} bytes were written, {} are there",
            after - before
        );
        check(directory.path());
        // Keeps a long run from reading hundreds of megabytes again and again.
        for path in
            files(directory.path(), "CDR.").iter().chain(&files(directory.path(), "rejected."))
        {
            std::fs::remove_file(path).unwrap();
        }
    }
    println!("{rounds} rounds, {recovered_bytes} bytes of lines recovered");
}

fn check(directory: &Path) {
    let parse = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap();
    let lines: Vec<_> = cdr(directory).lines().map(|line| parse(line)["e"].clone()).collect();
    for (from, found) in numbers(lines.iter()) {
        let last = *found.last().unwrap();
        let expected: Vec<_> = (0..=last).filter(|number| number % 10 != 9).collect();
        assert!(found == expected, "events of {from} are lost, doubled or out of order");
    }
    let bodies: Vec<_> =
        rejects(directory).iter().map(|record| parse(record["body"].as_str().unwrap())).collect();
    for (from, found) in numbers(bodies.iter()) {
        let expected: Vec<_> = (9..=*found.last().unwrap()).step_by(10).collect();
        assert!(found == expected, "rejects of {from} are lost, doubled or out of order");
    }
}
