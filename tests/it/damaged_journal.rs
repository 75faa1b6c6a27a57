//! A journal that is not whole is told, not passed over.
//!
//! Where a segment is missing, empty, too short or of an earlier opening, the lines that it held are
//! nowhere else. An opening that took "nothing to read" for "nothing was there" would lose them and
//! report success. So would one that believes the control file of another opening.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::{cdr, change_boot_id, killed, lines, reopen};
use cdrlog::{Appender, OpenError};

const HEADER_BYTES: usize = 4096;
const ANCHOR_OF_LINES: usize = 1024;
const SLOT_BYTES: usize = 512;
const SLOT_CHECKED_BYTES: usize = 256;

/// Ten lines are in the file, five lines and five rejects only in the journal.
fn killed() -> tempfile::TempDir {
    killed::directory(10, 5, &[b"no event"])
}

fn journal_file(directory: &Path, name: &str) -> PathBuf {
    directory.join(".cdrlog").join(name)
}

/// Neither the look, nor the recovery, nor the opening gets past it, and nothing is changed.
#[track_caller]
fn assert_damaged(directory: &Path, name: &str, what: &str) {
    let path = journal_file(directory, name);
    let content = fs::read(&path).ok();
    let options = || Appender::builder(directory);
    let results = [options().plan_recovery().map(drop), options().recover().map(drop)];
    for result in results.into_iter().chain([options().open().map(drop)]) {
        match result {
            Err(OpenError::Damaged { path: named, .. }) => assert_eq!(named, path, "{what}"),
            other => panic!("{what} of {name}: {other:?}"),
        }
    }
    assert!(fs::read(&path).ok() == content, "{what}: it was changed");
    assert_eq!(cdr(directory), lines(10), "{what}");
}

/// What may become of a segment; the other path is that of the same file of an earlier opening.
type Damage = fn(&Path, &Path);

const DAMAGES: [(&str, Damage); 5] = [
    ("the loss", |path, _| fs::remove_file(path).unwrap()),
    ("zeros", |path, _| fs::write(path, vec![0; fs::read(path).unwrap().len()]).unwrap()),
    ("a zeroed header", |path, _| {
        let mut content = fs::read(path).unwrap();
        content[..HEADER_BYTES].fill(0);
        fs::write(path, content).unwrap();
    }),
    ("a cut", |path, _| {
        let content = fs::read(path).unwrap();
        fs::write(path, &content[..content.len() - 1]).unwrap();
    }),
    ("an earlier file", |path, earlier| assert!(fs::copy(earlier, path).unwrap() > 0)),
];

#[test]
fn a_segment_that_is_missing_empty_cut_or_of_an_earlier_opening_is_damage() {
    let earlier = killed();
    for name in ["journal-0", "journal-3", "rejects-0", "rejects-1"] {
        for (what, damage) in DAMAGES {
            for power_loss in [false, true] {
                let directory = killed();
                if power_loss {
                    change_boot_id(directory.path());
                }
                let path = journal_file(directory.path(), name);
                damage(&path, &journal_file(earlier.path(), name));
                assert_damaged(directory.path(), name, what);
            }
        }
    }
}

#[test]
fn a_segment_in_the_place_of_another_one_is_damage() {
    let directory = killed();
    let path = |name| journal_file(directory.path(), name);
    fs::copy(path("journal-1"), path("journal-0")).unwrap();
    assert_damaged(directory.path(), "journal-0", "a copy of journal-1");
}

#[test]
fn a_control_file_of_an_earlier_opening_is_not_believed() {
    let (earlier, directory) = (killed(), killed());
    let control = |directory: &Path| journal_file(directory, "control");
    fs::copy(control(earlier.path()), control(directory.path())).unwrap();
    assert_damaged(directory.path(), "journal-0", "the control file of another opening");
    // One that says that nothing is left to do is as wrong.
    let mut page = fs::read(control(earlier.path())).unwrap();
    page[12] = 1;
    fs::write(control(directory.path()), page).unwrap();
    assert_damaged(directory.path(), "journal-0", "the clean control file of another opening");
}

/// The table says how many segments there are; it has a checksum of its own.
#[test]
fn a_damaged_number_of_segments_is_damage() {
    for offset in [44, 48, 52] {
        let directory = killed();
        let path = journal_file(directory.path(), "control");
        let mut page = fs::read(&path).unwrap();
        page[offset] ^= 1;
        fs::write(&path, page).unwrap();
        assert_damaged(directory.path(), "control", "a number");
    }
}

/// Makes the only anchor of the lines, in slot 1, another one, checksum and all.
fn forge_anchor(directory: &Path, change: impl FnOnce(&mut [u8])) {
    let path = journal_file(directory, "control");
    let mut page = fs::read(&path).unwrap();
    let slot = &mut page[ANCHOR_OF_LINES + SLOT_BYTES..][..SLOT_BYTES];
    change(slot);
    let checksum = crc32c::crc32c(&slot[..SLOT_CHECKED_BYTES]);
    slot[SLOT_CHECKED_BYTES..SLOT_CHECKED_BYTES + 4].copy_from_slice(&checksum.to_le_bytes());
    fs::write(path, page).unwrap();
}

/// Changes the slot of an anchor.
type Forgery = fn(&mut [u8]);

fn set_name(slot: &mut [u8], name: &[u8]) {
    slot[24..28].copy_from_slice(&(name.len() as u32).to_le_bytes());
    slot[28..28 + name.len()].copy_from_slice(name);
}

#[test]
fn an_anchor_that_no_appender_writes_is_damage() {
    let forgeries: [(&str, Forgery); 8] = [
        ("the last generation", |slot| slot[..8].fill(0xff)),
        ("a generation of the other slot", |slot| slot[0] = 2),
        ("no generation", |slot| slot[..8].fill(0)),
        ("an empty name", |slot| set_name(slot, b"")),
        ("the directory itself", |slot| set_name(slot, b".")),
        ("the directory above", |slot| set_name(slot, b"..")),
        ("a path", |slot| set_name(slot, b"a/b")),
        ("a name with a NUL", |slot| set_name(slot, b"a\0b")),
    ];
    for (what, forgery) in forgeries {
        let directory = killed();
        forge_anchor(directory.path(), forgery);
        assert_damaged(directory.path(), "control", what);
    }
}

#[test]
fn an_epoch_after_which_there_is_none_is_damage() {
    let directory = killed();
    let path = journal_file(directory.path(), "control");
    let mut page = fs::read(&path).unwrap();
    page[12] = 1;
    page[16..24].fill(0xff);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&page[..12]), &page[16..40]);
    page[40..44].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, page).unwrap();
    assert_damaged(directory.path(), "control", "the last epoch");
}

/// What cdrlog 0.1 wrote. It says nothing of the number of segments.
#[test]
fn a_directory_of_the_first_format_is_recovered() {
    let directory = killed();
    let path = journal_file(directory.path(), "control");
    let mut page = fs::read(&path).unwrap();
    page[8] = 1;
    page[44..56].fill(0);
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&page[..12]), &page[16..40]);
    page[40..44].copy_from_slice(&checksum.to_le_bytes());
    fs::write(&path, page).unwrap();
    assert!(reopen(directory.path()).rejects_bytes > 0);
    assert_eq!(cdr(directory.path()), lines(15));
    assert!(reopen(directory.path()).is_nothing());
}
