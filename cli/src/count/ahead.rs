//! Reads what lines say in several threads, a block of lines each, ahead of the one who counts.
//!
//! ```text
//!           ┌─> thread: what the lines of block 3 say ─┐
//! file ─────┼─> thread: what the lines of block 2 say ─┼─> count, in the order of the blocks
//!           └──────────────────────────────── block 1 ─┘
//! ```

use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, SyncSender, channel, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use cdrlog::LineFault;
use cdrlog::reader::Lines;

use super::line_reader::{LineReader, ReadEvent};

/// Blocks of all files together that wait to be counted: each is some 600 KB with what it says.
pub(super) const BLOCKS_MAX: usize = 8;

/// More threads would wait for the one who counts.
const THREADS_MAX: usize = 4;

/// The bytes of most lines, or less.
const LINE_BYTES: usize = 256;

/// A line of a file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FileLine<'a> {
    /// With its line feed, if it has one.
    pub(crate) bytes: &'a [u8],
    /// The path of its file, without `.zst` or `.gz`.
    pub(crate) path: &'a Path,
    /// Where it starts, in bytes of the uncompressed file.
    pub(crate) offset: u64,
}

/// Consecutive lines of a file.
#[derive(Debug)]
struct Block {
    bytes: Vec<u8>,
    path: PathBuf,
    offset: u64,
}

/// The same, and what each line says.
#[derive(Debug)]
pub(super) struct ReadBlock {
    block: Block,
    /// Where each line ends, and what it says.
    events: Vec<(usize, Result<ReadEvent, LineFault>)>,
}

impl ReadBlock {
    fn new(block: Block, reader: &mut LineReader) -> Self {
        let (mut events, mut begin) = (Vec::with_capacity(block.bytes.len() / LINE_BYTES), 0);
        // Only the last line of a file may lack a line feed.
        let ends = memchr::memchr_iter(b'\n', &block.bytes).map(|end| end + 1);
        let last = Some(block.bytes.len()).filter(|_| !block.bytes.ends_with(b"\n"));
        for end in ends.chain(last) {
            let line = block.bytes.get(begin..end).unwrap_or_default();
            events.push((end, reader.read(line)));
            begin = end;
        }
        Self { block, events }
    }

    pub(super) fn bytes(&self) -> u64 {
        self.block.bytes.len() as u64
    }

    /// The lines and what they say, each once.
    pub(super) fn take_lines(
        &mut self,
    ) -> impl Iterator<Item = (FileLine<'_>, Result<ReadEvent, LineFault>)> {
        let Block { bytes, path, offset } = &self.block;
        let mut begin = 0;
        self.events.drain(..).map(move |(end, event)| {
            let line = bytes.get(begin..end).unwrap_or_default();
            let line = FileLine { bytes: line, path, offset: offset + begin as u64 };
            begin = end;
            (line, event)
        })
    }
}

/// A block that is being read, or that was.
#[derive(Debug)]
pub(super) enum Pending {
    Read(ReadBlock),
    Reading(Receiver<ReadBlock>),
}

impl Pending {
    pub(super) fn wait(self) -> ReadBlock {
        match self {
            Self::Read(block) => block,
            #[expect(clippy::expect_used, reason = "a thread that panicked is a bug of ours")]
            Self::Reading(receiver) => receiver.recv().expect("a thread that reads lines panicked"),
        }
    }
}

#[derive(Debug)]
struct Job {
    block: Block,
    done: SyncSender<ReadBlock>,
}

/// The threads; none if there is one processor, or hardly anything to read.
#[derive(Debug)]
pub(super) struct Threads {
    reader: LineReader,
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    /// How many there may be.
    count_max: usize,
    has_begun: bool,
    /// The memory of blocks that were counted.
    spare: Vec<Vec<u8>>,
}

impl Threads {
    pub(super) fn new(reader: LineReader) -> Self {
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        Self {
            reader,
            jobs: None,
            threads: Vec::new(),
            count_max: if processors == 1 { 0 } else { processors.min(THREADS_MAX) },
            has_begun: false,
            spare: Vec::new(),
        }
    }

    /// Begins to read a block.
    pub(super) fn begin(&mut self, lines: Lines<'_>) -> Pending {
        let mut bytes = self.spare.pop().unwrap_or_default();
        bytes.clear();
        bytes.extend_from_slice(lines.bytes());
        let block = Block { bytes, path: lines.path().to_owned(), offset: lines.offset() };
        // What is in one block is read before a thread has started.
        if std::mem::replace(&mut self.has_begun, true) && self.jobs.is_none() {
            self.start();
        }
        let Some(jobs) = self.jobs.as_ref().filter(|_| !self.threads.is_empty()) else {
            return Pending::Read(ReadBlock::new(block, &mut self.reader));
        };
        let (done, read) = sync_channel(1);
        match jobs.send(Job { block, done }) {
            Ok(()) => Pending::Reading(read),
            // All threads have panicked. Whoever waits for their blocks does too.
            Err(unsent) => Pending::Read(ReadBlock::new(unsent.0.block, &mut self.reader)),
        }
    }

    /// A block was counted: its memory can be used again.
    pub(super) fn end(&mut self, block: ReadBlock) {
        if self.spare.len() < BLOCKS_MAX {
            self.spare.push(block.block.bytes);
        }
    }

    fn start(&mut self) {
        let (jobs, taken) = channel::<Job>();
        let taken = Arc::new(Mutex::new(taken));
        for _ in 0..self.count_max {
            let (taken, mut reader) = (taken.clone(), self.reader.clone());
            let thread = thread::Builder::new().name("cdrlog-read".to_owned());
            let started = thread.spawn(move || {
                let next = || taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
                while let Ok(Job { block, done }) = next() {
                    // Nobody waits for it after a failure.
                    let _ = done.send(ReadBlock::new(block, &mut reader));
                }
            });
            // With fewer threads it takes longer.
            self.threads.extend(started);
        }
        self.jobs = Some(jobs);
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            // Its panic was told when its block was waited for.
            let _ = thread.join();
        }
    }
}
