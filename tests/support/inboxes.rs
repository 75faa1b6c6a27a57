//! A place for the inboxes of a test, so that what it kills leaves nothing in `/dev/shm`.

use std::path::PathBuf;
use std::process::Command;

use tempfile::TempDir;

/// Tells a child that is a test program where its inboxes are.
const CHILD: &str = "CDRLOG_TEST_INBOXES";

thread_local! {
    /// A test has a thread of its own, whose end is the end of the test, however it ends.
    static DIRECTORY: TempDir =
        tempfile::Builder::new().prefix("cdrlog-test-").tempdir_in("/dev/shm").unwrap();
}

/// The directory for the inboxes of this test: on a tmpfs, and removed with all that is in it when
/// the test ends. In a child of a test it is that of the parent.
pub fn inbox_directory() -> PathBuf {
    match std::env::var_os(CHILD) {
        Some(directory) => directory.into(),
        None => DIRECTORY.with(|directory| directory.path().to_owned()),
    }
}

/// Has a child make its inboxes there, be it a test program or `cdrlog`.
pub fn give_inboxes(command: &mut Command) -> &mut Command {
    let directory = inbox_directory();
    command.env(CHILD, &directory).env("CDRLOG_INBOX_DIRECTORY", directory)
}
