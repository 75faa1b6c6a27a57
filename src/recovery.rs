//! Recovery by itself: to see what an opening would do, and to do it without one.

use std::path::Path;

use crate::error::OpenError;
use crate::file::{CreatedFiles, FileNamer, Lock, LockError};
use crate::journal::{self, JournalError, Recovery, StateDir};
use crate::options::Options;
use crate::storage::Disk;

/// What an opening would do; nothing is changed.
///
/// It is the code of the real recovery on a disk that forgets every change, so that the two cannot
/// differ.
pub(crate) fn plan(options: &Options) -> Result<Recovery, OpenError> {
    let disk = options.disk.dry_run();
    run(options, &disk, |directory| Lock::look(&disk, directory))
}

/// Does what an opening would do before it begins a file.
pub(crate) fn recover(options: &Options) -> Result<Recovery, OpenError> {
    let disk = &options.disk;
    run(options, disk, |directory| Lock::take(disk, directory))
}

fn run(
    options: &Options,
    disk: &Disk,
    lock: impl FnOnce(&Path) -> Result<Lock, LockError>,
) -> Result<Recovery, OpenError> {
    let directory = options.directory.as_path();
    let locked = |error| lock_error(error, directory);
    // Also where there is no state directory: one who has the directory may just have lost it.
    let lock = lock(directory).map_err(locked)?;
    let Some(state_dir) = StateDir::find(disk, directory)? else { return Ok(Recovery::default()) };
    lock.take_state_dir().map_err(locked)?;
    let calendar = FileNamer::new(disk, directory, options.time_zone(), options.clock.clone());
    CreatedFiles::new(disk, directory).look(&calendar)?;
    Ok(journal::recover(directory, &state_dir, calendar.next_stamp())?)
}

pub(crate) fn lock_error(error: LockError, directory: &Path) -> OpenError {
    match error {
        LockError::Held(process_id) => {
            OpenError::Locked { directory: directory.to_owned(), process_id }
        }
        LockError::Disk(error) => error.into(),
    }
}

impl From<JournalError> for OpenError {
    fn from(error: JournalError) -> Self {
        match error {
            JournalError::Disk(error) => error.into(),
            JournalError::Damaged { path, fault } => Self::Damaged { path, fault },
        }
    }
}
