//! Nothing that somebody still needs is removed.

use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use cdrlog::synced::{Pin, PinError, Stream, SyncedBlock, pins};
use cdrlog::{Appender, Builder, Notice};

use super::{builder, cursor, send, take_all, text};
use crate::support::{files, lines};

/// Ten files of ten lines, in blocks.
fn ten_files(directory: &Path) -> Vec<SyncedBlock> {
    for file in 0..10 {
        let appender = builder(directory).retention_bytes(None).open().unwrap();
        send(&appender, file * 10..file * 10 + 10);
        appender.close().unwrap();
    }
    let (blocks, _) = take_all(&mut cursor(directory), 1 << 20);
    assert_eq!((blocks.len(), text(&blocks)), (10, lines(100)));
    blocks
}

/// Removes all that retention by `options` removes; gives the names that are left and hold lines.
fn left_after(options: Builder) -> Vec<String> {
    let appender = options.open().unwrap();
    appender.wait_for_maintenance().unwrap();
    let directory = appender.cdr_path().parent().unwrap().to_owned();
    appender.close().unwrap();
    let holds_lines = |path: &std::path::PathBuf| fs::metadata(path).unwrap().len() > 0;
    let name = |path: &std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    files(&directory, "CDR.").iter().filter(|path| holds_lines(path)).map(name).collect()
}

fn names(blocks: &[SyncedBlock]) -> Vec<String> {
    blocks.iter().map(|block| block.file.clone()).collect()
}

#[test]
fn retention_removes_no_file_that_a_pin_needs() {
    let directory = tempfile::tempdir().unwrap();
    let blocks = ten_files(directory.path());
    let small = || builder(directory.path()).retention_bytes(Some(1));
    let mut one = Pin::create(&directory, "one", Stream::Lines, true).unwrap();
    let mut other = Pin::create(&directory, "other", Stream::Lines, true).unwrap();
    assert_eq!(left_after(small()), names(&blocks));
    one.advance(&blocks[7].start_position()).unwrap();
    assert_eq!(left_after(small()), names(&blocks));
    other.advance(&blocks[3].end_position()).unwrap();
    assert_eq!(left_after(small()), names(&blocks[3..]));
    drop((one, other));
    Pin::forget(&directory, "other", Stream::Lines).unwrap();
    assert_eq!(left_after(small()), names(&blocks[7..]));
    Pin::forget(&directory, "one", Stream::Lines).unwrap();
    assert_eq!(left_after(small()), [""; 0]);
}

#[test]
fn a_pin_that_is_not_required_holds_against_age_and_gives_way_to_size() {
    let directory = tempfile::tempdir().unwrap();
    let blocks = ten_files(directory.path());
    // Not so long ago that the clock would seem to have jumped.
    let before = SystemTime::now() - Duration::from_secs(1800);
    for path in files(directory.path(), "CDR.") {
        fs::File::options().append(true).open(path).unwrap().set_modified(before).unwrap();
    }
    let age = Some(Duration::from_secs(600));
    let old = || builder(directory.path()).retention_age(age).retention_bytes(None);
    let mut pin = Pin::create(&directory, "archive", Stream::Lines, false).unwrap();
    assert_eq!(left_after(old()), names(&blocks));
    pin.advance(&blocks[2].end_position()).unwrap();
    assert_eq!(left_after(old()), names(&blocks[2..]));
    assert_eq!(left_after(builder(directory.path()).retention_bytes(Some(1))), [""; 0]);
}

#[test]
fn a_pin_of_one_stream_does_not_hold_the_other() {
    let directory = tempfile::tempdir().unwrap();
    ten_files(directory.path());
    Pin::create(&directory, "archive", Stream::Rejects, true).unwrap();
    assert_eq!(left_after(builder(directory.path()).retention_bytes(Some(1))), [""; 0]);
}

#[test]
fn a_pin_that_cannot_be_read_holds_everything_and_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let blocks = ten_files(directory.path());
    let mut pin = Pin::create(&directory, "archive", Stream::Lines, true).unwrap();
    pin.advance(&blocks[9].end_position()).unwrap();
    let path = directory.path().join(".cdrlog/pins/lines-archive");
    let whole = fs::read(&path).unwrap();
    let told = Arc::new(Mutex::new(Vec::new()));
    for damaged in [&b""[..], &whole[..1023], &[0; 1024]] {
        fs::write(&path, damaged).unwrap();
        let options = builder(directory.path()).retention_bytes(Some(1)).on_notice({
            let told = told.clone();
            move |notice| {
                if let Notice::PinUnreadable { path, .. } = notice {
                    told.lock().unwrap().push(path.clone());
                }
            }
        });
        assert_eq!(left_after(options), names(&blocks));
        let error = Pin::create(&directory, "archive", Stream::Lines, true).unwrap_err();
        assert!(matches!(error, PinError::Unreadable { .. }), "{error}");
        assert!(matches!(&pins(&directory).unwrap()[..], [Err(PinError::Unreadable { .. })]));
    }
    assert_eq!(*told.lock().unwrap(), [path.clone(), path.clone(), path.clone()]);
    // What is none of ours may have been made for the same reason.
    fs::remove_file(&path).unwrap();
    fs::write(path.with_file_name("archive.bak"), "").unwrap();
    assert_eq!(left_after(builder(directory.path()).retention_bytes(Some(1))), names(&blocks));
    fs::remove_file(path.with_file_name("archive.bak")).unwrap();
    // One that is being made holds nothing yet.
    fs::write(path.with_file_name("lines-archive.new"), "").unwrap();
    assert_eq!(left_after(builder(directory.path()).retention_bytes(Some(1))), [""; 0]);
}

#[test]
fn a_pin_says_what_it_said_when_it_is_opened_again() {
    let directory = tempfile::tempdir().unwrap();
    let blocks = ten_files(directory.path());
    let create = |required| Pin::create(&directory, "to-s3_1", Stream::Lines, required).unwrap();
    let mut pin = create(true);
    assert_eq!((pin.state().needed.clone(), pin.state().floor.clone()), (None, None));
    for block in &blocks {
        pin.set_floor(block).unwrap();
        assert_eq!(create(true).state(), pin.state());
        pin.advance(&block.end_position()).unwrap();
        assert_eq!(create(true).state(), pin.state());
    }
    let state = create(false).state().clone();
    assert_eq!((state.required, state.name.as_str()), (false, "to-s3_1"));
    let end = blocks[9].end_position();
    assert_eq!((state.needed.as_ref(), state.floor.as_ref()), (Some(&end), Some(&end)));
    assert_eq!(
        pins(&directory).unwrap().into_iter().map(Result::unwrap).collect::<Vec<_>>(),
        [state]
    );
}

#[test]
fn a_pin_that_was_forgotten_cannot_be_changed_and_a_bad_name_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let blocks = ten_files(directory.path());
    let mut pin = Pin::create(&directory, "archive", Stream::Lines, true).unwrap();
    Pin::forget(&directory, "archive", Stream::Lines).unwrap();
    Pin::forget(&directory, "archive", Stream::Lines).unwrap();
    assert!(matches!(pin.advance(&blocks[0].end_position()), Err(PinError::Io { .. })));
    for name in ["", "../x", "a/b", "a.new", "\u{e9}", &"x".repeat(101)] {
        let error = Pin::create(&directory, name, Stream::Lines, true).unwrap_err();
        assert!(matches!(error, PinError::Name { .. }), "{name}: {error}");
    }
    let nowhere = tempfile::tempdir().unwrap();
    let error = Pin::create(&nowhere, "archive", Stream::Lines, true).unwrap_err();
    assert!(matches!(error, PinError::Io { .. }), "{error}");
    assert!(!nowhere.path().join(".cdrlog").exists(), "it would belong to the wrong user");
}

/// Without pins, nothing changes.
#[test]
fn a_directory_without_pins_is_kept_small_as_before() {
    let directory = tempfile::tempdir().unwrap();
    ten_files(directory.path());
    assert_eq!(left_after(Appender::builder(&directory).retention_bytes(Some(1))), [""; 0]);
}
