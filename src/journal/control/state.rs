//! What the control file of an earlier opening says.

#![expect(clippy::indexing_slicing, reason = "offsets are constants inside a page of fixed size")]

use super::layout::{
    Anchor, CONTROL_BYTES, EPOCH_MAX, GENERATION_MAX, INBOX_ABANDONED, INBOX_IN_USE, MAGIC,
    OFFSET_CHECKSUM, OFFSET_CLEAN, OFFSET_COUNTERS, OFFSET_EPOCH, OFFSET_INBOX,
    OFFSET_INBOX_IN_USE, OFFSET_INBOX_PATH, OFFSET_SEGMENTS, OFFSET_SEGMENTS_CHECKSUM, SLOT_BYTES,
    SLOT_CHECKED_BYTES, VERSION, VERSION_FIRST, counters_offset, fixed_checksum, inbox_checksum,
    segments_checksum, slot_offset,
};
#[cfg(any(feature = "synced", test))]
use super::layout::{OFFSET_SYNC_FAILED, TIME_MARK_CHECKED_BYTES, TimeMark, time_mark_offset};
use crate::inbox::InboxName;
use crate::journal::Stream;
use crate::journal::page::{u32_at, u64_at};
use crate::storage::{DiskFile, DiskResult};
use crate::system::path_from_bytes;

/// What the control file of an earlier opening says.
#[derive(Clone, Debug)]
pub(crate) struct ControlState {
    pub(crate) epoch: u64,
    pub(crate) boot_id: [u8; 16],
    /// Everything was written and synced, and the appender closed.
    pub(crate) clean: bool,
    /// The inbox of that opening.
    pub(crate) inbox: Option<InboxState>,
    pub(super) version: u32,
    /// How many segments each stream has; `None` where version 1 does not say.
    segment_counts: Option<[u32; 2]>,
    /// A sync of that opening failed.
    #[cfg(any(feature = "synced", test))]
    pub(crate) sync_failed: bool,
    /// The newest one, if that opening set any.
    #[cfg(any(feature = "synced", test))]
    pub(crate) time_mark: Option<TimeMark>,
    streams: [StreamState; 2],
}

/// What the control file says of the inbox.
#[derive(Clone, Debug)]
pub(crate) struct InboxState {
    pub(crate) name: InboxName,
    /// Accepted events may be in it.
    pub(crate) in_use: bool,
    /// The next open could not use them: they are left to people.
    pub(crate) is_abandoned: bool,
}

/// What the control file says of one stream.
#[derive(Clone, Debug, Default)]
pub(crate) struct StreamState {
    pub(crate) written: u64,
    pub(crate) synced: u64,
    /// `None` where no file was ever created, as for rejects of which there were none.
    pub(crate) anchor: Option<Anchor>,
    /// Grows with each move of the anchor; 0 where there is none.
    pub(crate) generation: u64,
}

/// Why a control file is not to be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ControlFault {
    Length,
    Magic,
    Version(u32),
    Checksum,
    /// No opening can have such an epoch.
    Epoch,
    /// Both anchors of a stream are damaged, or one is not what an appender writes.
    Anchor,
    /// The name of the inbox is damaged.
    Inbox,
    /// It changes faster than it can be read.
    #[cfg(feature = "synced")]
    Unsettled,
}

/// An appender that syncs at every line stores a thousand times slower than this reads.
#[cfg(feature = "synced")]
const SETTLE_READS_MAX: usize = 10_000;

fn read_page(file: &DiskFile) -> DiskResult<Result<[u8; CONTROL_BYTES], ControlFault>> {
    let mut page = [0_u8; CONTROL_BYTES];
    if file.bytes()? != CONTROL_BYTES as u64 {
        return Ok(Err(ControlFault::Length));
    }
    file.read_exact_at(&mut page, 0)?;
    Ok(Ok(page))
}

impl ControlState {
    pub(crate) fn stream(&self, stream: Stream) -> &StreamState {
        &self.streams[stream as usize]
    }

    /// How many segments the ring of `stream` has; `None` where version 1 does not say.
    pub(crate) fn segment_count(&self, stream: Stream) -> Option<usize> {
        self.segment_counts.map(|counts| counts[stream as usize] as usize)
    }

    /// Reads a control file by `pread`.
    pub(crate) fn read(file: &DiskFile) -> DiskResult<Result<Self, ControlFault>> {
        Ok(read_page(file)?.and_then(|page| Self::decode(&page)))
    }

    /// Reads the control file of an appender that may be at work: until it reads the same twice, so
    /// that all of it is of one moment. What was written is not part of it: that changes with every
    /// write.
    #[cfg(feature = "synced")]
    pub(crate) fn read_settled(file: &DiskFile) -> DiskResult<Result<Self, ControlFault>> {
        let read = || -> DiskResult<Result<_, ControlFault>> {
            Ok(read_page(file)?.map(|mut page| {
                for stream in Stream::ALL {
                    let offset = counters_offset(stream);
                    page[offset..offset + 8].fill(0);
                }
                page
            }))
        };
        let mut before = read()?;
        for _ in 0..SETTLE_READS_MAX {
            let page = read()?;
            if page == before {
                return Ok(page.and_then(|page| Self::decode(&page)));
            }
            before = page;
            std::thread::yield_now();
        }
        Ok(Err(ControlFault::Unsettled))
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
            #[cfg(any(feature = "synced", test))]
            sync_failed: u64_at(page, OFFSET_SYNC_FAILED) != 0,
            #[cfg(any(feature = "synced", test))]
            time_mark: decode_time_mark(page),
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
    let directory = path_from_bytes(path).ok_or(ControlFault::Inbox)?;
    let name = InboxName { id, directory };
    let word = u64_at(page, OFFSET_INBOX_IN_USE);
    let is_abandoned = word == INBOX_ABANDONED;
    Ok(Some(InboxState { name, in_use: is_abandoned || word == INBOX_IN_USE, is_abandoned }))
}

/// The newest time mark; `None` where there is none, or only one that a kill tore.
#[cfg(any(feature = "synced", test))]
fn decode_time_mark(page: &[u8; CONTROL_BYTES]) -> Option<TimeMark> {
    let decode = |slot: usize| {
        let offset = time_mark_offset(slot);
        let checked = offset + TIME_MARK_CHECKED_BYTES;
        let generation = u64_at(page, offset);
        let is_whole = crc32c::crc32c(&page[offset..checked]) == u32_at(page, checked);
        let mark = TimeMark {
            time_ms: u64_at(page, offset + 8),
            positions: [u64_at(page, offset + 16), u64_at(page, offset + 24)],
        };
        (generation > 0 && is_whole).then_some((generation, mark))
    };
    let newest = (0..2).filter_map(decode).max_by_key(|(generation, _)| *generation);
    newest.map(|(_, mark)| mark)
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
