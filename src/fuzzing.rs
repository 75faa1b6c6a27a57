//! What the fuzz targets call of the recovery.

use std::path::{Path, PathBuf};

use crate::file::{CreatedFiles, FileNamer};
use crate::inbox::{Arena, Inbox, InboxName, Owner, Place, Released};
use crate::journal::{JournalOptions, RingWriter, StateDir};
use crate::storage::Disk;
use crate::{OpenError, Recovery, Rewriter, journal, rewrite};

/// Only the recovery of an open: threads and fresh segments would take most of the time.
///
/// # Errors
///
/// Those of [`Builder::open`](crate::Builder::open).
pub fn recover(directory: &Path) -> Result<Recovery, OpenError> {
    let disk = Disk::default();
    let state_dir = StateDir::create(&disk, directory)?;
    let calendar = FileNamer::new(&disk, directory, jiff::tz::TimeZone::UTC, Default::default());
    CreatedFiles::new(&disk, directory).look(&calendar)?;
    Ok(journal::recover(directory, &state_dir, calendar.next_stamp())?)
}

/// Whether `line` is a whole line of a CDR.
#[must_use]
pub fn is_whole_line(line: &[u8]) -> bool {
    rewrite::is_whole_line(line)
}

/// Whether `line` is a whole record of a rejects file.
#[must_use]
pub fn is_whole_record(line: &[u8]) -> bool {
    rewrite::is_whole_record(line)
}

/// Makes `directory` what a killed process leaves that had accepted `events`, and journaled the first
/// `journaled` of them: it died before it could mark the last of these as consumed. Gives the path of
/// its inbox, which is in `inbox_directory`.
///
/// # Panics
///
/// If one of `events` is not an event, or `inbox_directory` is not on a tmpfs.
#[must_use]
pub fn leave_accepted(
    directory: &Path,
    inbox_directory: &Path,
    events: &[Vec<u8>],
    journaled: usize,
) -> PathBuf {
    let disk = Disk::default();
    let state_dir = StateDir::create(&disk, directory).expect("a state directory");
    let name = InboxName::fresh(inbox_directory).expect("a name");
    let ring = JournalOptions { segment_count: 2, segment_bytes: 4096 };
    let mut journal = state_dir.create_journal(ring, Some(&name)).expect("a journal");
    let folder = state_dir.identity().expect("a folder");
    let owner = Owner { directory, folder, event_bytes_max: EVENT_BYTES_MAX };
    let inbox = Inbox::create(&disk, &name, owner, INBOX_BYTES).expect("an inbox");
    journal.control.set_inbox_in_use(true);
    let arena = Arena::new(inbox.pool().clone());
    let mut released = Released::default();
    for (ticket, event) in events.iter().enumerate() {
        let (number, ticket) = (ticket, ticket as u64);
        let stored = arena.store(event).expect("room");
        arena.set_ticket(&stored, ticket);
        arena.complete(&stored, ticket);
        if number < journaled {
            let is_journaled = journal_line(&mut journal.lines.0, event, |start| {
                inbox.pool().note_place(ticket, Place { is_reject: false, start }, 0);
            });
            assert!(is_journaled, "no room in the journal");
            if number + 1 < journaled {
                inbox.pool().open(arena.record(&stored)).consume(&mut released);
            }
        }
    }
    inbox.path().to_owned()
}

/// The largest event of the appender that is left.
const EVENT_BYTES_MAX: usize = 2048;

/// The smallest inbox that there is.
const INBOX_BYTES: usize = 64 << 10;

/// As the rewriter thread does; `note` gets the position of the line before it is committed.
fn journal_line(lines: &mut RingWriter, event: &[u8], note: impl FnOnce(u64)) -> bool {
    if !lines.ensure_room(event.len()) {
        return false;
    }
    let line_bytes = Rewriter::new().rewrite_into(event, lines.spare()).expect("an event");
    note(lines.position());
    lines.advance(line_bytes);
    lines.commit();
    true
}

/// Makes the page of an inbox's header fit again: as `real`, a header of the same inbox, says whose it
/// is, and with the checksum of what it says itself.
pub fn mend_inbox_header(page: &mut [u8], real: &[u8]) {
    for range in [16..48, 64..80] {
        if let (Some(place), Some(bytes)) = (page.get_mut(range.clone()), real.get(range)) {
            place.copy_from_slice(bytes);
        }
    }
    mend_inbox_checksum(page);
}

/// Makes the checksum of an inbox's header fit again.
pub fn mend_inbox_checksum(page: &mut [u8]) {
    let Some(checked) = page.get(..96) else { return };
    let checksum = crc32c::crc32c(checked).to_le_bytes();
    if let Some(place) = page.get_mut(96..100) {
        place.copy_from_slice(&checksum);
    }
}
