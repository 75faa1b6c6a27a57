//! A directory has one writer, whatever happens to the files of its lock.
//!
//! An administrator who finds a directory locked removes `.cdrlog/lock` first, then `.cdrlog`, then
//! moves the directory and makes a new one. Two writers would share the memory of the journal, and
//! tear and double each other's lines while both report success.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc;

use crate::support::{body, cdr, line, lines, skip};
use cdrlog::{Appender, Notice, OpenError};

const CHILD_DIRECTORY: &str = "CDRLOG_ONE_WRITER_DIRECTORY";

/// What an administrator may do, or how else the directory may be named. Gives the path to open.
type Change = fn(&Path) -> PathBuf;

const CHANGES: [(&str, Change); 8] = [
    ("nothing", Path::to_owned),
    ("the lock file is removed", |directory| {
        fs::remove_file(directory.join(".cdrlog/lock")).unwrap();
        directory.to_owned()
    }),
    ("the folder is removed", |directory| {
        fs::remove_dir_all(directory.join(".cdrlog")).unwrap();
        directory.to_owned()
    }),
    ("the folder is moved", |directory| {
        fs::rename(directory.join(".cdrlog"), directory.join("kept")).unwrap();
        directory.to_owned()
    }),
    ("the directory is moved and made anew", |directory| {
        fs::rename(directory, directory.with_extension("moved")).unwrap();
        fs::create_dir(directory).unwrap();
        directory.to_owned()
    }),
    ("the directory is moved and a link put in its place", |directory| {
        let moved = directory.with_extension("moved");
        fs::rename(directory, &moved).unwrap();
        symlink(&moved, directory).unwrap();
        directory.to_owned()
    }),
    ("it is spelled in another way", |directory| directory.join("../cdr")),
    ("it is opened through a link", |directory| {
        let link = directory.with_extension("link");
        symlink(directory, &link).unwrap();
        link
    }),
];

#[track_caller]
fn assert_refused(opened: Result<Appender, OpenError>, what: &str) {
    match opened.map(|_| ()) {
        Err(OpenError::Locked { process_id, .. }) => {
            if let Some(id) = process_id {
                assert_eq!(id, std::process::id(), "{what}");
            }
        }
        other => panic!("{what}: {other:?}"),
    }
}

#[test]
#[ignore = "the child of the tests below; does nothing by itself"]
fn child() {
    let Ok(directory) = std::env::var(CHILD_DIRECTORY) else { return };
    match Appender::builder(directory).open() {
        Err(OpenError::Locked { .. }) => {}
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn assert_refused_in_another_process(path: &Path, what: &str) {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["one_writer::child", "--exact", "--ignored", "--nocapture"])
        .env(CHILD_DIRECTORY, path)
        .output()
        .unwrap();
    assert!(child.status.success(), "{what}: {}", String::from_utf8_lossy(&child.stderr));
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"), "{what}: no child ran");
}

#[test]
fn a_second_opening_is_refused_whatever_was_taken_away_in_this_process_and_in_another() {
    for (what, change) in CHANGES {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("cdr");
        let appender = Appender::builder(&directory).open().unwrap();
        let path = change(&directory);
        assert_refused(Appender::builder(&path).open(), what);
        assert_refused_in_another_process(&path, what);
        drop(appender);
        Appender::builder(&path).open().unwrap().close().unwrap();
    }
}

#[test]
fn a_second_opening_through_a_bind_mount_is_refused() {
    let parent = tempfile::tempdir().unwrap();
    let (directory, point) = (parent.path().join("cdr"), parent.path().join("bound"));
    fs::create_dir(&point).unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    let mount = Command::new("mount").arg("--bind").args([&directory, &point]).status();
    if !mount.is_ok_and(|status| status.success()) {
        skip("no bind mount to test on", "run as root");
        return;
    }
    fs::remove_file(directory.join(".cdrlog/lock")).unwrap();
    let opened = Appender::builder(&point).open();
    let refused = matches!(opened, Err(OpenError::Locked { .. }));
    drop(opened);
    assert!(Command::new("umount").arg(&point).status().unwrap().success());
    assert!(refused, "opened through a bind mount");
    appender.close().unwrap();
}

/// What happened is noticed at the next write: it is told, and lines go on.
#[test]
fn a_lock_that_was_taken_away_is_told_and_taken_again() {
    for (what, change) in &CHANGES[1..5] {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("cdr");
        let (sender, notices) = mpsc::channel();
        let appender = Appender::builder(&directory)
            .on_notice(move |notice| sender.send(notice.clone()).unwrap())
            .open()
            .unwrap();
        let send = |number| {
            appender.producer().send_slice(body(number).as_bytes()).unwrap();
            appender.flush().unwrap();
        };
        send(0);
        change(&directory);
        send(1);
        let told = notices.try_iter().find_map(|notice| match notice {
            Notice::LockReplaced(path) => Some(path),
            _ => None,
        });
        assert!(told.is_some_and(|path| path.starts_with(&directory)), "{what}");
        assert!(directory.join(".cdrlog/lock").exists(), "{what}");
        assert_refused(Appender::builder(&directory).open(), what);
        // A new file is begun in the same directory.
        appender.rotate().unwrap();
        send(2);
        appender.close().unwrap();
        assert!(cdr(&directory).ends_with(&(line(1) + &line(2))), "{what}");
    }
}

/// Who still has a mapping of them, as an appender of an earlier version whose lock was removed,
/// must not see its memory change.
#[test]
fn an_opening_never_writes_to_the_segments_of_the_one_before() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).open().unwrap();
    appender.producer().send_slice(body(0).as_bytes()).unwrap();
    appender.close().unwrap();
    let path = |name| directory.path().join(".cdrlog").join(name);
    let names = ["journal-0", "journal-1", "journal-2", "journal-3", "rejects-0", "rejects-1"];
    let before =
        names.map(|name| (fs::File::open(path(name)).unwrap(), fs::read(path(name)).unwrap()));
    let appender = Appender::builder(&directory).open().unwrap();
    appender.producer().send_slice(body(1).as_bytes()).unwrap();
    appender.close().unwrap();
    for ((file, content), name) in before.into_iter().zip(names) {
        assert_eq!(file.metadata().unwrap().nlink(), 0, "{name} is the same file");
        let mut now = Vec::new();
        std::io::Read::read_to_end(&mut &file, &mut now).unwrap();
        assert!(now == content, "{name} was written to");
    }
    assert_eq!(cdr(directory.path()), lines(2));
}
