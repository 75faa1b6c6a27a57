//! Hours at full speed cost no more than seconds: memory, descriptors and mappings stay as they
//! are.
//!
//! Without the return of segments, of places in the queue and of chunks of slices, a server would
//! run out of memory or of descriptors after days, and no short test would say so.
//!
//! The file is rotated by its size and every second on demand; sealed files are counted and
//! removed.
//!
//! A program of its own: it measures what the whole process holds.
//!
//! The long form: `CDRLOG_SOAK_SECONDS=600 cargo test --release --test soak -- --nocapture`.

mod support;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cdrlog::Appender;
use support::{body, files};

const SENDERS: usize = 2;
/// At full speed about a second.
const ROTATE_BYTES: u64 = 64 << 20;

/// How often the process is looked at before it is said to hold too much.
const LOOKS: usize = 100;

/// What the process holds.
#[derive(Debug)]
struct Held {
    resident_kib: u64,
    descriptors: usize,
    mappings: usize,
}

impl Held {
    /// Whether it is no more than at first, but for what threads hold now and then.
    fn is_flat(&self, first: &Self) -> bool {
        self.resident_kib < first.resident_kib + (32 << 10)
            && self.descriptors <= first.descriptors + 2
            && self.mappings <= first.mappings + 16
    }

    fn now() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let resident = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        Self {
            resident_kib: resident.split_whitespace().nth(1).unwrap().parse().unwrap(),
            descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
            mappings: fs::read_to_string("/proc/self/maps").unwrap().lines().count(),
        }
    }
}

fn count_lines(path: &Path) -> u64 {
    BufReader::new(fs::File::open(path).unwrap()).split(b'\n').count() as u64
}

/// Counts the lines of the sealed files and removes them: all but the last one, or all.
fn take_finished(directory: &Path, all: bool) -> u64 {
    let mut finished = files(directory, "CDR.");
    if !all {
        finished.pop();
    }
    let lines = finished.iter().map(|path| count_lines(path)).sum();
    finished.iter().for_each(|path| fs::remove_file(path).unwrap());
    lines
}

#[test]
fn memory_descriptors_and_mappings_stay_flat_at_full_speed() {
    let seconds = std::env::var("CDRLOG_SOAK_SECONDS").map_or(4, |text| text.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let appender = Appender::builder(&directory).rotate_bytes(ROTATE_BYTES).open().unwrap();
    let bodies: Vec<String> = (0..300).map(body).collect();
    let (over, sent) = (AtomicBool::new(false), AtomicU64::new(0));
    let mut lines = 0;
    std::thread::scope(|scope| {
        for _ in 0..SENDERS {
            let (producer, bodies, over, sent) = (appender.producer(), &bodies, &over, &sent);
            scope.spawn(move || {
                for body in bodies.iter().cycle() {
                    if over.load(Ordering::Relaxed) {
                        break;
                    }
                    producer.send_slice(body.as_bytes()).unwrap();
                    sent.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let begin = Instant::now();
        let mut warm = None;
        while begin.elapsed() < Duration::from_secs(seconds) {
            std::thread::sleep(Duration::from_secs(1));
            appender.rotate().unwrap();
            lines += take_finished(directory.path(), false);
            let warm = warm.get_or_insert_with(Held::now);
            // The threads may have files open at this moment: what grows does not come back.
            let mut looks = std::iter::repeat_with(Held::now).take(LOOKS).inspect(|held| {
                if !held.is_flat(warm) {
                    std::thread::sleep(Duration::from_millis(50));
                }
            });
            if !looks.any(|held| held.is_flat(warm)) {
                over.store(true, Ordering::Relaxed);
                panic!("{:?} after {:?}, {warm:?} at first", Held::now(), begin.elapsed());
            }
        }
        over.store(true, Ordering::Relaxed);
        println!("{warm:?} at first, {:?} after {:?}", Held::now(), begin.elapsed());
    });
    let stats = appender.close().unwrap();
    lines += take_finished(directory.path(), true);
    assert_eq!(lines, sent.load(Ordering::Relaxed), "lines are lost or doubled");
    assert!(stats.rotations > 0, "{stats:?}");
    println!("{lines} lines and {} rotations in {seconds} s", stats.rotations);
}
