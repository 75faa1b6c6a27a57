//! The memory of the chunks: a mapped inbox file, or memory of the process alone. The one place that
//! touches its bytes.

#![expect(unsafe_code, reason = "memory that is shared between threads, and with a file")]

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::storage::FileMap;

pub(super) struct Memory {
    owner: Owner,
    bytes: usize,
}

enum Owner {
    File(FileMap),
    /// Zeroed by the system when it is touched first.
    Process(*mut u64),
}

// SAFETY: the memory is owned by this value. Words are accessed by atomic operations; for slices the
// callers of `slice` and `copy_in` promise that no byte is written while another one uses it.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    pub(super) fn of_file(map: FileMap) -> Self {
        let bytes = map.bytes();
        Self { owner: Owner::File(map), bytes }
    }

    pub(super) fn of_process(bytes: usize) -> Self {
        let words = vec![0_u64; bytes.div_ceil(8)].into_boxed_slice();
        Self { owner: Owner::Process(Box::into_raw(words).cast()), bytes }
    }

    fn base(&self) -> *mut u8 {
        match &self.owner {
            Owner::File(map) => map.as_mut_ptr(),
            Owner::Process(words) => words.cast(),
        }
    }

    /// The address of a range that lies inside the memory.
    #[inline]
    fn at(&self, offset: usize, bytes: usize) -> *mut u8 {
        assert!(
            offset <= self.bytes && bytes <= self.bytes - offset,
            "a range outside of the memory of the chunks"
        );
        self.base().wrapping_add(offset)
    }

    #[inline]
    fn word(&self, offset: usize) -> &AtomicU64 {
        assert!(offset.is_multiple_of(8), "a word that is not aligned");
        // SAFETY: the eight bytes lie inside the memory, are aligned (its base is, and the offset),
        // live as long as `self`, and are accessed as words only: headers of records are not in the
        // ranges of `slice` and `copy_in`, which are bodies.
        unsafe { AtomicU64::from_ptr(self.at(offset, 8).cast()) }
    }

    #[inline]
    pub(super) fn load(&self, offset: usize) -> u64 {
        self.word(offset).load(Ordering::Acquire)
    }

    /// Stores a word that recovery looks at. What this thread stored before is there when the word
    /// is, also for whoever reads the file after a kill.
    #[inline]
    pub(super) fn store(&self, offset: usize, value: u64) {
        #[cfg(all(test, target_os = "linux"))]
        crate::tests::step::take();
        self.word(offset).store(value, Ordering::Release);
    }

    /// All of it, as a file would have it.
    #[cfg(test)]
    pub(super) fn copy_all(&mut self) -> Vec<u8> {
        // SAFETY: nobody else uses what is borrowed exclusively.
        unsafe { self.slice(0, self.bytes) }.to_vec()
    }

    /// Copies `bytes` to `offset`.
    ///
    /// # Safety
    ///
    /// Nobody else uses the range meanwhile.
    #[inline]
    pub(super) unsafe fn copy_in(&self, offset: usize, bytes: &[u8]) {
        let place = self.at(offset, bytes.len());
        #[cfg(all(test, target_os = "linux"))]
        {
            // A process may die before the copy, and in the middle of it.
            crate::tests::step::take();
            // SAFETY: the first half of what is copied below.
            unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len() / 2) };
            crate::tests::step::take();
        }
        // SAFETY: the range lies inside the memory; the caller promises that it is used by nobody
        // else, `bytes` included, which is borrowed from elsewhere.
        unsafe { place.copy_from_nonoverlapping(bytes.as_ptr(), bytes.len()) };
    }

    /// The bytes of a range.
    ///
    /// # Safety
    ///
    /// Nobody writes to the range while the slice lives.
    #[inline]
    pub(super) unsafe fn slice(&self, offset: usize, bytes: usize) -> &[u8] {
        // SAFETY: the range lies inside the memory; the caller promises that nobody writes to it.
        unsafe { std::slice::from_raw_parts(self.at(offset, bytes), bytes) }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        if let Owner::Process(words) = self.owner {
            let words = std::ptr::slice_from_raw_parts_mut(words, self.bytes.div_ceil(8));
            // SAFETY: pointer and length are those of the box that `of_process` gave up.
            drop(unsafe { Box::from_raw(words) });
        }
    }
}

impl fmt::Debug for Memory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Memory({} bytes)", self.bytes)
    }
}
