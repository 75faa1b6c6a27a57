//! Writes one event to the journal, as a line or as a reject record.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::inbox::{ChunkPool, Place};
use crate::journal::RingWriter;
use crate::pipeline::{Pipeline, Positions};
use crate::rewrite::{Reason, RejectRecord, Rejection, Rewriter};
use crate::waker::Sleep;

/// How often a rewriter that waits for room in the journal checks without being woken.
const ROOM_POLL: Duration = Duration::from_millis(10);

/// The flusher gave up while a line waited for a free segment.
struct GaveUp;

/// The outcome for an event.
pub(super) enum Put {
    /// Its line is journaled, from position `start` on.
    Line {
        start: u64,
        line_bytes: u64,
    },
    Rejected(Rejection),
    /// It cannot be journaled any more, and is left to the caller.
    Undeliverable,
}

pub(super) struct EventWriter {
    rewriter: Rewriter,
    event_bytes_max: usize,
    lines: RingWriter,
    rejects: RingWriter,
    pipeline: Arc<Pipeline>,
    pool: Arc<ChunkPool>,
    /// An event was left undelivered: no later event may overtake it.
    has_given_up: bool,
}

impl EventWriter {
    pub(super) fn new(
        event_bytes_max: usize,
        lines: RingWriter,
        rejects: RingWriter,
        pipeline: Arc<Pipeline>,
        pool: Arc<ChunkPool>,
    ) -> Self {
        let rewriter = Rewriter::with_event_bytes_max(event_bytes_max);
        Self { rewriter, event_bytes_max, lines, rejects, pipeline, pool, has_given_up: false }
    }

    pub(super) fn has_given_up(&self) -> bool {
        self.has_given_up
    }

    /// Publishes what was journaled to the flusher.
    pub(super) fn publish(&self) {
        self.lines.publish();
        self.rejects.publish();
    }

    pub(super) fn positions(&self) -> Positions {
        Positions { lines: self.lines.position(), rejects: self.rejects.position() }
    }

    /// Writes the line of an event, or the record of its rejection. If the event has a record in
    /// the inbox, `ticket` is that of the record.
    pub(super) fn put(&mut self, event: &[u8], ticket: Option<u64>) -> Put {
        if self.has_given_up {
            return Put::Undeliverable;
        }
        self.try_put(event, ticket).unwrap_or_else(|GaveUp| {
            self.has_given_up = true;
            Put::Undeliverable
        })
    }

    #[inline]
    fn try_put(&mut self, event: &[u8], ticket: Option<u64>) -> Result<Put, GaveUp> {
        let rejection = if event.len() > self.event_bytes_max {
            Rejection::new(Reason::TooLarge, self.event_bytes_max)
        } else {
            make_room(&mut self.lines, event.len(), &self.pipeline)?;
            match self.rewriter.rewrite_into(event, self.lines.spare()) {
                Ok(line_bytes) => {
                    let start = self.lines.position();
                    if let Some(ticket) = ticket {
                        self.pool.note_place(ticket, Place { is_reject: false, start }, 0);
                    }
                    self.lines.advance(line_bytes);
                    self.lines.commit();
                    self.pipeline.counters.rewriter.events_journaled.add_alone(1);
                    return Ok(Put::Line { start, line_bytes: line_bytes as u64 });
                }
                Err(rejection) => rejection,
            }
        };
        self.reject(event, rejection, ticket)?;
        Ok(Put::Rejected(rejection))
    }

    /// Writes the record of a rejected body to the journal: whole, or in parts if it may be larger
    /// than a segment. If a record is cut between two parts, the next open writes the rest from the
    /// body in the inbox; without an inbox, it closes the record.
    #[cold]
    fn reject(
        &mut self,
        event: &[u8],
        rejection: Rejection,
        ticket: Option<u64>,
    ) -> Result<(), GaveUp> {
        let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let record = RejectRecord::new(event, rejection, at);
        let place = Place { is_reject: true, start: self.rejects.position() };
        let note = |pool: &ChunkPool| {
            if let Some(ticket) = ticket {
                pool.note_place(ticket, place, at as u64);
            }
        };
        if record.bytes_max() <= self.rejects.segment_bytes() {
            let record: Vec<u8> = record.flatten().collect();
            make_room(&mut self.rejects, record.len(), &self.pipeline)?;
            note(&self.pool);
            self.put_reject_bytes(&record)?;
        } else {
            note(&self.pool);
            for part in record {
                self.put_reject_bytes(&part)?;
            }
        }
        self.rejects.commit();
        self.pipeline.counters.rewriter.events_rejected.add_alone(1);
        Ok(())
    }

    /// Stores bytes of a record in as many segments as it takes.
    fn put_reject_bytes(&mut self, mut bytes: &[u8]) -> Result<(), GaveUp> {
        while !bytes.is_empty() {
            make_room(&mut self.rejects, 1, &self.pipeline)?;
            let spare = self.rejects.spare();
            let (now, later) = bytes.split_at(bytes.len().min(spare.len()));
            let (room, _) = spare.split_at_mut(now.len());
            room.copy_from_slice(now);
            self.rejects.advance(now.len());
            bytes = later;
        }
        Ok(())
    }
}

/// Waits until `bytes` fit into the journal. This is where back-pressure starts: while this waits,
/// the queue fills.
#[inline]
fn make_room(end: &mut RingWriter, bytes: usize, pipeline: &Pipeline) -> Result<(), GaveUp> {
    let segments_ended = end.segments_ended();
    if end.ensure_room(bytes) {
        if end.segments_ended() != segments_ended {
            pipeline.flusher_waker.wake();
        }
        return Ok(());
    }
    wait_for_room(end, bytes, pipeline)
}

#[cold]
fn wait_for_room(end: &mut RingWriter, bytes: usize, pipeline: &Pipeline) -> Result<(), GaveUp> {
    pipeline.counters.rewriter.journal_full.add_alone(1);
    pipeline.flusher_waker.wake();
    loop {
        pipeline.rewriter_waker.sleep(Sleep::Blocked, ROOM_POLL, || pipeline.has_given_up());
        if end.ensure_room(bytes) {
            return Ok(());
        }
        if pipeline.has_given_up() {
            return Err(GaveUp);
        }
    }
}
