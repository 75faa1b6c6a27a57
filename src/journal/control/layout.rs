//! The layout of the control file, and how a new one is encoded.

#![expect(clippy::indexing_slicing, reason = "offsets are constants inside a page of fixed size")]

use std::io;

use crate::inbox::{self, InboxName};
use crate::journal::Stream;

pub(super) const CONTROL_BYTES: usize = 4096;

pub(super) const MAGIC: [u8; 8] = *b"cdrlogC1";
pub(super) const VERSION: u32 = 2;
/// It has no number of segments.
pub(super) const VERSION_FIRST: u32 = 1;
pub(super) const OFFSET_CLEAN: usize = 12;
pub(super) const OFFSET_EPOCH: usize = 16;
pub(super) const OFFSET_CHECKSUM: usize = 40;
pub(super) const OFFSET_INBOX: usize = 64;
pub(super) const OFFSET_INBOX_IN_USE: usize = 88;
pub(super) const OFFSET_INBOX_PATH: usize = 96;
pub(super) const INBOX_IN_USE: u64 = 1;
pub(super) const INBOX_ABANDONED: u64 = 2;
pub(super) const OFFSET_SEGMENTS: usize = 44;
pub(super) const OFFSET_SEGMENTS_CHECKSUM: usize = 52;
pub(super) const OFFSET_COUNTERS: usize = 512;
pub(super) const OFFSET_SYNC_FAILED: usize = 544;
pub(super) const OFFSET_TIME_MARKS: usize = 576;
pub(super) const TIME_MARK_BYTES: usize = 64;
pub(super) const TIME_MARK_CHECKED_BYTES: usize = 32;
pub(super) const OFFSET_ANCHORS: usize = 1024;
const _: () = assert!(OFFSET_INBOX_PATH + inbox::DIRECTORY_BYTES_MAX == OFFSET_COUNTERS);
/// A slot is a disk sector, so that a power cut tears none but the one being written.
pub(super) const SLOT_BYTES: usize = 512;
pub(super) const SLOT_CHECKED_BYTES: usize = 256;
pub(super) const NAME_BYTES_MAX: usize = SLOT_CHECKED_BYTES - 28;
/// No anchor is moved so often: that there is a next generation is known from here on.
pub(super) const GENERATION_MAX: u64 = 1 << 62;
/// In nanoseconds, the year 2262. That there is a later epoch is known from here on.
pub(super) const EPOCH_MAX: u64 = 1 << 63;

/// A place where stream and file were known to agree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Anchor {
    /// The name of the file in the directory.
    pub(crate) file_name: String,
    /// Its length at that moment, in bytes.
    pub(crate) file_bytes: u64,
    /// The position in the stream at that moment.
    pub(crate) position: u64,
}

/// Everything that was accepted before a time is in the streams before these positions, and synced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TimeMark {
    /// In milliseconds since 1970 (UTC).
    pub(crate) time_ms: u64,
    /// By stream.
    pub(crate) positions: [u64; 2],
}

pub(super) fn time_mark_offset(slot: usize) -> usize {
    OFFSET_TIME_MARKS + slot * TIME_MARK_BYTES
}

pub(super) fn slot_offset(stream: Stream, slot: usize) -> usize {
    OFFSET_ANCHORS + (stream as usize * 2 + slot) * SLOT_BYTES
}

pub(super) fn counters_offset(stream: Stream) -> usize {
    OFFSET_COUNTERS + stream as usize * 16
}

pub(super) fn fixed_checksum(page: &[u8; CONTROL_BYTES]) -> u32 {
    let before_clean = crc32c::crc32c(&page[..OFFSET_CLEAN]);
    crc32c::crc32c_append(before_clean, &page[OFFSET_EPOCH..OFFSET_CHECKSUM])
}

/// The epoch is in it, so that the numbers of another opening do not fit.
pub(super) fn segments_checksum(page: &[u8; CONTROL_BYTES]) -> u32 {
    let epoch = crc32c::crc32c(&page[OFFSET_EPOCH..OFFSET_EPOCH + 8]);
    crc32c::crc32c_append(epoch, &page[OFFSET_SEGMENTS..OFFSET_SEGMENTS_CHECKSUM])
}

/// The epoch of an opening at `now_ns` since 1970 after one of `last` (0 where there was none).
pub(crate) fn next_epoch(now_ns: u128, last: u64) -> u64 {
    // A clock that is a century ahead must not use up the epochs.
    let now = u64::try_from(now_ns).unwrap_or(u64::MAX).min(EPOCH_MAX / 2);
    now.max(last + 1)
}

/// The page of a new opening, whose rings have so many segments, and whose inbox is to be `inbox`.
pub(crate) fn fresh_page(
    epoch: u64,
    boot_id: [u8; 16],
    segment_counts: [u32; 2],
    inbox: Option<&InboxName>,
) -> [u8; CONTROL_BYTES] {
    let mut page = [0; CONTROL_BYTES];
    page[..8].copy_from_slice(&MAGIC);
    page[8..12].copy_from_slice(&VERSION.to_le_bytes());
    page[OFFSET_EPOCH..OFFSET_EPOCH + 8].copy_from_slice(&epoch.to_le_bytes());
    page[24..40].copy_from_slice(&boot_id);
    if let Some(name) = inbox {
        encode_inbox(&mut page, name);
    }
    let checksum = fixed_checksum(&page);
    page[OFFSET_CHECKSUM..OFFSET_CHECKSUM + 4].copy_from_slice(&checksum.to_le_bytes());
    for (stream, count) in segment_counts.into_iter().enumerate() {
        let offset = OFFSET_SEGMENTS + stream * 4;
        page[offset..offset + 4].copy_from_slice(&count.to_le_bytes());
    }
    let checksum = segments_checksum(&page);
    page[OFFSET_SEGMENTS_CHECKSUM..OFFSET_SEGMENTS_CHECKSUM + 4]
        .copy_from_slice(&checksum.to_le_bytes());
    page
}

fn encode_inbox(page: &mut [u8; CONTROL_BYTES], name: &InboxName) {
    let path = name.directory.as_os_str().as_encoded_bytes();
    page[OFFSET_INBOX..OFFSET_INBOX + 16].copy_from_slice(&name.id);
    let path_bytes = (path.len() as u32).to_le_bytes();
    page[OFFSET_INBOX + 16..OFFSET_INBOX + 20].copy_from_slice(&path_bytes);
    page[OFFSET_INBOX_PATH..OFFSET_INBOX_PATH + path.len()].copy_from_slice(path);
    let checksum = inbox_checksum(page, path);
    page[OFFSET_INBOX + 20..OFFSET_INBOX + 24].copy_from_slice(&checksum.to_le_bytes());
}

pub(super) fn inbox_checksum(page: &[u8; CONTROL_BYTES], path: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&page[OFFSET_INBOX..OFFSET_INBOX + 20]), path)
}

pub(super) fn encode_time_mark(generation: u64, mark: TimeMark) -> [u8; 40] {
    let mut slot = [0; TIME_MARK_CHECKED_BYTES + 8];
    let [lines, rejects] = mark.positions;
    for (index, word) in [generation, mark.time_ms, lines, rejects].into_iter().enumerate() {
        slot[index * 8..index * 8 + 8].copy_from_slice(&word.to_le_bytes());
    }
    let checksum = crc32c::crc32c(&slot[..TIME_MARK_CHECKED_BYTES]);
    slot[TIME_MARK_CHECKED_BYTES..TIME_MARK_CHECKED_BYTES + 4]
        .copy_from_slice(&checksum.to_le_bytes());
    slot
}

pub(super) fn encode_slot(generation: u64, anchor: &Anchor) -> io::Result<[u8; SLOT_BYTES]> {
    let name = anchor.file_name.as_bytes();
    if name.len() > NAME_BYTES_MAX {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a file name of more than 228 bytes",
        ));
    }
    let mut slot = [0; SLOT_BYTES];
    slot[..8].copy_from_slice(&generation.to_le_bytes());
    slot[8..16].copy_from_slice(&anchor.position.to_le_bytes());
    slot[16..24].copy_from_slice(&anchor.file_bytes.to_le_bytes());
    slot[24..28].copy_from_slice(&(name.len() as u32).to_le_bytes());
    slot[28..28 + name.len()].copy_from_slice(name);
    let checksum = crc32c::crc32c(&slot[..SLOT_CHECKED_BYTES]);
    slot[SLOT_CHECKED_BYTES..SLOT_CHECKED_BYTES + 4].copy_from_slice(&checksum.to_le_bytes());
    Ok(slot)
}
