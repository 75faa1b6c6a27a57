//! `recover`: what it says of killed runs, and what it does.

use std::fs;
use std::path::Path;

use crate::common::{body, cdr, files, lines};
use crate::run::{Run, append, cdrlog, end, run, run_with, start, wait_for};

const KILLS: u64 = 3;
/// It is killed again where the flusher was always faster than the kill.
const KILLS_MAX: u64 = 100;

fn recover(directory: &Path, options: &[&str]) -> Run {
    run(cdrlog().arg("recover").args(options).arg(directory))
}

fn json_of(ended: Run) -> serde_json::Value {
    serde_json::from_str(&ended.expect(0, &[]).stdout).unwrap()
}

#[test]
fn what_the_dry_run_says_is_what_apply_does_after_every_kill() {
    const COUNT: u64 = 50_000;
    let directory = tempfile::tempdir().unwrap();
    let input = directory.path().join("bodies.jsonl");
    fs::write(&input, (0..COUNT).map(|number| body(number) + "\n").collect::<String>()).unwrap();
    let all_lines = lines(COUNT);
    let mut bytes_ever = 0;
    for kill in 1..=KILLS_MAX {
        let target = directory.path().join(format!("cdr-{kill}"));
        // Standard input stays open, so that it cannot end before it is killed.
        let mut child = start(append(&target).arg(&input).arg("-"));
        wait_for("the middle", || {
            let written = if target.exists() { cdr(&target).len() } else { 0 };
            let part = (kill % KILLS + 1) as usize;
            (written >= all_lines.len() / 2 * part / KILLS as usize).then_some(())
        });
        child.kill().unwrap();
        end(child);

        let before = cdr(&target);
        let mut plan = json_of(recover(&target, &["--json"]));
        assert_eq!(cdr(&target), before);
        assert_eq!(plan["applied"], false);
        let done = json_of(recover(&target, &["--json", "--apply"]));
        plan["applied"] = true.into();
        assert_eq!(plan, done);
        let bytes = done["lines_bytes"].as_u64().unwrap();
        bytes_ever += bytes;
        let after = cdr(&target);
        assert_eq!(after.len() as u64, before.len() as u64 + bytes);
        assert!(after.ends_with('\n') && all_lines.starts_with(&after));
        assert_eq!(files(&target, "CDR.").len(), 1, "a file was begun");

        assert_eq!(json_of(recover(&target, &["--json"]))["clean"], true);
        let next = run_with(&mut append(&target), b"").expect(0, &["0 lines"]);
        assert!(!next.stderr.contains("without closing"), "{next:?}");
        assert_eq!(cdr(&target), after);
        if kill >= KILLS && bytes_ever > 0 {
            return;
        }
        fs::remove_dir_all(&target).unwrap();
    }
    panic!("no kill left anything in the journal: the test shows nothing");
}

#[test]
fn a_closed_directory_has_nothing_to_do_and_so_has_one_that_cdrlog_never_saw() {
    let directory = tempfile::tempdir().unwrap();
    let message = format!("{}: nothing to do\n", directory.path().display());
    assert_eq!(recover(directory.path(), &[]).expect(0, &[]).stdout, message);
    run_with(&mut append(directory.path()), body(0).as_bytes()).expect(0, &[]);
    for options in [&[][..], &["--apply"]] {
        assert_eq!(recover(directory.path(), options).expect(0, &[]).stdout, message);
    }
}

#[test]
fn a_directory_in_use_is_named_with_the_process_and_is_exit_code_1() {
    let directory = tempfile::tempdir().unwrap();
    let mut child = start(&mut append(directory.path()));
    wait_for("the lock", || (!files(directory.path(), "CDR.").is_empty()).then_some(()));
    let message = format!(
        "{} is in use by another appender, in process {}",
        directory.path().display(),
        child.id()
    );
    for options in [&[][..], &["--apply"]] {
        recover(directory.path(), options).expect(1, &[&message]);
    }
    drop(child.stdin.take());
    assert_eq!(end(child).code, Some(0));
}

#[test]
fn a_damaged_journal_is_exit_code_1_and_says_the_way_out() {
    let directory = tempfile::tempdir().unwrap();
    run_with(&mut append(directory.path()), body(0).as_bytes()).expect(0, &[]);
    let control = directory.path().join(".cdrlog/control");
    fs::write(&control, "nonsense").unwrap();
    let ended = recover(directory.path(), &[]).expect(1, &["cannot trust", "keep a copy of"]);
    assert_eq!(ended.stdout, "");
    assert_eq!(fs::read(&control).unwrap(), b"nonsense");
}

#[test]
fn a_directory_that_is_not_there_is_exit_code_1() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("cdr");
    recover(&missing, &[]).expect(1, &[missing.to_str().unwrap(), "OPENVIDU_CDR_PATH"]);
    assert!(!missing.exists());
}
