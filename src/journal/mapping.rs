//! Memory shared with a file: the only place that touches mapped bytes.
//!
//! A [`Mapping`] hands out byte slices through `unsafe` calls whose callers promise who owns which
//! range. `ring.rs` is the only caller that slices, and keeps that promise by the hand-shake of
//! `progress.rs`. Single counters go through atomics and need no promise.

#![expect(unsafe_code, reason = "slices over memory that a file shares")]

use std::io;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::storage::{DiskFile, DiskResult, FileMap};

/// No slice is made over the first page: it has the counters.
#[cfg(loom)]
const FIRST_PAGE_BYTES: usize = 4096;

/// A writable shared mapping of a whole file.
///
/// Another process that writes to the file would change the bytes under our references, and one
/// that shortens it would kill us by SIGBUS. Every open therefore creates new files: it shares no
/// memory with another appender, whatever became of the lock. We never shorten a file that is
/// mapped.
pub(crate) struct Mapping {
    memory: Memory,
    len: usize,
    /// The users of the bytes after the first page, for the models of the ring.
    #[cfg(loom)]
    uses: crate::loom::Uses,
}

enum Memory {
    File(FileMap),
    /// Plain memory, for environments that cannot map files: Miri, and tests of the byte code
    /// alone.
    #[cfg(test)]
    Plain(*mut u64),
}

// SAFETY: the memory is owned by the mapping, and every access to it is either atomic or goes
// through `slice` and `slice_mut`, whose callers promise that no range is written by one thread
// while another one uses it.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// Maps the first `len` bytes of `file`, which must already be allocated.
    pub(crate) fn of_file(file: &DiskFile, len: usize) -> DiskResult<Self> {
        // At least that long: see `DiskFile::map`.
        Ok(Self::of_memory(Memory::File(file.map(len)?), len))
    }

    fn of_memory(memory: Memory, len: usize) -> Self {
        Self {
            memory,
            len,
            #[cfg(loom)]
            uses: crate::loom::Uses::new(len.saturating_sub(FIRST_PAGE_BYTES)),
        }
    }

    /// Zeroed plain memory of `len` bytes.
    #[cfg(test)]
    pub(crate) fn plain(len: usize) -> Self {
        let words = vec![0_u64; len.div_ceil(8)].into_boxed_slice();
        Self::of_memory(Memory::Plain(Box::into_raw(words).cast::<u64>()), len)
    }

    fn base(&self) -> *mut u8 {
        match &self.memory {
            Memory::File(map) => map.as_mut_ptr(),
            #[cfg(test)]
            Memory::Plain(words) => words.cast::<u8>(),
        }
    }

    /// The address of `range`.
    ///
    /// # Panics
    ///
    /// If it does not lie inside the mapping.
    fn address(&self, range: &Range<usize>) -> *mut u8 {
        assert!(range.start <= range.end && range.end <= self.len, "slice outside of the mapping");
        self.base().wrapping_add(range.start)
    }

    /// The counter of eight bytes at `offset`.
    ///
    /// # Panics
    ///
    /// If `offset` is not a multiple of eight, or the counter does not lie inside the mapping.
    fn counter(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8) && offset + 8 <= self.len, "no counter at {offset}");
        let pointer = self.base().wrapping_add(offset).cast::<u64>();
        // SAFETY: the eight bytes lie inside the mapping and are aligned (its base is aligned to
        // eight, the offset is a multiple of eight), live as long as `self`, and no slice
        // is ever made over the first page.
        unsafe { AtomicU64::from_ptr(pointer) }
    }

    /// Hands what was stored to the file, for the sync of it that follows.
    pub(crate) fn write_back(&self) -> io::Result<()> {
        match &self.memory {
            Memory::File(map) => map.write_back(),
            #[cfg(test)]
            Memory::Plain(_) => Ok(()),
        }
    }

    /// Stores a counter. Program order with the stores before it is kept, which is all that a
    /// killed process needs: what it stored before it died is in the page cache.
    pub(crate) fn store_u64(&self, offset: usize, value: u64) {
        #[cfg(all(test, target_os = "linux"))]
        crate::tests::step::take();
        self.counter(offset).store(value, Ordering::Release);
    }

    /// The bytes of `range`.
    ///
    /// # Panics
    ///
    /// If it does not lie inside the mapping.
    ///
    /// # Safety
    ///
    /// - No byte of `range` may be written while the slice lives.
    pub(crate) unsafe fn slice(&self, range: Range<usize>) -> &[u8] {
        let pointer = self.address(&range);
        #[cfg(loom)]
        self.uses.read(range.start - FIRST_PAGE_BYTES..range.end - FIRST_PAGE_BYTES);
        // SAFETY: the range lies inside the mapping; the caller promises that nobody writes to it
        // meanwhile.
        unsafe { std::slice::from_raw_parts(pointer, range.len()) }
    }

    /// The bytes of `range`, to be written.
    ///
    /// # Panics
    ///
    /// If it does not lie inside the mapping.
    ///
    /// # Safety
    ///
    /// - No other reference to a byte of `range` may be used while the slice lives.
    #[expect(clippy::mut_from_ref, reason = "the caller promises that the range is its own")]
    pub(crate) unsafe fn slice_mut(&self, range: Range<usize>) -> &mut [u8] {
        let pointer = self.address(&range);
        #[cfg(loom)]
        self.uses.write(range.start - FIRST_PAGE_BYTES..range.end - FIRST_PAGE_BYTES);
        // SAFETY: the range lies inside the mapping; the caller promises that nobody else uses it.
        unsafe { std::slice::from_raw_parts_mut(pointer, range.len()) }
    }
}

#[cfg(test)]
impl Drop for Mapping {
    fn drop(&mut self) {
        if let Memory::Plain(words) = self.memory {
            let slice = std::ptr::slice_from_raw_parts_mut(words, self.len.div_ceil(8));
            // SAFETY: the pointer and the length are those of the box that `plain` leaked.
            drop(unsafe { Box::from_raw(slice) });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[should_panic(expected = "no counter at 64")]
    fn a_counter_outside_of_the_mapping_is_not_another_one() {
        Mapping::plain(64).store_u64(64, 1);
    }

    #[test]
    #[should_panic(expected = "no counter at 4")]
    fn a_counter_at_an_odd_offset_is_not_another_one() {
        Mapping::plain(64).store_u64(4, 1);
    }

    #[test]
    #[should_panic(expected = "slice outside of the mapping")]
    fn a_slice_outside_of_the_mapping_is_not_an_empty_one() {
        let mapping = Mapping::plain(64);
        // SAFETY: nobody else uses the memory.
        let _ = unsafe { mapping.slice(0..65) };
    }
}
