//! A line goes on in a file only behind its own beginning, and begins anew everywhere else.
//!
//! The next opening appends what the journal holds from some position on, and that may be in the
//! middle of a line: a write was cut there. Taken for granted that the file ends in the beginning of
//! this line, a control file that says something else would give the end of a line as a line, or
//! join it with what others left. These tests change what the control file says, checksums and all.

use crate::support::{cdr, change_boot_id, files, killed, line, lines, rejects, reopen};
use std::fs;
use std::path::{Path, PathBuf};

/// Where the control file notes how much was written of lines and of rejects, and their anchors.
const WRITTEN: [usize; 2] = [512, 528];
const ANCHORS: [usize; 2] = [1024, 2048];
const SLOT_BYTES: usize = 512;
const CHECKED_BYTES: usize = 256;

/// Ten lines are in the file, five more only in the journal.
fn killed() -> (tempfile::TempDir, PathBuf) {
    let directory = killed::directory(10, 5, &[]);
    let path = files(directory.path(), "CDR.").remove(0);
    (directory, path)
}

fn change_control(directory: &Path, change: impl FnOnce(&mut [u8])) {
    let path = directory.join(".cdrlog/control");
    let mut page = fs::read(&path).unwrap();
    change(&mut page);
    fs::write(path, page).unwrap();
}

fn set_u64(page: &mut [u8], offset: usize, number: usize) {
    page[offset..offset + 8].copy_from_slice(&(number as u64).to_le_bytes());
}

/// Anchors the lines at `position` of their stream to `file_bytes` of the file, and says that so
/// much was written.
fn anchor(directory: &Path, file_bytes: usize, position: usize) {
    change_control(directory, |page| {
        set_u64(page, WRITTEN[0], position);
        // The first anchor of a life is in slot 1.
        let slot = &mut page[ANCHORS[0] + SLOT_BYTES..][..SLOT_BYTES];
        set_u64(slot, 8, position);
        set_u64(slot, 16, file_bytes);
        let checksum = crc32c::crc32c(&slot[..CHECKED_BYTES]);
        slot[CHECKED_BYTES..CHECKED_BYTES + 4].copy_from_slice(&checksum.to_le_bytes());
    });
}

#[test]
fn a_line_whose_beginning_is_before_the_anchor_is_completed_in_place() {
    let (directory, path) = killed();
    let half = lines(10).len() + 9;
    fs::write(&path, &lines(11)[..half]).unwrap();
    anchor(directory.path(), half, half);
    assert!(reopen(directory.path()).changed_by_others.is_empty());
    assert_eq!(cdr(directory.path()), lines(15));
}

#[test]
fn a_line_that_the_file_has_no_beginning_of_begins_anew() {
    let (directory, path) = killed();
    anchor(directory.path(), lines(10).len(), lines(10).len() + 9);
    assert_eq!(reopen(directory.path()).changed_by_others, [path]);
    assert_eq!(cdr(directory.path()), lines(15));
    assert!(reopen(directory.path()).is_nothing());
}

#[test]
fn a_line_whose_beginning_joined_what_others_left_begins_anew() {
    let (directory, path) = killed();
    let joined = lines(10) + "theirs" + &line(10)[..9];
    fs::write(&path, &joined).unwrap();
    anchor(directory.path(), lines(10).len() + 6, lines(10).len());
    assert_eq!(reopen(directory.path()).changed_by_others, [path]);
    let ours: String = (10..15).map(line).collect();
    assert_eq!(cdr(directory.path()), joined + "\n" + &ours);
}

/// What the frames of the journal vouch for is looked at line by line.
#[test]
fn an_anchor_in_the_middle_of_a_line_adds_nothing_after_a_power_loss() {
    let (directory, _) = killed();
    anchor(directory.path(), lines(10).len(), lines(10).len() + 9);
    change_boot_id(directory.path());
    reopen(directory.path());
    assert!(lines(15).starts_with(&cdr(directory.path())));
    assert!(cdr(directory.path()).starts_with(&lines(10)));
}

/// Found by the fuzz target `recovery`.
#[test]
fn a_record_without_an_anchor_is_appended_whole_or_not_at_all() {
    let directory = killed::directory(0, 3, &[b"no event"]);
    let journal = fs::read(directory.path().join(".cdrlog/rejects-0")).unwrap();
    let record_bytes = journal[4096..].iter().position(|&byte| byte == b'\n').unwrap() + 1;
    change_control(directory.path(), |page| {
        page[ANCHORS[1]..ANCHORS[1] + 2 * SLOT_BYTES].fill(0);
        set_u64(page, WRITTEN[1], 2 * record_bytes - 11);
    });
    reopen(directory.path());
    let bodies: Vec<_> = rejects(directory.path()).iter().map(|r| r["body"].clone()).collect();
    assert_eq!(bodies, ["no event"; 2]);
    assert_eq!(cdr(directory.path()), lines(3));
}

/// The journal says that it begins in the middle of a record, and no file is known that could hold
/// the beginning.
#[test]
fn the_rest_of_a_record_without_an_anchor_is_kept_beside() {
    let directory = killed::directory(0, 3, &[b"no event"]);
    let path = directory.path().join(".cdrlog/rejects-0");
    let mut journal = fs::read(&path).unwrap();
    let all = journal[4096..].split(|&byte| byte == 0).next().unwrap().to_vec();
    let record_bytes = all.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    journal[4096..].fill(0);
    journal[4096..][..all.len() - 20].copy_from_slice(&all[20..]);
    set_u64(&mut journal, 72, 20);
    set_u64(&mut journal, 80, all.len() - 20);
    fs::write(&path, journal).unwrap();
    change_control(directory.path(), |page| {
        page[ANCHORS[1]..ANCHORS[1] + 2 * SLOT_BYTES].fill(0);
        set_u64(page, WRITTEN[1], 30);
    });
    let recovery = reopen(directory.path());
    assert_eq!(recovery.torn_bytes, (record_bytes - 20) as u64);
    assert!(fs::read(&recovery.torn_files[0]).unwrap() == all[20..record_bytes]);
    assert_eq!(rejects(directory.path()).len(), 2);
    assert!(reopen(directory.path()).is_nothing());
}
