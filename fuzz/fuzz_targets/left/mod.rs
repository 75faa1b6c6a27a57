//! A directory as a killed process leaves it, to be damaged and opened.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use cdrlog::Appender;

/// Lines that are synced, and lines that are only journaled.
const SYNCED: u64 = 2;
const JOURNALED: u64 = 5;

/// What others appended to the file, so that the lines behind it are anchored behind it.
const THEIRS: &[u8] = b"{\"theirs\":{}}\n";
const BEFORE_THE_ANCHOR: &[u8] = b"{\"e\":{\"n\":0}}\n{\"e\":{\"n\":1}}\n{\"theirs\":{}}\n";

/// The files of a killed process: path in the directory, content.
type Files = Vec<(PathBuf, Vec<u8>)>;

pub struct Left {
    files: Files,
}

impl Left {
    /// The same for every run: made once.
    pub fn behind() -> Self {
        static FILES: OnceLock<Files> = OnceLock::new();
        Self { files: FILES.get_or_init(leave).clone() }
    }

    pub fn damaged_by(mut self, mut damage: &[u8]) -> Self {
        while let [which, o0, o1, length, rest @ ..] = damage {
            let count = usize::from(*length).min(rest.len());
            let (bytes, later) = rest.split_at(count);
            damage = later;
            let index = usize::from(*which) % self.files.len();
            let (path, content) = &mut self.files[index];
            let offset = usize::from(u16::from_le_bytes([*o0, *o1]));
            if path.extension().is_some() {
                // The CDR or the rejects: only the end of it, behind what was synced.
                content.extend_from_slice(bytes);
            } else if let Some(place) = content.get_mut(offset..offset + count) {
                place.copy_from_slice(bytes);
            }
        }
        for (path, content) in &mut self.files {
            mend_checksums(path, content);
        }
        self
    }

    pub fn check(self) {
        let directory = memory_directory();
        for (path, content) in &self.files {
            let path = directory.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        let opened = builder(directory.path()).open().map(drop);
        let once = cdr(directory.path());
        assert!(once.starts_with(BEFORE_THE_ANCHOR), "a byte before the anchor was changed");
        let opened_again = builder(directory.path()).open().map(drop);
        // What was repaired once is not repaired again.
        assert!(opened.is_err() || opened_again.is_ok(), "{opened_again:?}");
        assert!(opened.is_err() || cdr(directory.path()) == once, "a second opening changed lines");
    }
}

/// All CDR files, one after the other.
fn cdr(directory: &Path) -> Vec<u8> {
    let mut paths: Vec<_> =
        fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "log"));
    paths.sort();
    paths.iter().flat_map(|path| fs::read(path).unwrap()).collect()
}

fn builder(directory: &Path) -> cdrlog::Builder {
    Appender::builder(directory).segment_count(2).segment_bytes(4096).event_bytes_max(2048)
}

fn memory_directory() -> tempfile::TempDir {
    tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap()
}

fn leave() -> Files {
    let directory = memory_directory();
    let appender =
        builder(directory.path()).flush_interval(Duration::from_secs(60)).open().unwrap();
    let producer = appender.producer();
    let send = |number: u64| {
        producer.send_slice(format!(r#"{{"n":{number},"event":"e"}}"#).as_bytes()).unwrap();
        producer.send_slice(format!("no event {number}").as_bytes()).unwrap();
    };
    (0..SYNCED).for_each(send);
    appender.sync().unwrap();
    let mut cdr_file = fs::File::options().append(true).open(appender.cdr_path()).unwrap();
    cdr_file.write_all(THEIRS).unwrap();
    send(SYNCED);
    appender.sync().unwrap();
    (SYNCED + 1..=SYNCED + JOURNALED).for_each(send);
    while appender.stats().events_accepted < 2 * (SYNCED + 1 + JOURNALED) {
        std::thread::yield_now();
    }
    let mut files: Files = Vec::new();
    for folder in [directory.path().to_owned(), directory.path().join(".cdrlog")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && !path.ends_with("lock") {
                let content = fs::read(&path).unwrap();
                files.push((path.strip_prefix(directory.path()).unwrap().to_owned(), content));
            }
        }
    }
    files.sort();
    files
}

/// Makes the checksums of the fixed parts fit (segment.rs, control.rs). Those of anchors are left
/// to catch the damage: an anchor that says something else is another anchor.
fn mend_checksums(path: &Path, content: &mut [u8]) {
    if path.ends_with("control") {
        let fixed = crc32c::crc32c_append(crc32c::crc32c(&content[..12]), &content[16..40]);
        content[40..44].copy_from_slice(&fixed.to_le_bytes());
    } else if path.extension().is_none() {
        let checksum = crc32c::crc32c(&content[..32]);
        content[32..36].copy_from_slice(&checksum.to_le_bytes());
    }
}
