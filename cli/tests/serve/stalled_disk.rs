//! A disk that stands still: 503 after `--write-retry-timeout` and no 200 for what is not safe, then on without a
//! restart.

use std::collections::BTreeMap;

use crate::client::Answer;
use crate::common::cdr;
use crate::daemon::{Daemon, serve, wait_for};
use crate::mount::Mount;
use crate::notify::Systemd;

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
    let mut counts = BTreeMap::new();
    for line in cdr(&directory).lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        *counts.entry(line["e"]["number"].as_u64().unwrap()).or_insert(0) += 1;
    }
    assert_eq!(counts, acknowledged.into_iter().map(|number| (number, 1)).collect());
}
