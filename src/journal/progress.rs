//! The hand-shake between the two ends of a ring of segments.
//!
//! Positions are byte offsets in the stream, counted from the first byte ever journaled; they only
//! grow. Sequence numbers count segments; segment `s` uses slot `s % segment_count`.
//!
//! - The writer fills segment `s` and *publishes* the position up to which its bytes are final.
//! - When the next line does not fit, it *ends* `s` at its position, waits until slot `(s + 1) %
//!   segment_count` is free, and *starts* `s + 1` there.
//! - The reader takes published bytes, never beyond the end of its segment, and *releases* a
//!   segment when it has reached its end.
//!
//! A byte therefore has one owner at any time: the writer until it is published, the reader until
//! its segment is released, then the writer again.

use crossbeam_utils::CachePadded;

use crate::loom::sync::atomic::{AtomicU64, Ordering};

/// The end of a segment that is still being filled. No stream gets that long: at 10 GB/s it takes
/// 58 years.
const OPEN: u64 = u64::MAX;

pub(crate) struct Progress {
    /// The position up to which bytes are final. Stored by the writer.
    published: CachePadded<AtomicU64>,
    /// The sequence number up to which segments are free again. Stored by the reader.
    released: CachePadded<AtomicU64>,
    /// By slot: the position at which its segment ended. Stored by the writer.
    ends: Box<[AtomicU64]>,
}

impl Progress {
    /// A ring of `segment_count` slots, all free, with segment `sequence` started at `position`.
    pub(crate) fn new(segment_count: usize, sequence: u64, position: u64) -> Self {
        assert!(segment_count > 0, "a ring without segments");
        Self {
            published: CachePadded::new(AtomicU64::new(position)),
            released: CachePadded::new(AtomicU64::new(sequence)),
            ends: (0..segment_count).map(|_| AtomicU64::new(OPEN)).collect(),
        }
    }

    /// The slot of a segment.
    pub(crate) fn slot(&self, sequence: u64) -> usize {
        (sequence % self.ends.len() as u64) as usize
    }

    #[expect(clippy::indexing_slicing, reason = "a slot is less than the number of segments")]
    fn end(&self, sequence: u64) -> &AtomicU64 {
        &self.ends[self.slot(sequence)]
    }

    // ===== the writer =====

    /// Everything before `position` is final. Pairs with the load in
    /// [`published`](Self::published).
    pub(crate) fn publish(&self, position: u64) {
        self.published.store(position, Ordering::Release);
    }

    /// Segment `sequence` holds nothing from `position` on. `position` is published before.
    pub(crate) fn end_segment(&self, sequence: u64, position: u64) {
        self.end(sequence).store(position, Ordering::Release);
    }

    /// Takes the slot of segment `sequence` if it is free: its previous segment was released.
    pub(crate) fn begin_segment(&self, sequence: u64) -> bool {
        // Acquire: the reader is done with the slot's bytes before the writer stores into them.
        let free = self.released.load(Ordering::Acquire).saturating_add(self.ends.len() as u64);
        if sequence >= free {
            return false;
        }
        // The reader sees this before any byte of the segment: both are ordered by `publish`.
        self.end(sequence).store(OPEN, Ordering::Relaxed);
        true
    }

    // ===== the reader =====

    /// The position up to which bytes may be read.
    pub(crate) fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    /// Where segment `sequence`, started at `start`, ended; `None` while it is being filled.
    ///
    /// A segment is never empty when it ends. An end that is not after `start` is that of the
    /// slot's previous segment, and says that the writer has not started this one.
    pub(crate) fn segment_end(&self, sequence: u64, start: u64) -> Option<u64> {
        let end = self.end(sequence).load(Ordering::Acquire);
        (end != OPEN && end > start).then_some(end)
    }

    /// Gives the slots of all segments before `sequence` back to the writer.
    pub(crate) fn release(&self, sequence: u64) {
        self.released.store(sequence, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_free_again_only_after_its_segment_was_released() {
        let progress = Progress::new(2, 0, 0);
        assert!(progress.begin_segment(1));
        assert!(!progress.begin_segment(2));
        progress.release(1);
        assert!(progress.begin_segment(2));
        assert!(!progress.begin_segment(3));
    }

    #[test]
    fn the_end_of_the_last_segment_of_a_slot_is_not_taken_for_its_own() {
        let progress = Progress::new(2, 0, 0);
        progress.publish(10);
        progress.end_segment(0, 10);
        assert_eq!(progress.segment_end(0, 0), Some(10));
        assert_eq!(progress.segment_end(2, 20), None);
    }

    #[test]
    fn an_open_segment_has_no_end() {
        let progress = Progress::new(2, 0, 5);
        assert_eq!(progress.published(), 5);
        assert_eq!(progress.segment_end(0, 5), None);
    }
}
