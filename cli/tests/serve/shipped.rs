//! A server that ships, in threads of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::common::{body, line};
use crate::daemon::{Daemon, serve, wait_for};
use crate::page::Viewer;

fn cdrlog() -> Command {
    Command::new(env!("CARGO_BIN_EXE_cdrlog"))
}

fn url(archive: &Path) -> String {
    format!("file://{}", archive.display())
}

/// A table of the options file, with more lines of it.
fn table(archive: &Path, more: &str) -> String {
    format!("[[ship]]\nto = \"{}\"\nblock_age = \"10ms\"\n{more}", url(archive))
}

/// The options file of a server that syncs every event, with these tables.
fn write_config(parent: &Path, tables: &str) -> PathBuf {
    let config = parent.join("cdrlog.toml");
    fs::write(&config, format!("sync = \"always\"\n{tables}")).unwrap();
    config
}

/// The lines of the archive.
fn shipped(archive: &Path) -> Vec<u8> {
    let Ok(nodes) = fs::read_dir(archive.join("lines")) else { return Vec::new() };
    let node = nodes.map(|node| node.unwrap().path()).next().unwrap();
    let blocks = fs::read_dir(node).unwrap().map(|block| block.unwrap().path());
    let is_block = |path: &std::path::PathBuf| path.extension().is_some_and(|it| it == "zst");
    let mut blocks: Vec<_> = blocks.filter(is_block).collect();
    blocks.sort();
    blocks.iter().flat_map(|path| zstd::decode_all(&*fs::read(path).unwrap()).unwrap()).collect()
}

#[test]
fn events_are_shipped_across_a_hand_over_and_the_metrics_say_how_far() {
    let parent = tempfile::tempdir().unwrap();
    let archive = parent.path().join("archive");
    let config = write_config(parent.path(), &table(&archive, "node = \"media-1\"\n"));
    let directory = parent.path().join("cdr");
    let command = || {
        let mut command = serve(&directory);
        command.arg("--config").arg(&config);
        command
    };
    let first = Daemon::start(&mut command());
    assert_eq!(first.connect().post(&body(0)).status, 200);
    wait_for("the first event", || (shipped(&archive) == line(0).into_bytes()).then_some(()));
    let label = format!("{{destination=\"{}\",stream=\"lines\"}} ", url(&archive));
    wait_for("the metrics", || {
        let answer = first.connect().get("/metrics");
        let text = answer.text();
        text.contains(&format!("\ncdrlog_ship_acknowledged_seq{label}2\n")).then_some(())
    });

    let second = Daemon::start(command().arg("--take-over"));
    first.hand_over();
    assert_eq!(second.connect().post(&body(1)).status, 200);
    let both = (line(0) + &line(1)).into_bytes();
    wait_for("the second event", || (shipped(&archive) == both).then_some(()));
    second.terminate();
    assert_eq!(shipped(&archive), both);
}

#[test]
fn the_page_tells_how_far_a_destination_is_and_why_it_gets_no_lines() {
    let parent = tempfile::tempdir().unwrap();
    let archive = parent.path().join("archive");
    let config = write_config(parent.path(), &table(&archive, ""));
    let mut command = serve(&parent.path().join("cdr"));
    command.arg("--config").arg(&config).args(["--ui", "127.0.0.1:0"]);
    let daemon = Daemon::start(&mut command);
    let page = crate::page::page(&daemon);
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    let shipping = || {
        let (_, state) = Viewer::connect(page).next().unwrap();
        let all = state["shipping"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["stream"] == "lines")
    };
    let told = wait_for("what the page tells", || {
        shipping().filter(|one| one["lag_bytes"] == 0 && one["caught_up_ms"].is_number())
    });
    assert_eq!(
        (told["destination"].as_str(), &told["failure"]),
        (Some(&*url(&archive)), &Value::Null)
    );
    // A file is where its directory was.
    fs::remove_dir_all(archive.join("lines")).unwrap();
    fs::write(archive.join("lines"), "").unwrap();
    assert_eq!(daemon.connect().post(&body(1)).status, 200);
    wait_for("the failure, and the line that waits", || {
        shipping().filter(|one| one["failure"].is_string() && one["lag_bytes"] != 0)
    });
    daemon.terminate();
}

#[test]
fn a_destination_that_stopped_is_told_and_the_others_go_on() {
    let parent = tempfile::tempdir().unwrap();
    let (stopped, other) = (parent.path().join("stopped"), parent.path().join("other"));
    // There, the node was retired.
    let before = parent.path().join("before");
    let append = cdrlog().args(["append", "--dir"]).arg(&before).stdin(Stdio::null()).output();
    assert!(append.unwrap().status.success());
    let ship = |options: &[&str]| {
        let mut command = cdrlog();
        command.args(["ship", "--to", &url(&stopped), "--dir"]).arg(&before).args(options);
        assert!(command.output().unwrap().status.success());
    };
    ship(&["--once", "--node", "media-1"]);
    ship(&["--retire", "media-1"]);

    let tables = table(&stopped, "node = \"media-1\"\n") + &table(&other, "close = true\n");
    let config = write_config(parent.path(), &tables);
    let directory = parent.path().join("cdr");
    let mut command = serve(&directory);
    let daemon = Daemon::start(command.arg("--config").arg(&config));
    wait_for("the stop", || {
        let answer = daemon.connect().get("/healthz/ship");
        (answer.status == 503 && answer.text().contains("was retired")).then_some(())
    });
    assert_eq!(daemon.connect().get("/healthz").status, 200);
    for (archive, value) in [(&stopped, 1), (&other, 0)] {
        let label = format!("destination=\"{}\",stream=\"lines\"", url(archive));
        wait_for("the metrics of both", || {
            let answer = daemon.connect().get("/metrics");
            let line = format!("cdrlog_ship_stopped{{{label}}} {value}\n");
            answer.text().contains(&line).then_some(())
        });
    }
    assert_eq!(daemon.connect().post(&body(0)).status, 200);
    wait_for("the event", || (shipped(&other) == line(0).into_bytes()).then_some(()));
    assert_eq!(daemon.connect().post(&body(1)).status, 200);
    daemon.terminate();
    // The last event is there, and the record of the node is closed.
    assert_eq!(shipped(&other), (line(0) + &line(1)).into_bytes());
    assert!(last_header(&other).contains("\"kind\":\"closed\""), "{}", last_header(&other));
}

/// The header of the last block of the archive, which its object begins with.
fn last_header(archive: &Path) -> String {
    let node = fs::read_dir(archive.join("lines")).unwrap().next().unwrap().unwrap().path();
    let blocks = fs::read_dir(node).unwrap().map(|block| block.unwrap().path());
    let last = blocks.filter(|path| path.extension().is_some_and(|it| it == "zst")).max().unwrap();
    let object = fs::read(last).unwrap();
    let bytes = u32::from_le_bytes(object[4..8].try_into().unwrap()) as usize;
    String::from_utf8(object[8..8 + bytes].to_vec()).unwrap()
}

/// Without this, the metrics said what the server before had written, and nothing was shipped before the
/// next restart.
#[test]
fn a_destination_that_cannot_be_used_is_told_and_used_once_it_can_be() {
    let parent = tempfile::tempdir().unwrap();
    let archive = parent.path().join("archive");
    let config = write_config(parent.path(), &table(&archive, ""));
    let directory = parent.path().join("cdr");
    let start = || Daemon::start(serve(&directory).arg("--config").arg(&config));
    let first = start();
    assert_eq!(first.connect().post(&body(0)).status, 200);
    wait_for("the first event", || (shipped(&archive) == line(0).into_bytes()).then_some(()));
    first.terminate();
    // A file is where the directory was.
    let aside = parent.path().join("aside");
    fs::rename(&archive, &aside).unwrap();
    fs::write(&archive, "").unwrap();
    let second = start();
    wait_for("the failure", || {
        let answer = second.connect().get("/healthz/ship");
        (answer.status == 503 && answer.text().contains("cannot use the directory")).then_some(())
    });
    assert_eq!(second.connect().post(&body(1)).status, 200);
    fs::remove_file(&archive).unwrap();
    fs::rename(&aside, &archive).unwrap();
    let both = (line(0) + &line(1)).into_bytes();
    wait_for("the second event", || (shipped(&archive) == both).then_some(()));
    wait_for("health", || (second.connect().get("/healthz/ship").status == 200).then_some(()));
    second.terminate();
}

#[test]
fn a_table_that_is_wrong_is_told_with_its_line() {
    let parent = tempfile::tempdir().unwrap();
    let config = parent.path().join("cdrlog.toml");
    for (table, fault) in [
        ("[[ship]]\nto = \"ftp://x\"\n", "no kind of destination"),
        ("[[ship]]\nto = \"file:///x\"\nblockage = 1\n", "unknown field"),
    ] {
        fs::write(&config, table).unwrap();
        let output = serve(&parent.path().join("cdr")).arg("--config").arg(&config).output();
        let output = output.unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && said.contains(fault), "{said}");
        assert!(said.contains("cdrlog.toml, line "), "{said}");
    }
}
