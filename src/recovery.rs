//! Recovery by itself: to see what an opening would do, and to do it without one.

use std::path::Path;

use crate::appender::lock_error;
use crate::builder::Builder;
use crate::error::OpenError;
use crate::file::{Calendar, CreatedFiles, Lock, LockError};
use crate::journal::{self, Recovery, StateDir};
use crate::storage::Disk;

/// What an opening would do; nothing is changed.
///
/// It is the code of the real recovery on a disk that forgets every change, so that the two cannot
/// differ.
pub(crate) fn plan(options: &Builder) -> Result<Recovery, OpenError> {
    let disk = options.disk.dry_run();
    run(options, &disk, |directory| Lock::look(&disk, directory))
}

/// Does what an opening would do before it begins a file.
pub(crate) fn recover(options: &Builder) -> Result<Recovery, OpenError> {
    let disk = &options.disk;
    run(options, disk, |directory| Lock::take(disk, directory))
}

fn run(
    options: &Builder,
    disk: &Disk,
    lock: impl FnOnce(&Path) -> Result<Lock, LockError>,
) -> Result<Recovery, OpenError> {
    let directory = options.directory.as_path();
    let locked = |error| lock_error(error, directory);
    // Also where there is no state_dir: one who has the directory may just have lost it.
    let lock = lock(directory).map_err(locked)?;
    let Some(state_dir) = StateDir::find(disk, directory)? else { return Ok(Recovery::default()) };
    lock.take_state_dir().map_err(locked)?;
    let calendar = Calendar::new(disk, directory, options.time_zone(), options.clock.clone());
    CreatedFiles::new(disk, directory).look(&calendar)?;
    Ok(journal::recover(directory, &state_dir, calendar.next_stamp())?)
}
