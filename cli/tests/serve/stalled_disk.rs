//! A disk that stands still: 503 after `--write-retry-timeout` and no 200 for what is not safe, then on without a
//! restart.

use std::collections::BTreeMap;
use std::path::Path;
use std::thread;
use std::time::Duration;

use crate::client::{Answer, Client, post_head};
use crate::common::cdr;
use crate::daemon::{Daemon, serve, wait_for};
use crate::mount::Mount;
use crate::notify::Systemd;
use crate::refused::counted_from;

fn event(number: u64) -> String {
    format!(r#"{{"number":{number},"event":"e"}}"#)
}

fn health(daemon: &Daemon) -> Answer {
    daemon.connect().get("/healthz")
}

#[test]
fn a_stalled_disk_is_503_unhealthy_and_no_news_for_systemd_and_heals_without_a_restart() {
    let Some(mut mount) = Mount::new("ext4", 64) else { return };
    let directory = mount.path().join("cdr");
    let systemd = Systemd::new();
    let mut command = serve(&directory);
    systemd.adopt(&mut command);
    let daemon = Daemon::start(command.args(["--write-retry-timeout", "1", "--ack", "written"]));
    systemd.wait_for("READY=1");
    systemd.wait_for("WATCHDOG=1");
    let mut acknowledged = vec![0];
    wait_for("200", || (daemon.connect().post(&event(0)).status == 200).then_some(()));
    if !mount.freeze() {
        return;
    }
    let mut client = daemon.connect();
    let refused = client.post(&event(1));
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    assert!(refused.text().contains("may be given again"), "{}", refused.text());
    let unhealthy = wait_for("bad health", || {
        // Senders go on, so that the rewriter, which may be the one that waits, has work.
        assert_eq!(client.post(&event(2)).status, 503);
        let answer = health(&daemon);
        (answer.status == 503).then_some(answer)
    });
    assert!(unhealthy.text().contains("stands still"), "{}", unhealthy.text());
    systemd.assert_no_sign_of_life();
    mount.thaw();
    wait_for("good health", || (health(&daemon).status == 200).then_some(()));
    systemd.wait_for("WATCHDOG=1");
    // What was refused was perhaps written all the same; given again, it is not doubled.
    for number in 1..10 {
        // A disk that was away may be slow for a while.
        let post = || daemon.connect().post(&event(number)).status;
        wait_for("200", || (post() == 200).then_some(()));
        acknowledged.push(number);
    }
    daemon.terminate();
    assert_eq!(counts(&directory), acknowledged.into_iter().map(|number| (number, 1)).collect());
}

/// How often each event is in the CDR.
fn counts(directory: &Path) -> BTreeMap<u64, u32> {
    let mut counts = BTreeMap::new();
    for line in cdr(directory).lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        *counts.entry(line["e"]["number"].as_u64().unwrap()).or_insert(0) += 1;
    }
    counts
}

/// Senders that try their events again until they get 200, as LiveKit does, and a crowd that does not.
#[test]
fn a_stalled_disk_fills_a_bounded_memory_then_all_hear_503_and_what_is_tried_again_is_written_once()
{
    const SENDERS: u64 = 4;
    const EVENTS: u64 = 3;
    let Some(mut mount) = Mount::new("ext4", 64) else { return };
    let directory = mount.path().join("cdr");
    let options = ["--write-retry-timeout", "500ms", "--ack", "written"];
    let daemon = Daemon::start(serve(&directory).args(options));
    if !mount.freeze() {
        return;
    }
    let large =
        |number| format!(r#"{{"number":{number},"p":"{}","event":"e"}}"#, "x".repeat(500_000));
    let address = daemon.address;
    let is_taken = |answer: &Answer| {
        let is_told = answer.header("retry-after").is_some();
        assert!(answer.status == 200 || answer.status == 503 && is_told, "{answer:?}");
        answer.status == 200
    };
    let send = move |sender: u64| {
        for number in 0..EVENTS {
            let event = large(sender * EVENTS + number);
            wait_for("200", || {
                let answer = Client::connect(address).try_post("/", &event).unwrap();
                is_taken(&answer).then_some(()).or_else(|| {
                    // Not at once, as it was told.
                    thread::sleep(Duration::from_millis(500));
                    None
                })
            });
        }
    };
    let senders: Vec<_> = (0..SENDERS).map(|sender| thread::spawn(move || send(sender))).collect();
    // Queue and journal hold some forty of them.
    let mut crowd: Vec<_> = (0..48).map(|_| daemon.connect()).collect();
    for (number, client) in crowd.iter_mut().enumerate() {
        let event = large(1000 + number as u64);
        client.send(post_head("/", event.len(), &event).as_bytes()).unwrap();
    }
    for client in &mut crowd {
        assert!(!is_taken(&client.read("POST").unwrap()), "200 for what is not written");
    }
    let metrics = daemon.connect().get("/metrics");
    let metric = |name: &str| -> u64 {
        let line = metrics.text().lines().find_map(|line| line.strip_prefix(name)).unwrap();
        line.trim().parse().unwrap()
    };
    assert!(counted_from(metrics.text(), "queue_full") > 0, "{}", metrics.text());
    assert!(counted_from(metrics.text(), "unacknowledged") > 0, "{}", metrics.text());
    assert!(metric("cdrlog_bytes_queued ") <= 17 << 20, "{}", metrics.text());
    mount.thaw();
    senders.into_iter().for_each(|sender| sender.join().unwrap());
    daemon.terminate();
    let counts = counts(&directory);
    assert!(counts.values().all(|count| *count == 1), "an event is doubled: {counts:?}");
    assert!((0..SENDERS * EVENTS).all(|number| counts.contains_key(&number)), "{counts:?}");
}
