//! What a look at a recovery says is what the recovery then does, and the look changes nothing.
//!
//! An operator who is told "nothing to do" or "these bytes to that file" acts on it. The look is
//! the code of the recovery on a disk that forgets every change; were one call missed there, it
//! would change the only copy of lines while it says that it only looks.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::support::{cdr, change_boot_id, copy_tree, files, killed, lines};
use cdrlog::{Appender, OpenError, Recovery};

/// A directory as a kill leaves it: `written` lines are in the CDR file, `journaled` more only in
/// the journal, and as many rejects.
fn killed(written: u64, journaled: u64) -> tempfile::TempDir {
    killed::directory(written, journaled, &[b"no event"])
}

/// Everything of a directory that a change would change: content, length, times, mode.
fn snapshot(directory: &Path) -> BTreeMap<PathBuf, (Vec<u8>, u64, i64, i64, u32)> {
    let mut found = BTreeMap::new();
    let mut directories = vec![directory.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let content = if metadata.is_file() { fs::read(&path).unwrap() } else { Vec::new() };
            let times = (metadata.mtime(), metadata.mtime_nsec());
            let seen = (content, metadata.ino(), times.0, times.1, metadata.mode());
            found.insert(path.clone(), seen);
            if metadata.is_dir() {
                directories.push(path);
            }
        }
    }
    found
}

/// What is compared of a look and of the deed: of a file that is made anew only the kind, because
/// its name has the time of its making.
fn without_times(recovery: &Recovery, there: &BTreeMap<PathBuf, impl Sized>) -> Recovery {
    let mut recovery = recovery.clone();
    for path in recovery.files.iter_mut().filter(|path| !there.contains_key(*path)) {
        let name = path.file_name().unwrap().to_str().unwrap();
        let kind = name.split('.').next().unwrap().to_owned();
        path.set_file_name(kind);
    }
    recovery
}

/// Looks, which must change nothing; does it, which must be what was seen; and looks again.
#[track_caller]
fn plan_and_recover(directory: &Path) -> Recovery {
    let options = Appender::builder(directory);
    let before = snapshot(directory);
    let plan = options.plan_recovery().unwrap();
    assert!(snapshot(directory) == before, "the look changed something");
    let files_before = files(directory, "CDR.").len();
    let anew = plan.changed_by_others.iter().filter(|path| !path.exists()).count();
    let recovery = options.recover().unwrap();
    assert_eq!(without_times(&plan, &before), without_times(&recovery, &before));
    assert_eq!(files(directory, "CDR.").len(), files_before + anew, "a CDR file was begun");
    assert!(options.plan_recovery().unwrap().is_nothing());
    let appender = Appender::builder(directory).open().unwrap();
    assert!(appender.recovery().is_nothing(), "{:?}", appender.recovery());
    appender.close().unwrap();
    recovery
}

#[test]
fn after_a_kill_the_look_says_what_is_then_appended() {
    let directory = killed(10, 25);
    let recovery = plan_and_recover(directory.path());
    assert_eq!(recovery.lines_bytes, (lines(35).len() - lines(10).len()) as u64);
    assert!(recovery.rejects_bytes > 0);
    assert_eq!(cdr(directory.path()), lines(35));
}

#[test]
fn a_write_that_was_cut_is_looked_at_and_completed() {
    let directory = killed(3, 4);
    let whole = lines(7);
    for cut in (lines(3).len()..=whole.len()).step_by(101) {
        let copy = tempfile::tempdir().unwrap();
        copy_tree(directory.path(), copy.path());
        fs::write(files(copy.path(), "CDR.").remove(0), &whole[..cut]).unwrap();
        plan_and_recover(copy.path());
        assert_eq!(cdr(copy.path()), whole);
    }
}

#[test]
fn after_a_power_loss_the_look_says_what_is_then_cut_and_where_it_is_kept() {
    for torn in ["{\"numbered\":{\"number\":10,\"pad", "\0\0\0\n\0", "x\n"] {
        for journaled in [0, 5] {
            let directory = killed(10, journaled);
            change_boot_id(directory.path());
            let cdr_path = files(directory.path(), "CDR.").remove(0);
            fs::write(&cdr_path, lines(10) + torn).unwrap();
            // An earlier torn end has the name that would be the first choice.
            fs::write(cdr_path.with_extension("log.torn"), "older").unwrap();
            let recovery = plan_and_recover(directory.path());
            assert!(recovery.power_loss);
            assert_eq!(recovery.torn_bytes, torn.len() as u64);
            assert_eq!(recovery.torn_files, [cdr_path.with_extension("log.torn.1")]);
        }
    }
}

#[test]
fn what_others_did_is_seen_by_the_look_too() {
    let removed = killed(10, 5);
    fs::remove_file(files(removed.path(), "CDR.").remove(0)).unwrap();
    assert_eq!(plan_and_recover(removed.path()).changed_by_others.len(), 1);
    let truncated = killed(10, 5);
    fs::write(files(truncated.path(), "CDR.").remove(0), "").unwrap();
    assert_eq!(plan_and_recover(truncated.path()).changed_by_others.len(), 1);
}

#[test]
fn where_nothing_is_left_to_do_neither_does_anything() {
    let empty = tempfile::tempdir().unwrap();
    assert!(plan_and_recover_nothing(empty.path()).is_nothing());
    assert!(!empty.path().join(".cdrlog").exists());
    let closed = tempfile::tempdir().unwrap();
    Appender::builder(&closed).open().unwrap().close().unwrap();
    let before = snapshot(closed.path());
    assert!(plan_and_recover_nothing(closed.path()).is_nothing());
    let after = snapshot(closed.path());
    let lock = closed.path().join(".cdrlog/lock");
    let but_lock = |(path, _): &(&PathBuf, &_)| **path != lock;
    assert!(before.iter().filter(but_lock).eq(after.iter().filter(but_lock)));
}

fn plan_and_recover_nothing(directory: &Path) -> Recovery {
    let options = Appender::builder(directory);
    assert!(options.plan_recovery().unwrap().is_nothing());
    options.recover().unwrap()
}

#[test]
fn damage_is_told_and_left_as_it_is() {
    for (name, offset) in [("control", 3), ("control", 20), ("journal-0", 1), ("journal-0", 20)] {
        let directory = killed(10, 5);
        let path = directory.path().join(".cdrlog").join(name);
        let mut content = fs::read(&path).unwrap();
        content[offset] ^= 0x55;
        fs::write(&path, &content).unwrap();
        let before = snapshot(directory.path());
        let error = Appender::builder(directory.path()).plan_recovery().unwrap_err();
        assert!(matches!(&error, OpenError::Damaged { path: named, .. } if *named == path));
        assert!(snapshot(directory.path()) == before);
        let error = Appender::builder(directory.path()).recover().unwrap_err();
        assert!(matches!(&error, OpenError::Damaged { path: named, .. } if *named == path));
    }
}

#[test]
fn a_directory_in_use_is_left_alone_and_its_user_named() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    let before = snapshot(directory.path());
    for result in
        [Appender::builder(&directory).plan_recovery(), Appender::builder(&directory).recover()]
    {
        let error = result.unwrap_err();
        let id = std::process::id();
        assert!(
            matches!(error, OpenError::Locked { process_id: Some(found), .. } if found == id),
            "{error}"
        );
    }
    assert!(snapshot(directory.path()) == before);
    appender.close().unwrap();
}

#[test]
fn a_fifo_in_the_place_of_a_file_is_an_error_and_nobody_waits_for_its_other_end() {
    let directory = killed(3, 2);
    let path = directory.path().join(".cdrlog/control");
    fs::remove_file(&path).unwrap();
    let made = std::process::Command::new("mkfifo").arg(&path).status().unwrap();
    assert!(made.success());
    let error = Appender::builder(directory.path()).plan_recovery().unwrap_err();
    assert!(error.to_string().contains("not a regular file"), "{error}");
}

#[test]
fn a_directory_that_is_not_there_is_an_error_and_not_made() {
    let parent = tempfile::tempdir().unwrap();
    let missing = parent.path().join("cdr");
    assert!(Appender::builder(&missing).plan_recovery().is_err());
    assert!(Appender::builder(&missing).recover().is_err());
    assert!(!missing.exists());
}
