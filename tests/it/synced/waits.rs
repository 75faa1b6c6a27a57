//! What a cursor waits for.

use cdrlog::synced::{CursorError, Stream, SyncedCursor, Wait};
use cdrlog::{Appender, SyncPolicy};

use super::{builder, cursor, send, take_all, text, wait};
use crate::support::{change_boot_id, copy_tree, killed, lines};

#[test]
fn a_directory_that_no_appender_opened_is_an_error_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let error = SyncedCursor::open(directory.path(), Stream::Lines, None).unwrap_err();
    assert!(matches!(error, CursorError::NoDirectory { .. }), "{error}");
}

/// Without the difference, whoever ships once and exits believes that all of it is shipped.
#[test]
fn a_directory_that_was_not_closed_waits_for_recovery_whichever_boot_it_is_of() {
    for reboots in [false, true] {
        let directory = killed::directory(20, 10, &[]);
        if reboots {
            change_boot_id(directory.path());
        }
        let mut cursor = cursor(directory.path());
        let (blocks, wait) = take_all(&mut cursor, 1 << 20);
        assert!(wait == Wait::Recovery && cursor.through_ms().is_none(), "{wait:?}");
        Appender::builder(&directory).recover().unwrap();
        let (rest, wait) = take_all(&mut cursor, 1 << 20);
        assert_eq!(wait, Wait::Open);
        // After a power loss, nothing vouches for lines that only the journal has.
        let expected = lines(if reboots { 20 } else { 30 });
        assert!(text(&blocks) + &text(&rest) == expected, "{reboots}");
    }
}

#[test]
fn what_was_synced_before_a_kill_is_returned_before_the_recovery() {
    let original = tempfile::tempdir().unwrap();
    let appender = builder(original.path()).no_inbox().rotate_bytes(2000).open().unwrap();
    send(&appender, 0..30);
    appender.sync().unwrap();
    send(&appender, 30..40);
    appender.flush().unwrap();
    let directory = tempfile::tempdir().unwrap();
    copy_tree(original.path(), directory.path());
    let (blocks, wait) = take_all(&mut cursor(directory.path()), 1 << 20);
    let found = text(&blocks);
    // A rotation since syncs more.
    assert!(wait == Wait::Recovery && found.len() >= lines(30).len(), "{wait:?}");
    assert!(lines(40).starts_with(&found));
    appender.close().unwrap();
}

#[test]
fn with_a_policy_that_never_syncs_lines_come_when_their_file_is_over() {
    let directory = tempfile::tempdir().unwrap();
    let options = || Appender::builder(&directory).sync_policy(SyncPolicy::Never);
    let appender = options().open().unwrap();
    let mut cursor = cursor(directory.path());
    send(&appender, 0..10);
    appender.flush().unwrap();
    assert_eq!(wait(&mut cursor), Wait::Writer);
    appender.rotate().unwrap();
    send(&appender, 10..20);
    appender.flush().unwrap();
    let (blocks, waiting) = take_all(&mut cursor, 1 << 20);
    assert!(text(&blocks) == lines(10) && waiting == Wait::Writer);
    appender.close().unwrap();
    // Nobody knows whether the rest is on the disk.
    assert_eq!(wait(&mut cursor), Wait::Recovery);
    options().open().unwrap().close().unwrap();
    let (rest, _) = take_all(&mut cursor, 1 << 20);
    assert!(text(&blocks) + &text(&rest) == lines(20));
}
