//! What the fuzz targets call of the recovery.

use std::path::Path;

use crate::file::{CreatedFiles, FileNamer};
use crate::journal::StateDir;
use crate::storage::Disk;
use crate::{OpenError, Recovery, inbox, journal, rewrite};

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

/// An inbox file that holds `bodies`, as a killed process leaves it.
///
/// # Panics
///
/// If there is no tmpfs at `/dev/shm`.
#[must_use]
pub fn inbox_with(bodies: &[&[u8]]) -> Vec<u8> {
    inbox::sample(bodies).expect("an inbox in /dev/shm")
}

/// The bodies that a recovery would take from an inbox file, whatever directory it belongs to;
/// `None` if it would take none.
#[must_use]
pub fn bodies_in_inbox(path: &Path) -> Option<Vec<Vec<u8>>> {
    inbox::bodies_in(path).expect("no error of the disk")
}
