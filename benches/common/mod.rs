//! What the benches of the pipeline share: events, a place on a disk, and one run of a logger.

#![allow(dead_code, clippy::allow_attributes, reason = "each bench needs a part of it")]

pub mod ours;
pub mod peers;

use std::fs::File;
use std::hint::black_box;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Barrier, LazyLock};
use std::time::{Duration, Instant};

use cdrlog::Rewriter;

use crate::corpus;

/// Events of one run. Their lines are just under 200 MB, so that the kernel does not begin to slow
/// writers down for the disk's sake, which would then be the thing measured.
pub const EVENTS: usize = 700_000;

/// Events of one run where only the bench itself is tested (`--test`).
pub const EVENTS_TEST: usize = 20_000;

/// Whether the benches are only to show that they work.
pub fn is_test() -> bool {
    std::env::args().any(|argument| argument == "--test")
}

/// The bodies that are sent and the lines that they become.
pub struct Corpus {
    pub bodies: Vec<Vec<u8>>,
    /// Each with its line feed.
    pub lines: Vec<String>,
}

pub static CORPUS: LazyLock<Corpus> = LazyLock::new(|| {
    let bodies = corpus::events(corpus::Position::Last);
    let rewriter = Rewriter::new();
    let line_of = |body: &Vec<u8>| {
        let mut line = Vec::new();
        rewriter.rewrite(body, &mut line).expect("an event");
        String::from_utf8(line).expect("UTF-8")
    };
    let lines = bodies.iter().map(line_of).collect();
    Corpus { bodies, lines }
});

impl Corpus {
    pub fn body(&self, number: usize) -> &[u8] {
        &self.bodies[number % self.bodies.len()]
    }

    pub fn line(&self, number: usize) -> &str {
        &self.lines[number % self.lines.len()]
    }

    /// Brings an event, as body and as line, to the cache.
    pub fn touch(&self, number: usize) {
        for bytes in [self.body(number), self.line(number).as_bytes()] {
            black_box(bytes.iter().step_by(64).fold(0, |sum: u8, byte| sum ^ byte));
        }
    }
}

/// Where files are written to: `CDRLOG_BENCH_DIR`, or else the build's own directory.
pub fn directory() -> tempfile::TempDir {
    let parent = std::env::var_os("CDRLOG_BENCH_DIR")
        .map_or_else(|| PathBuf::from(env!("CARGO_TARGET_TMPDIR")), PathBuf::from);
    tempfile::tempdir_in(&parent).unwrap_or_else(|error| panic!("{}: {error}", parent.display()))
}

/// A way to get lines into a file.
pub trait Logger: Sized + Sync {
    type Sender: Sender;

    /// Opens a file in `directory`.
    fn open(directory: &Path) -> Self;

    /// A sender for one thread, to send `events` events.
    fn sender(&self, events: usize) -> Self::Sender;

    /// Writes everything and ends the threads. Gives how many events were dropped without their
    /// sender being told.
    fn close(self) -> usize;
}

pub trait Sender: Send {
    /// Sends the event of that number; `false` where it was refused.
    fn send(&mut self, number: usize) -> bool;
}

/// What a run took.
pub struct Run<R> {
    /// From the first send to the end of `close`.
    pub elapsed: Duration,
    /// What `work` gave, by producer.
    pub results: Vec<R>,
}

/// Runs `work` on a thread for each of `producers` senders of `events` events each, closes the
/// logger and counts the lines. `work` gives how many events were taken, and what it measured.
///
/// # Panics
///
/// Where the files do not hold exactly as many lines as events were taken.
pub fn run<L: Logger, R: Send>(
    producers: usize,
    events: usize,
    work: impl Fn(&mut L::Sender, usize) -> (usize, R) + Sync,
) -> Run<R> {
    let directory = directory();
    let logger = L::open(directory.path());
    let barrier = Barrier::new(producers);
    let (barrier, work) = (&barrier, &work);
    let done: Vec<(Instant, usize, R)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..producers)
            .map(|producer| {
                let mut sender = logger.sender(events);
                scope.spawn(move || {
                    barrier.wait();
                    let begin = Instant::now();
                    // Each begins somewhere else in the corpus.
                    let (taken, result) = work(&mut sender, producer * 1021);
                    (begin, taken, result)
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().expect("a producer")).collect()
    });
    let dropped = logger.close();
    let begin = done.iter().map(|(begin, ..)| *begin).min().expect("a producer");
    let elapsed = begin.elapsed();
    let taken: usize = done.iter().map(|(_, taken, _)| taken).sum();
    assert_eq!(count_lines(directory.path()), taken - dropped, "lines were lost or doubled");
    Run { elapsed, results: done.into_iter().map(|(.., result)| result).collect() }
}

/// The lines of all files in `directory`, not of those in folders.
pub fn count_lines(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    paths.filter(|path| path.is_file()).map(|path| count_lines_of(&path)).sum()
}

fn count_lines_of(path: &Path) -> usize {
    let mut file = File::open(path).expect("the file");
    let mut block = vec![0; 1 << 20];
    let mut lines = 0;
    loop {
        let bytes = file.read(&mut block).expect("a block");
        if bytes == 0 {
            return lines;
        }
        lines += block[..bytes].iter().filter(|&&byte| byte == b'\n').count();
    }
}
