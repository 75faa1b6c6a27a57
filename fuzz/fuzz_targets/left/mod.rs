//! A directory as a killed process leaves it, to be damaged and opened.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Duration;

use cdrlog::fuzzing::{is_whole_line, is_whole_record, recover};
use cdrlog::{Appender, OpenError};

/// Lines that are synced, and lines that are only journaled.
const SYNCED: u64 = 2;
const JOURNALED: u64 = 5;

/// What others appended to the file, so that the lines behind it are anchored behind it.
const THEIRS: &[u8] = b"{\"theirs\":{}}\n";
/// What no recovery may touch: it was synced, and the anchor is behind it.
const BEFORE_THE_ANCHOR: &[u8] = b"{\"e\":{\"n\":0}}\n{\"e\":{\"n\":1}}\n{\"theirs\":{}}\n";

/// A segment needs no more of its file than what is committed.
const SEGMENT_FILE_BYTES: usize = HEADER_BYTES + 4096;
const HEADER_BYTES: usize = 4096;

/// Where the control file says that there is nothing to do.
const CLEAN: usize = 12;

/// Paths in a directory, and what is there.
type Files = BTreeMap<PathBuf, Vec<u8>>;

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
            let (path, content) = self.files.iter_mut().nth(index).unwrap();
            let offset = usize::from(u16::from_le_bytes([*o0, *o1]));
            if path.extension().is_none() {
                if let Some(place) = content.get_mut(offset..offset + count) {
                    place.copy_from_slice(bytes);
                }
            } else if count > 0 {
                content.extend_from_slice(bytes);
            } else {
                content.truncate(content.len() - offset % (content.len() + 1));
            }
        }
        for (path, content) in &mut self.files {
            mend_checksums(path, content);
        }
        self
    }

    pub fn check(self) {
        let directory = memory_directory();
        let directory = directory.path();
        fs::create_dir(directory.join(".cdrlog")).unwrap();
        for (path, content) in &self.files {
            fs::write(directory.join(path), content).unwrap();
        }
        let recovered = recover(directory);
        let once = files_of(directory);
        match recovered {
            Err(OpenError::Damaged { .. }) => assert!(once == self.files, "a change was made"),
            Err(error) => panic!("{error}"),
            Ok(_) => self.check_logs(&once),
        }
        let control = Path::new(".cdrlog/control");
        let was_clean = self.files[control][CLEAN..].starts_with(&[1, 0, 0, 0]);
        if recovered.is_ok() && !was_clean {
            // Killed before it said so: what was repaired is not repaired again.
            let control = directory.join(control);
            let mut page = fs::read(&control).unwrap();
            page[CLEAN] = 0;
            fs::write(&control, page).unwrap();
            recover(directory).unwrap();
            assert!(logs(&files_of(directory)).eq(logs(&once)), "a second time changed lines");
        }
    }

    /// Compares the CDR and the rejects with what they were.
    fn check_logs(&self, after: &Files) {
        for (path, after) in logs(after) {
            let is_cdr = path.extension().is_some_and(|extension| extension == "log");
            let before = self.files.get(path).map_or(&[][..], Vec::as_slice);
            let same = before.iter().zip(after).take_while(|(old, new)| old == new).count();
            let synced = if is_cdr { before.starts_with(BEFORE_THE_ANCHOR) } else { false };
            assert!(!synced || same >= BEFORE_THE_ANCHOR.len(), "changed before the anchor");
            if same == after.len() {
                continue;
            }
            // Either the line that was there in part was completed, or ended by a line feed.
            let line_start = |end: usize| {
                after[..end].iter().rposition(|&byte| byte == b'\n').map_or(0, |at| at + 1)
            };
            let joined = !before.is_empty() && !before.ends_with(b"\n");
            let ended = joined && same == before.len() && after[same] == b'\n' && {
                let line = &after[line_start(same)..=same];
                !(if is_cdr { is_whole_line(line) } else { is_whole_record(line) })
            };
            let added = if ended { same + 1 } else { line_start(same) };
            for line in after[added..].split_inclusive(|&byte| byte == b'\n') {
                let is_whole = if is_cdr { is_whole_line(line) } else { is_whole_record(line) };
                assert!(is_whole, "{}", String::from_utf8_lossy(line));
            }
        }
    }
}

/// The CDR and the rejects, without what is kept beside them.
fn logs(files: &Files) -> impl Iterator<Item = (&PathBuf, &Vec<u8>)> {
    files.iter().filter(|(path, _)| {
        path.extension().is_some_and(|extension| extension == "log" || extension == "jsonl")
    })
}

fn files_of(directory: &Path) -> Files {
    let mut files = Files::new();
    for folder in [directory.to_owned(), directory.join(".cdrlog")] {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_file() && !path.ends_with("lock") {
                let content = fs::read(&path).unwrap();
                files.insert(path.strip_prefix(directory).unwrap().to_owned(), content);
            }
        }
    }
    files
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
    let mut files = files_of(directory.path());
    // Nothing that a recovery reads.
    files.remove(Path::new(".cdrlog/begun"));
    for (path, content) in &mut files {
        content.truncate(SEGMENT_FILE_BYTES);
        if path.extension().is_none() && !path.ends_with("control") {
            // The header says how long the file is.
            let data_bytes = content.len() as u64 - HEADER_BYTES as u64;
            content[24..32].copy_from_slice(&data_bytes.to_le_bytes());
            mend_checksums(path, content);
        }
    }
    files
}

/// Makes the checksums of the fixed parts fit (segment.rs, control/). Those of anchors are left
/// to catch the damage: an anchor that says something else is another anchor.
fn mend_checksums(path: &Path, content: &mut [u8]) {
    if path.ends_with("control") {
        let fixed = crc32c::crc32c_append(crc32c::crc32c(&content[..12]), &content[16..40]);
        content[40..44].copy_from_slice(&fixed.to_le_bytes());
        let segments = crc32c::crc32c_append(crc32c::crc32c(&content[16..24]), &content[44..52]);
        content[52..56].copy_from_slice(&segments.to_le_bytes());
    } else if path.extension().is_none() {
        let checksum = crc32c::crc32c(&content[..32]);
        content[32..36].copy_from_slice(&checksum.to_le_bytes());
    }
}
