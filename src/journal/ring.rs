//! A ring of segments with one writer and one reader.
//!
//! The writer belongs to the rewriter thread, the reader to the flusher thread. Neither ever waits
//! for the other: [`RingWriter::ensure_room`] returns false if the ring is full,
//! [`RingReader::pending`] is empty if there is nothing new.

#![expect(unsafe_code, reason = "the two ends slice the same mapping")]

use std::sync::Arc;

use super::frames::{self, FrameWriter};
use super::mapping::Mapping;
use super::progress::Progress;
use super::segment::{HEADER_BYTES, Segment};

struct Ring {
    segments: Box<[Segment]>,
    progress: Progress,
    segment_bytes: usize,
}

impl Ring {
    #[expect(clippy::indexing_slicing, reason = "a slot is less than the number of segments")]
    fn segment(&self, sequence: u64) -> &Segment {
        &self.segments[self.progress.slot(sequence)]
    }

    fn mapping(&self, sequence: u64) -> &Mapping {
        self.segment(sequence).mapping()
    }
}

/// The two ends of a ring over `segments`, the first of which is number `sequence` of its stream
/// and starts at `position`.
pub(crate) fn ring(
    segments: Box<[Segment]>,
    segment_bytes: usize,
    sequence: u64,
    position: u64,
) -> (RingWriter, RingReader) {
    let progress = Progress::new(segments.len(), sequence, position);
    let ring = Arc::new(Ring { segments, progress, segment_bytes });
    ring.segment(sequence).begin(sequence, position);
    let write = RingWriter { ring: ring.clone(), sequence, used: 0, position, ended: false };
    let frame_writer = FrameWriter::default();
    let read = RingReader {
        ring,
        sequence,
        start: position,
        begins_in_line: false,
        position,
        frame_writer,
    };
    (write, read)
}

/// The end that writes lines: bytes are stored into [`spare`](Self::spare), kept by
/// [`advance`](Self::advance) and shown to the reader by [`publish`](Self::publish).
pub(crate) struct RingWriter {
    ring: Arc<Ring>,
    /// The segment being filled.
    sequence: u64,
    /// Its bytes in use.
    used: usize,
    /// The position in the stream of the next byte.
    position: u64,
    /// The segment was ended, and no slot was free yet for the next one.
    ended: bool,
}

impl RingWriter {
    /// Makes `spare` at least `bytes` long, in the next segment if this one has no room. `false` if
    /// the next segment is not flushed yet, or `bytes` is more than a segment.
    pub(crate) fn ensure_room(&mut self, bytes: usize) -> bool {
        let room = self.ring.segment_bytes - self.used;
        if room >= bytes && !self.ended {
            return true;
        }
        bytes <= self.ring.segment_bytes && self.begin_next_segment()
    }

    #[cold]
    fn begin_next_segment(&mut self) -> bool {
        if !self.ended {
            self.commit();
            self.publish();
            self.ring.progress.end_segment(self.sequence, self.position);
            self.ended = true;
        }
        let next = self.sequence + 1;
        if !self.ring.progress.begin_segment(next) {
            return false;
        }
        self.ring.segment(next).begin(next, self.position);
        self.sequence = next;
        self.used = 0;
        self.ended = false;
        true
    }

    /// The free bytes of the segment. None after the segment was ended.
    pub(crate) fn spare(&mut self) -> &mut [u8] {
        let end = if self.ended { self.used } else { self.ring.segment_bytes };
        let range = HEADER_BYTES + self.used..HEADER_BYTES + end;
        // SAFETY: bytes from `used` on were never published, so the reader does not touch them,
        // and the only writer is borrowed for as long as the slice lives.
        unsafe { self.ring.mapping(self.sequence).slice_mut(range) }
    }

    /// Keeps the first `bytes` of the spare bytes: the next line follows them.
    ///
    /// # Panics
    ///
    /// If there are fewer.
    pub(crate) fn advance(&mut self, bytes: usize) {
        let end = if self.ended { self.used } else { self.ring.segment_bytes };
        assert!(bytes <= end - self.used, "advance over more than the spare bytes");
        self.used += bytes;
        self.position += bytes as u64;
    }

    /// Commits what was advanced over, so that it survives this process: one store into the header
    /// of the segment.
    pub(crate) fn commit(&self) {
        self.ring.segment(self.sequence).commit(self.used);
    }

    /// Shows the reader what was advanced over.
    pub(crate) fn publish(&self) {
        self.ring.progress.publish(self.position);
    }

    /// The position after the last committed byte.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// The capacity of a segment in bytes.
    pub(crate) fn segment_bytes(&self) -> usize {
        self.ring.segment_bytes
    }

    /// The number of segments that were ended: the reader has work when it grows.
    pub(crate) fn segments_ended(&self) -> u64 {
        self.sequence + u64::from(self.ended)
    }
}

/// The end that takes committed bytes out, in order.
pub(crate) struct RingReader {
    ring: Arc<Ring>,
    /// The segment being read, and the position of its first byte.
    sequence: u64,
    start: u64,
    /// Whether the segment being read starts with the rest of a line: of a record that is larger
    /// than a segment.
    begins_in_line: bool,
    /// The position of the next byte to read.
    position: u64,
    frame_writer: FrameWriter,
}

impl RingReader {
    /// Published bytes that were not consumed, as far as they are in one segment. Releases segments
    /// that are done.
    pub(crate) fn pending(&mut self) -> &[u8] {
        while self.ring.progress.segment_end(self.sequence, self.start) == Some(self.position) {
            self.begins_in_line = self.is_in_line();
            self.sequence += 1;
            self.start = self.position;
            self.frame_writer = FrameWriter::default();
            self.ring.progress.release(self.sequence);
        }
        // Load `published` before the end of the segment is looked up: a stale end is then never
        // after `start`.
        let published = self.ring.progress.published();
        if published <= self.position {
            return &[];
        }
        let end = self.ring.progress.segment_end(self.sequence, self.start).unwrap_or(published);
        let from = HEADER_BYTES + (self.position - self.start) as usize;
        let to = HEADER_BYTES + (end.min(published) - self.start) as usize;
        // SAFETY: the range is published and its segment not released: the writer does not touch
        // it until `release` is called, which needs `&mut self` and so the end of the slice.
        unsafe { self.ring.mapping(self.sequence).slice(from..to) }
    }

    /// Adds a frame over what is pending, so that it can be trusted after a power loss. Called
    /// before it is written.
    pub(crate) fn write_frame(&mut self) {
        let pending = self.pending().len();
        let end = (self.position - self.start) as usize + pending;
        let uncovered = self.frame_writer.uncovered(end);
        let segment = self.ring.segment(self.sequence);
        let range = HEADER_BYTES + uncovered.start..HEADER_BYTES + uncovered.end;
        // SAFETY: the range is published and its segment not released, as in `pending`.
        let bytes = unsafe { segment.mapping().slice(range) };
        let seed = frames::seed(segment.epoch(), self.sequence, self.start);
        self.frame_writer.write(segment, seed, bytes);
    }

    /// Whether the segment being read was ended: it gets no more pending bytes.
    pub(crate) fn segment_is_full(&self) -> bool {
        self.ring
            .progress
            .segment_end(self.sequence, self.start)
            .is_some_and(|end| end > self.position)
    }

    /// Consumes the first `bytes` of what is pending.
    ///
    /// # Panics
    ///
    /// If fewer are pending.
    pub(crate) fn consume(&mut self, bytes: usize) {
        assert!(bytes <= self.pending().len(), "consume of more than is pending");
        self.position += bytes as u64;
    }

    /// The consumed bytes of the segment being read.
    fn consumed(&self) -> &[u8] {
        let to = (self.position - self.start) as usize;
        // SAFETY: consumed bytes of a segment that is not released are published, and the writer
        // does not touch them.
        unsafe { self.ring.mapping(self.sequence).slice(HEADER_BYTES..HEADER_BYTES + to) }
    }

    /// Whether a line was consumed in part, even in an earlier segment.
    pub(crate) fn is_in_line(&self) -> bool {
        self.consumed().last().map_or(self.begins_in_line, |&byte| byte != b'\n')
    }

    /// The consumed bytes of a line whose end was not consumed, as far as they are in the segment:
    /// those that [`rewind`](Self::rewind) can make pending again.
    pub(crate) fn unfinished_line_bytes(&self) -> usize {
        self.consumed().iter().rev().take_while(|&&byte| byte != b'\n').count()
    }

    /// Makes the last `bytes` consumed bytes pending again.
    ///
    /// # Panics
    ///
    /// If fewer were consumed of the segment.
    pub(crate) fn rewind(&mut self, bytes: usize) {
        assert!(bytes <= self.consumed().len(), "a rewind out of the segment");
        self.position -= bytes as u64;
    }

    /// The position of the next byte to read.
    pub(crate) fn position(&self) -> u64 {
        self.position
    }

    /// Whether there is anything to read.
    pub(crate) fn has_pending(&self) -> bool {
        self.ring.progress.published() > self.position
    }
}

#[cfg(test)]
mod tests;
