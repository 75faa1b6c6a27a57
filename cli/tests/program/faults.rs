//! What survives when the program is killed, and when the disk is full.
//!
//! Bodies are numbered, so that a lost, doubled, torn or misplaced line shows.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::common::{body, cdr, files, lines};
use crate::run::{Run, append, end, run, run_with, start, wait_for};
use crate::skip::skip;
use crate::support::give_inboxes;

/// How often the program is killed. A quick look; more rounds find rarer moments.
const KILLS: u64 = 3;
/// It is killed again where the flusher was always faster than the kill.
const KILLS_MAX: u64 = 100;

fn bodies(numbers: std::ops::Range<u64>) -> String {
    numbers.map(|number| body(number) + "\n").collect()
}

fn bytes_written(directory: &Path) -> u64 {
    files(directory, "CDR.").iter().map(|path| fs::metadata(path).unwrap().len()).sum()
}

/// The number in "N bytes of lines ... were finished"; 0 where there is no such message.
fn bytes_finished(ended: &Run) -> u64 {
    let Some((before, _)) = ended.stderr.split_once(" bytes of lines and ") else { return 0 };
    before.rsplit(' ').next().unwrap().parse().unwrap()
}

#[test]
fn a_kill_in_the_middle_loses_doubles_and_mixes_up_nothing() {
    const COUNT: u64 = 100_000;
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("bodies.jsonl");
    fs::write(&input, bodies(0..COUNT)).unwrap();
    let all_lines = lines(COUNT);
    let mut bytes_finished_ever = 0;
    for kill in 1..=KILLS_MAX {
        let target = directory.path().join(format!("cdr-{kill}"));
        // Standard input stays open, so that it cannot end before it is killed, however fast it is.
        let mut child = start(append(&target).arg(&input).arg("-"));
        let kill_at = all_lines.len() as u64 / 2 * (kill % KILLS + 1) / KILLS;
        wait_for("the middle", || {
            (target.exists() && bytes_written(&target) >= kill_at).then_some(())
        });
        child.kill().unwrap();
        let killed = end(child);
        assert_eq!(killed.code, None, "it ended by itself: {killed:?}");

        // The next run finishes what was journaled, and only that.
        let before = bytes_written(&target);
        let next = run(&mut append(&target)).expect(0, &["0 lines, 0 rejected"]);
        let bytes = bytes_finished(&next);
        bytes_finished_ever += bytes;
        let finished = cdr(&target);
        assert_eq!(finished.len() as u64, before + bytes, "{next:?}");
        assert!(finished.ends_with('\n') && all_lines.starts_with(&finished));

        // What follows is behind it, in a file that sorts behind it.
        let taken = finished.lines().count() as u64;
        run_with(&mut append(&target), bodies(taken..COUNT).as_bytes()).expect(0, &[]);
        assert!(cdr(&target) == all_lines, "lines are missing, doubled or out of order");
        if kill >= KILLS && bytes_finished_ever > 0 {
            return;
        }
        fs::remove_dir_all(&target).unwrap();
    }
    panic!("no kill left anything in the journal: the test shows nothing");
}

/// A small file system in memory, unmounted at the end of the test however it ends.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// `None`, with the reason printed, where nothing can be mounted: it takes root.
    fn mount(mebibytes: u64) -> Option<Self> {
        let directory = tempfile::tempdir().unwrap();
        let options = format!("size={mebibytes}m");
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &options, "cdrlog-test"])
            .arg(directory.path())
            .output();
        match mounted {
            Ok(output) if output.status.success() => Some(Self(directory)),
            Ok(output) => {
                skip(&String::from_utf8_lossy(&output.stderr), "run as root");
                None
            }
            Err(error) => {
                skip(&format!("mount cannot be run: {error}"), "apt-get install mount");
                None
            }
        }
    }

    fn directory(&self) -> PathBuf {
        self.0.path().join("cdr")
    }

    /// Takes space until [`free`](Self::free).
    fn take(&self, mebibytes: usize) {
        fs::write(self.filler(), vec![1; mebibytes << 20]).unwrap();
    }

    fn free(&self) {
        fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.0.path().join("filler")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: a child that still holds a file must not keep the mount.
        let unmounted = Command::new("umount").arg("-l").arg(self.0.path()).status();
        if !unmounted.is_ok_and(|status| status.success()) {
            eprintln!("{} is left mounted", self.0.path().display());
        }
    }
}

/// The number in "the first K bodies were taken".
fn taken(ended: &Run) -> u64 {
    let (_, rest) = ended.stderr.split_once("the first ").expect("a message of what is taken");
    rest.split(' ').next().unwrap().parse().unwrap()
}

/// The CDR is a beginning of the numbered lines, and ends with a whole one.
#[track_caller]
fn assert_whole_lines(text: &str) {
    let count = text.lines().count() as u64;
    assert!(text == lines(count), "the CDR is not the first {count} lines");
}

#[test]
fn a_full_disk_is_one_sentence_and_the_next_run_finishes_exactly_what_was_taken() {
    const COUNT: u64 = 100_000;
    // The journal takes 4.5 MiB; 3.5 MiB are left for the CDR, and 8 MiB more once the disk is
    // freed.
    let Some(disk) = SmallDisk::mount(16) else { return };
    disk.take(8);
    let directory = disk.directory();
    let mut command = append(&directory);
    let ended = run_with(command.args(["--write-retry-timeout", "1"]), bodies(0..COUNT).as_bytes());
    let path = files(&directory, "CDR.").remove(0);
    let message = format!("cdrlog: cannot write {}: No space left on device", path.display());
    let ended = ended.expect(1, &[&message]);
    let taken = taken(&ended);
    let written = cdr(&directory);
    assert_whole_lines(&written);
    assert!(taken < COUNT && (written.lines().count() as u64) < taken, "{ended:?}");

    // The disk is still full: nothing gets better, and nothing gets worse.
    run(append(&directory).args(["--write-retry-timeout", "1"]))
        .expect(1, &["No space left on device"]);
    assert_whole_lines(&cdr(&directory));

    disk.free();
    run(&mut append(&directory)).expect(0, &["0 lines, 0 rejected"]);
    assert!(cdr(&directory) == lines(taken), "the CDR is not the {taken} bodies that were taken");
}

#[test]
fn a_full_disk_for_which_the_journal_has_room_needs_no_body_again() {
    const COUNT: u64 = 12_000;
    // 2.5 MB of lines; 1.5 MiB are left for the CDR, and the journal holds 4 MiB.
    let Some(disk) = SmallDisk::mount(16) else { return };
    disk.take(10);
    let directory = disk.directory();
    let mut command = append(&directory);
    let ended = run_with(command.args(["--write-retry-timeout", "1"]), bodies(0..COUNT).as_bytes());
    ended.expect(
        1,
        &["No space left on device", "all 12000 bodies were taken, do not give them again"],
    );
    disk.free();
    run(&mut append(&directory)).expect(0, &["0 lines, 0 rejected"]);
    assert!(cdr(&directory) == lines(COUNT));
}

/// By strace, which counts the calls of each thread: `fdatasync` from the third on (an opening
/// makes two), and the 15th `fsync` (an opening makes eleven), which is that of the directory after
/// a rotation.
#[test]
fn a_failed_sync_is_one_sentence_and_no_body_is_to_be_given_again() {
    for failing in ["inject=fdatasync:error=EIO:when=3+", "inject=fsync:error=EIO:when=15"] {
        run_with_failing(failing);
    }
}

/// Skips where strace cannot be had.
fn run_with_failing(failing: &str) {
    const COUNT: u64 = 20;
    let strace = ["-f", "-qq", "-o", "/dev/null", "-e", failing];
    let works = Command::new("strace").args(strace).arg("true").status();
    if !works.is_ok_and(|status| status.success()) {
        skip("strace cannot be run", "apt-get install strace");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut command = Command::new("strace");
    give_inboxes(&mut command);
    command.args(strace).arg(env!("CARGO_BIN_EXE_cdrlog")).arg("append");
    command.arg("--dir").arg(directory.path()).args(["--sync", "always", "--rotate-bytes", "1"]);
    let ended = run_with(&mut command, bodies(0..COUNT).as_bytes());
    let files = files(directory.path(), "CDR.");
    let (first, last) = (files.first().unwrap(), files.last().unwrap());
    let last = last.file_name().unwrap().display();
    let left = format!("check the disk and {} to {last}", first.display());
    ended.expect(
        1,
        &["Input/output error", "all 20 bodies were taken, do not give them again", &left],
    );
    assert_eq!(cdr(directory.path()), lines(COUNT));
}

#[test]
fn a_disk_that_is_freed_in_time_is_waited_for() {
    const COUNT: u64 = 30_000;
    let Some(disk) = SmallDisk::mount(16) else { return };
    disk.take(10);
    let directory = disk.directory();
    let input = disk.0.path().with_extension("jsonl");
    fs::write(&input, bodies(0..COUNT)).unwrap();
    let child = start(append(&directory).args(["--write-retry-timeout", "60"]).arg(&input));
    wait_for("the end of the space", || {
        (directory.exists() && bytes_written(&directory) >= 1 << 20).then_some(())
    });
    // Long enough for some tries that fail.
    std::thread::sleep(Duration::from_millis(200));
    disk.free();
    let ended = end(child);
    fs::remove_file(&input).unwrap();
    ended.expect(0, &["30,000 lines"]);
    assert!(cdr(&directory) == lines(COUNT));
}

#[test]
fn a_disk_without_room_for_the_journal_is_one_sentence_and_leaves_no_space_taken() {
    let Some(disk) = SmallDisk::mount(4) else { return };
    let ended = run_with(&mut append(&disk.directory()), body(0).as_bytes()).expect(1, &[]);
    let message = ended.only_message();
    assert!(message.starts_with("cdrlog: cannot allocate space for "), "{message}");
    assert!(message.contains(disk.directory().to_str().unwrap()), "{message}");
    assert!(message.contains("No space left on device"), "{message}");
}

/// A run whose directory is taken away by `take` in the middle.
fn run_whose_directory_is(take: fn(&Path, &Path)) -> Run {
    let parent = tempfile::tempdir().unwrap();
    let (directory, elsewhere) = (parent.path().join("cdr"), parent.path().join("elsewhere"));
    let mut child = start(append(&directory).args(["--write-retry-timeout", "0"]));
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "{}", body(0)).unwrap();
    wait_for("the line", || (directory.exists() && cdr(&directory) == lines(1)).then_some(()));
    take(&directory, &elsewhere);
    writeln!(input, "{}", body(1)).unwrap();
    drop(input);
    end(child)
}

/// It was said that nothing was to be given again, for the next run would write it.
#[test]
fn a_run_whose_directory_is_removed_or_moved_does_not_say_that_the_next_one_finishes_it() {
    for take in [
        |directory: &Path, _: &Path| fs::remove_dir_all(directory).unwrap(),
        |directory: &Path, elsewhere: &Path| fs::rename(directory, elsewhere).unwrap(),
    ] {
        let ended = run_whose_directory_is(take);
        assert!(!ended.stderr.contains("do not give them again"), "{ended:?}");
        ended.expect(1, &["No such file or directory", ".cdrlog was moved or removed"]);
    }
}
