//! What others do to our files is noticed: no line is doubled or torn, none is written where nobody
//! finds it, and nothing of others is overwritten.
//!
//! Without the look at the file before each write, lines would go on into a file that was removed,
//! as happens to every logger that logrotate forgot. Without the check of what was opened, they
//! would go into a FIFO that somebody put in the place of the CDR, and be gone.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use crate::support::{Mount, body, cdr, files, line, lines, skip, wait_for};
use cdrlog::{Appender, Notice, OpenError};

/// Sends numbered events at full speed while `disturb` is called ten times, each time between some
/// writes; gives how many were sent.
fn under_load(directory: &Path, mut disturb: impl FnMut(&Path, u32)) -> u64 {
    let appender = Appender::builder(directory)
        // What is done is done to one file, also at midnight.
        .rotate_daily(false)
        .flush_interval(Duration::from_millis(2))
        .segment_bytes(64 << 10)
        .event_bytes_max(4096)
        .open()
        .unwrap();
    let cdr_path = appender.cdr_path().to_owned();
    let over = AtomicBool::new(false);
    let wait_for_writes = || {
        let before = appender.stats().writes;
        wait_for("some writes", || (appender.stats().writes > before + 2).then_some(()));
    };
    let sent = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            let producer = appender.producer();
            let mut number = 0;
            while !over.load(Ordering::Relaxed) {
                producer.send_slice(body(number).as_bytes()).unwrap();
                number += 1;
            }
            number
        });
        for time in 0..10 {
            wait_for_writes();
            std::thread::sleep(Duration::from_millis(10));
            disturb(&cdr_path, time);
        }
        // The last one is noticed too.
        wait_for_writes();
        over.store(true, Ordering::Relaxed);
        sender.join().unwrap()
    });
    let stats = appender.close().unwrap();
    assert!(stats.files_changed_by_others > 0, "nothing was noticed");
    sent
}

/// The numbers of the lines, each of which is whole.
fn numbers(text: &str) -> Vec<u64> {
    let number_of = |text: &str| {
        let value: serde_json::Value = serde_json::from_str(text).unwrap();
        let number = value["numbered"]["number"].as_u64().unwrap();
        assert_eq!(format!("{text}\n"), line(number));
        number
    };
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(number_of).collect()
}

#[track_caller]
fn assert_in_order(text: &str) {
    assert!(numbers(text).is_sorted_by(|one, next| one < next), "doubled or out of order");
}

#[test]
fn logrotate_by_renaming_loses_no_line() {
    let directory = tempfile::tempdir().unwrap();
    let moved = |time: u32| directory.path().join(format!("moved-{time:02}"));
    let sent = under_load(directory.path(), |path, time| {
        // The first rotation may come before the first line, or twice between two writes.
        if path.exists() {
            fs::rename(path, moved(time)).unwrap();
        }
        if time % 2 == 0 {
            // `create`: an empty file in its place.
            let _ = fs::File::options().create_new(true).write(true).open(path);
        }
    });
    let moved: String = files(directory.path(), "moved-")
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    assert!(moved + &cdr(directory.path()) == lines(sent), "lines are lost, doubled or mixed up");
}

#[test]
fn logrotate_by_copytruncate_leaves_whole_lines_and_doubles_none() {
    let directory = tempfile::tempdir().unwrap();
    let mut copies = String::new();
    under_load(directory.path(), |path, _| {
        // What is written between these two is lost: so copytruncate is.
        let copied = fs::read(path).unwrap();
        fs::File::options().write(true).open(path).unwrap().set_len(0).unwrap();
        copies.push_str(std::str::from_utf8(&copied).unwrap());
    });
    // A reader may see the end of a long write a moment later; copies end where they ended.
    let text = cdr(directory.path());
    assert!(!text.contains('\0'), "a hole");
    assert_in_order(&text);
    assert!(!copies.contains('\0'), "a hole");
}

#[test]
fn a_file_that_is_removed_is_made_anew() {
    let directory = tempfile::tempdir().unwrap();
    under_load(directory.path(), |path, _| {
        let _ = fs::remove_file(path);
    });
    assert_in_order(&cdr(directory.path()));
}

#[test]
fn a_file_of_others_in_its_place_is_appended_to() {
    let directory = tempfile::tempdir().unwrap();
    let theirs = line(0);
    under_load(directory.path(), |path, time| {
        let other = path.with_extension("other");
        fs::write(&other, &theirs).unwrap();
        if time == 9 {
            fs::rename(&other, path).unwrap();
        }
    });
    let text = fs::read_to_string(&files(directory.path(), "CDR.")[0]).unwrap();
    assert!(text.starts_with(&theirs));
    assert_in_order(&text[theirs.len()..]);
}

#[test]
fn half_a_line_of_others_is_ended_before_the_next_one_of_ours() {
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(directory.path()).open().unwrap();
    let path = appender.cdr_path().to_owned();
    let send = |number| appender.producer().send_slice(body(number).as_bytes()).unwrap();
    send(0);
    appender.flush().unwrap();
    fs::write(&path, "theirs").unwrap();
    send(1);
    appender.flush().unwrap();
    fs::remove_file(&path).unwrap();
    fs::write(&path, "other").unwrap();
    send(2);
    appender.flush().unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "other\n".to_owned() + &line(2));
    appender.close().unwrap();
}

fn make_fifo(path: &Path) {
    assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
}

/// Puts something that is no file of ours at `path`.
fn put(kind: &str, path: &Path) {
    match kind {
        "directory" => fs::create_dir(path).unwrap(),
        "link" => symlink("/etc/hostname", path).unwrap(),
        _ => make_fifo(path),
    }
}

fn take_away(kind: &str, path: &Path) {
    if kind == "directory" { fs::remove_dir(path) } else { fs::remove_file(path) }.unwrap();
}

#[test]
fn something_else_in_the_place_of_the_cdr_gets_no_line_and_they_wait_until_it_is_gone() {
    for kind in ["directory", "link", "fifo"] {
        let directory = tempfile::tempdir().unwrap();
        let (sender, notices) = mpsc::channel();
        let appender = Appender::builder(directory.path())
            .on_notice(move |notice| sender.send(notice.clone()).unwrap())
            .open()
            .unwrap();
        let producer = appender.producer();
        producer.send_slice(body(0).as_bytes()).unwrap();
        appender.flush().unwrap();
        let path = appender.cdr_path().to_owned();
        fs::rename(&path, directory.path().join("moved")).unwrap();
        put(kind, &path);
        producer.send_slice(body(1).as_bytes()).unwrap();
        let next = || notices.recv_timeout(Duration::from_secs(60)).expect(kind);
        let heard = [next(), next()];
        assert!(
            matches!(&heard, [Notice::ChangedByOthers(_), Notice::WritesFail(failure)]
                | [Notice::WritesFail(failure), Notice::ChangedByOthers(_)]
                if failure.path() == Some(&path)),
            "{kind}: {heard:?}"
        );
        take_away(kind, &path);
        appender.close().unwrap();
        assert_eq!(fs::read_to_string(directory.path().join("moved")).unwrap(), line(0), "{kind}");
        assert_eq!(cdr(directory.path()), line(1), "{kind}");
    }
}

/// Opens in a thread of its own: an opening that waits for the other end of a FIFO must not hang
/// the test.
fn open_within_time(directory: PathBuf) -> Result<Appender, OpenError> {
    let (sender, opened) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = sender.send(Appender::builder(directory).open());
    });
    opened.recv_timeout(Duration::from_secs(60)).expect("the opening hangs")
}

#[test]
fn something_else_in_the_place_of_a_file_of_the_journal_is_an_error_with_its_name() {
    for name in ["lock", "control", "journal-0", "journal-3", "rejects-1"] {
        for kind in ["directory", "link", "fifo"] {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join(".cdrlog").join(name);
            fs::create_dir(directory.path().join(".cdrlog")).unwrap();
            put(kind, &path);
            let error = open_within_time(directory.path().to_owned())
                .map(|_| ())
                .expect_err(&format!("{kind} as {name}"))
                .to_string();
            assert!(error.contains(path.to_str().unwrap()), "{kind} as {name}: {error}");
            take_away(kind, &path);
            Appender::builder(directory.path()).open().unwrap().close().unwrap();
        }
    }
}

#[test]
fn something_else_in_the_place_of_the_folder_is_an_error_with_its_name() {
    let elsewhere = tempfile::tempdir().unwrap();
    for kind in ["file", "link", "fifo"] {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".cdrlog");
        match kind {
            "file" => fs::write(&path, "theirs").unwrap(),
            "link" => symlink(elsewhere.path(), &path).unwrap(),
            _ => make_fifo(&path),
        }
        let error = open_within_time(directory.path().to_owned()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains(path.to_str().unwrap()), "{kind}: {error}");
    }
    assert!(fs::read_dir(elsewhere.path()).unwrap().next().is_none(), "written through a link");
}

/// Whoever owns the folder can put any file in the place of ours at any time.
#[test]
fn a_folder_of_another_owner_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(".cdrlog");
    fs::create_dir(&path).unwrap();
    if std::os::unix::fs::chown(&path, Some(65533), None).is_err() {
        skip("only root can give a folder to another user", "run as root");
        return;
    }
    for opened in [
        Appender::builder(directory.path()).open().map(drop),
        Appender::builder(directory.path()).recover().map(drop),
    ] {
        let error = opened.unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()) && error.contains("65533"), "{error}");
    }
    assert!(fs::read_dir(&path).unwrap().next().is_none(), "written to the folder of another");
}

/// What is written to a file that has a second name changes under that name too.
#[test]
fn a_file_of_the_journal_that_has_a_second_name_is_not_written_through() {
    for name in ["lock", "control", "control.new", "journal-0", "rejects-1"] {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        let path = directory.path().join(".cdrlog").join(name);
        fs::create_dir(directory.path().join(".cdrlog")).unwrap();
        fs::write(&victim, "theirs").unwrap();
        fs::hard_link(&victim, &path).unwrap();
        let error = Appender::builder(directory.path()).open().map(drop).unwrap_err().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{name}: {error}");
        assert_eq!(fs::read_to_string(&victim).unwrap(), "theirs", "{name}");
        fs::remove_file(&path).unwrap();
        Appender::builder(directory.path()).open().unwrap().close().unwrap();
    }
}

#[test]
fn a_directory_that_is_removed_is_waited_for() {
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("cdr");
    let appender = Appender::builder(&directory).open().unwrap();
    let producer = appender.producer();
    fs::remove_dir_all(&directory).unwrap();
    producer.send_slice(body(0).as_bytes()).unwrap();
    assert!(appender.flush().is_err());
    assert!(appender.write_failure().is_some());
    fs::create_dir(&directory).unwrap();
    appender.close().unwrap();
    assert_eq!(cdr(&directory), line(0));
}

#[test]
fn a_read_only_file_system_is_an_error_with_a_name() {
    let Some(mount) = Mount::new("tmpfs", 16) else { return };
    let directory = mount.path().join("cdr");
    Appender::builder(&directory).open().unwrap().close().unwrap();
    mount.make_read_only();
    let error = Appender::builder(&directory).open().map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("Read-only file system"), "{error}");
    assert!(error.to_string().contains(directory.to_str().unwrap()), "{error}");
}

/// What most distributions have ext4 do about a damaged block. There is no way back without a new
/// mount, and with the mapped journal going down too it is like a power loss.
#[test]
fn a_file_system_that_goes_read_only_under_us_is_told_and_keeps_what_was_synced() {
    let Some(mount) = Mount::new("ext4", 64) else { return };
    let directory = mount.path().join("cdr");
    let (sender, notices) = mpsc::channel();
    let appender = Appender::builder(&directory)
        .on_notice(move |notice| sender.send(notice.clone()).unwrap())
        .close_timeout(Duration::from_millis(100))
        .open()
        .unwrap();
    let producer = appender.producer();
    (0..1000).for_each(|number| producer.send_slice(body(number).as_bytes()).unwrap());
    appender.sync().unwrap();
    if !mount.break_ext4() {
        return;
    }
    (1000..2000).for_each(|number| producer.send_slice(body(number).as_bytes()).unwrap());
    let heard = notices.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(heard.to_string().contains("Read-only file system"), "{heard}");
    assert!(appender.flush().is_err());
    let error = appender.close().unwrap_err();
    assert!(error.to_string().contains("Read-only file system"), "{error}");
    assert_eq!(error.stats().events_journaled, 2000);
    mount.boot_again();
    crate::support::change_boot_id(&directory);
    Appender::builder(&directory).open().unwrap().close().unwrap();
    let text = cdr(&directory);
    let count = text.lines().count() as u64;
    assert!(text == lines(count) && count >= 1000, "{count} lines are there");
}
