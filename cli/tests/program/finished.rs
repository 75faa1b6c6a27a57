//! What becomes of the files of earlier runs, and of those that SIGHUP ends.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::process::{Pid, Signal, kill_process};

use crate::common::{body, cdr, files, line, lines};
use crate::run::{append, end, run, run_with, start, wait_for};

fn names(directory: &Path) -> Vec<String> {
    let name = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
    files(directory, "CDR.").iter().map(name).collect()
}

#[test]
fn sighup_begins_a_new_file_behind_what_was_read() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = start(&mut append(directory.path()));
    let mut input = child.stdin.take().unwrap();
    for number in 0..3 {
        writeln!(input, "{}", body(number)).unwrap();
        wait_for("the line", || (cdr(directory.path()) == lines(number + 1)).then_some(()));
        let pid = Pid::from_raw(child.id().cast_signed()).unwrap();
        kill_process(pid, Signal::HUP).unwrap();
        let count = number as usize + 2;
        wait_for("a new file", || (names(directory.path()).len() == count).then_some(()));
    }
    drop(input);
    end(child).expect(0, &["3 lines"]);
    for (number, path) in files(directory.path(), "CDR.").iter().take(3).enumerate() {
        assert_eq!(fs::read_to_string(path).unwrap(), line(number as u64));
    }
}

#[test]
fn earlier_files_are_compressed_by_the_time_a_run_ends() {
    let directory = tempfile::tempdir().unwrap();
    let mut command = append(directory.path());
    command.args(["--compress", "zstd", "--rotate-bytes", "5000"]);
    let bodies: Vec<_> = (0..200).map(body).collect();
    run_with(&mut command, bodies.join("\n").as_bytes()).expect(0, &["200 lines"]);
    let names = names(directory.path());
    let (last, finished) = names.split_last().unwrap();
    assert!(last.ends_with(".log"), "{names:?}");
    assert!(finished.len() > 3 && finished.iter().all(|name| name.ends_with(".log.zst")));
    let text: String = names
        .iter()
        .map(|name| {
            let bytes = fs::read(directory.path().join(name)).unwrap();
            let bytes = if name == last { bytes } else { zstd::decode_all(&bytes[..]).unwrap() };
            String::from_utf8(bytes).unwrap()
        })
        .collect();
    assert!(text == lines(200));
    let manifest = cdrlog::manifest::Manifest::read(&directory).unwrap();
    assert_eq!(manifest.files().count(), finished.len());
}

/// A file that nobody wrote to for so many days.
fn leave(directory: &Path, name: &str, days: u32) -> PathBuf {
    let path = directory.join(name);
    fs::write(&path, lines(1)).unwrap();
    let modified = SystemTime::now() - days * Duration::from_secs(86_400);
    fs::File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    path
}

/// Makes files of these names some that an earlier run began.
fn note_as_begun(directory: &Path, names: &[&str]) {
    fs::create_dir(directory.join(".cdrlog")).unwrap();
    fs::write(directory.join(".cdrlog/begun"), names.join("\n") + "\n").unwrap();
}

#[test]
fn files_that_no_run_began_are_left_alone_and_told_of_once() {
    let directory = tempfile::tempdir().unwrap();
    let theirs = leave(directory.path(), "CDR.2024-01-01_00-00-00.log", 700);
    let command = || {
        let mut command = append(directory.path());
        command.args(["--json", "--compress", "zstd", "--retention-bytes", "1"]);
        command
    };
    let message = "holds 1 CDR or rejects file that cdrlog did not create there";
    run(&mut command()).expect(0, &[message, "--manage-foreign"]);
    let again = run(&mut command()).expect(0, &[]);
    assert!(!again.stderr.contains("did not create"), "{again:?}");
    assert!(theirs.exists());
    run(command().arg("--manage-foreign")).expect(0, &["removed", "CDR.2024-01-01_00-00-00.log"]);
    assert!(!theirs.exists());
}

#[test]
fn old_files_are_removed_and_each_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let names = [1, 2, 3, 4].map(|day| format!("CDR.2020-01-0{day}_00-00-00.log"));
    note_as_begun(directory.path(), &names.each_ref().map(String::as_str));
    let [old, recent, ..] =
        [0, 1, 2, 3].map(|number| leave(directory.path(), &names[number], 8 - 2 * number as u32));
    for arguments in [&["--retention-days", "0"][..], &["--retention-bytes", "0"], &[]] {
        run(append(directory.path()).args(arguments)).expect(0, &[]);
        assert!(old.exists());
    }
    let ended = run(append(directory.path()).env("CDRLOG_RETENTION_DAYS", "7"));
    ended.expect(0, &["removed", old.to_str().unwrap()]);
    assert!(!old.exists() && recent.exists());
    let ended = run(append(directory.path()).args(["--retention-bytes", "1"]));
    ended.expect(0, &["removed", recent.to_str().unwrap()]);
    assert!(!recent.exists());
}

#[test]
fn what_cannot_be_done_for_an_earlier_file_is_told_and_fails_no_run() {
    let directory = tempfile::tempdir().unwrap();
    note_as_begun(directory.path(), &["CDR.2020-01-01_00-00-00.log"]);
    let path = leave(directory.path(), "CDR.2020-01-01_00-00-00.log", 700);
    fs::write(directory.path().join("CDR.2020-01-01_00-00-00.log.gz"), "nothing of it").unwrap();
    let mut command = append(directory.path());
    command.args(["--retention-days", "0"]);
    run_with(&mut command, body(0).as_bytes()).expect(0, &["1 line,", path.to_str().unwrap()]);
    assert!(path.exists());
}
