//! `export` of a shipped record: as of the directory that it came from, and each line once, whatever
//! the record loses and gets back.

use std::ops::Range;

use super::*;
use crate::run::{append, run_with};
use crate::ship::archive::{Block, blocks};
use crate::ship::reading::call;
use crate::ship::{append_events, record, ship};

fn to(archive: &Path) -> String {
    format!("file://{}", archive.display())
}

fn once(directory: &Path, archive: &Path, node: &str) {
    run(ship(directory, &to(archive)).args(["--once", "--node", node])).expect(0, &[]);
}

fn append_calls(directory: &Path, numbers: Range<u64>) {
    let bodies: String = numbers.map(call).collect();
    let mut append = append(directory);
    run_with(append.args(["--rotate-bytes", "2K"]), bodies.as_bytes()).expect(0, &[]);
}

fn export_record(target: &Path, archive: &Path) -> Command {
    let archive = to(archive);
    export(target, &[Path::new(&archive)])
}

fn lines_of(directory: &Path) -> Vec<String> {
    let record = String::from_utf8(record(directory, "CDR.")).unwrap();
    record.lines().map(ToOwned::to_owned).collect()
}

/// New lines, and new files.
fn added(ended: &Run) -> (u64, u64) {
    let found = summary(ended);
    (found["lines"].as_u64().unwrap(), found["files_created"].as_u64().unwrap())
}

#[test]
fn the_rows_of_a_record_are_those_of_its_directory() {
    let [cdr, archive, here, there] = [(); 4].map(|()| tempfile::tempdir().unwrap());
    append_calls(cdr.path(), 0..40);
    once(cdr.path(), archive.path(), "media-1");
    append_calls(cdr.path(), 40..60);
    once(cdr.path(), archive.path(), "media-1");
    run(&mut export(here.path(), &[cdr.path()])).expect(0, &[]);
    run(&mut export_record(there.path(), archive.path())).expect(0, &["is complete"]);
    for table in ["events", "participants", "sessions"] {
        let [here, there] = [here.path(), there.path()].map(|target| {
            let mut rows = rows(target, table);
            rows.sort_by_key(|row| format!("{:?}", (row.get("file"), row.get("offset"), row)));
            rows
        });
        assert!(!here.is_empty(), "{table} is empty");
        let is_of_record = |row: &BTreeMap<String, Value>| {
            row["node"] == "media-1" && row["directory"] == to(archive.path()).as_str()
        };
        assert!(table != "events" || there.iter().all(is_of_record), "{there:?}");
        let places = |mut rows: Vec<BTreeMap<String, Value>>| {
            rows.iter_mut().for_each(|row| row.retain(|it, _| it != "node" && it != "directory"));
            rows
        };
        assert_eq!(places(here), places(there), "{table}");
    }
}

#[test]
fn a_second_run_adds_what_was_shipped_since_and_doubles_nothing() {
    let [one, two, archive, target] = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let mut count = 0;
    for (directory, node, numbers) in [
        (&one, "media-1", 0..30),
        (&one, "media-1", 30..31),
        // A node that came later.
        (&two, "media-2", 1000..1020),
        (&one, "media-1", 31..60),
        (&two, "media-2", 1020..1025),
    ] {
        let new = numbers.end - numbers.start;
        append_events(directory.path(), numbers, "1K");
        once(directory.path(), archive.path(), node);
        let ended = run(&mut export_record(target.path(), archive.path())).expect(0, &[]);
        assert_eq!(added(&ended).0, new, "{ended:?}");
        let again = run(&mut export_record(target.path(), archive.path())).expect(0, &[]);
        assert_eq!(added(&again), (0, 0));
        count += new as usize;
        assert_eq!(exported_lines(target.path()).len(), count);
    }
    let mut local = [lines_of(one.path()), lines_of(two.path())].concat();
    local.sort();
    let mut exported = exported_lines(target.path());
    exported.sort();
    assert_eq!(exported, local);
    // The same in other words, and what is another export.
    let twice = format!("{}/", to(archive.path()));
    let mut again = export(target.path(), &[Path::new(&twice), Path::new(&to(archive.path()))]);
    assert_eq!(added(&run(&mut again).expect(0, &[])), (0, 0));
    let mut of_one = export_record(target.path(), archive.path());
    run(of_one.args(["--node", "media-1"])).expect(1, &["it has all nodes", "another directory"]);
}

#[test]
fn blocks_that_are_missing_or_changed_are_exported_once_they_are_right() {
    let [cdr, archive, target] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    append_events(cdr.path(), 0..60, "1K");
    once(cdr.path(), archive.path(), "media-1");
    let all = blocks(archive.path(), "lines");
    assert!(all.len() > 8, "few blocks");
    let kept: Vec<_> =
        all.iter().map(|it| (it.path.clone(), fs::read(&it.path).unwrap())).collect();
    let lines = |block: &Block| block.header["lines"].as_u64().unwrap();
    let total: u64 = all.iter().map(lines).sum();
    // The third is missing; the sixth has the lines of the seventh, with its own header.
    fs::remove_file(&kept[2].0).unwrap();
    let end = 8 + u32::from_le_bytes(kept[5].1[4..8].try_into().unwrap()) as usize;
    let changed = [&kept[5].1[..end], &zstd::encode_all(all[6].body.as_slice(), 3).unwrap()];
    fs::write(&kept[5].0, changed.concat()).unwrap();
    let told = ["block 3 of", "is missing", "the lines of block 6"];
    let ended = run(&mut export_record(target.path(), archive.path())).expect(1, &told);
    let before: u64 = all[..5].iter().map(lines).sum::<u64>() - lines(&all[2]);
    assert_eq!(added(&ended).0, before);
    let again = run(&mut export_record(target.path(), archive.path())).expect(1, &told);
    assert_eq!(added(&again), (0, 0));
    // The sixth is right again, and then the third.
    fs::write(&kept[5].0, &kept[5].1).unwrap();
    let ended = run(&mut export_record(target.path(), archive.path())).expect(1, &["block 3 of"]);
    assert_eq!(added(&ended).0, total - before - lines(&all[2]));
    fs::write(&kept[2].0, &kept[2].1).unwrap();
    let ended = run(&mut export_record(target.path(), archive.path())).expect(0, &[]);
    assert_eq!(added(&ended).0, lines(&all[2]));
    assert_eq!(exported_lines(target.path()), lines_of(cdr.path()));
}

#[test]
fn a_record_that_went_back_is_told_and_one_that_was_shipped_anew_is_refused() {
    let [cdr, archive, target] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    append_events(cdr.path(), 0..20, "1K");
    once(cdr.path(), archive.path(), "media-1");
    run(&mut export_record(target.path(), archive.path())).expect(0, &[]);
    let last = blocks(archive.path(), "lines").pop().unwrap();
    let bytes = fs::read(&last.path).unwrap();
    fs::remove_file(&last.path).unwrap();
    let told = ["was exported, and is not there now", "of node media-1"];
    let ended = run(&mut export_record(target.path(), archive.path())).expect(1, &told);
    assert_eq!(added(&ended), (0, 0));
    fs::write(&last.path, bytes).unwrap();
    run(&mut export_record(target.path(), archive.path())).expect(0, &[]);
    // All of it once more, under the same name.
    fs::remove_dir_all(archive.path()).unwrap();
    fs::remove_dir_all(cdr.path().join(".cdrlog/ship")).unwrap();
    append_events(cdr.path(), 20..40, "1K");
    once(cdr.path(), archive.path(), "media-1");
    let told = ["is another one than was exported", "export it to a new directory"];
    run(&mut export_record(target.path(), archive.path())).expect(1, &told);
    assert_eq!(exported_lines(target.path()).len(), 20);
}

#[test]
fn a_run_that_is_killed_anywhere_loses_and_doubles_no_line_of_a_record() {
    let [cdr, archive, target] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    append_calls(cdr.path(), 0..200);
    once(cdr.path(), archive.path(), "media-1");
    for ms in [1, 20, 60, 100, 150, 250] {
        let mut child = start(&mut export_record(target.path(), archive.path()));
        std::thread::sleep(Duration::from_millis(ms));
        // It may have ended by itself.
        child.kill().unwrap();
        end(child);
    }
    // As a kill between two of its files leaves a range.
    let last = files(target.path(), "events").pop();
    last.into_iter().for_each(|last| fs::remove_file(last).unwrap());
    run(&mut export_record(target.path(), archive.path())).expect(0, &[]);
    assert_eq!(exported_lines(target.path()), lines_of(cdr.path()));
}

#[test]
fn a_node_that_has_ended_holds_up_no_day_and_one_that_is_expected_holds_up_all() {
    let [one, two, archive] = [(); 3].map(|()| tempfile::tempdir().unwrap());
    append_calls(one.path(), 0..60);
    append_calls(two.path(), 1..4);
    once(one.path(), archive.path(), "media-1");
    once(two.path(), archive.path(), "media-2");
    let closed_before = |options: &[&str]| {
        let target = tempfile::tempdir().unwrap();
        let mut export = export_record(target.path(), archive.path());
        summary(&run(export.args(options)).expect(0, &[]))["closed_before"].clone()
    };
    // Calls begin at midnight, one each hour, for two days and a half.
    let first = 1_793_491_200_000_i64;
    assert_eq!(closed_before(&[]), first);
    run(ship(two.path(), &to(archive.path())).args(["--once", "--close"])).expect(0, &[]);
    assert_eq!(closed_before(&[]), first + 2 * 86_400_000);
    assert_eq!(closed_before(&["--expect-node", "media-1,media-2"]), first + 2 * 86_400_000);
    assert_eq!(closed_before(&["--expect-node", "media-9"]), Value::Null);
}
