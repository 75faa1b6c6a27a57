//! A test that is skipped is seen, though the output of a test that passes is not.

use std::process::Command;

use crate::skip::skip;

/// Set in the process that skips.
const SAMPLE: &str = "CDRLOG_SKIP_SAMPLE";

#[test]
fn a_skipped_test_is_named_on_standard_error_and_in_the_summary_of_a_run() {
    if std::env::var_os(SAMPLE).is_some() {
        return skip("there is no\nlogrotate", "apt-get install logrotate");
    }
    let directory = tempfile::tempdir().unwrap();
    let summary = directory.path().join("skipped");
    let name = "skipped::a_skipped_test_is_named_on_standard_error_and_in_the_summary_of_a_run";
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", name, "--test-threads=2"]).env(SAMPLE, "1");
    let expected = format!("skipped: {name}: there is no; logrotate (apt-get install logrotate)\n");
    let alone = command.env_remove("CDRLOG_SKIPPED_TO").output().unwrap();
    assert!(alone.status.success(), "{alone:?}");
    assert_eq!(String::from_utf8_lossy(&alone.stderr), expected, "{alone:?}");
    // Caught, so that nobody who runs the tests takes it for a test that was skipped.
    command.env("CDRLOG_SKIPPED_TO", &summary);
    assert!(command.output().unwrap().status.success());
    assert!(command.output().unwrap().status.success());
    assert_eq!(std::fs::read_to_string(&summary).unwrap(), expected.repeat(2));
}
