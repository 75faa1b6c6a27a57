//! The records of a chunk: what a sender stores, and what the receiver opens.

#![expect(unsafe_code, reason = "records are written and read in place")]

use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use super::chunk::{Lent, RECORD_ALIGN, RECORDS_BEGIN};
use super::{CHUNK_BYTES, Chunks};

/// The longest slice that is stored in place: with a longer one too much of a chunk would be
/// wasted.
pub(crate) const SLICE_BYTES_MAX: usize = CHUNK_BYTES / 8;

/// What the field `bytes` of a record says that holds a `T` instead of a slice.
const OTHER: u32 = u32::MAX;

/// The beginning of a record; the bytes of the slice, or the `T`, follow.
#[derive(Clone, Copy)]
#[repr(C)]
struct Header {
    /// From the beginning of the chunk.
    offset: u32,
    bytes: u32,
}

const HEADER_BYTES: usize = size_of::<Header>();
const _: () = assert!(HEADER_BYTES == RECORD_ALIGN && SLICE_BYTES_MAX < OTHER as usize);

/// What is behind the header of a record.
const fn content_of<U>(record: *mut Header) -> *mut U {
    record.wrapping_add(1).cast()
}

/// Where one sender stores slices and other things of type `T`.
pub(crate) struct Arena<T> {
    chunks: Arc<Chunks>,
    chunk: Cell<Option<Lent>>,
    /// Where the next record begins, from the beginning of the chunk.
    end: Cell<usize>,
    /// How many records were stored in the chunk.
    records: Cell<usize>,
    holds: PhantomData<T>,
}

// SAFETY: the sender's part of a chunk is used by this arena alone, and a `T` is sent with it.
unsafe impl<T: Send> Send for Arena<T> {}

impl<T> Arena<T> {
    const FITS: () = assert!(
        align_of::<T>() <= RECORD_ALIGN && size_of::<T>() <= SLICE_BYTES_MAX,
        "a record has room for it"
    );

    pub(crate) fn new(chunks: Arc<Chunks>) -> Self {
        let (chunk, records) = (Cell::new(None), Cell::new(0));
        Self { chunks, chunk, end: Cell::new(CHUNK_BYTES), records, holds: PhantomData }
    }

    /// Copies `slice`, of [`SLICE_BYTES_MAX`] at most (the rest of a longer one is left out).
    #[inline]
    pub(crate) fn store_slice(&self, slice: &[u8]) -> Parcel<T> {
        let bytes = slice.len().min(SLICE_BYTES_MAX);
        let record = self.begin_record(bytes, bytes as u32);
        // SAFETY: the record has room for that many bytes, and nobody else has its address yet.
        unsafe { content_of::<u8>(record).copy_from_nonoverlapping(slice.as_ptr(), bytes) };
        Parcel { record, holds: PhantomData }
    }

    #[inline]
    pub(crate) fn store(&self, other: T) -> Parcel<T> {
        const { Self::FITS };
        let record = self.begin_record(size_of::<T>(), OTHER);
        // SAFETY: as above, and `FITS` says that it is aligned.
        unsafe { content_of::<T>(record).write(other) };
        Parcel { record, holds: PhantomData }
    }

    /// Makes room for a record of `content_bytes`, of [`SLICE_BYTES_MAX`] at most, and stores its
    /// header.
    #[inline]
    fn begin_record(&self, content_bytes: usize, bytes: u32) -> *mut Header {
        let record_bytes = HEADER_BYTES + content_bytes.next_multiple_of(RECORD_ALIGN);
        let chunk = match self.chunk.get() {
            Some(chunk) if CHUNK_BYTES - self.end.get() >= record_bytes => chunk,
            _ => self.exchange(),
        };
        let offset = self.end.get();
        self.end.set(offset + record_bytes);
        self.records.set(self.records.get() + 1);
        let record = chunk.at(offset).cast::<Header>();
        // SAFETY: the chunk is in use by this sender until it leaves it, the record ends within it
        // and begins at a multiple of its alignment, behind all others.
        unsafe { record.write(Header { offset: offset as u32, bytes }) };
        record
    }

    /// Leaves the full chunk for another one.
    #[cold]
    fn exchange(&self) -> Lent {
        self.leave();
        let chunk = self.chunks.take().lend();
        self.chunk.set(Some(chunk));
        self.end.set(RECORDS_BEGIN);
        chunk
    }

    fn leave(&self) {
        if let Some(chunk) = self.chunk.take() {
            // SAFETY: the chunk was lent to this arena, which forgets it here. A parcel lets go of
            // its record once.
            unsafe { chunk.leave(self.records.take()) };
        }
    }
}

impl<T> Drop for Arena<T> {
    fn drop(&mut self) {
        self.leave();
    }
}

/// The address of a record: what goes through the queue.
pub(crate) struct Parcel<T> {
    record: *mut Header,
    holds: PhantomData<T>,
}

// SAFETY: nobody but the owner of the parcel uses its record, once it is stored.
unsafe impl<T: Send> Send for Parcel<T> {}

/// What a record held.
#[derive(Debug)]
pub(crate) enum Opened<T> {
    Slice(SharedSlice),
    Other(T),
}

/// What a record holds.
pub(crate) enum Content<'a, T> {
    SliceBytes(usize),
    Other(&'a T),
}

impl<T> Parcel<T> {
    #[inline]
    pub(crate) fn content(&self) -> Content<'_, T> {
        // SAFETY: the record is used by this parcel, and has a header.
        match unsafe { self.record.read() }.bytes {
            // SAFETY: a record of that kind holds a `T`, which is taken out with the parcel.
            OTHER => Content::Other(unsafe { &*content_of(self.record) }),
            bytes => Content::SliceBytes(bytes as usize),
        }
    }

    #[inline]
    pub(crate) fn open(self) -> Opened<T> {
        let used = Use(self.record);
        std::mem::forget(self);
        if used.header().bytes != OTHER {
            return Opened::Slice(SharedSlice(used));
        }
        // SAFETY: a record of that kind holds a `T`. It is taken out once: the parcel is no more.
        Opened::Other(unsafe { content_of::<T>(used.0).read() })
    }
}

impl<T> Drop for Parcel<T> {
    fn drop(&mut self) {
        drop(Self { record: self.record, holds: PhantomData }.open());
    }
}

impl<T> fmt::Debug for Parcel<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Parcel")
    }
}

/// The right to read a record. As long as it lives the chunk is not used again.
struct Use(*mut Header);

// SAFETY: nobody writes to the record any more.
unsafe impl Send for Use {}

impl Use {
    #[inline]
    fn header(&self) -> Header {
        // SAFETY: the record is in use, and has a header.
        unsafe { self.0.read() }
    }
}

impl Drop for Use {
    #[inline]
    fn drop(&mut self) {
        let offset = self.header().offset as usize;
        // SAFETY: the record was in use by this value, which is no more; that is its offset.
        unsafe { Lent::of(self.0.cast(), offset).let_go() };
    }
}

/// A slice in a chunk.
pub(crate) struct SharedSlice(Use);

impl Deref for SharedSlice {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        let bytes = self.0.header().bytes as usize;
        // SAFETY: a slice of that length was stored behind the header before it was sent, and
        // nobody writes there as long as it is in use.
        unsafe { std::slice::from_raw_parts(content_of(self.0.0), bytes) }
    }
}

impl fmt::Debug for SharedSlice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SharedSlice({} bytes)", self.len())
    }
}
