//! An inbox that is not what it should be, or not ours, is not followed, and the opening goes on.
//!
//! Without the checks, an opening would write what another user put there into the CDR, or take the
//! events of another directory.

use std::fs::{self, File};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::os::unix::net::UnixListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::abort::numbers;
use super::accepted::{EVENTS, check, left, parent, recover};

const DIRECTORY: &str = "CDRLOG_FOREIGN_INBOX_DIRECTORY";
const INBOX: &str = "CDRLOG_FOREIGN_INBOX";

#[test]
#[ignore = "the child of a test below; does nothing by itself"]
fn child() {
    let variable = |name| std::env::var_os(name).map(PathBuf::from);
    let (Some(directory), Some(inbox)) = (variable(DIRECTORY), variable(INBOX)) else { return };
    refuses(&directory, &inbox);
}

#[test]
fn an_inbox_that_is_not_ours_is_not_followed_and_the_opening_goes_on() {
    type Change = fn(&Path);
    let changes: [(&str, Change); 11] = [
        ("removed", |inbox| fs::remove_file(inbox).unwrap()),
        ("a link to it", |inbox| {
            fs::rename(inbox, inbox.with_extension("moved")).unwrap();
            symlink(inbox.with_extension("moved"), inbox).unwrap();
        }),
        ("a second name", |inbox| fs::hard_link(inbox, inbox.with_extension("hard")).unwrap()),
        ("a directory", |inbox| {
            fs::remove_file(inbox).unwrap();
            fs::create_dir(inbox).unwrap();
        }),
        ("a FIFO", |inbox| {
            fs::remove_file(inbox).unwrap();
            let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
            let (here, fifo) = (rustix::fs::CWD, rustix::fs::FileType::Fifo);
            rustix::fs::mknodat(here, inbox, fifo, mode, 0).unwrap();
        }),
        ("a socket", |inbox| {
            fs::remove_file(inbox).unwrap();
            drop(UnixListener::bind(inbox).unwrap());
        }),
        ("writable by others", |inbox| {
            fs::set_permissions(inbox, fs::Permissions::from_mode(0o666)).unwrap();
        }),
        ("cut", |inbox| File::options().write(true).open(inbox).unwrap().set_len(100_000).unwrap()),
        ("empty", |inbox| File::options().write(true).open(inbox).unwrap().set_len(0).unwrap()),
        ("of another directory", |inbox| change(inbox, 64)),
        ("of another boot", |inbox| change(inbox, 32)),
    ];
    for (what, change) in changes {
        let parent = parent();
        let (directory, inbox) = left(&parent);
        change(&inbox);
        let recovery = recover(&directory);
        let unusable = recovery.unusable_inbox.map(|(path, _)| path);
        assert_eq!((unusable.as_deref(), recovery.inbox_events), (Some(&*inbox), 0), "{what}");
        assert!(what == "removed" || inbox.symlink_metadata().is_ok(), "{what}: it was removed");
        assert_eq!(numbers(&directory), (vec![], vec![]), "{what}");
        assert!(recover(&directory).is_nothing(), "{what}: it is told twice");
    }
}

/// Of the user `nobody`.
const NOBODY: u32 = 65534;

fn refuses(directory: &Path, inbox: &Path) {
    let recovery = recover(directory);
    let unusable = recovery.unusable_inbox.map(|(path, _)| path);
    assert_eq!((unusable.as_deref(), recovery.inbox_events), (Some(inbox), 0));
    assert_eq!(numbers(directory), (vec![], vec![]));
}

fn give_to_nobody(path: &Path) {
    chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    if path.is_dir() {
        fs::read_dir(path).unwrap().for_each(|entry| give_to_nobody(&entry.unwrap().path()));
    }
}

/// Root may open any file, and takes none that somebody else may have written.
#[test]
fn an_inbox_of_another_user_is_not_followed_by_root() {
    if !rustix::process::geteuid().is_root() {
        return super::skip("an inbox cannot be given to another user", "run as root");
    }
    let parent = parent();
    let (directory, inbox) = left(&parent);
    chown(&inbox, Some(NOBODY), Some(NOBODY)).unwrap();
    refuses(&directory, &inbox);
    assert!(inbox.exists(), "it was removed");
}

/// All but the inbox belongs to `nobody`, who opens the directory.
#[test]
fn an_inbox_of_root_is_not_followed_by_another_user_and_the_opening_goes_on() {
    if !rustix::process::geteuid().is_root() {
        return super::skip("no other user can be played", "run as root");
    }
    let parent = parent();
    let (directory, inbox) = left(&parent);
    give_to_nobody(parent.path());
    chown(&inbox, Some(0), Some(0)).unwrap();
    // The other user may have no way to where this program is.
    let home = tempfile::tempdir().unwrap();
    fs::set_permissions(&home, fs::Permissions::from_mode(0o755)).unwrap();
    let program = home.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let output = Command::new(&program)
        .args(["--exact", "tests::foreign_inbox::child", "--ignored", "--nocapture"])
        .env(DIRECTORY, &directory)
        .env(INBOX, &inbox)
        .current_dir("/")
        .uid(NOBODY)
        .gid(NOBODY)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}");
    assert!(inbox.exists(), "it was removed");
}

/// Changes a byte of the header, and makes its checksum fit again.
fn change(inbox: &Path, offset: usize) {
    let mut bytes = fs::read(inbox).unwrap();
    bytes[offset] ^= 1;
    let checksum = crc32c::crc32c(&bytes[..96]);
    bytes[96..100].copy_from_slice(&checksum.to_le_bytes());
    fs::write(inbox, bytes).unwrap();
}

#[test]
fn a_copy_of_a_directory_takes_nothing_from_the_inbox_of_the_original() {
    let parent = parent();
    let (directory, inbox) = left(&parent);
    let copy = parent.path().join("copy");
    super::copy::copy_tree(&directory, &copy);
    let recovery = recover(&copy);
    assert_eq!(recovery.unusable_inbox, Some((inbox, "it is of another directory")));
    assert_eq!(recover(&directory).inbox_events, EVENTS);
    check(&directory, "the original");
}

#[test]
fn any_bytes_in_an_inbox_give_whole_lines_or_none() {
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for round in 0..12 {
        let parent = parent();
        let (directory, inbox) = left(&parent);
        let mut bytes = fs::read(&inbox).unwrap();
        // Behind the header, where checks are words of their own, or anywhere.
        let begin = if round % 2 == 0 { 4096 } else { 128 };
        for _ in 0..1 << (round % 6 * 2) {
            let offset = begin + next() as usize % (60_000 - begin);
            bytes[offset] = next() as u8;
        }
        fs::write(&inbox, bytes).unwrap();
        recover(&directory);
        for line in super::text_of(&directory, "CDR.").split_inclusive('\n') {
            assert!(crate::rewrite::is_whole_line(line.as_bytes()), "round {round}: {line}");
        }
        for line in super::text_of(&directory, "rejected.").split_inclusive('\n') {
            assert!(crate::rewrite::is_whole_record(line.as_bytes()), "round {round}: {line}");
        }
    }
}
