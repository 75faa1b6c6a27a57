//! The rewriter thread: takes events from the queue, and writes their lines to the journal.
//!
//! It makes no blocking system call. Senders do not wake it while events come in: it sleeps for as
//! long as events may gather (`rhythm.rs`), and then notifies the flusher once.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::event_writer::{EventWriter, Put};
use super::rhythm::Rhythm;
use crate::ack::PendingAck;
use crate::ack::{AckError, Acked, Durability};
use crate::contain::contain;
use crate::error::FlushError;
use crate::inbox::{ChunkPool, RecordGuard, RecordRef, Released};
use crate::journal::{RingWriter, Stream, TimeMark};
use crate::pipeline::{FlushRequest, Pipeline, Positions};
use crate::queue::{Barrier, Body, Content, Other, QueueEnd};
use crate::sync::EndGuard;
use crate::waker::Sleep;

/// The number of events processed before the journal and the queue are notified. With more, senders
/// of a full queue would wait longer; with fewer, notifying would cost too much.
const BATCH_EVENTS: usize = 256;

/// How long an idle thread sleeps unless it is woken.
const IDLE_MAX: Duration = Duration::from_secs(3600);

/// How long to sleep while a sender finishes its push.
const PUSH_MAX: Duration = Duration::from_micros(50);

/// When the rewriter checks the queue and notifies the flusher.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// The maximum time that an event is in the queue unseen.
    pub(crate) sleep_max: Duration,
    /// The maximum time from the send of an event until the flusher is told to write its line.
    pub(crate) write_within: Duration,
}

pub(crate) struct RewriterThread {
    queue: QueueEnd,
    pool: Arc<ChunkPool>,
    writer: EventWriter,
    pipeline: Arc<Pipeline>,
    rhythm: Rhythm,
    write_within: Duration,
    /// The earliest send time of the lines that the idle flusher does not know of.
    gathering_since: Option<Instant>,
    released: Released,
    /// Events that were accepted and cannot be journaled any more.
    undelivered: Vec<Undelivered>,
    /// Somebody waits for the flusher to write a line of this batch.
    is_awaited: bool,
}

/// An event that was accepted and cannot be journaled any more. Its record, if it has one, still
/// belongs to the next open.
#[derive(Debug)]
pub(crate) enum Undelivered {
    Record(RecordRef),
    Bytes(Bytes),
}

impl Undelivered {
    pub(crate) fn into_bytes(self, pool: &ChunkPool) -> Bytes {
        match self {
            Self::Record(record) => Bytes::copy_from_slice(&pool.open(record)),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// An event whose sender waits, until its outcome is known. If a panic comes first, the sender is
/// told that the event failed, and may send it again: the next open does not recover it.
struct AckedRecord<'a> {
    record: Option<RecordGuard<'a>>,
    acked: Option<Acked>,
}

impl Drop for AckedRecord<'_> {
    fn drop(&mut self) {
        if let Some(record) = &self.record {
            record.cancel();
        }
    }
}

impl RewriterThread {
    pub(crate) fn new(
        event_bytes_max: usize,
        queue: QueueEnd,
        lines: RingWriter,
        rejects: RingWriter,
        pipeline: Arc<Pipeline>,
        pace: Pace,
    ) -> Self {
        let pool = queue.pool().clone();
        let (events_max, bytes_max) = queue.bounds();
        Self {
            writer: EventWriter::new(
                event_bytes_max,
                lines,
                rejects,
                pipeline.clone(),
                pool.clone(),
            ),
            queue,
            pool,
            pipeline,
            rhythm: Rhythm::new(pace.sleep_max, events_max, bytes_max),
            write_within: pace.write_within,
            gathering_since: None,
            released: Released::default(),
            undelivered: Vec::new(),
            is_awaited: false,
        }
    }

    /// Runs until the queue is closed and empty. Returns what could not be journaled: nothing,
    /// unless the disk failed until a timeout was over.
    pub(crate) fn run(mut self) -> Vec<Undelivered> {
        self.pipeline.rewriter_waker.attach();
        let pipeline = self.pipeline.clone();
        // Marks the thread as ended, even if it panics, so that nobody waits for it.
        let _guard = EndGuard::new(|| pipeline.end_rewriter(!std::thread::panicking()));
        loop {
            if self.take_batch() > 0 {
                continue;
            }
            if self.queue.is_finished() {
                break;
            }
            self.sleep();
        }
        self.writer.publish();
        std::mem::take(&mut self.undelivered)
    }

    /// Processes what is in the queue, up to a batch; returns the number of messages.
    fn take_batch(&mut self) -> usize {
        let mut taken = 0;
        let mut bytes = 0;
        let mut events = 0;
        let journaled_before = self.writer.positions().lines;
        while taken < BATCH_EVENTS
            && let Some(content) = self.queue.take()
        {
            taken += 1;
            match content {
                Content::Record(record) => {
                    bytes += record.body_bytes() as u64;
                    events += 1;
                    self.put_record(record);
                }
                Content::Other(other) => {
                    let event_bytes = self.put_other(*other);
                    bytes += event_bytes.unwrap_or(0);
                    events += u64::from(event_bytes.is_some());
                }
            }
        }
        if taken > 0 {
            let counters = &self.pipeline.counters.rewriter;
            let journaled = self.writer.positions().lines - journaled_before;
            counters.bytes_journaled.add_alone(journaled);
            counters.bytes_accepted.add_alone(bytes);
            counters.events_accepted.add_alone(events);
            if !self.pool.is_protected() {
                counters.events_unprotected.add_alone(events);
            }
            self.rhythm.note(taken as u64, bytes);
            self.end_batch();
        }
        taken
    }

    /// Notifies everybody of what was done.
    fn end_batch(&mut self) {
        self.released.tell(&self.pool);
        self.writer.publish();
        self.queue.make_room();
        if std::mem::take(&mut self.is_awaited) {
            self.pipeline.flusher_waker.wake();
        } else if self.gathering_since.is_none() && self.pipeline.flusher_waker.is_idle() {
            // A flusher that is not idle checks once more before it is.
            self.gathering_since = Some(self.rhythm.slept_since());
        }
    }

    #[inline]
    fn put_record(&mut self, record: RecordRef) {
        let record = self.pool.open(record);
        match self.writer.put(&record, Some(record.ticket())) {
            Put::Undeliverable => self.undelivered.push(Undelivered::Record(record.keep())),
            Put::Line { .. } | Put::Rejected(_) => record.consume(&mut self.released),
        }
    }

    /// Returns the length of the event, if it is one.
    #[cold]
    fn put_other(&mut self, other: Other) -> Option<u64> {
        match other {
            Other::Event(event) => {
                self.note_unprotected();
                let bytes = event.len() as u64;
                let put = self.writer.put(&event, None);
                self.keep_or_drop(event, &put);
                Some(bytes)
            }
            Other::Acked(acked, Body::Record(record)) => {
                let bytes = record.body_bytes() as u64;
                self.put_acked_record(acked, record);
                Some(bytes)
            }
            Other::Acked(acked, Body::Bytes(event)) => {
                self.note_unprotected();
                let bytes = event.len() as u64;
                let put = self.writer.put(&event, None);
                self.keep_or_drop(event, &put);
                self.answer(acked, put);
                Some(bytes)
            }
            Other::Barrier(barrier) => {
                self.pass_on(barrier);
                None
            }
            Other::TimeMark(time_ms) => {
                self.pass_time_mark_on(time_ms);
                None
            }
        }
    }

    /// Counts an event without a record; without an inbox, all are counted together.
    fn note_unprotected(&self) {
        if self.pool.is_protected() {
            self.pipeline.counters.rewriter.events_unprotected.add_alone(1);
        }
    }

    fn keep_or_drop(&mut self, event: Bytes, put: &Put) {
        if matches!(put, Put::Undeliverable) {
            self.undelivered.push(Undelivered::Bytes(event));
        } else {
            // Its owner may be a type of the embedder.
            contain(|| drop(event));
        }
    }

    fn put_acked_record(&mut self, acked: Acked, record: RecordRef) {
        let pool = self.pool.clone();
        let record = pool.open(record);
        let ticket = record.ticket();
        let mut event = AckedRecord { record: Some(record), acked: Some(acked) };
        let put = match &event.record {
            Some(record) => self.writer.put(record, Some(ticket)),
            None => return,
        };
        let (Some(record), Some(acked)) = (event.record.take(), event.acked.take()) else { return };
        if matches!(put, Put::Undeliverable) {
            // Its sender is told that it failed.
            record.cancel();
            self.undelivered.push(Undelivered::Record(record.keep()));
        } else {
            record.consume(&mut self.released);
        }
        self.answer(acked, put);
    }

    /// Reports the outcome of an event to its sender, or lets the flusher do that.
    fn answer(&mut self, acked: Acked, put: Put) {
        match put {
            Put::Line { start, line_bytes } => {
                match self.pipeline.open_files.place(Stream::Lines) {
                    Some(place) if acked.durability() == Durability::Journaled => {
                        acked.complete(Ok(place.position_of(start, line_bytes)));
                    }
                    // At once: as soon as the line is published, even if only because the segment
                    // is full, the flusher may write it, and then checks who waits for it.
                    _ => {
                        self.pipeline.add_ack(PendingAck { acked, start, line_bytes });
                        self.is_awaited = true;
                    }
                }
            }
            Put::Rejected(rejection) => acked.complete(Err(AckError::Rejected(rejection))),
            Put::Undeliverable => {
                let failure = self.pipeline.write_failure().unwrap_or(FlushError::Closed);
                acked.complete(Err(AckError::Failed(failure)));
            }
        }
    }

    /// Tells the flusher how far the journal is: everything sent before the barrier is in it.
    fn pass_on(&mut self, barrier: Barrier) {
        self.writer.publish();
        if self.writer.has_given_up() {
            // The other side may have stopped waiting.
            let _ = barrier
                .reply
                .send(Err(self.pipeline.write_failure().unwrap_or(FlushError::Closed)));
            return;
        }
        let positions = self.writer.positions();
        self.pipeline.request(FlushRequest {
            positions,
            target: barrier.target,
            reply: barrier.reply,
        });
    }

    /// Tells the flusher where in the journal everything is that was accepted before a time. After
    /// an event that could not be journaled, there is no such place.
    fn pass_time_mark_on(&mut self, time_ms: u64) {
        self.writer.publish();
        if !self.writer.has_given_up() {
            let Positions { lines, rejects } = self.writer.positions();
            self.pipeline.set_time_mark(TimeMark { time_ms, positions: [lines, rejects] });
        }
    }

    /// Sleeps until there is enough in the queue, or the flusher is to write.
    fn sleep(&mut self) {
        let now = Instant::now();
        let sleep = self.rhythm.next_sleep(now);
        let (depth, mut timeout) = match sleep {
            Some(sleep) => (Sleep::Nap, sleep),
            None => (Sleep::Idle, IDLE_MAX),
        };
        if let Some(since) = self.gathering_since {
            let left = (since + self.write_within).saturating_duration_since(now);
            timeout = timeout.min(left);
            if left.is_zero() || !self.pipeline.flusher_waker.is_idle() {
                self.gathering_since = None;
            }
            if left.is_zero() {
                self.pipeline.ask_to_write();
                return;
            }
        }
        let queue = &self.queue;
        let closed = queue.is_closed();
        if closed {
            timeout = timeout.min(PUSH_MAX);
        }
        self.pipeline.rewriter_waker.sleep(depth, timeout, || {
            let has_work = match depth {
                Sleep::Idle => queue.has_load(),
                Sleep::Nap | Sleep::Blocked => queue.is_half_full(),
            };
            has_work || queue.is_closed() != closed
        });
        if depth == Sleep::Idle {
            self.rhythm.end_idle(Instant::now());
        }
    }
}
