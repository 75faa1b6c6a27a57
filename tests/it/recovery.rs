//! The next opening finishes what the last process left, whatever it left.
//!
//! A copy of the directory of an appender that is at rest is what a kill at that moment leaves.
//! These tests take such copies, damage them as a kill, a power loss or another program would, and
//! open them.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::support::{
    body, cdr, change_boot_id, copy_tree, files, killed, line, lines, rejects, reopen,
};
use cdrlog::{Appender, OpenError, SyncPolicy};

/// A directory as a kill leaves it: `written` lines are in the CDR file, `journaled` more only in
/// the journal.
fn killed(written: u64, journaled: u64) -> tempfile::TempDir {
    killed::directory(written, journaled, &[])
}

fn cdr_file(directory: &Path) -> PathBuf {
    files(directory, "CDR.").remove(0)
}

fn journal_file(directory: &Path, name: &str) -> PathBuf {
    directory.join(".cdrlog").join(name)
}

#[test]
fn lines_that_were_only_journaled_are_appended_to_the_file_they_belong_to() {
    let directory = killed(10, 25);
    let cdr_path = cdr_file(directory.path());
    let recovery = reopen(directory.path());
    assert_eq!(fs::read_to_string(&cdr_path).unwrap(), lines(35));
    assert_eq!(recovery.lines_bytes, (lines(35).len() - lines(10).len()) as u64);
    assert_eq!(recovery.files, [cdr_path]);
    assert!(!recovery.power_loss);
    assert!(reopen(directory.path()).is_nothing());
    assert_eq!(cdr(directory.path()), lines(35));
}

#[test]
fn a_write_that_was_cut_at_any_byte_is_completed() {
    let directory = killed(3, 4);
    let journaled = lines(7);
    for cut in (lines(3).len()..=journaled.len()).step_by(7) {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(directory.path(), copy.path());
        fs::write(cdr_file(copy.path()), &journaled.as_bytes()[..cut]).unwrap();
        let recovery = reopen(copy.path());
        assert_eq!(cdr(copy.path()), journaled, "cut at {cut}");
        assert_eq!(recovery.lines_bytes, (journaled.len() - cut) as u64);
        assert!(recovery.changed_by_others.is_empty());
    }
}

#[test]
fn rejects_are_finished_like_lines() {
    let original = tempfile::tempdir().unwrap();
    let appender =
        Appender::builder(&original).flush_interval(Duration::from_secs(60)).open().unwrap();
    for number in 0..5 {
        appender.producer().send_slice(format!("no event {number}").as_bytes()).unwrap();
    }
    while appender.stats().events_rejected < 5 {
        std::thread::yield_now();
    }
    let copy = tempfile::tempdir().unwrap();
    copy_tree(original.path(), copy.path());
    assert!(reopen(copy.path()).rejects_bytes > 0);
    let bodies: Vec<_> =
        rejects(copy.path()).iter().map(|record| record["body"].to_string()).collect();
    assert_eq!(bodies, (0..5).map(|number| format!("\"no event {number}\"")).collect::<Vec<_>>());
    assert!(reopen(copy.path()).is_nothing());
}

#[test]
fn lines_of_a_file_that_was_taken_away_go_to_a_new_one() {
    let directory = killed(10, 5);
    fs::remove_file(cdr_file(directory.path())).unwrap();
    let recovery = reopen(directory.path());
    assert_eq!(cdr(directory.path()), (10..15).map(line).collect::<String>());
    assert_eq!(recovery.changed_by_others.len(), 1);
    assert!(reopen(directory.path()).is_nothing());
}

#[test]
fn a_file_that_others_truncated_gets_what_was_not_written_and_nothing_twice() {
    let directory = killed(10, 5);
    fs::write(cdr_file(directory.path()), "").unwrap();
    assert_eq!(reopen(directory.path()).changed_by_others.len(), 1);
    assert_eq!(cdr(directory.path()), (10..15).map(line).collect::<String>());
}

/// What others append while no process runs is not ours, though the length of the file says so.
#[test]
fn what_others_appended_costs_no_line_and_joins_none() {
    let half_a_line = &line(10)[..9];
    for theirs in ["theirs\n", "theirs", &format!("{half_a_line}theirs"), "{\"numbered\":{}}\n"] {
        let directory = killed(10, 5);
        let path = cdr_file(directory.path());
        fs::write(&path, lines(10) + theirs).unwrap();
        let recovery = reopen(directory.path());
        assert_eq!(recovery.changed_by_others, [path], "{theirs}");
        let end = if theirs.ends_with('\n') { "" } else { "\n" };
        let ours: String = (10..15).map(line).collect();
        assert_eq!(cdr(directory.path()), lines(10) + theirs + end + &ours);
        assert!(reopen(directory.path()).is_nothing());
    }
}

#[test]
fn a_file_that_was_truncated_in_a_line_gets_whole_lines_behind_it() {
    let directory = killed(10, 5);
    let left = lines(4) + "{\"num";
    fs::write(cdr_file(directory.path()), &left).unwrap();
    assert_eq!(reopen(directory.path()).changed_by_others.len(), 1);
    let ours: String = (10..15).map(line).collect();
    assert_eq!(cdr(directory.path()), left + "\n" + &ours);
}

#[test]
fn a_file_whose_end_others_changed_in_place_gets_whole_lines_behind_it() {
    let directory = killed(10, 5);
    let left = lines(10).replace("}}\n", "...");
    fs::write(cdr_file(directory.path()), &left).unwrap();
    reopen(directory.path());
    let ours: String = (10..15).map(line).collect();
    assert_eq!(cdr(directory.path()), left + "\n" + &ours);
}

#[test]
fn after_a_power_loss_whole_lines_stay_and_the_torn_rest_is_kept_beside() {
    for torn in
        ["{\"numbered\":{\"number\":10,\"pad", "\0\0\0\0\n\0", "{\"numbered\":{}}}\n", "x\n"]
    {
        let directory = killed(10, 0);
        change_boot_id(directory.path());
        let cdr_path = cdr_file(directory.path());
        fs::write(&cdr_path, lines(10) + torn).unwrap();
        let recovery = reopen(directory.path());
        assert!(recovery.power_loss);
        assert_eq!(fs::read_to_string(&cdr_path).unwrap(), lines(10), "{torn:?}");
        assert_eq!(recovery.torn_bytes, torn.len() as u64, "{torn:?}");
        assert_eq!(fs::read_to_string(&recovery.torn_files[0]).unwrap(), torn);
        assert!(reopen(directory.path()).is_nothing());
    }
}

#[test]
fn a_power_loss_that_tore_nothing_changes_nothing() {
    let directory = killed(10, 0);
    change_boot_id(directory.path());
    let recovery = reopen(directory.path());
    assert!(recovery.power_loss && recovery.torn_files.is_empty());
    assert_eq!(cdr(directory.path()), lines(10));
}

/// A close that synced nothing may not say that there is nothing left to look at.
#[test]
fn what_a_power_loss_took_after_a_close_without_a_sync_is_made_good() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).sync_policy(SyncPolicy::Never).open().unwrap();
    (0..10).for_each(|number| appender.producer().send_slice(body(number).as_bytes()).unwrap());
    appender.close().unwrap();
    let lost = "\0".repeat(line(9).len());
    fs::write(cdr_file(directory.path()), lines(9) + &lost).unwrap();
    change_boot_id(directory.path());
    assert_eq!(reopen(directory.path()).torn_bytes, lost.len() as u64);
    assert_eq!(cdr(directory.path()), lines(10));
}

/// They have no checksum, because they change with every write.
#[test]
fn counters_of_the_control_file_may_say_anything() {
    for offset in [512, 520, 528, 536] {
        for power_loss in [false, true] {
            let directory = killed(10, 0);
            let path = journal_file(directory.path(), "control");
            let mut content = fs::read(&path).unwrap();
            content[offset..offset + 8].fill(0xff);
            fs::write(&path, &content).unwrap();
            if power_loss {
                change_boot_id(directory.path());
            }
            reopen(directory.path());
            assert_eq!(cdr(directory.path()), lines(10), "{offset}");
        }
    }
}

#[test]
fn damaged_journal_files_are_named_and_left_as_they_are() {
    for (name, offset) in [("control", 3), ("control", 20), ("journal-0", 1), ("journal-0", 20)] {
        let directory = killed(10, 5);
        let path = journal_file(directory.path(), name);
        let mut content = fs::read(&path).unwrap();
        content[offset] ^= 0x55;
        fs::write(&path, &content).unwrap();
        let error = Appender::builder(directory.path()).open().unwrap_err();
        assert!(
            matches!(&error, OpenError::Damaged { path: named, .. } if *named == path),
            "{error}"
        );
        assert_eq!(fs::read(&path).unwrap(), content);
        assert_eq!(cdr(directory.path()), lines(10));
    }
}

/// The checksum of a header fits whatever its counters say. What they say is checked by what would
/// come of it: before anything is appended to any file.
#[test]
fn a_journal_that_would_give_half_a_line_is_named_and_nothing_is_appended() {
    const START: usize = 72;
    const COMMITTED: usize = 80;
    const DATA: usize = 4096;
    fn add(content: &mut [u8], offset: usize, change: i64) {
        let counter = &mut content[offset..offset + 8];
        let value = u64::from_le_bytes((&*counter).try_into().unwrap()).wrapping_add_signed(change);
        counter.copy_from_slice(&value.to_le_bytes());
    }
    let damages: [fn(&mut [u8]); 6] = [
        |content| add(content, START, 5),
        |content| add(content, START, 100_000),
        |content| add(content, COMMITTED, -3),
        |content| add(content, COMMITTED, 40),
        |content| content[DATA + lines(12).len()] = b'x',
        |content| content[DATA + lines(12).len() - 1] = b' ',
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let directory = killed(10, 5);
        fs::write(cdr_file(directory.path()), &lines(11)[..lines(11).len() - 7]).unwrap();
        let path = journal_file(directory.path(), "journal-0");
        let mut content = fs::read(&path).unwrap();
        damage(&mut content);
        fs::write(&path, &content).unwrap();
        let error = Appender::builder(directory.path()).open().unwrap_err();
        assert!(
            matches!(&error, OpenError::Damaged { path: named, .. } if *named == path),
            "damage {number}: {error}"
        );
        assert!(fs::read(&path).unwrap() == content);
        assert_eq!(cdr(directory.path()), lines(11)[..lines(11).len() - 7], "damage {number}");
    }
}

#[test]
fn a_damaged_journal_of_rejects_leaves_the_lines_alone_too() {
    let original = tempfile::tempdir().unwrap();
    let builder = || Appender::builder(&original).flush_interval(Duration::from_secs(60));
    let appender = builder().open().unwrap();
    appender.producer().send_slice(body(0).as_bytes()).unwrap();
    appender.producer().send_slice(b"no event").unwrap();
    while appender.stats().events_rejected < 1 {
        std::thread::yield_now();
    }
    let copy = tempfile::tempdir().unwrap();
    copy_tree(original.path(), copy.path());
    let path = journal_file(copy.path(), "rejects-0");
    let mut content = fs::read(&path).unwrap();
    content[4096] = b'[';
    fs::write(&path, &content).unwrap();
    let error = Appender::builder(copy.path()).open().unwrap_err();
    assert!(matches!(&error, OpenError::Damaged { path: named, .. } if *named == path), "{error}");
    assert_eq!(cdr(copy.path()), "");
    content[4096] = b'{';
    fs::write(&path, &content).unwrap();
    reopen(copy.path());
    assert_eq!(cdr(copy.path()), lines(1));
}

#[test]
fn lines_in_a_journal_without_its_control_file_are_not_thrown_away() {
    let directory = killed(10, 5);
    fs::remove_file(journal_file(directory.path(), "control")).unwrap();
    let error = Appender::builder(directory.path()).open().unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error}");
    fs::rename(directory.path().join(".cdrlog"), directory.path().join("kept")).unwrap();
    assert!(reopen(directory.path()).is_nothing());
}
