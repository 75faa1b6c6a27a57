//! The events in an inbox that cannot be used now stay there until it can be used.
//!
//! `cdrlog recover` by another user, or while the inbox was somewhere else, found the inbox
//! unusable but still marked the directory as clean. The next `open` took that to mean that the
//! inbox was empty, and removed it unread. And an `open` that met a last process that was still
//! dying, or a forked child of it, waited for a second and then went on without the events.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use super::abort::{for_each_step_by, numbers};
use super::accepted::{EVENTS, builder, check, left, parent, recover, run_child};
use super::mount::Mount;
use crate::OpenError;

fn control(directory: &Path) -> Vec<u8> {
    fs::read(directory.join(".cdrlog/control")).unwrap()
}

#[test]
fn what_recover_could_not_take_is_taken_by_the_opening_that_can() {
    let parent = parent();
    let (directory, inbox) = left(&parent);
    let elsewhere = inbox.with_extension("elsewhere");
    fs::rename(&inbox, &elsewhere).unwrap();
    for _ in 0..2 {
        let recovery = builder(&directory).recover().unwrap();
        let unusable = recovery.unusable_inbox.map(|(path, _)| path);
        assert_eq!((unusable.as_deref(), recovery.inbox_events), (Some(&*inbox), 0));
    }
    fs::rename(&elsewhere, &inbox).unwrap();
    assert_eq!(recover(&directory).inbox_events, EVENTS);
    check(&directory, "after a recovery that could not take the events");
}

/// Once the inbox is back, its events are in the CDR or still in it: the directory may name another
/// one by then.
#[test]
fn an_opening_without_the_inbox_that_dies_at_any_step_never_removes_it_unread() {
    let steps = for_each_step_by(53, |step| {
        let parent = parent();
        let (directory, inbox) = left(&parent);
        let elsewhere = inbox.with_extension("elsewhere");
        fs::rename(&inbox, &elsewhere).unwrap();
        let ended = run_child("opening", &directory, step);
        fs::rename(&elsewhere, &inbox).unwrap();
        let events = recover(&directory).inbox_events;
        assert!(inbox.exists() != (events == EVENTS), "step {step}: {events} were taken");
        let (lines, rejects) = numbers(&directory);
        assert_eq!((lines.len() + rejects.len()) as u64, events, "step {step}");
        ended
    });
    println!("an opening without its inbox was killed at {steps} steps");
}

#[test]
fn no_opening_goes_on_without_an_inbox_that_another_process_still_holds() {
    let parent = parent();
    let (directory, inbox) = left(&parent);
    let before = control(&directory);
    let holder = File::open(&inbox).unwrap();
    holder.lock().unwrap();
    let opened = builder(&directory).open().map(drop);
    let recovered = builder(&directory).recover().map(drop);
    let planned = builder(&directory).plan_recovery().map(drop);
    for result in [opened, recovered, planned] {
        assert!(matches!(result, Err(OpenError::Locked { .. })), "{result:?}");
    }
    assert!(control(&directory) == before, "something was changed");
    drop(holder);
    assert_eq!(recover(&directory).inbox_events, EVENTS);
    check(&directory, "after its holder let go of the inbox");
}

#[test]
fn a_copy_of_a_directory_does_not_wait_for_whoever_has_the_inbox_of_the_original() {
    let parent = parent();
    let (directory, inbox) = left(&parent);
    let copy = parent.path().join("copy");
    super::copy::copy_tree(&directory, &copy);
    let holder = File::open(&inbox).unwrap();
    holder.lock().unwrap();
    let recovery = recover(&copy);
    assert_eq!(recovery.unusable_inbox, Some((inbox, "it is of another directory")));
}

/// The path of the directory, and so the inbox, is on `mount`; the directory itself is on another
/// file system.
fn left_on(mount: &Mount, home: &tempfile::TempDir) -> (PathBuf, PathBuf) {
    let directory = mount.path().join("cdr");
    std::os::unix::fs::symlink(home.path(), &directory).unwrap();
    assert!(!run_child("held rewriter", &directory, 0));
    let inbox = super::accepted::inboxes(&directory).pop().expect("an inbox");
    (directory, inbox)
}

#[test]
fn an_inbox_on_a_tmpfs_that_turned_read_only_is_an_error_that_names_it_and_loses_nothing() {
    let Some(mount) = Mount::new("tmpfs", 16) else { return };
    let home = parent();
    let (directory, inbox) = left_on(&mount, &home);
    mount.make_read_only();
    let error = builder(&directory).open().map(drop).unwrap_err();
    assert!(error.to_string().contains(inbox.to_str().unwrap()), "{error}");
    mount.make_writable();
    assert_eq!(recover(&directory).inbox_events, EVENTS);
    check(&directory, "after the tmpfs could be written to again");
}

/// A close that cannot remove its inbox leaves it; it holds nothing that is not in the files.
#[test]
fn an_empty_inbox_that_cannot_be_removed_does_not_keep_a_directory_from_being_opened() {
    let Some(mount) = Mount::new("tmpfs", 16) else { return };
    let home = parent();
    let directory = home.path().join("cdr");
    let appender = builder(&directory).inbox_directory(mount.path()).open().unwrap();
    let inbox = appender.inbox_path().unwrap().to_owned();
    let copy = home.path().join("copy");
    fs::copy(&inbox, &copy).unwrap();
    appender.close().unwrap();
    fs::copy(&copy, &inbox).unwrap();
    mount.make_read_only();
    assert!(recover(&directory).is_nothing());
    assert!(inbox.exists());
}
