//! The peers, each in the configuration that loses nothing and is fastest here.
//!
//! None of them syncs: they cannot, so cdrlog does not either where the throughput is compared. All
//! but `TracingSerde` and `MutexRewriter` get the finished line and do no work on JSON.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::{Arc, Mutex};

use cdrlog::Rewriter;
use serde_json::{Map, Value};
use spdlog::sink::{AsyncPoolSink, FileSink, OverflowPolicy, Sink};
use spdlog::{ErrorHandler, LevelFilter, ThreadPool};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

use super::{CORPUS, Logger, Sender};

/// Lines that the queues of the peers hold: as many as cdrlog's. More or less makes them slower or
/// leaves them as they are.
const PEER_QUEUE_LINES: usize = 1 << 15;

/// The buffer of every peer before `write(2)`. The 8 KiB of the standard library are slower.
const PEER_BUFFER_BYTES: usize = 256 << 10;

fn peer_file(directory: &Path) -> BufWriter<File> {
    let file = File::create(directory.join("peer.log")).expect("a file");
    BufWriter::with_capacity(PEER_BUFFER_BYTES, file)
}

// ===== tracing-appender =====

struct Tracing {
    writer: NonBlocking,
    dropped: ErrorCounter,
    guard: WorkerGuard,
}

impl Tracing {
    fn open(directory: &Path, lossy: bool) -> Self {
        let file = peer_file(directory);
        let (writer, guard) = NonBlockingBuilder::default()
            .lossy(lossy)
            .buffered_lines_limit(PEER_QUEUE_LINES)
            .finish(file);
        let dropped = writer.error_counter();
        Self { writer, dropped, guard }
    }

    fn close(self) -> usize {
        drop(self.writer);
        drop(self.guard);
        self.dropped.dropped_lines()
    }
}

/// Finished lines, blocking where the queue is full.
pub struct TracingRaw(Tracing);

pub struct TracingSender(NonBlocking);

impl Logger for TracingRaw {
    type Sender = TracingSender;

    fn open(directory: &Path) -> Self {
        Self(Tracing::open(directory, false))
    }

    fn sender(&self, _events: usize) -> TracingSender {
        TracingSender(self.0.writer.clone())
    }

    fn close(self) -> usize {
        self.0.close()
    }
}

impl Sender for TracingSender {
    #[inline]
    fn send(&mut self, number: usize) -> bool {
        self.0.write_all(CORPUS.line(number).as_bytes()).is_ok()
    }
}

/// Finished lines, dropped where the queue is full.
pub struct TracingLossy(Tracing);

impl Logger for TracingLossy {
    type Sender = TracingSender;

    fn open(directory: &Path) -> Self {
        Self(Tracing::open(directory, true))
    }

    fn sender(&self, _events: usize) -> TracingSender {
        TracingSender(self.0.writer.clone())
    }

    fn close(self) -> usize {
        self.0.close()
    }
}

/// The same job as cdrlog's: the body is parsed, re-keyed and printed by its producer.
pub struct TracingSerde(Tracing);

pub struct SerdeSender {
    writer: NonBlocking,
    line: Vec<u8>,
}

impl Logger for TracingSerde {
    type Sender = SerdeSender;

    fn open(directory: &Path) -> Self {
        Self(Tracing::open(directory, false))
    }

    fn sender(&self, _events: usize) -> SerdeSender {
        SerdeSender { writer: self.0.writer.clone(), line: Vec::with_capacity(4096) }
    }

    fn close(self) -> usize {
        self.0.close()
    }
}

impl Sender for SerdeSender {
    fn send(&mut self, number: usize) -> bool {
        let mut body: Map<String, Value> =
            serde_json::from_slice(CORPUS.body(number)).expect("JSON");
        let Some(Value::String(name)) = body.shift_remove("event") else { panic!("no event") };
        self.line.clear();
        serde_json::to_writer(&mut self.line, &Map::from_iter([(name, body.into())]))
            .expect("a line");
        self.line.push(b'\n');
        self.writer.write_all(&self.line).is_ok()
    }
}

// ===== spdlog-rs =====

/// An asynchronous file sink that waits where its queue is full, and prints nothing but the line.
pub struct Spdlog {
    logger: Arc<spdlog::Logger>,
    pool: Arc<ThreadPool>,
}

pub struct SpdlogSender(Arc<spdlog::Logger>);

#[derive(Clone)]
struct PayloadOnly;

impl spdlog::formatter::Formatter for PayloadOnly {
    fn format(
        &self,
        record: &spdlog::Record<'_>,
        text: &mut spdlog::StringBuf,
        _context: &mut spdlog::formatter::FormatterContext<'_>,
    ) -> spdlog::Result<()> {
        text.push_str(record.payload());
        Ok(())
    }
}

impl Logger for Spdlog {
    type Sender = SpdlogSender;

    fn open(directory: &Path) -> Self {
        let path = directory.join("peer.log");
        let file: Arc<dyn Sink> = FileSink::builder()
            .path(&path)
            .capacity(PEER_BUFFER_BYTES)
            .formatter(PayloadOnly)
            .build_arc()
            .expect("a file");
        let lines = NonZeroUsize::new(PEER_QUEUE_LINES).expect("not zero");
        let pool = ThreadPool::builder().capacity(lines).build_arc().expect("a thread");
        let sink = AsyncPoolSink::builder()
            .sink(file)
            .overflow_policy(OverflowPolicy::Block)
            .thread_pool(pool.clone())
            .build_arc()
            .expect("a sink");
        let logger = spdlog::Logger::builder()
            .sink(sink)
            .flush_level_filter(LevelFilter::Off)
            .error_handler(ErrorHandler::new(|error| panic!("{error}")))
            .build_arc()
            .expect("a logger");
        Self { logger, pool }
    }

    fn sender(&self, _events: usize) -> SpdlogSender {
        SpdlogSender(self.logger.clone())
    }

    fn close(self) -> usize {
        drop(self.logger);
        // Ends its thread, which drains the queue; the file is flushed when it is dropped.
        drop(self.pool);
        0
    }
}

impl Sender for SpdlogSender {
    #[inline]
    fn send(&mut self, number: usize) -> bool {
        spdlog::info!(logger: self.0, "{}", CORPUS.line(number));
        true
    }
}

// ===== the ten lines that everyone could write =====

pub struct MutexBufWriter(Arc<Mutex<BufWriter<File>>>);

pub struct MutexSender(Arc<Mutex<BufWriter<File>>>);

impl Logger for MutexBufWriter {
    type Sender = MutexSender;

    fn open(directory: &Path) -> Self {
        let file = peer_file(directory);
        Self(Arc::new(Mutex::new(file)))
    }

    fn sender(&self, _events: usize) -> MutexSender {
        MutexSender(self.0.clone())
    }

    fn close(self) -> usize {
        self.0.lock().expect("no panic").flush().expect("a write");
        0
    }
}

impl Sender for MutexSender {
    #[inline]
    fn send(&mut self, number: usize) -> bool {
        let mut file = self.0.lock().expect("no panic");
        file.write_all(CORPUS.line(number).as_bytes()).is_ok()
    }
}

/// The rewriter of cdrlog and a buffer, as one would put them together by hand.
struct ByHand {
    rewriter: Rewriter,
    line: Vec<u8>,
    file: BufWriter<File>,
}

/// All of that under one lock: no thread, and nobody is woken. It loses what is in the buffer where
/// the process dies, and nobody sees a line before the buffer is full.
pub struct MutexRewriter(Arc<Mutex<ByHand>>);

pub struct MutexRewriterSender(Arc<Mutex<ByHand>>);

impl Logger for MutexRewriter {
    type Sender = MutexRewriterSender;

    fn open(directory: &Path) -> Self {
        let (rewriter, line, file) = (Rewriter::new(), Vec::new(), peer_file(directory));
        Self(Arc::new(Mutex::new(ByHand { rewriter, line, file })))
    }

    fn sender(&self, _events: usize) -> MutexRewriterSender {
        MutexRewriterSender(self.0.clone())
    }

    fn close(self) -> usize {
        self.0.lock().expect("no panic").file.flush().expect("a write");
        0
    }
}

impl Sender for MutexRewriterSender {
    #[inline]
    fn send(&mut self, number: usize) -> bool {
        let ByHand { rewriter, line, file } = &mut *self.0.lock().expect("no panic");
        line.clear();
        rewriter.rewrite(CORPUS.body(number), line).expect("an event");
        file.write_all(line).is_ok()
    }
}
