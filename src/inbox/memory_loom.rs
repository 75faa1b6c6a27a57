//! The memory of the chunks in a model of loom: the words are loom's atomics, and it watches which
//! thread uses which bytes. The same interface as `memory.rs`.

#![expect(unsafe_code, reason = "loom watches it")]

use std::cell::{Cell, UnsafeCell};
use std::fmt;

use loom::sync::atomic::{AtomicU64, Ordering};

use crate::loom::Uses;
use crate::storage::FileMap;

/// The part of the header with the words that change; the path comes after it.
const HEADER_WORDS: usize = 256 / 8;

pub(super) struct Memory {
    words: Box<[AtomicU64]>,
    bytes: UnsafeCell<Box<[u8]>>,
    /// For each word of `bytes`.
    uses: Uses,
}

// SAFETY: loom runs one thread at a time, and fails if two use the same bytes without an order.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

loom::thread_local! {
    /// How many steps this thread has left; `None` if it is not to be killed.
    static STEPS_LEFT: Cell<Option<u32>> = Cell::new(None);
}

/// The payload with which a killed thread unwinds: after that, only the model runs.
pub(super) struct Killed;

/// This thread dies before its step number `step`, if one is given.
pub(super) fn die_at(step: Option<u32>) {
    STEPS_LEFT.with(|left| left.set(step));
}

/// Called before each step.
pub(super) fn take_step() {
    let left = STEPS_LEFT.with(Cell::get);
    if left == Some(0) {
        std::panic::resume_unwind(Box::new(Killed));
    }
    STEPS_LEFT.with(|steps| steps.set(left.map(|left| left - 1)));
}

/// The index of the word at `offset` among the modelled words.
fn index(offset: usize) -> usize {
    assert!(offset.is_multiple_of(8), "a word that is not aligned");
    match offset / 8 {
        word if word < HEADER_WORDS => word,
        word => word - super::layout::HEADER_BYTES / 8 + HEADER_WORDS,
    }
}

impl Memory {
    pub(super) fn of_file(_map: FileMap) -> Self {
        unreachable!("a model has no files")
    }

    pub(super) fn of_process(bytes: usize) -> Self {
        let words = index(bytes);
        Self {
            words: (0..words).map(|_| AtomicU64::new(0)).collect(),
            bytes: UnsafeCell::new(vec![0; words * 8].into_boxed_slice()),
            uses: Uses::new(words),
        }
    }

    pub(super) fn load(&self, offset: usize) -> u64 {
        self.words[index(offset)].load(Ordering::Acquire)
    }

    pub(super) fn store(&self, offset: usize, value: u64) {
        take_step();
        self.words[index(offset)].store(value, Ordering::Release);
    }

    pub(super) unsafe fn copy_in(&self, offset: usize, bytes: &[u8]) {
        take_step();
        let begin = index(offset);
        self.uses.write(begin..begin + bytes.len().div_ceil(8));
        // SAFETY: one thread runs at a time, and no slice is kept while others run.
        let all = unsafe { &mut *self.bytes.get() };
        all[begin * 8..begin * 8 + bytes.len()].copy_from_slice(bytes);
    }

    pub(super) unsafe fn slice(&self, offset: usize, bytes: usize) -> &[u8] {
        let begin = index(offset);
        self.uses.read(begin..begin + bytes.div_ceil(8));
        // SAFETY: as above; models use a slice immediately.
        let all = unsafe { &*self.bytes.get() };
        &all[begin * 8..begin * 8 + bytes]
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} words)", self.words.len())
    }
}
