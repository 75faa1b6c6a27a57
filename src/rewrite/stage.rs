//! The rewriter thread: takes events out of the queue, makes lines of them in the journal.
//!
//! It makes no blocking system call. It is not woken by senders; while there is nothing to do it
//! naps, a little longer each time, so that an idle server pays for a few looks a second and a busy
//! one never waits long.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;

use super::record::RejectRecord;
use super::{Reason, Rejection, Rewriter};
use crate::ack::{AckError, Acked, Durability};
use crate::bell::Sleep;
use crate::chunks::Opened;
use crate::contain::contain;
use crate::error::FlushError;
use crate::flush::PendingAck;
use crate::journal::{RingWriter, Stream};
use crate::pipeline::{Pipeline, Positions, Request};
use crate::queue::{Barrier, Message, QueueEnd};
use crate::sync::EndGuard;

/// Events taken before the journal and the queue are told. More would make senders of a full queue
/// wait longer; fewer would make the telling count.
const BATCH_EVENTS: usize = 256;

/// The first nap after the queue was found empty.
const NAP_MIN: Duration = Duration::from_micros(50);

/// Naps before they begin to grow: 20 of about 100 us (the timer's slack comes on top) bridge the
/// gaps of a busy server.
const NAPS_AT_MIN: u32 = 20;

/// How often naps double after that, at most.
const NAPS_GROWTH_MAX: u32 = 16;

/// The flusher gave up while a line waited for a free segment.
struct GaveUp;

pub(crate) struct Stage {
    rewriter: Rewriter,
    event_bytes_max: usize,
    queue: QueueEnd,
    lines: RingWriter,
    rejects: RingWriter,
    pipeline: Arc<Pipeline>,
    nap_max: Duration,
    /// Events that were accepted and cannot be journaled any more.
    left: Vec<Bytes>,
    /// Somebody waits for the flusher to write a line of this batch.
    is_awaited: bool,
    /// An event came that nobody rings for: others may follow as silently.
    is_unrung: bool,
}

/// What became of an event.
enum Put {
    /// Its line is journaled, from position `start` on.
    Line {
        start: u64,
        line_bytes: u64,
    },
    Rejected(Rejection),
    /// It cannot be journaled any more, and is left to the caller.
    Left,
}

impl Stage {
    /// `nap_max` is the longest time that an event in the queue goes unseen.
    pub(crate) fn new(
        event_bytes_max: usize,
        queue: QueueEnd,
        lines: RingWriter,
        rejects: RingWriter,
        pipeline: Arc<Pipeline>,
        nap_max: Duration,
    ) -> Self {
        let rewriter = Rewriter::with_event_bytes_max(event_bytes_max);
        Self {
            rewriter,
            event_bytes_max,
            queue,
            lines,
            rejects,
            pipeline,
            nap_max,
            left: Vec::new(),
            is_awaited: false,
            is_unrung: false,
        }
    }

    /// Runs until the queue is closed and empty. Gives back what could not be journaled: nothing,
    /// unless the disk failed until patience ended.
    pub(crate) fn run(mut self) -> Vec<Bytes> {
        self.pipeline.rewriter_bell.attach();
        let pipeline = self.pipeline.clone();
        // Says that the thread has ended, also when it panics, so that nobody waits for it.
        let _guard = EndGuard::new(|| pipeline.end_rewriter(!std::thread::panicking()));
        let mut naps: u32 = 0;
        loop {
            let events = self.take_batch();
            if events > 0 {
                // Where all were acknowledged ones, their senders ring for the next, and short naps
                // would only take the processor from them: it was a quarter of it at 60 000
                // requests a second.
                let rung = NAPS_AT_MIN + NAPS_GROWTH_MAX;
                naps = if std::mem::take(&mut self.is_unrung) { 0 } else { rung };
            } else if self.queue.is_finished() {
                break;
            } else {
                self.nap(naps);
                naps = naps.saturating_add(1);
            }
        }
        self.lines.publish();
        self.rejects.publish();
        std::mem::take(&mut self.left)
    }

    /// Takes what is in the queue, up to a batch; gives how many messages that were.
    fn take_batch(&mut self) -> usize {
        let mut taken = 0;
        let mut bytes = 0;
        let mut events = 0;
        let journaled_before = self.lines.position();
        while taken < BATCH_EVENTS
            && let Some(message) = self.queue.take()
        {
            taken += 1;
            match message {
                Opened::Slice(event) => {
                    bytes += event.len() as u64;
                    events += 1;
                    self.put_unacked(&event, || Bytes::copy_from_slice(&event));
                }
                Opened::Other(Message::Event(event)) => {
                    bytes += event.len() as u64;
                    events += 1;
                    self.put_unacked(&event, || event.clone());
                    // Its owner may be of a type of the embedder.
                    contain(|| drop(event));
                }
                Opened::Other(Message::Acked(acked)) => {
                    bytes += acked.event_bytes() as u64;
                    events += 1;
                    self.put_acked(acked);
                }
                Opened::Other(Message::Barrier(barrier)) => self.pass_on(barrier),
            }
        }
        if taken > 0 {
            let counters = &self.pipeline.counters.rewriter;
            counters.bytes_journaled.add_alone(self.lines.position() - journaled_before);
            counters.bytes_accepted.add_alone(bytes);
            counters.events_accepted.add_alone(events);
            self.lines.publish();
            self.rejects.publish();
            self.queue.make_room();
            if std::mem::take(&mut self.is_awaited) {
                self.pipeline.flusher_bell.ring();
            } else {
                self.pipeline.flusher_bell.ring_if_idle();
            }
        }
        taken
    }

    /// Makes the line of an event, or the record of its rejection.
    fn put(&mut self, event: &[u8]) -> Put {
        if !self.left.is_empty() {
            // Nothing may pass an event that was left.
            return Put::Left;
        }
        let rejection = if event.len() > self.event_bytes_max {
            Rejection::new(Reason::TooLarge, self.event_bytes_max)
        } else {
            if make_room(&mut self.lines, event.len(), &self.pipeline).is_err() {
                return Put::Left;
            }
            match self.rewriter.rewrite_into(event, self.lines.spare()) {
                Ok(line_bytes) => {
                    let start = self.lines.position();
                    self.lines.advance(line_bytes);
                    self.lines.commit();
                    self.pipeline.counters.rewriter.events_journaled.add_alone(1);
                    return Put::Line { start, line_bytes: line_bytes as u64 };
                }
                Err(rejection) => rejection,
            }
        };
        match self.reject(event, rejection) {
            Ok(()) => Put::Rejected(rejection),
            Err(GaveUp) => Put::Left,
        }
    }

    /// Does so for an event whose sender neither rings nor waits. `keep` gives it to be kept where it
    /// cannot be journaled.
    #[inline]
    fn put_unacked(&mut self, event: &[u8], keep: impl FnOnce() -> Bytes) {
        self.is_unrung = true;
        if matches!(self.put(event), Put::Left) {
            self.left.push(keep());
        }
    }

    /// Does so for an event whose sender waits to hear of it.
    #[cold]
    fn put_acked(&mut self, acked: Acked) {
        let event = acked.take_event();
        let put = self.put(&event);
        if matches!(put, Put::Left) {
            self.left.push(event);
        } else {
            // Its owner may be of a type of the embedder.
            contain(|| drop(event));
        }
        match put {
            Put::Line { start, line_bytes } => match self.pipeline.place(Stream::Lines) {
                Some(place) if acked.durability() == Durability::Journaled => {
                    acked.complete(Ok(place.position_of(start, line_bytes)));
                }
                // At once: as soon as the line is published, be it because the segment is full, the
                // flusher may write it, and then looks who waits for it.
                _ => {
                    self.pipeline.add_ack(PendingAck { acked, start, line_bytes });
                    self.is_awaited = true;
                }
            },
            Put::Rejected(rejection) => acked.complete(Err(AckError::Rejected(rejection))),
            Put::Left => {
                let failure = self.pipeline.trouble().unwrap_or(FlushError::Closed);
                acked.complete(Err(AckError::Failed(failure)));
            }
        }
    }

    /// Writes the record of a rejected body to the journal: whole, or in parts where it may be
    /// larger than a segment. A kill between two parts leaves a record that the next opening
    /// closes, so only those may be cut.
    #[cold]
    fn reject(&mut self, event: &[u8], rejection: Rejection) -> Result<(), GaveUp> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let record = RejectRecord::new(event, rejection, at);
        if record.bytes_max() <= self.rejects.segment_bytes() {
            let record: Vec<u8> = record.flatten().collect();
            make_room(&mut self.rejects, record.len(), &self.pipeline)?;
            self.put_reject_bytes(&record)?;
        } else {
            for part in record {
                self.put_reject_bytes(&part)?;
            }
        }
        self.rejects.commit();
        self.pipeline.counters.rewriter.events_rejected.add_alone(1);
        Ok(())
    }

    /// Stores bytes of a record into as many segments as it takes.
    fn put_reject_bytes(&mut self, mut bytes: &[u8]) -> Result<(), GaveUp> {
        while !bytes.is_empty() {
            make_room(&mut self.rejects, 1, &self.pipeline)?;
            let tail = self.rejects.spare();
            let (now, later) = bytes.split_at(bytes.len().min(tail.len()));
            if let Some(room) = tail.get_mut(..now.len()) {
                room.copy_from_slice(now);
            }
            self.rejects.advance(now.len());
            bytes = later;
        }
        Ok(())
    }

    /// Tells the flusher how far the journal is: everything sent before the barrier is in it.
    fn pass_on(&mut self, barrier: Barrier) {
        self.lines.publish();
        self.rejects.publish();
        if !self.left.is_empty() {
            // The other side may have stopped waiting.
            let _ = barrier.reply.send(Err(self.pipeline.trouble().unwrap_or(FlushError::Closed)));
            return;
        }
        let positions =
            Positions { lines: self.lines.position(), rejects: self.rejects.position() };
        self.pipeline.request(Request { positions, goal: barrier.goal, reply: barrier.reply });
    }

    /// Sleeps until there may be something in the queue.
    fn nap(&self, naps: u32) {
        let growth = naps.saturating_sub(NAPS_AT_MIN).min(NAPS_GROWTH_MAX);
        let pause = (NAP_MIN * (1 << growth)).min(self.nap_max);
        let (queue, pipeline) = (&self.queue, &self.pipeline);
        let closed = queue.is_closed();
        pipeline
            .rewriter_bell
            .sleep(Sleep::Nap, pause, || queue.has_messages() || queue.is_closed() != closed);
    }
}

/// Waits until `bytes` fit into the journal. Back-pressure begins here: while this waits, the queue
/// fills.
#[inline]
fn make_room(end: &mut RingWriter, bytes: usize, pipeline: &Pipeline) -> Result<(), GaveUp> {
    let segments_ended = end.segments_ended();
    if end.ensure_room(bytes) {
        if end.segments_ended() != segments_ended {
            pipeline.flusher_bell.ring();
        }
        return Ok(());
    }
    wait_for_room(end, bytes, pipeline)
}

#[cold]
fn wait_for_room(end: &mut RingWriter, bytes: usize, pipeline: &Pipeline) -> Result<(), GaveUp> {
    pipeline.counters.rewriter.journal_full.add_alone(1);
    pipeline.flusher_bell.ring();
    loop {
        pipeline
            .rewriter_bell
            .sleep(Sleep::Idle, Duration::from_millis(10), || pipeline.has_given_up());
        if end.ensure_room(bytes) {
            return Ok(());
        }
        if pipeline.has_given_up() {
            return Err(GaveUp);
        }
    }
}
