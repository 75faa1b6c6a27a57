//! Records on the receiving side: read in place, consumed in the order of their sender.

#![expect(unsafe_code, reason = "records are read in place")]

use std::fmt;
use std::ops::Deref;

use super::layout::{
    ChunkWord, OFFSET_SLOT, Place, RECORD_HEADER_BYTES, RECORD_LENGTH, RECORD_TICKET, Units,
    length_word, record_bytes,
};
use super::pool::ChunkPool;

/// A reference to a record: what goes through the queue, 8 bytes. There is only one per record.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct RecordRef(u64);

/// Records start at multiples of eight, in at most 32 GiB.
const OFFSET_UNIT: usize = 8;
const LENGTH_BITS: u32 = 31;

impl RecordRef {
    pub(super) fn new(offset: usize, body_bytes: usize) -> Self {
        let offset = offset / OFFSET_UNIT;
        debug_assert!(offset < 1 << 32 && body_bytes < 1 << LENGTH_BITS, "a record too far away");
        Self((offset as u64) << LENGTH_BITS | body_bytes as u64)
    }

    /// The reference as a number below 2^63, from which it can be restored.
    pub(crate) const fn into_number(self) -> u64 {
        self.0
    }

    /// `number` was made by [`into_number`](Self::into_number), and is used for only one reference.
    pub(crate) const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The offset of the record in the memory.
    const fn offset(&self) -> usize {
        (self.0 >> LENGTH_BITS) as usize * OFFSET_UNIT
    }

    pub(crate) const fn body_bytes(&self) -> usize {
        (self.0 & ((1 << LENGTH_BITS) - 1)) as usize
    }
}

/// A record that the receiver reads. If it is dropped without being consumed, it stays as it is:
/// its chunk is not reused, and the next open finds the event.
pub(crate) struct RecordGuard<'a> {
    pool: &'a ChunkPool,
    record: RecordRef,
}

impl ChunkPool {
    /// Opens a record of this pool that was sent.
    pub(crate) fn open(&self, record: RecordRef) -> RecordGuard<'_> {
        RecordGuard { pool: self, record }
    }

    /// Notes that the event with `ticket` will be journaled at `place`; `at_ms` is the time for its
    /// reject record.
    ///
    /// A kill between any two of the stores leaves either no position, or the whole note.
    pub(crate) fn note_place(&self, ticket: u64, place: Place, at_ms: u64) {
        if self.is_protected() {
            self.memory.store(OFFSET_SLOT + 16, 0);
            self.memory.store(OFFSET_SLOT, ticket);
            self.memory.store(OFFSET_SLOT + 8, at_ms);
            self.memory.store(OFFSET_SLOT + 16, place.word());
        }
    }
}

impl RecordGuard<'_> {
    pub(crate) fn ticket(&self) -> u64 {
        self.pool.memory.load(self.record.offset() + RECORD_TICKET)
    }

    /// The event is journaled, or was reported lost: the next open does not recover it. Records of
    /// one sender are consumed in order, so one offset per chunk covers all of them.
    ///
    /// Its chunk is released by `released`, with others of the same chunk.
    #[inline]
    pub(crate) fn consume(self, released: &mut Released) {
        let offset = self.record.offset();
        let first = self.pool.chunk_of(offset);
        let end = offset + record_bytes(self.record.body_bytes()) - self.pool.units.offset(first);
        if self.pool.is_protected() {
            let word_offset = Units::word_offset(first);
            let word = ChunkWord(self.pool.memory.load(word_offset));
            self.pool.memory.store(word_offset, word.consumed_to(end).0);
        }
        released.add(self.pool, first);
    }

    /// The event is given back to its sender: the next open does not recover it.
    pub(crate) fn cancel(&self) {
        let word = length_word(self.record.body_bytes(), true);
        self.pool.memory.store(self.record.offset() + RECORD_LENGTH, word);
    }

    /// Returns the reference; the record stays unconsumed.
    pub(crate) fn keep(self) -> RecordRef {
        self.record
    }
}

impl Deref for RecordGuard<'_> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let body = self.record.offset() + RECORD_HEADER_BYTES;
        // SAFETY: the body was stored before the record was sent, and its chunk is not reused
        // before it is consumed, which takes the guard.
        unsafe { self.pool.memory.slice(body, self.record.body_bytes()) }
    }
}

impl fmt::Debug for RecordGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RecordGuard({} bytes)", self.record.body_bytes())
    }
}

/// Consumed records that were not released yet, all of one chunk: one atomic operation for many.
#[derive(Debug, Default)]
pub(crate) struct Released {
    first: usize,
    records: u32,
}

impl Released {
    #[inline]
    fn add(&mut self, pool: &ChunkPool, first: usize) {
        if self.first != first {
            self.tell(pool);
            self.first = first;
        }
        self.records += 1;
    }

    /// Called at the end of a batch.
    pub(crate) fn tell(&mut self, pool: &ChunkPool) {
        let records = std::mem::take(&mut self.records);
        if records > 0 {
            pool.release(self.first, records);
        }
    }
}
