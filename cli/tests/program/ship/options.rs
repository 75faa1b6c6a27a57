//! The command line of `ship`, and what it says of wrong ones.

use std::fs;

use super::{append_events, ship};
use crate::run::{cdrlog, run};

#[test]
fn what_cannot_be_a_destination_is_told_with_what_can() {
    let directory = tempfile::tempdir().unwrap();
    let of = |to: &str| run(&mut ship(directory.path(), to));
    of("ftp://x").expect(2, &["no kind of destination", "s3://bucket/prefix"]);
    of("file://relative").expect(2, &["absolute path"]);
    let none = run(cdrlog().args(["ship", "--dir"]).arg(directory.path()));
    none.expect(2, &["name a destination with --to"]);
}

#[test]
fn a_directory_that_cdrlog_never_wrote_to_is_told() {
    let directory = tempfile::tempdir().unwrap();
    run(ship(directory.path(), "file:///tmp").arg("--once")).expect(1, &["never wrote to"]);
}

#[cfg(feature = "postgres")]
#[test]
fn a_password_on_the_command_line_is_refused_and_not_repeated() {
    let directory = tempfile::tempdir().unwrap();
    let ended = run(&mut ship(directory.path(), "postgres://me:hunter2@127.0.0.1/cdr"));
    let ended = ended.expect(2, &["PGPASSWORD"]);
    // The parser of the command line repeats its argument.
    assert!(!ended.stderr.contains("hunter2"), "{ended:?}");
}

#[test]
fn the_status_says_how_far_a_destination_is() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    append_events(directory.path(), 0..5, "0");
    let to = format!("file://{}", archive.path().display());
    let status = |options: &[&str]| {
        let mut command = cdrlog();
        command.args(["ship", "--status", "--dir"]).arg(directory.path()).args(options);
        run(&mut command).expect(0, &[]).stdout
    };
    assert!(status(&[]).contains("nothing was shipped"));
    run(ship(directory.path(), &to).arg("--once")).expect(0, &[]);
    assert!(status(&[]).contains(&to), "{}", status(&[]));
    let json: serde_json::Value = serde_json::from_str(&status(&["--json"])).unwrap();
    assert_eq!(json["command"], "ship");
    let lines = &json["destinations"][0]["streams"][0];
    assert_eq!(
        (&lines["stream"], &lines["seq"], &lines["lines"]),
        (&"lines".into(), &2.into(), &5.into())
    );
}

#[test]
fn what_is_forgotten_is_not_kept_for_any_more() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    append_events(directory.path(), 0..5, "0");
    let to = format!("file://{}", archive.path().display());
    run(ship(directory.path(), &to).arg("--once")).expect(0, &[]);
    let pins = || fs::read_dir(directory.path().join(".cdrlog/pins")).unwrap().count();
    assert_eq!(pins(), 2);
    run(ship(directory.path(), &to).arg("--forget")).expect(0, &["forgotten"]);
    assert_eq!(pins(), 0);
}

#[test]
fn a_directory_is_shipped_by_one_process() {
    let (directory, archive) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    append_events(directory.path(), 0..5, "0");
    fs::create_dir_all(directory.path().join(".cdrlog/ship")).unwrap();
    let lock = fs::File::create(directory.path().join(".cdrlog/ship/lock")).unwrap();
    lock.lock().unwrap();
    let to = format!("file://{}", archive.path().display());
    run(ship(directory.path(), &to).arg("--once")).expect(1, &["another process ships"]);
}
