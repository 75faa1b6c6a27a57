//! The chunks that senders store their records in, which are reused.
//!
//! A chunk is a run of units. The first free ones are taken first: a cache may still hold them, and
//! an appender with little to do touches little memory. The users of a chunk are counted in memory
//! of the process alone, so that a forked child cannot free one of its parent.

use super::layout::{CHUNK_BYTES_MAX, CheckSeed, ChunkWord, UNIT_BYTES, Units};
use super::memory::Memory;
use crate::loom::sync::atomic::{AtomicU32, Ordering};
use crate::loom::sync::{Mutex, MutexGuard, PoisonError};
use crate::system::ForkGuard;

/// The uses that a sender holds while it stores records: more than there can be records.
const SENDER_USES: u32 = 1 << 31;

/// Taking a chunk costs as much as a few sends.
const CHUNK_UNITS_MAX: usize = (64 << 10) / UNIT_BYTES;

const BITS: usize = u64::BITS as usize;

#[derive(Debug)]
pub(crate) struct ChunkPool {
    pub(super) memory: Memory,
    pub(super) units: Units,
    key: u64,
    taken: Mutex<TakenUnits>,
    states: Box<[UnitState]>,
    fork_guard: Option<ForkGuard>,
    /// The memory is that of an inbox file.
    is_protected: bool,
}

/// What only the process knows about a unit.
#[derive(Debug, Default)]
struct UnitState {
    /// For the chunk that begins here: one for each record that is in use or may still be stored. A
    /// sender counts its records itself, without an atomic operation for each, and reports how many
    /// there were when it leaves the chunk. Until then the receiver subtracts its own from a number
    /// that it cannot use up.
    uses: AtomicU32,
    /// For the chunk that begins here.
    units: AtomicU32,
    /// The first unit of the chunk that this one is in. Set before a record in it is sent.
    first: AtomicU32,
}

/// One bit per unit.
#[derive(Debug)]
struct TakenUnits {
    bits: Box<[u64]>,
    count: usize,
    taken: usize,
}

/// A chunk that one sender stores records in.
#[derive(Clone, Copy, Debug)]
pub(super) struct ChunkRef {
    pub(super) first: usize,
    pub(super) bytes: usize,
    pub(super) checks: CheckSeed,
}

impl ChunkPool {
    /// Chunks in `memory`; nobody uses its `units`.
    pub(super) fn new(memory: Memory, units: Units, key: u64, is_protected: bool) -> Self {
        let taken = TakenUnits {
            bits: vec![0; units.count.div_ceil(BITS)].into_boxed_slice(),
            count: units.count,
            taken: 0,
        };
        Self {
            memory,
            units,
            key,
            taken: Mutex::new(taken),
            states: (0..units.count).map(|_| UnitState::default()).collect(),
            // If the kernel cannot do it, a child is not distinguished from its parent.
            fork_guard: ForkGuard::new().ok(),
            is_protected,
        }
    }

    /// Chunks of `bytes` in all, in memory of the process alone.
    pub(crate) fn unprotected(bytes: usize) -> Self {
        let units = Units::in_file(bytes);
        Self::new(Memory::of_process(bytes), units, 0, false)
    }

    /// Whether records survive the process.
    pub(crate) fn is_protected(&self) -> bool {
        self.is_protected
    }

    /// Whether this process is a forked child, which must not store anything.
    #[inline]
    pub(crate) fn is_in_child(&self) -> bool {
        self.fork_guard.as_ref().is_some_and(ForkGuard::is_child)
    }

    /// The longest body that is stored here: a quarter of the memory, so that one does not keep the
    /// others out.
    pub(super) fn record_bytes_max(&self) -> usize {
        (self.units.bytes() / 4).min(CHUNK_BYTES_MAX)
    }

    /// How many units a sender takes at once: 64 KiB, or less if there are few.
    pub(super) fn chunk_units(&self) -> usize {
        (self.units.count / 128).clamp(1, CHUNK_UNITS_MAX)
    }

    #[expect(clippy::indexing_slicing, reason = "a unit outside of the pool is a bug of ours")]
    #[inline]
    fn state(&self, unit: usize) -> &UnitState {
        &self.states[unit]
    }

    fn lock(&self) -> MutexGuard<'_, TakenUnits> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A chunk of `units` that nobody uses; `None` if there is no such run.
    pub(super) fn take(&self, units: usize) -> Option<ChunkRef> {
        let first = self.lock().take(units)?;
        let offset = Units::word_offset(first);
        let word = ChunkWord(self.memory.load(offset)).next_use();
        // From here on, records of the last use do not match; all of them are consumed.
        self.memory.store(offset, word.0);
        let state = self.state(first);
        state.units.store(units as u32, Ordering::Relaxed);
        state.uses.store(SENDER_USES, Ordering::Relaxed);
        for unit in first..first + units {
            self.state(unit).first.store(first as u32, Ordering::Relaxed);
        }
        let checks = CheckSeed::new(self.key, first, word.generation());
        Some(ChunkRef { first, bytes: units * UNIT_BYTES, checks })
    }

    /// The sender stored `records` records in its chunk and will store no more.
    pub(super) fn leave(&self, chunk: ChunkRef, records: u32) {
        self.release(chunk.first, SENDER_USES - records);
    }

    /// The first unit of the chunk that a record at `offset` of the memory is in.
    pub(super) fn chunk_of(&self, offset: usize) -> usize {
        let unit = (offset - self.units.begin) / UNIT_BYTES;
        self.state(unit).first.load(Ordering::Relaxed) as usize
    }

    /// `uses` of the chunk are over: their holder does not touch it any more.
    pub(super) fn release(&self, first: usize, uses: u32) {
        let state = self.state(first);
        let before = state.uses.fetch_sub(uses, Ordering::Release);
        assert!(before >= uses, "a chunk was released more often than it was used");
        if before != uses {
            return;
        }
        // What the others did with the memory comes before what the next user does. A load,
        // although a fence would do as well: ThreadSanitizer does not understand fences.
        let _ = state.uses.load(Ordering::Acquire);
        let units = state.units.load(Ordering::Relaxed) as usize;
        self.lock().give_back(first, units);
    }

    /// Whether more than half of the units are in use.
    pub(super) fn is_scarce(&self) -> bool {
        let taken = self.lock();
        taken.taken > taken.count / 2
    }

    /// Units that are in use.
    #[cfg(test)]
    pub(super) fn units_taken(&self) -> usize {
        self.lock().taken
    }
}

impl TakenUnits {
    fn is_taken(&self, unit: usize) -> bool {
        self.bits.get(unit / BITS).is_none_or(|bits| bits >> (unit % BITS) & 1 == 1)
    }

    fn set(&mut self, unit: usize, taken: bool) {
        let Some(bits) = self.bits.get_mut(unit / BITS) else { return };
        let bit = 1 << (unit % BITS);
        if taken { *bits |= bit } else { *bits &= !bit }
    }

    /// The first free run of `units`.
    fn take(&mut self, units: usize) -> Option<usize> {
        let mut first = 0;
        'runs: while first + units <= self.count {
            if first.is_multiple_of(BITS) && self.bits.get(first / BITS) == Some(&u64::MAX) {
                first += BITS;
                continue;
            }
            for unit in (first..first + units).rev() {
                if self.is_taken(unit) {
                    first = unit + 1;
                    continue 'runs;
                }
            }
            (first..first + units).for_each(|unit| self.set(unit, true));
            self.taken += units;
            return Some(first);
        }
        None
    }

    fn give_back(&mut self, first: usize, units: usize) {
        (first..first + units).for_each(|unit| self.set(unit, false));
        self.taken -= units;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_run_that_is_free_is_taken_and_none_is_given_twice() {
        let pool = ChunkPool::unprotected(100 * (UNIT_BYTES + 8) + 8192);
        let count = pool.units.count;
        assert!(count >= 99);
        let first = pool.take(1).unwrap();
        let second = pool.take(16).unwrap();
        let third = pool.take(1).unwrap();
        assert_eq!((first.first, second.first, third.first), (0, 1, 17));
        pool.leave(second, 0);
        assert_eq!(pool.take(17).unwrap().first, 18, "a run that is too short was taken");
        assert_eq!(pool.take(4).unwrap().first, 1);
        assert!(pool.take(count).is_none());
        assert_eq!(pool.units_taken(), 1 + 1 + 17 + 4);
    }

    #[test]
    fn chunks_are_scarce_while_more_than_half_of_the_units_are_taken() {
        let pool = ChunkPool::unprotected(1 << 20);
        let half = pool.take(pool.units.count / 2).unwrap();
        assert!(!pool.is_scarce());
        let one = pool.take(pool.units.count % 2 + 1).unwrap();
        assert!(pool.is_scarce());
        pool.leave(half, 0);
        assert!(!pool.is_scarce());
        pool.leave(one, 0);
        assert_eq!(pool.units_taken(), 0);
    }

    #[test]
    fn each_use_of_a_chunk_has_checks_of_its_own() {
        let pool = ChunkPool::unprotected(1 << 20);
        let one = pool.take(1).unwrap();
        pool.leave(one, 0);
        let other = pool.take(1).unwrap();
        assert_eq!(one.first, other.first);
        assert_ne!(one.checks.of(0, 1, 1), other.checks.of(0, 1, 1));
    }

    #[test]
    fn a_chunk_is_free_when_its_sender_left_and_its_last_record_is_released() {
        let pool = ChunkPool::unprotected(1 << 20);
        let chunk = pool.take(2).unwrap();
        pool.release(chunk.first, 1);
        pool.leave(chunk, 3);
        assert_eq!(pool.units_taken(), 2);
        pool.release(chunk.first, 2);
        assert_eq!(pool.units_taken(), 0);
    }
}

#[cfg(all(test, loom))]
mod loom_tests {
    //! A chunk has one user at any time, in every order that the memory model allows.
    //!
    //! A cell of loom stands for the bytes of a chunk: the model fails if a sender stores into it
    //! while the receiver still reads what was sent during the previous use.

    #![expect(unsafe_code, reason = "loom's cells hand out pointers")]

    use loom::cell::UnsafeCell;
    use loom::sync::Arc;
    use loom::thread;

    use super::super::layout::HEADER_BYTES;
    use super::*;

    struct Chunks {
        pool: ChunkPool,
        cells: Vec<UnsafeCell<u64>>,
    }

    impl Chunks {
        fn new() -> Arc<Self> {
            let pool = ChunkPool::unprotected(HEADER_BYTES + 4 * UNIT_BYTES);
            let cells = (0..pool.units.count).map(|_| UnsafeCell::new(0)).collect();
            Arc::new(Self { pool, cells })
        }

        fn store(&self, chunk: ChunkRef, value: u64) {
            // SAFETY: loom checks it.
            self.cells[chunk.first].with_mut(|cell| unsafe { *cell = value });
        }

        /// Like the receiver: reads a record, and releases it.
        fn consume(&self, chunk: ChunkRef, value: u64) {
            // SAFETY: loom checks it.
            let found = self.cells[chunk.first].with(|cell| unsafe { *cell });
            assert_eq!(found, value, "a record was overwritten before it was consumed");
            self.pool.release(chunk.first, 1);
        }
    }

    #[test]
    fn loom_a_chunk_is_used_again_only_after_its_last_record_is_consumed() {
        loom::model(|| {
            let chunks = Chunks::new();
            let one = chunks.pool.take(1).unwrap();
            chunks.store(one, 1);
            let receiver = {
                let chunks = chunks.clone();
                thread::spawn(move || chunks.consume(one, 1))
            };
            // The sender goes on in another chunk, or in this one if it is free.
            chunks.pool.leave(one, 1);
            let other = chunks.pool.take(1).unwrap();
            chunks.store(other, 2);
            chunks.pool.leave(other, 0);
            receiver.join().unwrap();
            assert_eq!(chunks.pool.units_taken(), 0);
        });
    }

    #[test]
    fn loom_two_senders_never_get_the_same_chunk() {
        loom::model(|| {
            let chunks = Chunks::new();
            let one = chunks.pool.take(1).unwrap();
            chunks.store(one, 1);
            let sender = {
                let chunks = chunks.clone();
                thread::spawn(move || {
                    let chunk = chunks.pool.take(1).unwrap();
                    chunks.store(chunk, 2);
                    chunks.pool.leave(chunk, 0);
                })
            };
            chunks.pool.leave(one, 1);
            chunks.consume(one, 1);
            sender.join().unwrap();
            assert_eq!(chunks.pool.units_taken(), 0);
        });
    }
}
