//! Directories that older versions wrote are opened, recovered and read: `docs/format.md` promises
//! it, and `tests/data/format` holds them.
//!
//! Without them an upgrade could find its own journal damaged, with lines in it that are nowhere
//! else.

use std::fs;
use std::path::{Path, PathBuf};

use cdrlog::{Appender, Builder};

use crate::support::{cdr, change_boot_id, files, rejects, rewrite_boot_id};

const CDR_OF_KILLED: &str = "CDR.2026-11-26_09-23-32.log";
/// So many events were sent to the process that was killed: the first were synced, the next only
/// written, the others only journaled.
const SYNCED: u64 = 5;
const WRITTEN: u64 = 10;
const SENT: u64 = 25;

/// A copy of a directory, its files as long as they were: zeros at the end are not kept.
fn copy_of(name: &str) -> tempfile::TempDir {
    let from = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/format").join(name);
    let copy = tempfile::tempdir().unwrap();
    fs::create_dir(copy.path().join(".cdrlog")).unwrap();
    for line in fs::read_to_string(from.join("sizes")).unwrap().lines() {
        let (name, bytes) = line.split_once(' ').unwrap();
        let mut content = fs::read(from.join(name)).unwrap();
        let bytes = bytes.parse().unwrap();
        assert!(content.len() <= bytes, "{name} is longer than it was");
        content.resize(bytes, 0);
        fs::write(copy.path().join(name), content).unwrap();
    }
    copy
}

/// Keeps what is old: the files are of one day, and stay for as long as the tests are run.
fn builder(directory: &Path) -> Builder {
    Appender::builder(directory).utc(true).retention_age(None)
}

fn body(number: u64) -> String {
    let timestamp = 1_538_481_330_577 + number;
    format!(r#"{{"sessionId":"ses_{number}","timestamp":{timestamp},"event":"sessionCreated"}}"#)
}

/// The lines of events.
fn lines(numbers: std::ops::Range<u64>) -> String {
    let line = |number| {
        let timestamp = 1_538_481_330_577 + number;
        format!(
            "{{\"sessionCreated\":{{\"sessionId\":\"ses_{number}\",\"timestamp\":{timestamp}}}}}\n"
        )
    };
    numbers.map(line).collect()
}

fn control_version(directory: &Path) -> u32 {
    let page = fs::read(directory.join(".cdrlog/control")).unwrap();
    u32::from_le_bytes(page[8..12].try_into().unwrap())
}

/// Makes the directory one that a process of this boot of the machine wrote.
fn set_boot_id_of_now(directory: &Path) {
    let text = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let digits: String = text.chars().filter(char::is_ascii_hexdigit).collect();
    let now = u128::from_str_radix(&digits, 16).unwrap().to_be_bytes();
    rewrite_boot_id(directory, |id| id.copy_from_slice(&now));
}

fn bodies_of_rejects(directory: &Path) -> Vec<serde_json::Value> {
    rejects(directory).iter().map(|record| record["body"].clone()).collect()
}

#[test]
fn a_directory_that_version_1_closed_is_opened_with_nothing_to_repair_and_goes_on() {
    let directory = copy_of("v1/closed");
    assert_eq!(control_version(directory.path()), 1);
    let [old] = &files(directory.path(), "CDR.2026-11-26_09-23-30")[..] else { panic!() };
    assert_eq!(fs::read_to_string(old).unwrap(), lines(10..20));
    let appender = builder(directory.path()).open().unwrap();
    assert!(appender.recovery().is_nothing(), "{}", appender.recovery());
    let new: PathBuf = appender.cdr_path().to_owned();
    assert!(new > *old, "{} sorts before {}", new.display(), old.display());
    appender.producer().send_slice(body(20).as_bytes()).unwrap();
    appender.close().unwrap();
    assert_eq!(control_version(directory.path()), 2);
    assert_eq!(fs::read_to_string(old).unwrap(), lines(10..20));
    assert_eq!(fs::read_to_string(new).unwrap(), lines(20..21));
    let [text, bytes] = &rejects(directory.path())[..] else { panic!("two rejects") };
    assert_eq!((&text["body"], &bytes["body_base64"]), (&"no event".into(), &"/3t9".into()));
}

#[test]
fn what_version_1_only_journaled_before_a_kill_is_appended() {
    let directory = copy_of("v1/killed");
    set_boot_id_of_now(directory.path());
    assert_eq!(cdr(directory.path()), lines(0..WRITTEN));
    let appender = builder(directory.path()).open().unwrap();
    let recovery = appender.recovery().clone();
    appender.close().unwrap();
    assert!(!recovery.power_loss, "{recovery}");
    assert_eq!(recovery.lines_bytes, lines(WRITTEN..SENT).len() as u64);
    assert!(recovery.rejects_bytes > 0, "{recovery}");
    assert!(cdr(directory.path()) == lines(0..SENT), "lines are lost, doubled or mixed up");
    assert_eq!(bodies_of_rejects(directory.path()), ["no event", "{\"event\":1}"]);
}

#[test]
fn what_version_1_had_written_before_a_power_loss_is_made_good_by_its_frames() {
    let cut = lines(0..SYNCED + 2).len() as u64 + 10;
    let directory = copy_of("v1/killed");
    change_boot_id(directory.path());
    let path = directory.path().join(CDR_OF_KILLED);
    fs::File::options().write(true).open(&path).unwrap().set_len(cut).unwrap();
    let appender = builder(directory.path()).open().unwrap();
    let recovery = appender.recovery().clone();
    appender.close().unwrap();
    assert!(recovery.power_loss, "{recovery}");
    // What was only journaled is in no frame: it does not survive this.
    assert!(cdr(directory.path()) == lines(0..WRITTEN), "{}", cdr(directory.path()));
    assert_eq!(bodies_of_rejects(directory.path()), ["no event"]);
}

#[test]
fn a_format_of_a_later_version_is_named_and_left_alone() {
    for (name, magic) in [("control", "cdrlogC1"), ("journal-0", "cdrlogJ1")] {
        let directory = copy_of("v1/killed");
        let path = directory.path().join(".cdrlog").join(name);
        let mut page = fs::read(&path).unwrap();
        assert_eq!(page[..8], *magic.as_bytes());
        page[8] = 9;
        if name == "control" {
            fs::write(&path, &page).unwrap();
            rewrite_boot_id(directory.path(), |_| ());
        } else {
            let checksum = crc32c::crc32c(&page[..32]);
            page[32..36].copy_from_slice(&checksum.to_le_bytes());
            fs::write(&path, &page).unwrap();
        }
        let before = fs::read(&path).unwrap();
        let error = builder(directory.path()).open().unwrap_err().to_string();
        assert!(error.contains("format version 9") && error.contains(name), "{error}");
        assert!(fs::read(&path).unwrap() == before, "{name} was changed");
        assert_eq!(cdr(directory.path()), lines(0..WRITTEN));
    }
}

#[cfg(feature = "manifest")]
#[test]
fn the_manifest_that_version_1_began_is_read_and_its_chain_goes_on() {
    use cdrlog::manifest::Manifest;
    let directory = copy_of("v1/closed");
    let before = Manifest::read(&directory).unwrap();
    let listed = before.file("CDR.2026-11-26_09-23-29.log").unwrap();
    assert_eq!((listed.sealed.lines, listed.sealed.bytes), (10, lines(0..10).len() as u64));
    let hash = blake3::hash(lines(0..10).as_bytes());
    assert_eq!(listed.sealed.blake3.as_bytes(), hash.as_bytes());
    let appender = builder(directory.path()).open().unwrap();
    appender.wait_for_maintenance().unwrap();
    appender.close().unwrap();
    // The files that were open when version 1 ended are finished now.
    let after = Manifest::read(&directory).unwrap();
    assert_eq!((before.entries(), after.entries()), (1, 3));
    assert!(after.file("rejected.2026-11-26_09-23-29.jsonl").is_some());
}

#[cfg(feature = "reader")]
#[test]
fn what_version_1_compressed_is_read() {
    use cdrlog::Reader;
    let directory = copy_of("v1/closed");
    let mut reader = Reader::builder(directory.path()).open().unwrap();
    let mut text = String::new();
    while let Some(line) = reader.next_line().unwrap() {
        text += std::str::from_utf8(line.bytes()).unwrap();
        text.push('\n');
    }
    assert_eq!(text, lines(0..20));
}
