//! To a directory: what is shipped, when, and what stops it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use super::{append_events, archive, record, ship};
use crate::common::{CDR, WEBHOOKS, body, files};
use crate::run::{Run, append, cdrlog, end, run, run_with, start, wait_for};
use crate::support::{copy_tree, killed, skip::skip};

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
fn a_directory_that_cannot_be_read_is_not_one_that_was_never_written() {
    if !rustix::process::geteuid().is_root() {
        return skip("a directory of another user", "run as root");
    }
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    run_with(&mut append(directory), b"{\"event\":\"first\"}\n").expect(0, &[]);
    fs::set_permissions(directory, fs::Permissions::from_mode(0o700)).unwrap();
    let output = ship(directory, &to(archive)).arg("--once").uid(65_534).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    let state = directory.join(".cdrlog");
    let expected = format!("cannot read {}: Permission denied", state.display());
    assert!(output.status.code() == Some(1) && said.contains(&expected), "{said}");
}

#[test]
fn an_archive_that_does_not_exist_is_told_in_plain_words() {
    let none = tempfile::tempdir().unwrap().path().join("none");
    let expected = format!("cannot use the directory {}: No such file", none.display());
    run(cdrlog().args(["stats", &to(&none)])).expect(1, &[&expected]);
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
        .expect(6, &["another writer has this node's name", "--new-node"]);
    check(directory.path(), archive.path());
}

#[test]
fn blocks_that_an_archive_lost_at_its_end_come_back_the_same_if_the_operator_says_so() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    append_events(directory, 0..100, "5K");
    once(directory, archive, &[]).expect(0, &[]);
    let before = archive::blocks(archive, "lines");
    for block in &before[2..] {
        fs::remove_file(&block.path).unwrap();
    }
    once(directory, archive, &[]).expect(5, &["the destination lost blocks", "--accept-rollback"]);
    once(directory, archive, &["--accept-rollback"]).expect(0, &["gets them again"]);
    assert_eq!(ids(&archive::blocks(archive, "lines")), ids(&before));
    check(directory, archive);
}

fn ids(blocks: &[archive::Block]) -> Vec<String> {
    blocks.iter().map(|block| block.id.clone()).collect()
}

#[test]
fn holes_in_an_archive_are_filled_with_the_same_blocks_before_a_file_is_given_up() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    append_events(directory, 0..100, "5K");
    once(directory, archive, &[]).expect(0, &[]);
    let needed = || needed(directory, "lines-");
    assert_eq!(needed(), ["all"]);
    let before = archive::blocks(archive, "lines");
    assert!(before.len() > 4);
    for index in [1, 3] {
        fs::remove_file(&before[index].path).unwrap();
    }
    once(directory, archive, &["--keep-after-ship", "0"]).expect(0, &["gets them again"]);
    assert_eq!(ids(&archive::blocks(archive, "lines")), ids(&before));
    check(directory, archive);
    let last = before.last().unwrap().header["file"].as_str().unwrap();
    assert!(needed()[0].ends_with(last), "{:?} instead of {last}", needed());
}

/// From where on the pins of a stream need the files.
fn needed(directory: &Path, prefix: &str) -> Vec<String> {
    let pins = fs::read_dir(directory.join(".cdrlog/pins")).unwrap().map(|pin| pin.unwrap().path());
    let pins = pins.filter(|pin| pin.file_name().unwrap().to_str().unwrap().starts_with(prefix));
    let newest = |path: std::path::PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        let slots = text.split("cdrlog-pin 1\n").filter(|slot| slot.starts_with("generation "));
        let value = |slot: &str, key: &str| {
            let line = slot.lines().find_map(|line| line.strip_prefix(key).map(str::to_owned));
            line.unwrap()
        };
        let newest = slots.max_by_key(|slot| value(slot, "generation ").parse::<u64>().unwrap());
        value(newest.unwrap(), "needed ")
    };
    pins.map(newest).collect()
}

#[test]
fn a_node_registers_first_and_is_closed_until_its_next_start() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    append_events(directory, 0..5, "0");
    let kinds = |stream| -> Vec<_> {
        let blocks = archive::blocks(archive, stream);
        blocks.iter().map(|it| it.header["kind"].as_str().unwrap().to_owned()).collect()
    };
    once(directory, archive, &["--close"]).expect(0, &[]);
    assert_eq!(kinds("lines"), ["registered", "lines", "closed"]);
    assert_eq!(kinds("rejects"), ["registered", "closed"]);
    once(directory, archive, &["--close"]).expect(0, &[]);
    assert_eq!(kinds("rejects"), ["registered", "closed"]);
    append_events(directory, 5..9, "0");
    once(directory, archive, &[]).expect(0, &[]);
    assert_eq!(kinds("lines"), ["registered", "lines", "closed", "lines"]);
    // A shipper that stays opens the record again, even if nothing is to be shipped.
    let rejects = archive.join("rejects");
    let mut stays = start(ship(directory, &to(archive)).args(["--block-age", "0"]));
    wait_for("the third block of the rejects", || {
        let node = fs::read_dir(&rejects).unwrap().next().unwrap().unwrap().path();
        node.join("0000000000000003.jsonl.zst").exists().then_some(())
    });
    stays.kill().unwrap();
    end(stays);
    assert_eq!(kinds("rejects"), ["registered", "closed", "registered"]);
    check(directory, archive);
}

#[test]
fn an_idle_directory_says_up_to_when_its_record_is_complete() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    append_events(directory, 0..5, "0");
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis() as u64;
    for _ in 0..2 {
        let before = now();
        once(directory, archive, &[]).expect(0, &[]);
        let last = archive::blocks(archive, "lines").pop().unwrap();
        let mark = fs::read(last.path.with_file_name("watermark.json")).unwrap();
        let mark: serde_json::Value = serde_json::from_slice(&mark).unwrap();
        assert_eq!((&mark["seq"], &mark["id"]), (&2.into(), &last.id.into()));
        let through = mark["through"].as_u64().unwrap();
        assert!((before..=now()).contains(&through), "{before} {mark}");
    }
}

#[test]
fn a_copy_without_a_name_is_refused_and_a_lost_name_is_found_again() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive, copy) =
        (directory.path(), archive.path(), tempfile::tempdir().unwrap());
    append_events(directory, 0..40, "3K");
    once(directory, archive, &["--node", "media-1"]).expect(0, &[]);
    let lose_name = |directory: &Path| {
        fs::remove_file(directory.join(".cdrlog/node")).unwrap();
        fs::remove_dir_all(directory.join(".cdrlog/ship")).unwrap();
    };
    copy_tree(directory, copy.path());
    lose_name(copy.path());
    append_events(copy.path(), 100..120, "3K");
    let ways = ["was shipped by node media-1", "--node media-1", "--new-node"];
    once(copy.path(), archive, &[]).expect(6, &ways);
    once(copy.path(), archive, &["--node", "media-2", "--new-node"]).expect(0, &[]);
    let lines = |node: &str| -> Vec<u8> {
        let blocks = archive::blocks_of(&archive.join("lines").join(node));
        blocks.into_iter().flat_map(|block| block.body).collect()
    };
    let all = record(copy.path(), "CDR.");
    assert_eq!([record(directory, "CDR."), lines("media-2")].concat(), all);
    // The directory of media-1 itself.
    lose_name(directory);
    append_events(directory, 40..50, "3K");
    once(directory, archive, &[]).expect(6, &ways);
    once(directory, archive, &["--node", "media-1"]).expect(0, &[]);
    assert_eq!(lines("media-1"), record(directory, "CDR."));
}

#[test]
fn no_file_is_kept_for_an_optional_destination_and_a_gap_names_what_went() {
    for optional in [true, false] {
        let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (directory, archive) = (directory.path(), archive.path());
        let ship_once = || {
            let option = if optional { "--optional" } else { "--to" };
            run(cdrlog().arg("ship").arg("--dir").arg(directory).args([
                option,
                &to(archive),
                "--once",
            ]))
        };
        append_events(directory, 0..40, "3K");
        ship_once().expect(0, &[]);
        let shipped = archive::lines(archive, "lines").len();
        let bodies: String = (40..100).map(|number| body(number) + "\n").collect();
        let mut writer = append(directory);
        writer.args(["--rotate-bytes", "3K", "--sync", "always", "--retention-bytes", "4K"]);
        run_with(&mut writer, bodies.as_bytes()).expect(0, &[]);
        let told = if optional { vec!["lines are missing"] } else { vec![] };
        ship_once().expect(0, &told);
        let blocks = archive::blocks(archive, "lines");
        let gaps: Vec<_> = blocks.iter().filter(|it| it.header["kind"] == "gap").collect();
        assert_eq!(gaps.len(), usize::from(optional));
        let lines = archive::lines(archive, "lines");
        let there = lines.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let mut missing = 0;
        for file in gaps.iter().flat_map(|gap| gap.header["missing"]["files"].as_array().unwrap()) {
            missing += file["lines"].as_u64().unwrap();
            assert_eq!(file["hash"].as_str().unwrap().len(), 64);
        }
        assert_eq!(there + missing, 100, "shipped before: {shipped} bytes");
    }
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
    let recovered = run(cdrlog().args(["recover", "--apply"]).arg(directory));
    recovered.expect(0, &[]);
    once(directory, archive, &[]).expect(0, &[]);
    check(directory, archive);
}

#[test]
fn a_file_that_lost_what_was_shipped_of_it_stops_and_ships_on_as_a_new_node() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    append_events(directory, 0..20, "0");
    once(directory, archive, &["--node", "media-1"]).expect(0, &[]);
    let shipped = archive::lines(archive, "lines");
    // As a disk leaves it that loses what it said was synced.
    let file = files(directory, "CDR.").remove(0);
    let kept = shipped.split_inclusive(|&byte| byte == b'\n').take(15).map(<[u8]>::len).sum();
    fs::write(&file, &shipped[..kept]).unwrap();
    let told = [&*format!("has {kept} bytes, and {} bytes", shipped.len()), "--new-node"];
    once(directory, archive, &[]).expect(6, &told);
    append_events(directory, 20..25, "0");
    once(directory, archive, &[]).expect(6, &told);
    assert!(archive::lines(archive, "lines") == shipped, "something was shipped");
    fs::remove_file(directory.join(".cdrlog/node")).unwrap();
    fs::remove_dir_all(directory.join(".cdrlog/ship")).unwrap();
    once(directory, archive, &["--new-node"]).expect(0, &[]);
    let all = run(cdrlog().args(["tail", "-n", "1000"]).arg(to(archive))).expect(0, &[]).stdout;
    let here = record(directory, "CDR.");
    for line in String::from_utf8([shipped, here].concat()).unwrap().lines() {
        assert!(all.lines().any(|it| it == line), "{line} is nowhere");
    }
}

#[test]
fn a_retired_node_ships_no_more() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let (directory, archive) = (directory.path(), archive.path());
    append_events(directory, 0..5, "0");
    once(directory, archive, &["--node", "media-1"]).expect(0, &[]);
    let before = archive::lines(archive, "lines");
    let retire = |node: &str| run(cdrlog().args(["ship", "--to", &to(archive), "--retire", node]));
    retire("media-2").expect(0, &["no block of media-2"]);
    retire("media-1").expect(0, &["media-1 is retired"]);
    append_events(directory, 5..10, "0");
    once(directory, archive, &[]).expect(7, &["this node was retired"]);
    assert_eq!(archive::lines(archive, "lines"), before);
}
