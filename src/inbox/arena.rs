//! The place in which one sender stores its records.

#![expect(unsafe_code, reason = "records are stored in place")]

use std::cell::Cell;
use std::sync::Arc;

use super::layout::{
    RECORD_CHECK, RECORD_HEADER_BYTES, RECORD_LENGTH, RECORD_TICKET, UNIT_BYTES, length_word,
    record_bytes,
};
use super::pool::{ChunkPool, ChunkRef};
use super::record::RecordRef;

/// Larger records get a chunk of their own: they would waste too much of a shared one.
const SHARED_RECORD_BYTES_MAX: usize = 8 << 10;

pub(crate) struct Arena {
    pool: Arc<ChunkPool>,
    chunk: Cell<Option<ChunkRef>>,
    /// The offset of the next record in the chunk.
    end: Cell<usize>,
    /// The number of records stored in the chunk.
    records: Cell<u32>,
}

/// A record that is stored and not sent yet. It is sent, completed or taken back before the next
/// one is stored: only the owner of the arena has it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stored {
    chunk: ChunkRef,
    /// The offset of the record in its chunk.
    offset: usize,
    body_bytes: usize,
    has_own_chunk: bool,
    /// A chunk was taken for it, and few are left: the receiver should consume records now.
    pub(crate) is_scarce: bool,
}

impl Arena {
    pub(crate) fn new(pool: Arc<ChunkPool>) -> Self {
        Self { pool, chunk: Cell::new(None), end: Cell::new(0), records: Cell::new(0) }
    }

    pub(crate) fn pool(&self) -> &ChunkPool {
        &self.pool
    }

    /// Copies `body`; `None` if there is no room: it is too large, or all chunks are in use. Never
    /// waits for one: their owners may never release them.
    #[inline]
    pub(crate) fn store(&self, body: &[u8]) -> Option<Stored> {
        let bytes = record_bytes(body.len());
        let stored = match self.chunk.get() {
            Some(chunk) if chunk.bytes - self.end.get() >= bytes => self.begin(chunk, body.len()),
            _ => self.begin_elsewhere(body.len())?,
        };
        let place = self.memory_offset(&stored) + RECORD_HEADER_BYTES;
        // SAFETY: the record lies in a chunk in which only this arena stores, after all records
        // that were sent, and `begin` has checked for room.
        unsafe { self.pool.memory.copy_in(place, body) };
        Some(stored)
    }

    #[inline]
    fn begin(&self, chunk: ChunkRef, body_bytes: usize) -> Stored {
        let offset = self.end.get();
        self.end.set(offset + record_bytes(body_bytes));
        self.records.set(self.records.get() + 1);
        Stored { chunk, offset, body_bytes, has_own_chunk: false, is_scarce: false }
    }

    /// Starts a record in another chunk.
    #[cold]
    fn begin_elsewhere(&self, body_bytes: usize) -> Option<Stored> {
        let bytes = record_bytes(body_bytes);
        if bytes > self.pool.record_bytes_max() {
            return None;
        }
        let units = bytes.div_ceil(UNIT_BYTES);
        if bytes > SHARED_RECORD_BYTES_MAX {
            let chunk = self.pool.take(units)?;
            let is_scarce = self.pool.is_scarce();
            return Some(Stored { chunk, offset: 0, body_bytes, has_own_chunk: true, is_scarce });
        }
        let is_first = self.chunk.get().is_none();
        self.leave();
        // The first chunk is small, so that thousands of idle senders have room.
        let wanted = if is_first { units } else { self.pool.chunk_units() };
        let chunk = self.pool.take(wanted.max(units)).or_else(|| self.pool.take(units))?;
        self.chunk.set(Some(chunk));
        self.end.set(0);
        Some(Stored { is_scarce: self.pool.is_scarce(), ..self.begin(chunk, body_bytes) })
    }

    fn memory_offset(&self, stored: &Stored) -> usize {
        self.pool.units.offset(stored.chunk.first) + stored.offset
    }

    /// The reference that goes through the queue.
    #[inline]
    pub(crate) fn record(&self, stored: &Stored) -> RecordRef {
        RecordRef::new(self.memory_offset(stored), stored.body_bytes)
    }

    /// The event was let in with `ticket`. Called before the record is sent.
    #[inline]
    pub(crate) fn set_ticket(&self, stored: &Stored, ticket: u64) {
        let record = self.memory_offset(stored);
        self.pool.memory.store(record + RECORD_TICKET, ticket);
        self.pool.memory.store(record + RECORD_LENGTH, length_word(stored.body_bytes, false));
    }

    /// The event was sent: from here on it survives the process.
    #[inline]
    pub(crate) fn complete(&self, stored: &Stored, ticket: u64) {
        let check = stored.chunk.checks.of(stored.offset, stored.body_bytes, ticket);
        self.pool.memory.store(self.memory_offset(stored) + RECORD_CHECK, check);
        if stored.has_own_chunk {
            self.pool.leave(stored.chunk, 1);
        }
    }

    /// The event was refused: its room is free again.
    #[cold]
    pub(crate) fn take_back(&self, stored: &Stored) {
        if stored.has_own_chunk {
            self.pool.leave(stored.chunk, 0);
        } else {
            self.end.set(stored.offset);
            self.records.set(self.records.get() - 1);
        }
    }

    fn leave(&self) {
        if let Some(chunk) = self.chunk.take() {
            self.pool.leave(chunk, self.records.take());
        }
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // A forked child has a copy; another thread may have held the lock of the pool at the fork.
        if !self.pool.is_in_child() {
            self.leave();
        }
    }
}
