//! What was synced survives a power loss, and what is there afterwards is whole lines.
//!
//! A disk keeps what a sync returned for. Of everything stored after that it keeps any pages in any
//! of the states they went through, and any length of a file between the old and the new one. A
//! recovery that went back to the last line feed would let lines through that have a hole in the
//! middle, and one that believed the journal's counters would append lines of an earlier use.
//!
//! The model: an appender runs over a watched disk. Copies of its files are taken now and then,
//! also in the middle of its writes, and at every sync. An *outcome* is made of them: each page of
//! each file is that of the last sync or of any copy since, one page is cut at a sector, and the
//! length of a file is any that it had. Then the directory is opened as after another boot. The
//! naive oracle: the CDR must hold the lines 0, 1, 2, ... up to some number that is not below the
//! last one synced.
//!
//! The long form: `CDRLOG_POWER_LOSS_OUTCOMES=100000 cargo test --release --lib power_loss`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::file::disk::{Disk, Watcher};
use crate::{Appender, SyncPolicy};

const PAGE_BYTES: usize = 4096;
const SECTOR_BYTES: usize = 512;
/// Outcomes that are made of one life of an appender.
const OUTCOMES_A_LIFE: u64 = 50;

/// splitmix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (word ^ (word >> 31)) % bound
    }
}

/// The states of each file since its last sync; the first is the one that was synced.
#[derive(Default)]
struct States(Mutex<BTreeMap<PathBuf, Vec<Vec<u8>>>>);

impl States {
    fn note(&self, path: &Path, synced: bool) {
        // Read under the lock: what is read before a sync must not be noted behind it.
        let mut files = self.0.lock().unwrap();
        let Ok(content) = fs::read(path) else { return };
        let states = files.entry(path.to_owned()).or_insert_with(|| vec![Vec::new()]);
        if synced {
            states.clear();
        }
        states.push(content);
    }

    fn note_all(&self, directory: &Path) {
        for folder in [directory.to_owned(), directory.join(".cdrlog")] {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_file() {
                    self.note(&path, false);
                }
            }
        }
    }
}

impl Watcher for States {
    fn before(&self, action: &'static str, path: &Path) -> std::io::Result<()> {
        if action == "write" {
            self.note(path, false);
        }
        Ok(())
    }

    fn after(&self, action: &'static str, path: &Path) {
        match action {
            // Renamed from `control.new`, which was synced before.
            "sync" | "move the new file to" => self.note(path, true),
            _ => {}
        }
    }
}

fn body(number: u64) -> String {
    let padding = "p".repeat((number * 37 % 400) as usize);
    format!(r#"{{"n":{number},"p":"{padding}","event":"e"}}"#)
}

fn lines(count: u64) -> Vec<u8> {
    let mut lines = Vec::new();
    for number in 0..count {
        crate::Rewriter::new().rewrite(body(number).as_bytes(), &mut lines).unwrap();
    }
    lines
}

/// A life that ended without a close.
struct Life {
    files: BTreeMap<PathBuf, Vec<Vec<u8>>>,
    sent: u64,
    synced: u64,
}

fn live(directory: &Path, random: &mut Random) -> Life {
    let states = Arc::new(States::default());
    let appender = Appender::builder(directory)
        .segment_count(2 + random.below(3) as usize)
        .segment_bytes(8192)
        .event_bytes_max(1024)
        .rotate_bytes(2000 + random.below(20_000))
        .flush_interval(Duration::from_millis(1))
        .sync_policy(SyncPolicy::Never)
        .open_on(&Disk::watched(states.clone()))
        .unwrap();
    let producer = appender.producer();
    let (mut sent, mut synced) = (0, 0);
    for _ in 0..2 + random.below(8) {
        for _ in 0..random.below(40) {
            producer.send_slice(body(sent).as_bytes()).unwrap();
            sent += 1;
        }
        match random.below(4) {
            0 => {
                appender.sync().unwrap();
                synced = sent;
            }
            1 => appender.flush().unwrap(),
            _ => {}
        }
        states.note_all(directory);
    }
    let files = std::mem::take(&mut *states.0.lock().unwrap());
    appender.close().unwrap();
    Life { files, sent, synced }
}

/// What the disk may hold of a file that went through `states`.
fn survivor(states: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let pick = |random: &mut Random| &states[random.below(states.len() as u64) as usize];
    let mut file = vec![0; pick(random).len().max(states[0].len())];
    let torn_page = random.below(8) as usize;
    for (number, page) in file.chunks_mut(PAGE_BYTES).enumerate() {
        let unit = if number == torn_page { SECTOR_BYTES } else { PAGE_BYTES };
        for (index, part) in page.chunks_mut(unit).enumerate() {
            let state = pick(random);
            let from = (number * PAGE_BYTES + index * unit).min(state.len());
            let to = (from + part.len()).min(state.len());
            part[..to - from].copy_from_slice(&state[from..to]);
        }
    }
    file
}

/// Makes a control file one of another boot of the kernel.
fn change_boot_id(page: &mut [u8]) {
    page[24] ^= 1;
    let checksum = crc32c::crc32c_append(crc32c::crc32c(&page[..12]), &page[16..40]);
    page[40..44].copy_from_slice(&checksum.to_le_bytes());
}

/// Lets one outcome of a life come true in a directory of its own, and opens that.
fn lose_power(life: &Life, from: &Path, random: &mut Random, what: &str) {
    let directory = super::memory_directory();
    fs::create_dir(directory.path().join(".cdrlog")).unwrap();
    for (path, states) in &life.files {
        let name = path.strip_prefix(from).unwrap();
        let mut content = survivor(states, random);
        if name.ends_with("control") {
            change_boot_id(&mut content);
        }
        if !name.ends_with("control.new") {
            fs::write(directory.path().join(name), content).unwrap();
        }
    }
    for _ in 0..2 {
        let options = Appender::builder(directory.path()).event_bytes_max(1024);
        let appender = options.segment_bytes(8192).open();
        appender.unwrap_or_else(|error| panic!("{what}: {error}")).close().unwrap();
        check(life, directory.path(), what);
    }
}

fn check(life: &Life, directory: &Path, what: &str) {
    let mut names = Disk::default().names(directory).unwrap();
    names.retain(|name| name.starts_with("CDR.") && !name.contains(".torn"));
    names.sort();
    let found: Vec<u8> =
        names.iter().flat_map(|name| fs::read(directory.join(name)).unwrap()).collect();
    let count = found.iter().filter(|&&byte| byte == b'\n').count() as u64;
    assert!(found == lines(count), "{what}: the CDR is not a beginning of the lines");
    let range = life.synced..=life.sent;
    assert!(range.contains(&count), "{what}: {count} lines, synced and sent {range:?}");
}

#[test]
fn whatever_pages_a_power_loss_takes_synced_lines_stay_and_no_broken_one_is_left() {
    let outcomes: u64 =
        std::env::var("CDRLOG_POWER_LOSS_OUTCOMES").map_or(2000, |count| count.parse().unwrap());
    for number in 0..outcomes.div_ceil(OUTCOMES_A_LIFE) {
        let mut random = Random(number);
        let directory = super::memory_directory();
        let life = live(directory.path(), &mut random);
        for outcome in 0..OUTCOMES_A_LIFE {
            let what = format!("life {number}, outcome {outcome}");
            lose_power(&life, directory.path(), &mut random, &what);
        }
    }
}
