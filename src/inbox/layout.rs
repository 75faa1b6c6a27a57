//! The layout of an inbox file.
//!
//! ```text
//! offset  bytes
//!      0      8  magic "cdrlogI1"
//!      8      8  version, 1
//!     16     16  id, random; part of the name of the file, and noted in the control file
//!     32     16  boot id of the kernel
//!     48      8  key of the check words, random
//!     56      8  event_bytes_max of the appender
//!     64     16  `.cdrlog` of its directory: inode, birth time in nanoseconds
//!     80     16  offset of the chunks, and their length
//!     96      4  CRC32C of bytes 0..96
//!    128      8  1 once its events were given back to the caller of `close`
//!    136      8  milliseconds since 1970 of the first recovery: the time of its rejects
//!    192     24  the event that is being journaled: ticket, time, position
//!    256   3840  the path of the directory, for people
//!   4096      -  one word per unit: generation (40 bits), consumed bytes / 8 (24 bits)
//!      -      -  the units, 4 KiB each; a chunk is one or several of them
//! ```
//!
//! All numbers are little-endian. A record in a chunk, at a multiple of eight:
//!
//! ```text
//!      0      8  ticket
//!      8      4  bytes of the body
//!     12      4  1 once the event was given back to its sender
//!     16      8  check: a keyed hash of unit, generation, offset, length and ticket
//!     24      -  the body
//! ```
//!
//! The check makes the record complete. It is stored last, so that a walk along a chunk ends at the
//! first record that was not sent. Bytes of an earlier use do not match it, nor does a body that
//! looks like records.

use std::time::UNIX_EPOCH;

use crate::storage::Metadata;

/// The name of this file format and its version.
const MAGIC: [u8; 8] = *b"cdrlogI1";
const VERSION: u64 = 1;

pub(super) const HEADER_BYTES: usize = 4096;
const CHECKED_BYTES: usize = 96;
pub(super) const OFFSET_VOID: usize = 128;
pub(super) const OFFSET_RECOVERED_AT: usize = 136;
pub(super) const OFFSET_SLOT: usize = 192;
const OFFSET_PATH: usize = 256;

/// The smallest chunk, and the unit of all chunks. A model has few words.
pub(crate) const UNIT_BYTES: usize = if cfg!(loom) { 128 } else { 4096 };

/// The second word of a record: its length, and whether it was given back to its sender.
pub(super) const fn length_word(body_bytes: usize, cancelled: bool) -> u64 {
    body_bytes as u64 & u32::MAX as u64 | (cancelled as u64) << 32
}

/// The size of a record without its body, rounded up to [`RECORD_ALIGN`].
pub(super) const RECORD_HEADER_BYTES: usize = 24;
pub(super) const RECORD_ALIGN: usize = 8;
pub(super) const RECORD_TICKET: usize = 0;
pub(super) const RECORD_LENGTH: usize = 8;
pub(super) const RECORD_CHECK: usize = 16;

/// The largest chunk: what 24 bits of a unit's word can express, minus a unit.
pub(super) const CHUNK_BYTES_MAX: usize = (8 << 24) - UNIT_BYTES;

/// The size of a record with a body of that length.
pub(super) const fn record_bytes(body_bytes: usize) -> usize {
    RECORD_HEADER_BYTES + body_bytes.next_multiple_of(RECORD_ALIGN)
}

/// The header of an inbox file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) id: [u8; 16],
    pub(super) boot_id: [u8; 16],
    pub(super) key: u64,
    pub(super) event_bytes_max: u64,
    pub(super) folder: FolderIdentity,
    pub(super) units: Units,
}

/// The identity of a directory, whatever its name is: a copy is a different one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FolderIdentity {
    inode: u64,
    /// Zero if the file system does not know it.
    born_ns: u64,
}

impl FolderIdentity {
    pub(crate) fn of(folder: &Metadata) -> Self {
        let born = folder.created.and_then(|born| born.duration_since(UNIX_EPOCH).ok());
        Self { inode: folder.inode, born_ns: born.map_or(0, |born| born.as_nanos() as u64) }
    }
}

/// Where the units of a file are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Units {
    pub(super) begin: usize,
    pub(super) count: usize,
}

impl Units {
    /// As many as fit into `file_bytes`.
    pub(super) const fn in_file(file_bytes: usize) -> Self {
        let count = file_bytes.saturating_sub(HEADER_BYTES) / (UNIT_BYTES + 8);
        let begin = HEADER_BYTES + (count * 8).next_multiple_of(UNIT_BYTES);
        let room = file_bytes.saturating_sub(begin) / UNIT_BYTES;
        Self { begin, count: if room < count { room } else { count } }
    }

    pub(super) const fn word_offset(unit: usize) -> usize {
        HEADER_BYTES + unit * 8
    }

    pub(super) const fn offset(self, unit: usize) -> usize {
        self.begin + unit * UNIT_BYTES
    }

    pub(super) const fn bytes(self) -> usize {
        self.count * UNIT_BYTES
    }

    pub(super) const fn end(self) -> usize {
        self.begin + self.bytes()
    }
}

impl Header {
    pub(super) fn encode(&self, path: &[u8]) -> [u8; HEADER_BYTES] {
        let mut page = [0; HEADER_BYTES];
        let mut put = |offset: usize, bytes: &[u8]| {
            if let Some(place) = page.get_mut(offset..offset + bytes.len()) {
                place.copy_from_slice(bytes);
            }
        };
        put(0, &MAGIC);
        put(16, &self.id);
        put(32, &self.boot_id);
        let numbers = [
            (8, VERSION),
            (48, self.key),
            (56, self.event_bytes_max),
            (64, self.folder.inode),
            (72, self.folder.born_ns),
            (80, self.units.begin as u64),
            (88, self.units.bytes() as u64),
        ];
        for (offset, number) in numbers {
            put(offset, &number.to_le_bytes());
        }
        put(OFFSET_PATH, path.get(..HEADER_BYTES - OFFSET_PATH).unwrap_or(path));
        let checksum = crc32c::crc32c(checked(&page));
        page[CHECKED_BYTES..CHECKED_BYTES + 4].copy_from_slice(&checksum.to_le_bytes());
        page
    }

    /// Decodes the page; `None` if it is not one of our headers, or cannot be true for a file of
    /// `file_bytes`.
    pub(super) fn decode(page: &[u8; HEADER_BYTES], file_bytes: u64) -> Option<Self> {
        let number = |offset: usize| u64_at(page, offset);
        let id_at = |offset: usize| page.get(offset..offset + 16)?.try_into().ok();
        let checksum = number(CHECKED_BYTES) as u32;
        if page[..8] != MAGIC || crc32c::crc32c(checked(page)) != checksum || number(8) != VERSION {
            return None;
        }
        let (begin, bytes) = (usize::try_from(number(80)).ok()?, usize::try_from(number(88)).ok()?);
        let units = Units { begin, count: bytes / UNIT_BYTES };
        let end = begin.checked_add(bytes)?;
        let table_end = HEADER_BYTES.checked_add(units.count.checked_mul(8)?)?;
        let is_true = bytes.is_multiple_of(UNIT_BYTES)
            && begin.is_multiple_of(UNIT_BYTES)
            && begin >= table_end
            && end as u64 <= file_bytes;
        is_true.then_some(Self {
            id: id_at(16)?,
            boot_id: id_at(32)?,
            key: number(48),
            event_bytes_max: number(56),
            folder: FolderIdentity { inode: number(64), born_ns: number(72) },
            units,
        })
    }
}

/// The path of the directory that the inbox belongs to, cut to the room for it.
pub(super) fn path_in(page: &[u8; HEADER_BYTES]) -> &[u8] {
    let path = page.get(OFFSET_PATH..).unwrap_or_default();
    path.iter().position(|&byte| byte == 0).and_then(|end| path.get(..end)).unwrap_or(path)
}

fn checked(page: &[u8; HEADER_BYTES]) -> &[u8] {
    page.get(..CHECKED_BYTES).unwrap_or_default()
}

/// The eight bytes at `offset` as a number; bytes outside count as zeros.
pub(super) fn u64_at(bytes: &[u8], offset: usize) -> u64 {
    let bytes = bytes.get(offset..offset + 8).and_then(|bytes| bytes.try_into().ok());
    u64::from_le_bytes(bytes.unwrap_or_default())
}

/// The word of a unit: the number of its use, and how far its records are consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ChunkWord(pub(super) u64);

const OFFSET_BITS: u32 = 24;
const OFFSET_MASK: u64 = (1 << OFFSET_BITS) - 1;

impl ChunkWord {
    /// The next use, with nothing consumed.
    pub(super) const fn next_use(self) -> Self {
        let generation = self.generation().wrapping_add(1) & (u64::MAX >> OFFSET_BITS);
        // Zero is a unit at which no chunk ever started.
        Self((if generation == 0 { 1 } else { generation }) << OFFSET_BITS)
    }

    pub(super) const fn generation(self) -> u64 {
        self.0 >> OFFSET_BITS
    }

    /// Bytes of the chunk before the first record that is not consumed.
    pub(super) const fn consumed_bytes(self) -> usize {
        (self.0 & OFFSET_MASK) as usize * RECORD_ALIGN
    }

    pub(super) const fn consumed_to(self, bytes: usize) -> Self {
        Self(self.0 & !OFFSET_MASK | (bytes / RECORD_ALIGN) as u64 & OFFSET_MASK)
    }
}

/// The start of the checks of one use of a chunk.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckSeed(u64);

impl CheckSeed {
    pub(super) const fn new(key: u64, unit: usize, generation: u64) -> Self {
        Self(fold(key ^ unit as u64, generation ^ 0x9e37_79b9_7f4a_7c15))
    }

    /// The check of the record at `offset` bytes in its chunk.
    #[inline]
    pub(super) const fn of(self, offset: usize, body_bytes: usize, ticket: u64) -> u64 {
        let place = (offset as u64) << 32 | body_bytes as u64;
        fold(fold(self.0 ^ ticket, place ^ 0xd1b5_4a32_d192_ed03), self.0 ^ 0xa076_1d64_78bd_642f)
    }
}

/// Folds the two halves of the product of two numbers into one, and mixes one of the numbers in, so
/// that a zero does not make all results equal.
#[inline]
const fn fold(one: u64, other: u64) -> u64 {
    let product = one as u128 * other as u128;
    (product >> 64) as u64 ^ product as u64 ^ other
}

/// The start of the line or record of the event that is being journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    /// In the stream of rejects; otherwise in that of lines.
    pub(crate) is_reject: bool,
    pub(crate) start: u64,
}

impl Place {
    /// Never zero, which means no position.
    pub(super) const fn word(self) -> u64 {
        (self.start << 1 | self.is_reject as u64).wrapping_add(2)
    }

    pub(super) const fn of_word(word: u64) -> Option<Self> {
        match word.checked_sub(2) {
            Some(word) => Some(Self { is_reject: word & 1 == 1, start: word >> 1 }),
            None => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header() -> Header {
        Header {
            id: [1; 16],
            boot_id: [2; 16],
            key: 3,
            event_bytes_max: 4,
            folder: FolderIdentity { inode: 5, born_ns: 6 },
            units: Units::in_file(1 << 20),
        }
    }

    #[test]
    fn a_header_is_read_back_and_a_damaged_one_is_not() {
        let page = header().encode(b"/var/cdr");
        assert_eq!(Header::decode(&page, 1 << 20), Some(header()));
        assert_eq!(Header::decode(&page, 1 << 19), None, "more than the file holds");
        for byte in (0..CHECKED_BYTES + 4).step_by(3) {
            let mut page = page;
            page[byte] ^= 1;
            assert_eq!(Header::decode(&page, 1 << 20), None, "byte {byte}");
        }
    }

    #[test]
    fn the_units_of_a_file_of_any_length_lie_inside_it_and_behind_their_words() {
        let step = if cfg!(miri) { 8 * 199 } else { 8 };
        for file_bytes in (0..200_000).step_by(step).chain([1 << 20, 18 << 20, 1 << 30]) {
            let units = Units::in_file(file_bytes);
            assert!(units.count == 0 || units.end() <= file_bytes, "{file_bytes}");
            assert!(Units::word_offset(units.count) <= units.begin, "{file_bytes}");
        }
    }

    #[test]
    fn a_word_tells_use_and_offset_and_no_use_is_that_of_a_fresh_file() {
        let word = ChunkWord(0).next_use();
        assert_eq!((word.generation(), word.consumed_bytes()), (1, 0));
        let word = word.consumed_to(CHUNK_BYTES_MAX);
        assert_eq!((word.generation(), word.consumed_bytes()), (1, CHUNK_BYTES_MAX));
        assert_eq!(word.next_use(), ChunkWord(2 << OFFSET_BITS));
        assert_eq!(ChunkWord(u64::MAX).next_use().generation(), 1);
    }

    #[test]
    fn a_place_is_read_back_and_zero_is_none() {
        for place in [(false, 0), (true, 0), (true, 77), (false, 1 << 62)] {
            let place = Place { is_reject: place.0, start: place.1 };
            assert_eq!(Place::of_word(place.word()), Some(place));
        }
        assert_eq!(Place::of_word(0), None);
    }

    #[test]
    fn checks_differ_wherever_a_record_differs() {
        let check = |unit, generation, offset, bytes, ticket| {
            CheckSeed::new(7, unit, generation).of(offset, bytes, ticket)
        };
        let mut seen = std::collections::HashSet::new();
        for value in 0..if cfg!(miri) { 10 } else { 1000 } {
            assert!(seen.insert(check(value, 1, 0, 10, 5)) || value == 0);
            assert!(seen.insert(check(1, value as u64 + 2, 0, 10, 5)));
            assert!(seen.insert(check(1, 1, value * 8 + 8, 10, 5)));
            assert!(seen.insert(check(1, 1, 0, value + 11, 5)));
            assert!(seen.insert(check(1, 1, 0, 10, value as u64 + 6)));
        }
    }
}
