//! What left the machine stays in the record here, whatever a power loss did to the control file.

use std::fs;
use std::path::{Path, PathBuf};

use cdrlog::Appender;
use cdrlog::synced::{Pin, Stream};

use super::{block, builder, cursor, send};
use crate::support::{change_boot_id, copy_tree, line, lines};

/// Where the control file has how far the lines are synced.
const OFFSET_SYNCED: usize = 520;

/// Twenty lines that were returned in one block, and after them half a line, in a directory whose
/// machine went down. The control file is older than the last sync, and a byte of line 5 is damaged.
fn damaged_directory(name: &str) -> (tempfile::TempDir, PathBuf) {
    let original = tempfile::tempdir().unwrap();
    let appender = builder(original.path()).no_inbox().open().unwrap();
    send(&appender, 0..20);
    appender.sync().unwrap();
    let mut pin = Pin::create(&original, "archive", Stream::Lines, true).unwrap();
    pin.set_floor(&block(&mut cursor(original.path()))).unwrap();
    let directory = tempfile::tempdir().unwrap();
    copy_tree(original.path(), directory.path());
    let path = directory.path().join(appender.cdr_path().file_name().unwrap());
    appender.close().unwrap();
    let control = directory.path().join(".cdrlog/control");
    let mut page = fs::read(&control).unwrap();
    page[OFFSET_SYNCED..OFFSET_SYNCED + 8].fill(0);
    fs::write(&control, page).unwrap();
    change_boot_id(directory.path());
    // The journal would only put the lines back.
    let mut content = fs::read(&path).unwrap();
    content[lines(5).len() + 3] = 0;
    content.extend_from_slice(b"{\"half");
    if name == "anew" {
        content[2] = b'z';
    }
    fs::write(&path, content).unwrap();
    (directory, path)
}

/// The length of the file after a recovery.
fn bytes_after_recovery(directory: &Path, path: &Path) -> u64 {
    let plan = Appender::builder(directory).plan_recovery().unwrap();
    let recovery = Appender::builder(directory).recover().unwrap();
    assert!(recovery.power_loss && recovery.torn_bytes == plan.torn_bytes, "{recovery}");
    fs::metadata(path).unwrap().len() - recovery.lines_bytes
}

#[test]
fn recovery_cuts_what_is_torn_after_the_floor_and_nothing_before_it() {
    let (directory, path) = damaged_directory("floor");
    assert_eq!(bytes_after_recovery(directory.path(), &path), lines(20).len() as u64);
}

#[test]
fn without_a_pin_recovery_cuts_at_the_first_damaged_line() {
    let (directory, path) = damaged_directory("no pin");
    Pin::forget(&directory, "archive", Stream::Lines).unwrap();
    assert_eq!(bytes_after_recovery(directory.path(), &path), lines(5).len() as u64);
}

/// A pin that nobody forgot must not let torn lines stay in a file that has only the same name.
#[test]
fn the_floor_of_another_file_of_the_same_name_holds_nothing() {
    let (directory, path) = damaged_directory("anew");
    assert_eq!(bytes_after_recovery(directory.path(), &path), lines(5).len() as u64);
    assert!(line(0).len() > 3);
}
