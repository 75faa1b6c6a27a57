//! A server that ships, in threads of its own.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::common::{body, line};
use crate::daemon::{Daemon, serve, wait_for};
use crate::page::Viewer;

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
    let config = parent.path().join("cdrlog.toml");
    let text = format!(
        "sync = \"always\"\n[[ship]]\nto = \"file://{}\"\nblock_age = \"10ms\"\nnode = \"media-1\"\n",
        archive.display()
    );
    fs::write(&config, text).unwrap();
    let directory = parent.path().join("cdr");
    let command = || {
        let mut command = serve(&directory);
        command.arg("--config").arg(&config);
        command
    };
    let first = Daemon::start(&mut command());
    assert_eq!(first.connect().post(&body(0)).status, 200);
    wait_for("the first event", || (shipped(&archive) == line(0).into_bytes()).then_some(()));
    let label = format!("{{destination=\"file://{}\",stream=\"lines\"}} ", archive.display());
    wait_for("the metrics", || {
        let answer = first.connect().get("/metrics");
        let text = answer.text();
        text.contains(&format!("\ncdrlog_ship_acknowledged_seq{label}1\n")).then_some(())
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
    let config = parent.path().join("cdrlog.toml");
    let destination = format!("file://{}", archive.display());
    let text =
        format!("sync = \"always\"\n[[ship]]\nto = \"{destination}\"\nblock_age = \"10ms\"\n");
    fs::write(&config, text).unwrap();
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
        (Some(&*destination), &Value::Null)
    );
    // A file is where its directory was.
    fs::remove_dir_all(archive.join("lines")).unwrap();
    fs::write(archive.join("lines"), "").unwrap();
    assert_eq!(daemon.connect().post(&body(1)).status, 200);
    let told = wait_for("the failure", || shipping().filter(|one| one["failure"].is_string()));
    assert_ne!(told["lag_bytes"], 0, "{told}");
    daemon.terminate();
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
