//! A full disk: 503 once nothing more fits, and then on without a restart.

use std::collections::BTreeMap;

use crate::common::{body, cdr, line};
use crate::daemon::{Daemon, serve, start, wait_for};
use crate::mount::Mount;
use crate::notify::Systemd;

#[test]
fn a_full_disk_is_503_then_heals_and_every_200_is_there_once() {
    let Some(mount) = Mount::new("tmpfs", 16) else { return };
    let directory = mount.path().join("cdr");
    // Longer than a loaded machine lets an event wait on a disk that works.
    let daemon = start(&directory, &["--write-retry-timeout", "3", "--dedup-window", "0"]);
    let mut client = daemon.connect();
    let padding = "x".repeat(100_000);
    let event = |number: u64| format!(r#"{{"number":{number},"p":"{padding}","event":"e"}}"#);
    let mut acknowledged = Vec::new();
    assert_eq!(client.post(&event(0)).status, 200);
    mount.fill();
    // The journal takes some megabytes more, each of them acknowledged, as it survives a kill.
    let mut refused = None;
    for number in 1..1000 {
        let answer = client.post(&event(number));
        if answer.status != 200 {
            refused = Some(answer);
            break;
        }
        acknowledged.push(number);
    }
    let refused = refused.expect("a full disk is noticed");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("5")));
    assert!(refused.text().contains("cannot write"), "{}", refused.text());
    let health = daemon.connect().get("/healthz");
    assert_eq!(health.status, 503);
    assert!(health.text().contains("cannot write"), "{}", health.text());
    let metrics = daemon.connect().get("/metrics");
    assert!(metrics.text().contains("\ncdrlog_healthy 0\n"), "{}", metrics.text());
    mount.free();
    wait_for("health", || (daemon.connect().get("/healthz").status == 200).then_some(()));
    for number in 1000..1010 {
        let answer = daemon.connect().post(&event(number));
        assert_eq!(answer.status, 200, "{answer:?}");
        acknowledged.push(number);
    }
    daemon.terminate();
    let mut counts = BTreeMap::new();
    for line in cdr(&directory).lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        *counts.entry(line["e"]["number"].as_u64().unwrap()).or_insert(0) += 1;
    }
    assert!(counts.values().all(|count| *count == 1));
    assert!(acknowledged.iter().all(|number| counts.contains_key(number)));
}

/// Without this, a restart on a full disk ended at once, and nobody answered until there was room.
#[test]
fn a_start_on_a_full_disk_waits_for_room_as_a_running_server_does() {
    let Some(mount) = Mount::new("tmpfs", 16) else { return };
    mount.fill();
    let directory = mount.path().join("cdr");
    let systemd = Systemd::new();
    let mut command = serve(&directory);
    systemd.adopt(&mut command);
    let daemon = Daemon::start(&mut command);
    systemd.wait_for("READY=1");
    let mut client = daemon.connect();
    let answer = client.post(&body(0));
    assert_eq!((answer.status, answer.header("retry-after")), (503, Some("5")));
    let health = daemon.connect().get("/healthz");
    assert_eq!(health.status, 503);
    assert!(health.text().contains("No space left on device"), "{}", health.text());
    systemd.wait_for("WATCHDOG=1");
    mount.free();
    wait_for("health", || {
        let health = daemon.connect().try_get("/healthz").ok()?;
        (health.status == 200).then_some(())
    });
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    daemon.terminate();
    assert_eq!(cdr(&directory), line(0));
}

#[test]
fn a_start_that_waits_for_room_can_be_ended() {
    let Some(mount) = Mount::new("tmpfs", 16) else { return };
    mount.fill();
    let daemon = start(&mount.path().join("cdr"), &[]);
    assert_eq!(daemon.connect().get("/healthz").status, 503);
    daemon.terminate();
}
