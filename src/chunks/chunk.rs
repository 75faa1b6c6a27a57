//! One chunk, and who still uses it.

#![expect(
    unsafe_code,
    reason = "memory that a sender writes to while a receiver reads other parts"
)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::fmt;
use std::ptr::NonNull;
use std::sync::Weak;
use std::sync::atomic::{AtomicUsize, Ordering, fence};

use super::{CHUNK_BYTES, Chunks};

/// Records begin at multiples of this, and the chunk itself at a multiple of a cache line.
pub(super) const RECORD_ALIGN: usize = 8;

const LINE_BYTES: usize = 64;

/// Uses that the sender holds while it stores records: more than there can be records.
const SENDER_USES: usize = 1 << (usize::BITS / 2);

/// The first bytes of a chunk, a cache line of their own: the receiver writes here while the sender
/// stores records behind it.
#[repr(C, align(64))]
struct Head {
    /// A sender counts its records by itself, without an atomic operation for each, and says how
    /// many there were when it leaves the chunk. Until then the receiver takes its own off a number
    /// that it cannot use up. Zero: the chunk is free.
    uses: AtomicUsize,
    chunks: Weak<Chunks>,
}

/// Where the first record of a chunk begins.
pub(super) const RECORDS_BEGIN: usize = size_of::<Head>();

const LAYOUT: Layout = match Layout::from_size_align(CHUNK_BYTES, LINE_BYTES) {
    Ok(layout) => layout,
    Err(_) => panic!("a power of two"),
};

/// A chunk that nobody uses.
pub(super) struct Chunk(NonNull<Head>);

// SAFETY: it is the only one that refers to its memory.
unsafe impl Send for Chunk {}

impl Chunk {
    pub(super) fn new(chunks: Weak<Chunks>) -> Self {
        // SAFETY: the layout has a size.
        let memory = unsafe { alloc(LAYOUT) };
        let Some(head) = NonNull::new(memory.cast::<Head>()) else { handle_alloc_error(LAYOUT) };
        // SAFETY: the memory is as large and as aligned as a head, and nobody else has it.
        unsafe { head.write(Head { uses: AtomicUsize::new(0), chunks }) };
        Self(head)
    }

    /// Gives the chunk to a sender, who leaves it in the end.
    pub(super) fn lend(self) -> Lent {
        let lent = Lent(self.0.as_ptr());
        // SAFETY: a chunk has a head.
        unsafe { self.0.as_ref() }.uses.store(SENDER_USES, Ordering::Relaxed);
        std::mem::forget(self);
        lent
    }
}

impl Drop for Chunk {
    fn drop(&mut self) {
        // SAFETY: nobody else refers to the memory, and the head is not used after this.
        unsafe { self.0.drop_in_place() };
        // SAFETY: it was allocated with this layout.
        unsafe { dealloc(self.0.as_ptr().cast(), LAYOUT) };
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Chunk")
    }
}

/// A chunk that is being used.
#[derive(Clone, Copy)]
pub(super) struct Lent(*mut Head);

impl Lent {
    /// The place `offset` bytes behind the beginning of the chunk.
    pub(super) const fn at(self, offset: usize) -> *mut u8 {
        self.0.cast::<u8>().wrapping_add(offset)
    }

    /// The chunk whose place `offset` bytes behind its beginning that is.
    pub(super) const fn of(place: *mut u8, offset: usize) -> Self {
        Self(place.wrapping_sub(offset).cast())
    }

    /// The sender stored `records` records and stores no more.
    ///
    /// # Safety
    ///
    /// It is called once for each [`Chunk::lend`], and each of the records is let go of once, and
    /// not before it was stored.
    pub(super) unsafe fn leave(self, records: usize) {
        // SAFETY: the sender's uses are in the count still.
        unsafe { self.release(SENDER_USES - records) }
    }

    /// A record is not used any more.
    ///
    /// # Safety
    ///
    /// It is called once for each record, of the chunk that this came from.
    pub(super) unsafe fn let_go(self) {
        // SAFETY: the use of the record is in the count: as its own, or as one of the sender's.
        unsafe { self.release(1) }
    }

    /// # Safety
    ///
    /// `uses` are in the count, and the caller's.
    unsafe fn release(self, uses: usize) {
        // SAFETY: the uses are in the count, so the chunk is not freed, and has a head.
        let head = unsafe { &*self.0 };
        if head.uses.fetch_sub(uses, Ordering::Release) != uses {
            return;
        }
        // What the others did with the memory comes before what the next user does.
        fence(Ordering::Acquire);
        let chunks = head.chunks.upgrade();
        // SAFETY: it came from a `NonNull`.
        let chunk = Chunk(unsafe { NonNull::new_unchecked(self.0) });
        if let Some(chunks) = chunks {
            chunks.put_back(chunk);
        }
    }
}
