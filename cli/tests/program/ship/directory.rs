//! To a directory: what is shipped, when, and what stops it.

use std::fs;
use std::path::Path;

use super::{append_events, archive, record, ship};
use crate::common::{CDR, WEBHOOKS, files};
use crate::run::{Run, append, run, run_with};
use crate::support::{copy_tree, killed};

fn to(archive: &Path) -> String {
    format!("file://{}", archive.display())
}

fn once(directory: &Path, archive: &Path, options: &[&str]) -> Run {
    run(ship(directory, &to(archive)).arg("--once").args(options))
}

#[track_caller]
fn check(directory: &Path, archive: &Path) {
    assert!(archive::lines(archive, "lines") == record(directory, "CDR."), "lines differ");
    assert!(archive::lines(archive, "rejects") == record(directory, "rejected."), "rejects differ");
}

#[test]
fn every_line_is_shipped_once_across_rotations_and_runs() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    append_events(directory, 0..200, "10K");
    once(directory, archive, &[]).expect(0, &[]);
    check(directory, archive);
    let blocks = archive::blocks(archive, "lines").len();
    assert!(blocks > 2, "no rotation: {blocks} blocks");
    once(directory, archive, &[]).expect(0, &[]);
    assert_eq!(archive::blocks(archive, "lines").len(), blocks);
    append_events(directory, 200..300, "10K");
    once(directory, archive, &[]).expect(0, &[]);
    check(directory, archive);
}

#[test]
fn rejects_and_compressed_files_are_shipped_too() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    let bodies = format!("{WEBHOOKS}no event\n{{}}\n");
    run_with(append(directory).args(["--compress", "zstd"]), bodies.as_bytes()).expect(3, &[]);
    run_with(append(directory).args(["--compress", "zstd"]), b"{\"event\":\"last\"}\n")
        .expect(0, &[]);
    assert!(files(directory, "CDR.")[0].extension().unwrap() == "zst", "nothing is compressed");
    once(directory, archive, &[]).expect(0, &[]);
    check(directory, archive);
    let lines = archive::lines(archive, "lines");
    assert_eq!(lines, format!("{CDR}{{\"last\":{{}}}}\n").into_bytes());
}

#[test]
fn lost_notes_cost_and_double_nothing() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    append_events(directory, 0..100, "5K");
    once(directory, archive, &[]).expect(0, &[]);
    for entry in fs::read_dir(directory.join(".cdrlog/ship")).unwrap() {
        let notes = entry.unwrap().path().join("lines.jsonl");
        if notes.exists() {
            fs::remove_file(notes).unwrap();
        }
    }
    append_events(directory, 100..150, "5K");
    once(directory, archive, &[]).expect(0, &[]);
    check(directory, archive);
}

#[test]
fn a_copy_of_a_machine_stops_with_a_code_of_its_own() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let copy = tempfile::tempdir().unwrap();
    append_events(directory.path(), 0..10, "0");
    once(directory.path(), archive.path(), &[]).expect(0, &[]);
    copy_tree(directory.path(), copy.path());
    append_events(directory.path(), 10..20, "0");
    append_events(copy.path(), 50..70, "0");
    once(directory.path(), archive.path(), &[]).expect(0, &[]);
    once(copy.path(), archive.path(), &[])
        .expect(6, &["another writer has this node's name", "--node"]);
    check(directory.path(), archive.path());
}

#[test]
fn blocks_that_an_archive_lost_come_back_the_same_if_the_operator_says_so() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    append_events(directory, 0..100, "5K");
    once(directory, archive, &[]).expect(0, &[]);
    let before = archive::blocks(archive, "lines");
    let (first, rest) = before.split_at(1);
    for block in rest.iter().step_by(2) {
        fs::remove_file(&block.path).unwrap();
    }
    once(directory, archive, &[]).expect(5, &["the destination lost blocks", "--accept-rollback"]);
    let told = once(directory, archive, &["--accept-rollback"]).expect(0, &["gets them again"]);
    let after = archive::blocks(archive, "lines");
    let ids =
        |blocks: &[archive::Block]| -> Vec<_> { blocks.iter().map(|it| it.id.clone()).collect() };
    assert_eq!(ids(&after), ids(&before), "{told:?} after {}", first[0].id);
    check(directory, archive);
}

#[test]
fn lines_that_were_removed_before_they_were_shipped_are_a_gap() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    append_events(directory, 0..10, "0");
    once(directory, archive, &[]).expect(0, &[]);
    let before = archive::lines(archive, "lines");
    append_events(directory, 10..100, "5K");
    let there = files(directory, "CDR.");
    assert!(there.len() > 3);
    fs::remove_file(&there[2]).unwrap();
    let lost = there[2].file_name().unwrap().to_str().unwrap();
    once(directory, archive, &[]).expect(5, &["lines are missing", lost, "--accept-gap"]);
    once(directory, archive, &["--accept-gap"]).expect(0, &[]);
    let blocks = archive::blocks(archive, "lines");
    let gap = blocks.iter().find(|block| block.header["kind"] == "gap").expect("no gap is marked");
    assert_eq!(gap.header["missing"]["file"], lost);
    let shipped = archive::lines(archive, "lines");
    assert!(shipped.starts_with(&before));
    check(directory, archive);
}

#[test]
fn what_only_the_journal_of_a_killed_writer_has_is_waited_for() {
    let directory = killed::directory(5, 7, &[]);
    let archive = tempfile::tempdir().unwrap();
    let (directory, archive) = (directory.path(), archive.path());
    once(directory, archive, &[]).expect(4, &["waits", "cdrlog recover"]);
    let recovered = run(crate::run::cdrlog().args(["recover", "--apply"]).arg(directory));
    recovered.expect(0, &[]);
    once(directory, archive, &[]).expect(0, &[]);
    check(directory, archive);
}

#[test]
fn a_retired_node_ships_no_more() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    append_events(directory, 0..5, "0");
    once(directory, archive, &["--node", "media-1"]).expect(0, &[]);
    let before = archive::lines(archive, "lines");
    let retire = |node: &str| {
        run(crate::run::cdrlog().args(["ship", "--to", &to(archive), "--retire", node]))
    };
    retire("media-2").expect(0, &["no block of media-2"]);
    retire("media-1").expect(0, &["media-1 is retired"]);
    append_events(directory, 5..10, "0");
    once(directory, archive, &[]).expect(7, &["this node was retired"]);
    assert_eq!(archive::lines(archive, "lines"), before);
}
