//! What a killed process left in its inbox: the next `open` reads it.
//!
//! Everything is read with `pread`, and trusted as far as its check words go, but no further:
//! bodies may be anything. A file is used only if it is the one that the control file named,
//! belongs to our own user, to this directory and to this boot of the kernel, and if no process
//! holds it.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::file::InboxName;
use super::layout::{
    CheckSeed, ChunkWord, FolderIdentity, HEADER_BYTES, Header, OFFSET_RECOVERED_AT, OFFSET_SLOT,
    OFFSET_VOID, Place, RECORD_CHECK, RECORD_HEADER_BYTES, RECORD_LENGTH, RECORD_TICKET,
    UNIT_BYTES, Units, record_bytes, u64_at,
};
use crate::storage::{Disk, DiskFile, DiskResult, LockKind};
use crate::system::{boot_id, is_special_file, user_id};

/// How long the last process may take to release its files after it released the directory.
const LOCK_TRIES: u32 = 200;
const LOCK_PAUSE: Duration = Duration::from_millis(5);

/// The inbox that a control file names.
#[derive(Debug)]
pub(crate) enum Found {
    Inbox(LeftInbox),
    /// It is missing, or not what it should be: nothing is taken from it, and nothing is removed.
    Unusable(&'static str),
    /// It is what it should be, but another process holds it: one that is still dying, or a forked
    /// child of the last one.
    Held,
}

/// A file that was claimed: no other process can claim it as long as this value lives.
#[derive(Debug)]
pub(crate) struct LeftInbox {
    disk: Disk,
    file: DiskFile,
    header: Header,
    is_void: bool,
    recovered_at_ms: u64,
    slot: Option<Slot>,
}

/// The event that was being journaled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    pub(crate) ticket: u64,
    pub(crate) at_ms: u64,
    pub(crate) place: Place,
}

/// An event that was accepted but not consumed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LeftEvent {
    /// The first field: events are sorted by it.
    pub(crate) ticket: u64,
    pub(super) offset: u64,
    pub(super) body_bytes: usize,
}

/// Finds the inbox of this name, if it belongs to `folder`, and claims it.
pub(crate) fn find(disk: &Disk, name: &InboxName, folder: FolderIdentity) -> DiskResult<Found> {
    let file = match open_private(disk, &name.path())? {
        Ok(file) => file,
        Err(why) => return Ok(Found::Unusable(why)),
    };
    // Checked first: a copy of a directory does not wait for the process that has the original.
    match read_header(&file)? {
        Some((_, header)) if is_of(&header, name, folder) => {}
        Some(_) => return Ok(Found::Unusable("it is of another directory")),
        None => return Ok(Found::Unusable("it is damaged")),
    }
    if !claim(&file)? {
        return Ok(Found::Held);
    }
    // Read again: until now its appender may have stored into it.
    let left = read(disk, file)?;
    Ok(left.map_or(Found::Unusable("it is damaged"), Found::Inbox))
}

/// What the file says, whichever directory it belongs to; `None` if it is not an inbox.
pub(super) fn read(disk: &Disk, file: DiskFile) -> DiskResult<Option<LeftInbox>> {
    let Some((page, header)) = read_header(&file)? else { return Ok(None) };
    let number = |offset: usize| u64_at(&page, offset);
    let place = Place::of_word(number(OFFSET_SLOT + 16));
    Ok(Some(LeftInbox {
        disk: disk.clone(),
        file,
        header,
        is_void: number(OFFSET_VOID) != 0,
        recovered_at_ms: number(OFFSET_RECOVERED_AT),
        slot: place.map(|place| Slot {
            ticket: number(OFFSET_SLOT),
            at_ms: number(OFFSET_SLOT + 8),
            place,
        }),
    }))
}

/// Removes an inbox that was never finished, or that holds nothing that is not in the files. If it
/// cannot be removed, it stays: nothing depends on it.
pub(crate) fn remove_unread(disk: &Disk, name: &InboxName, folder: FolderIdentity) {
    let _ = try_remove_unread(disk, name, folder);
}

fn try_remove_unread(disk: &Disk, name: &InboxName, folder: FolderIdentity) -> DiskResult<()> {
    let Ok(file) = open_private(disk, &name.path())? else { return Ok(()) };
    let is_ours = match read_header(&file)? {
        Some((_, header)) => is_of(&header, name, folder),
        None => is_unfinished(&file)?,
    };
    if is_ours && claim(&file)? { disk.remove(file.path()) } else { Ok(()) }
}

/// Opens a file that only our user can have written to, or says why it is not one.
pub(super) fn open_private(disk: &Disk, path: &Path) -> DiskResult<Result<DiskFile, &'static str>> {
    let file = match disk.open_existing(path) {
        Ok(Some(file)) => file,
        Ok(None) => return Ok(Err("it is not there any more")),
        // A link, a directory, a FIFO or a socket, or another user's file.
        Err(error) if is_of_others(&error.source) => return Ok(Err("it is not a file of ours")),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    let own = metadata.owner == user_id();
    if !own || metadata.mode & 0o077 != 0 || metadata.names != 1 {
        return Ok(Err("others may have written to it"));
    }
    Ok(Ok(file))
}

fn is_of(header: &Header, name: &InboxName, folder: FolderIdentity) -> bool {
    header.id == name.id && header.folder == folder && header.boot_id == boot_id()
}

/// Whether the process died before it wrote the header: nothing was accepted in that case.
fn is_unfinished(file: &DiskFile) -> DiskResult<bool> {
    let begin = file.read_range(0..file.bytes()?.min(8))?;
    Ok(begin.iter().all(|&byte| byte == 0))
}

fn is_of_others(error: &io::Error) -> bool {
    let kinds = [
        io::ErrorKind::InvalidInput,
        io::ErrorKind::IsADirectory,
        io::ErrorKind::NotADirectory,
        io::ErrorKind::PermissionDenied,
    ];
    is_special_file(error) || kinds.contains(&error.kind())
}

/// Locks the file. A process that is being killed releases its files one after the other, so the
/// directory may be free a moment before its inbox is.
fn claim(file: &DiskFile) -> DiskResult<bool> {
    for _ in 0..LOCK_TRIES {
        if file.try_lock(LockKind::Exclusive)? {
            return Ok(true);
        }
        std::thread::sleep(LOCK_PAUSE);
    }
    Ok(false)
}

pub(super) fn read_header(file: &DiskFile) -> DiskResult<Option<([u8; HEADER_BYTES], Header)>> {
    let mut page = [0; HEADER_BYTES];
    let file_bytes = file.bytes()?;
    if file_bytes < HEADER_BYTES as u64 {
        return Ok(None);
    }
    file.read_exact_at(&mut page, 0)?;
    Ok(Header::decode(&page, file_bytes).map(|header| (page, header)))
}

impl LeftInbox {
    pub(crate) fn slot(&self) -> Option<Slot> {
        self.slot
    }

    /// The maximum length of an event in its appender.
    pub(crate) fn event_bytes_max(&self) -> usize {
        usize::try_from(self.header.event_bytes_max).unwrap_or(usize::MAX)
    }

    /// When the recovery of this inbox first began: `now_ms`, unless an earlier recovery was
    /// killed. It is the time of the rejects that come from it, which must be the same in every
    /// attempt.
    pub(crate) fn recovery_time_ms(&self, now_ms: u64) -> DiskResult<u64> {
        if self.recovered_at_ms != 0 {
            return Ok(self.recovered_at_ms);
        }
        self.file.write_all_at(&now_ms.to_le_bytes(), OFFSET_RECOVERED_AT as u64)?;
        Ok(now_ms)
    }

    /// The events that are complete, not consumed and not given back, in the order in which they
    /// were accepted.
    pub(crate) fn events(&self) -> DiskResult<Vec<LeftEvent>> {
        if self.is_void {
            return Ok(Vec::new());
        }
        let read = |bytes: &mut [u8], offset| self.file.read_exact_at(bytes, offset);
        events_in(self.header.units, self.header.key, read)
    }

    pub(crate) fn body(&self, event: &LeftEvent) -> DiskResult<Vec<u8>> {
        self.file.read_range(event.offset..event.offset + event.body_bytes as u64)
    }

    /// Removes the file: what was in it is safe elsewhere.
    pub(crate) fn remove(&self) -> DiskResult<()> {
        self.disk.remove(self.file.path())
    }
}

/// The events that are complete, not consumed and not given back, in the order in which they were
/// accepted. `read` fills a buffer from an offset of the inbox.
pub(super) fn events_in(
    units: Units,
    key: u64,
    read: impl Fn(&mut [u8], u64) -> DiskResult<()>,
) -> DiskResult<Vec<LeftEvent>> {
    let mut words = vec![0; units.count * 8];
    read(&mut words, Units::word_offset(0) as u64)?;
    // Records do not overlap, so all of them together cannot be longer than the units.
    let mut walk = Walk { units, read, bytes_left: units.bytes(), events: Vec::new() };
    for (unit, word) in words.chunks_exact(8).enumerate() {
        let word = ChunkWord(u64_at(word, 0));
        let checks = CheckSeed::new(key, unit, word.generation());
        if word.generation() != 0 && !walk.along(unit, word, checks)? {
            break;
        }
    }
    walk.events.sort_unstable();
    Ok(walk.events)
}

struct Walk<R> {
    units: Units,
    read: R,
    bytes_left: usize,
    events: Vec<LeftEvent>,
}

impl<R: Fn(&mut [u8], u64) -> DiskResult<()>> Walk<R> {
    /// Walks along a chunk from its first record that is not consumed; `false` if there are more
    /// records than there can be.
    fn along(&mut self, unit: usize, word: ChunkWord, checks: CheckSeed) -> DiskResult<bool> {
        let begin = self.units.offset(unit);
        let bytes = self.units.end() - begin;
        let mut offset = word.consumed_bytes();
        let mut header = [0; RECORD_HEADER_BYTES];
        while offset + RECORD_HEADER_BYTES <= bytes {
            (self.read)(&mut header, (begin + offset) as u64)?;
            let (ticket, length) = (u64_at(&header, RECORD_TICKET), u64_at(&header, RECORD_LENGTH));
            let body_bytes = (length & u64::from(u32::MAX)) as usize;
            let record = record_bytes(body_bytes);
            if record > bytes - offset
                || checks.of(offset, body_bytes, ticket) != u64_at(&header, RECORD_CHECK)
            {
                break;
            }
            let Some(left) = self.bytes_left.checked_sub(record) else { return Ok(false) };
            self.bytes_left = left;
            if length >> 32 == 0 {
                let offset = (begin + offset + RECORD_HEADER_BYTES) as u64;
                self.events.push(LeftEvent { ticket, offset, body_bytes });
            }
            offset += record;
        }
        Ok(true)
    }
}

const _: () = assert!(UNIT_BYTES >= RECORD_HEADER_BYTES);
