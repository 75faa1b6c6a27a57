//! The control file: one page that ties positions in the streams to offsets in files.
//!
//! ```text
//! offset  bytes
//!      0      8  magic "cdrlogC1"
//!      8      4  version, 2
//!     12      4  1 after a close that left nothing to do, else 0
//!     16      8  epoch: nanoseconds since 1970 of the opening; journal segments carry it too
//!     24     16  boot id of the kernel
//!     40      4  CRC32C of bytes 0..12 and 16..40
//!     44      4  segments of the ring of lines       (not in version 1: bytes 44..56 are zeros)
//!     48      4  segments of the ring of rejects
//!     52      4  CRC32C of bytes 16..24 and 44..52
//!     64     16  inbox: its id; zeros where there is none
//!     80      8         bytes of its directory's path, CRC32C of id, that number and path
//!     88      8         1 while accepted events may be in it, 2 where they could not be taken
//!     96    416         the path
//!    512     16  lines:   position written, position synced
//!    528     16  rejects: position written, position synced
//!   1024    512  lines:   anchor, slot 0
//!   1536    512           anchor, slot 1
//!   2048    512  rejects: anchor, slot 0
//!   2560    512           anchor, slot 1
//! ```
//!
//! An *anchor* is (file name, length of the file, position in the stream) at one moment. From there
//! on offset and position move together, so the length of the file alone says what was written to
//! it, even after a write that was cut in the middle of a line. A new anchor goes to the slot that
//! is not in use, its checksum with it, so that a process killed between any two stores leaves the
//! old one or the new one.
//!
//! All segments that the file counts were made and synced before it: one that is missing or of
//! another epoch was taken away since. Version 1 does not count them; it is read, and never
//! written.

#![expect(clippy::indexing_slicing, reason = "offsets are constants inside a page of fixed size")]

use std::ffi::OsStr;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use super::Stream;
use super::mapping::Mapping;
use super::page::{u32_at, u64_at};
use crate::inbox::{self, InboxName};
use crate::storage::{DiskError, DiskFile, DiskResult};

pub(crate) const CONTROL_BYTES: usize = 4096;

const MAGIC: [u8; 8] = *b"cdrlogC1";
const VERSION: u32 = 2;
/// It has no number of segments.
const VERSION_FIRST: u32 = 1;
const OFFSET_CLEAN: usize = 12;
const OFFSET_EPOCH: usize = 16;
const OFFSET_CHECKSUM: usize = 40;
const OFFSET_INBOX: usize = 64;
const OFFSET_INBOX_IN_USE: usize = 88;
const OFFSET_INBOX_PATH: usize = 96;
const INBOX_IN_USE: u64 = 1;
const INBOX_ABANDONED: u64 = 2;
const OFFSET_SEGMENTS: usize = 44;
const OFFSET_SEGMENTS_CHECKSUM: usize = 52;
const OFFSET_COUNTERS: usize = 512;
const OFFSET_ANCHORS: usize = 1024;
const _: () = assert!(OFFSET_INBOX_PATH + inbox::DIRECTORY_BYTES_MAX == OFFSET_COUNTERS);
/// A slot is a disk sector, so that a power cut tears none but the one being written.
const SLOT_BYTES: usize = 512;
const SLOT_CHECKED_BYTES: usize = 256;
const NAME_BYTES_MAX: usize = SLOT_CHECKED_BYTES - 28;
/// No anchor is moved so often: that there is a next generation is known from here on.
const GENERATION_MAX: u64 = 1 << 62;
/// In nanoseconds, the year 2262. That there is a later epoch is known from here on.
const EPOCH_MAX: u64 = 1 << 63;

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

/// What the control file of an earlier opening says.
#[derive(Clone, Debug)]
pub(crate) struct ControlState {
    pub(crate) epoch: u64,
    pub(crate) boot_id: [u8; 16],
    /// Everything was written and synced, and the appender closed.
    pub(crate) clean: bool,
    /// The inbox of that opening.
    pub(crate) inbox: Option<InboxState>,
    version: u32,
    /// How many segments each stream has; `None` where version 1 does not say.
    segment_counts: Option<[u32; 2]>,
    streams: [StreamState; 2],
}

/// What the control file says of the inbox.
#[derive(Clone, Debug)]
pub(crate) struct InboxState {
    pub(crate) name: InboxName,
    /// Accepted events may be in it.
    pub(crate) in_use: bool,
    /// They could not be taken by the opening after: they are left to people.
    pub(crate) is_abandoned: bool,
}

/// What the control file says of one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamState {
    pub(crate) written: u64,
    pub(crate) synced: u64,
    /// `None` where no file was ever created, as for rejects of which there were none.
    pub(crate) anchor: Option<Anchor>,
    generation: u64,
}

/// Why a control file is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ControlFault {
    Length,
    Magic,
    Version(u32),
    Checksum,
    /// No opening is of such an epoch.
    Epoch,
    /// Both anchors of a stream are damaged, or one is such as no appender writes.
    Anchor,
    /// The name of the inbox is damaged.
    Inbox,
}

impl ControlState {
    pub(crate) fn stream(&self, stream: Stream) -> &StreamState {
        &self.streams[stream as usize]
    }

    /// How many segments the ring of `stream` has; `None` where version 1 does not say.
    pub(super) fn segment_count(&self, stream: Stream) -> Option<usize> {
        self.segment_counts.map(|counts| counts[stream as usize] as usize)
    }

    /// Reads a control file by `pread`.
    pub(crate) fn read(file: &DiskFile) -> DiskResult<Result<Self, ControlFault>> {
        let mut page = [0_u8; CONTROL_BYTES];
        if file.bytes()? != CONTROL_BYTES as u64 {
            return Ok(Err(ControlFault::Length));
        }
        file.read_exact_at(&mut page, 0)?;
        Ok(Self::decode(&page))
    }

    fn decode(page: &[u8; CONTROL_BYTES]) -> Result<Self, ControlFault> {
        if page[..8] != MAGIC {
            return Err(ControlFault::Magic);
        }
        if fixed_checksum(page) != u32_at(page, OFFSET_CHECKSUM) {
            return Err(ControlFault::Checksum);
        }
        let version = u32_at(page, 8);
        let segment_counts = match version {
            VERSION_FIRST => None,
            VERSION => Some(decode_segment_counts(page)?),
            _ => return Err(ControlFault::Version(version)),
        };
        let epoch = u64_at(page, OFFSET_EPOCH);
        if epoch > EPOCH_MAX {
            return Err(ControlFault::Epoch);
        }
        let mut boot_id = [0; 16];
        boot_id.copy_from_slice(&page[24..40]);
        Ok(Self {
            epoch,
            boot_id,
            clean: u32_at(page, OFFSET_CLEAN) == 1,
            version,
            segment_counts,
            inbox: decode_inbox(page)?,
            streams: [decode_stream(page, Stream::Lines)?, decode_stream(page, Stream::Rejects)?],
        })
    }
}

fn decode_inbox(page: &[u8; CONTROL_BYTES]) -> Result<Option<InboxState>, ControlFault> {
    let mut id = [0; 16];
    id.copy_from_slice(&page[OFFSET_INBOX..OFFSET_INBOX + 16]);
    if id == [0; 16] {
        return Ok(None);
    }
    let path_bytes = u32_at(page, OFFSET_INBOX + 16) as usize;
    let path = page[OFFSET_INBOX_PATH..OFFSET_COUNTERS].get(..path_bytes);
    let path = path.ok_or(ControlFault::Inbox)?;
    if inbox_checksum(page, path) != u32_at(page, OFFSET_INBOX + 20) {
        return Err(ControlFault::Inbox);
    }
    let name = InboxName { id, directory: PathBuf::from(OsStr::from_bytes(path)) };
    let word = u64_at(page, OFFSET_INBOX_IN_USE);
    let is_abandoned = word == INBOX_ABANDONED;
    Ok(Some(InboxState { name, in_use: is_abandoned || word == INBOX_IN_USE, is_abandoned }))
}

fn inbox_checksum(page: &[u8; CONTROL_BYTES], path: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&page[OFFSET_INBOX..OFFSET_INBOX + 20]), path)
}

fn encode_inbox(page: &mut [u8; CONTROL_BYTES], name: &InboxName) {
    let path = name.directory.as_os_str().as_bytes();
    page[OFFSET_INBOX..OFFSET_INBOX + 16].copy_from_slice(&name.id);
    let path_bytes = (path.len() as u32).to_le_bytes();
    page[OFFSET_INBOX + 16..OFFSET_INBOX + 20].copy_from_slice(&path_bytes);
    page[OFFSET_INBOX_PATH..OFFSET_INBOX_PATH + path.len()].copy_from_slice(path);
    let checksum = inbox_checksum(page, path);
    page[OFFSET_INBOX + 20..OFFSET_INBOX + 24].copy_from_slice(&checksum.to_le_bytes());
}

fn decode_segment_counts(page: &[u8; CONTROL_BYTES]) -> Result<[u32; 2], ControlFault> {
    if segments_checksum(page) != u32_at(page, OFFSET_SEGMENTS_CHECKSUM) {
        return Err(ControlFault::Checksum);
    }
    Ok([u32_at(page, OFFSET_SEGMENTS), u32_at(page, OFFSET_SEGMENTS + 4)])
}

fn decode_stream(page: &[u8; CONTROL_BYTES], stream: Stream) -> Result<StreamState, ControlFault> {
    let counters = counters_offset(stream);
    let mut state = StreamState {
        written: u64_at(page, counters),
        synced: u64_at(page, counters + 8),
        ..StreamState::default()
    };
    let mut used_slots = 0;
    for slot in 0..2 {
        let offset = slot_offset(stream, slot);
        let bytes = &page[offset..offset + SLOT_BYTES];
        if bytes.iter().all(|&byte| byte == 0) {
            continue;
        }
        used_slots += 1;
        if let Some((generation, anchor)) = decode_slot(page, offset, slot as u64)?
            && generation > state.generation
        {
            state.generation = generation;
            state.anchor = Some(anchor);
        }
    }
    // One torn slot is a process killed while it moved its first anchor: nothing is anchored to
    // that one yet.
    if used_slots == 2 && state.anchor.is_none() { Err(ControlFault::Anchor) } else { Ok(state) }
}

/// The anchor in a slot; `None` where its checksum does not fit, because a kill tore it.
fn decode_slot(
    page: &[u8; CONTROL_BYTES],
    offset: usize,
    slot: u64,
) -> Result<Option<(u64, Anchor)>, ControlFault> {
    let checksum = crc32c::crc32c(&page[offset..offset + SLOT_CHECKED_BYTES]);
    if checksum != u32_at(page, offset + SLOT_CHECKED_BYTES) {
        return Ok(None);
    }
    let generation = u64_at(page, offset);
    if generation == 0 || generation > GENERATION_MAX || generation % 2 != slot {
        return Err(ControlFault::Anchor);
    }
    let name_bytes = u32_at(page, offset + 24) as usize;
    let name = page[offset + 28..offset + SLOT_CHECKED_BYTES].get(..name_bytes);
    let name = name.and_then(|name| std::str::from_utf8(name).ok()).filter(|name| is_name(name));
    let anchor = Anchor {
        position: u64_at(page, offset + 8),
        file_bytes: u64_at(page, offset + 16),
        file_name: name.ok_or(ControlFault::Anchor)?.to_owned(),
    };
    Ok(Some((generation, anchor)))
}

/// Whether `name` can be the name of a file in a directory.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name != "." && name != ".." && !name.contains(['/', '\0'])
}

/// The epoch of an opening at `now_ns` since 1970 after one of `last` (0 where there was none).
pub(super) fn next_epoch(now_ns: u128, last: u64) -> u64 {
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

/// The control file of a running appender: its mapped page. Stored into by one thread at a time.
pub(crate) struct Control {
    mapping: Mapping,
    file: DiskFile,
    version: u32,
    generations: [u64; 2],
}

impl Control {
    /// Maps a control file that holds a [`fresh_page`].
    pub(crate) fn map(file: DiskFile) -> DiskResult<Self> {
        Self::map_with(file, VERSION, [0; 2])
    }

    /// Maps the control file of the last opening, which says `state`, to finish what it says.
    pub(crate) fn map_again(file: DiskFile, state: &ControlState) -> DiskResult<Self> {
        let generations = Stream::ALL.map(|stream| state.stream(stream).generation);
        Self::map_with(file, state.version, generations)
    }

    fn map_with(file: DiskFile, version: u32, generations: [u64; 2]) -> DiskResult<Self> {
        Ok(Self { mapping: Mapping::of_file(&file, CONTROL_BYTES)?, file, version, generations })
    }

    /// Moves the anchor of a stream.
    pub(crate) fn set_anchor(&mut self, stream: Stream, anchor: &Anchor) -> DiskResult<()> {
        // There is a next one: see `GENERATION_MAX`.
        let generation = self.generations[stream as usize] + 1;
        let slot = encode_slot(generation, anchor)
            .map_err(|error| DiskError::new("note a file in", self.file.path(), error))?;
        // The slot is stored word by word; it is not in use, and becomes so when its checksum fits.
        let offset = slot_offset(stream, (generation % 2) as usize);
        for (index, word) in slot.chunks_exact(8).enumerate() {
            self.mapping.store_u64(offset + index * 8, u64_at(word, 0));
        }
        self.generations[stream as usize] = generation;
        Ok(())
    }

    /// Makes the anchors survive a power loss. Syncing a file writes what was stored through its
    /// mappings too.
    pub(crate) fn sync(&self) -> DiskResult<()> {
        self.file.sync_data()
    }

    /// Everything of the stream before `position` is in the file.
    pub(crate) fn set_written(&self, stream: Stream, position: u64) {
        self.mapping.store_u64(counters_offset(stream), position);
    }

    /// Everything of the stream before `position` is on the disk.
    pub(crate) fn set_synced(&self, stream: Stream, position: u64) {
        self.mapping.store_u64(counters_offset(stream) + 8, position);
    }

    /// Whether accepted events may be in the inbox.
    pub(crate) fn set_inbox_in_use(&self, in_use: bool) {
        self.mapping.store_u64(OFFSET_INBOX_IN_USE, if in_use { INBOX_IN_USE } else { 0 });
    }

    /// What is in the inbox could not be taken, and the next opening goes on without it.
    pub(crate) fn set_inbox_abandoned(&self) {
        self.mapping.store_u64(OFFSET_INBOX_IN_USE, INBOX_ABANDONED);
    }

    /// The appender closed and left nothing to do.
    pub(crate) fn set_clean(&self) {
        self.mapping.store_u64(8, u64::from(self.version) | 1 << 32);
    }
}

fn encode_slot(generation: u64, anchor: &Anchor) -> io::Result<[u8; SLOT_BYTES]> {
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

fn slot_offset(stream: Stream, slot: usize) -> usize {
    OFFSET_ANCHORS + (stream as usize * 2 + slot) * SLOT_BYTES
}

fn counters_offset(stream: Stream) -> usize {
    OFFSET_COUNTERS + stream as usize * 16
}

fn fixed_checksum(page: &[u8; CONTROL_BYTES]) -> u32 {
    let before_clean = crc32c::crc32c(&page[..OFFSET_CLEAN]);
    crc32c::crc32c_append(before_clean, &page[OFFSET_EPOCH..OFFSET_CHECKSUM])
}

/// The epoch is in it, so that the numbers of another opening do not fit.
fn segments_checksum(page: &[u8; CONTROL_BYTES]) -> u32 {
    let epoch = crc32c::crc32c(&page[OFFSET_EPOCH..OFFSET_EPOCH + 8]);
    crc32c::crc32c_append(epoch, &page[OFFSET_SEGMENTS..OFFSET_SEGMENTS_CHECKSUM])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Disk;

    fn control_file() -> (DiskFile, Control) {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let file = Disk::default().open_or_create(&path).unwrap();
        file.write_all_at(&fresh_page(9, [3; 16], [4, 2], None), 0).unwrap();
        let control = Control::map(Disk::default().open_existing(&path).unwrap().unwrap()).unwrap();
        (file, control)
    }

    fn anchor(name: &str, position: u64) -> Anchor {
        Anchor { file_name: name.to_owned(), file_bytes: 11, position }
    }

    fn state(file: &DiskFile) -> ControlState {
        ControlState::read(file).unwrap().unwrap()
    }

    #[test]
    fn the_last_anchor_and_the_counters_are_read_back() {
        let (file, mut control) = control_file();
        assert_eq!(state(&file).stream(Stream::Lines).anchor, None);
        for position in 0..5 {
            control.set_anchor(Stream::Lines, &anchor("CDR.a.log", position)).unwrap();
        }
        control.set_anchor(Stream::Rejects, &anchor("rejected.a.jsonl", 77)).unwrap();
        control.set_written(Stream::Lines, 40);
        control.set_synced(Stream::Rejects, 30);
        let read = state(&file);
        assert_eq!((read.epoch, read.boot_id, read.clean), (9, [3; 16], false));
        assert_eq!(Stream::ALL.map(|stream| read.segment_count(stream)), [Some(4), Some(2)]);
        assert_eq!(read.stream(Stream::Lines).anchor, Some(anchor("CDR.a.log", 4)));
        assert_eq!(read.stream(Stream::Rejects).anchor, Some(anchor("rejected.a.jsonl", 77)));
        assert_eq!(
            (read.stream(Stream::Lines).written, read.stream(Stream::Rejects).synced),
            (40, 30)
        );
        control.set_clean();
        assert!(state(&file).clean);
    }

    #[test]
    fn a_move_of_the_anchor_that_was_cut_anywhere_leaves_the_old_one() {
        let (file, mut control) = control_file();
        control.set_anchor(Stream::Lines, &anchor("CDR.a.log", 1)).unwrap();
        control.set_anchor(Stream::Lines, &anchor("CDR.b.log", 2)).unwrap();
        let slot = encode_slot(3, &anchor("CDR.c.log", 3)).unwrap();
        let offset = slot_offset(Stream::Lines, 1) as u64;
        let last_word = SLOT_CHECKED_BYTES / 8;
        for word in 0..=last_word {
            file.write_all_at(&slot[word * 8..word * 8 + 8], offset + word as u64 * 8).unwrap();
            let name = state(&file).stream(Stream::Lines).anchor.clone().unwrap().file_name;
            assert_eq!(name, if word == last_word { "CDR.c.log" } else { "CDR.b.log" });
        }
    }

    #[test]
    fn a_damaged_control_file_is_told_from_a_sound_one() {
        let (file, mut control) = control_file();
        for slot in 0..2 {
            control.set_anchor(Stream::Lines, &anchor("CDR.a.log", slot)).unwrap();
        }
        for slot in 0..2 {
            assert!(state(&file).stream(Stream::Lines).anchor.is_some());
            file.write_all_at(b"?", slot_offset(Stream::Lines, slot) as u64 + 30).unwrap();
        }
        assert_eq!(ControlState::read(&file).unwrap().unwrap_err(), ControlFault::Anchor);
        file.write_all_at(b"?", 18).unwrap();
        assert_eq!(ControlState::read(&file).unwrap().unwrap_err(), ControlFault::Checksum);
        file.write_all_at(b"?", 0).unwrap();
        assert_eq!(ControlState::read(&file).unwrap().unwrap_err(), ControlFault::Magic);
        file.set_len(100).unwrap();
        assert_eq!(ControlState::read(&file).unwrap().unwrap_err(), ControlFault::Length);
    }

    #[test]
    fn an_epoch_is_the_time_and_always_later_than_the_last_one() {
        assert_eq!(next_epoch(100, 0), 100);
        assert_eq!(next_epoch(100, 100), 101);
        let of_a_wrong_clock = next_epoch(u128::MAX, 0);
        assert!(of_a_wrong_clock < EPOCH_MAX);
        assert_eq!(next_epoch(u128::MAX, of_a_wrong_clock), of_a_wrong_clock + 1);
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        let (_file, mut control) = control_file();
        assert!(control.set_anchor(Stream::Lines, &anchor(&"n".repeat(229), 0)).is_err());
    }
}
