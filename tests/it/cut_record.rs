//! A record of a reject that is larger than a segment of the journal is finished or closed, wherever
//! a kill cut it.
//!
//! Such a record is committed in parts, each as large as there is room for. Where the process was
//! killed between two parts, the rest of the body was only in memory: without an end of its own the
//! record would swallow the next one. Where it was cut inside an escape or a character, the usual
//! end would not do.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{copy_tree, files, rejects};
use cdrlog::{Appender, Recovery};

/// The data area of a segment of rejects, behind its header page.
const SEGMENT_BYTES: usize = 256 << 10;
/// Where the control file notes how much of the rejects was written.
const WRITTEN: usize = 528;
/// Where the header of a segment says how much is committed.
const COMMITTED: usize = 80;

/// A directory in which a body of `bytes` was rejected, not closed; and its record.
fn with_rejected(bytes: usize, first: usize) -> (tempfile::TempDir, Vec<u8>) {
    let original = tempfile::tempdir().unwrap();
    // It is longer than a file may be, and all the same in one file.
    let appender = Appender::builder(&original).rotate_bytes(50_000).open().unwrap();
    let body = "x".repeat(first) + &"\u{e9}\"\u{1}\u{1f600}".repeat(bytes / 8);
    appender.producer().send_slice(body.as_bytes()).unwrap();
    appender.flush().unwrap();
    let copy = tempfile::tempdir().unwrap();
    copy_tree(original.path(), copy.path());
    let record = fs::read(rejects_file(copy.path())).unwrap();
    (copy, record)
}

fn rejects_file(directory: &Path) -> PathBuf {
    files(directory, "rejected.").remove(0)
}

fn set_number(path: PathBuf, offset: usize, number: usize) {
    let mut content = fs::read(&path).unwrap();
    content[offset..offset + 8].copy_from_slice(&(number as u64).to_le_bytes());
    fs::write(path, content).unwrap();
}

/// Lets the file of rejects hold `file_bytes` of the record, of which `noted` were noted.
fn write_only(directory: &Path, record: &[u8], file_bytes: usize, noted: usize) {
    fs::write(rejects_file(directory), &record[..file_bytes]).unwrap();
    set_number(directory.join(".cdrlog/control"), WRITTEN, noted);
}

fn reopen(directory: &Path) -> Recovery {
    let appender = Appender::builder(directory).rotate_bytes(50_000).open().unwrap();
    let recovery = appender.recovery().clone();
    appender.close().unwrap();
    recovery
}

#[test]
fn a_record_whose_rest_was_never_journaled_is_closed() {
    // Other bytes of the body are at the end of the segment each time.
    for first in (0..14).step_by(3) {
        let (directory, record) = with_rejected(200_000, first);
        assert!((SEGMENT_BYTES..2 * SEGMENT_BYTES).contains(&record.len()), "{}", record.len());
        set_number(directory.path().join(".cdrlog/rejects-1"), COMMITTED, 0);
        let cut = &record[..SEGMENT_BYTES];
        write_only(directory.path(), &record, SEGMENT_BYTES - 1000, SEGMENT_BYTES - 2000);
        let recovery = reopen(directory.path());
        assert_eq!(recovery.rejects_bytes, 1000);
        assert!(recovery.changed_by_others.is_empty());
        let closed = fs::read(rejects_file(directory.path())).unwrap();
        assert!(closed.starts_with(cut), "{first}");
        assert_eq!(rejects(directory.path())[0]["cut"], true);
        assert!(reopen(directory.path()).is_nothing());
    }
}

/// The recovery was killed while it wrote the end, or right behind it.
#[test]
fn an_end_that_was_written_in_part_is_completed_and_never_written_twice() {
    let (left, record) = with_rejected(200_000, 0);
    set_number(left.path().join(".cdrlog/rejects-1"), COMMITTED, 0);
    write_only(left.path(), &record, SEGMENT_BYTES, 0);
    let whole = tempfile::tempdir().unwrap();
    copy_tree(left.path(), whole.path());
    reopen(whole.path());
    let closed = fs::read(rejects_file(whole.path())).unwrap();
    for written in (SEGMENT_BYTES..=closed.len()).step_by(5) {
        let directory = tempfile::tempdir().unwrap();
        copy_tree(left.path(), directory.path());
        write_only(directory.path(), &closed, written, SEGMENT_BYTES);
        assert!(reopen(directory.path()).changed_by_others.is_empty());
        assert!(fs::read(rejects_file(directory.path())).unwrap() == closed, "{written}");
    }
}

#[test]
fn a_record_whose_beginning_only_the_file_holds_is_completed() {
    let (directory, record) = with_rejected(350_000, 0);
    assert!((2 * SEGMENT_BYTES..3 * SEGMENT_BYTES).contains(&record.len()), "{}", record.len());
    let file_bytes = SEGMENT_BYTES + 1000;
    write_only(directory.path(), &record, file_bytes, file_bytes);
    assert_eq!(reopen(directory.path()).rejects_bytes, (record.len() - file_bytes) as u64);
    assert!(fs::read(rejects_file(directory.path())).unwrap() == record);
}

#[test]
fn the_rest_of_a_record_whose_beginning_others_took_is_kept_beside() {
    let (directory, record) = with_rejected(350_000, 0);
    write_only(directory.path(), &record, 0, SEGMENT_BYTES + 1000);
    let recovery = reopen(directory.path());
    assert_eq!(recovery.changed_by_others, [rejects_file(directory.path())]);
    assert_eq!(recovery.torn_bytes, (record.len() - SEGMENT_BYTES) as u64);
    assert!(fs::read(&recovery.torn_files[0]).unwrap() == record[SEGMENT_BYTES..]);
    assert!(rejects(directory.path()).is_empty());
    assert!(reopen(directory.path()).is_nothing());
}

/// Others took the file away while a record of three segments was written: the new file has the
/// middle of it.
#[test]
fn the_middle_of_a_record_is_no_beginning_of_one() {
    let (directory, record) = with_rejected(350_000, 0);
    let control = directory.path().join(".cdrlog/control");
    let mut page = fs::read(&control).unwrap();
    // The only anchor is in slot 1 of the rejects: its position in the stream, and its checksum.
    let slot = &mut page[2560..3072];
    let taken_at = SEGMENT_BYTES - 1000;
    slot[8..16].copy_from_slice(&(taken_at as u64).to_le_bytes());
    let checksum = crc32c::crc32c(&slot[..256]);
    slot[256..260].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&control, page).unwrap();
    let written = SEGMENT_BYTES + 1000;
    write_only(directory.path(), &record[taken_at..], written - taken_at, written);
    let recovery = reopen(directory.path());
    assert_eq!(recovery.torn_bytes, (record.len() - SEGMENT_BYTES) as u64);
    assert!(reopen(directory.path()).is_nothing());
}
