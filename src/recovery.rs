//! Recovery without an open: to show what an open would repair, or to do only that.

use std::path::{Path, PathBuf};

use crate::error::OpenError;
use crate::file::{CreatedFiles, FileNamer, Lock, LockError};
use crate::inbox;
use crate::journal::{self, JournalError, Recovery, StateDir};
use crate::options::Options;
use crate::pins::Pins;
use crate::storage::Disk;

/// What an open would repair; nothing is changed.
///
/// This is the code of the real recovery on a disk that forgets every change, so that the two
/// cannot differ.
pub(crate) fn plan(options: &Options) -> Result<Recovery, OpenError> {
    let disk = options.disk.dry_run();
    run(options, &disk, |directory| Lock::look(&disk, directory))
}

/// Does what an open would do before it creates a file.
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
    // Even without a state directory: an appender may have the directory and just have lost it.
    let lock = lock(directory).map_err(locked)?;
    let Some(state_dir) = StateDir::find(disk, directory)? else { return Ok(Recovery::default()) };
    lock.take_state_dir().map_err(locked)?;
    let calendar = FileNamer::new(disk, directory, options.time_zone(), options.clock.clone());
    CreatedFiles::new(disk, directory).look(&calendar)?;
    follow_names(&state_dir, directory, &calendar)?;
    let mut recovery = journal::recover(directory, &state_dir, calendar.next_stamp())?;
    recovery.unclaimed_inboxes = unclaimed_inboxes(options, disk, &state_dir)?;
    Ok(recovery)
}

/// In the default directory and in that of the options. A planned recovery has not removed the
/// inbox that the control file names, which is not one of them.
fn unclaimed_inboxes(
    options: &Options,
    disk: &Disk,
    state_dir: &StateDir,
) -> Result<Vec<PathBuf>, OpenError> {
    let claimed = state_dir.inbox_path()?;
    let default = Path::new(inbox::DIRECTORY_DEFAULT);
    let given = options.inbox_directory.as_deref().filter(|given| *given != default);
    let mut found = Vec::new();
    for place in [Some(default), given].into_iter().flatten() {
        found.extend(inbox::unclaimed(disk, place, &options.directory)?);
    }
    found.retain(|path| Some(path) != claimed.as_ref());
    Ok(found)
}

/// Makes new files sort after those that the control file and the pins name, even if the list of our
/// files is gone: a position in one of them must not come to lie after a new file.
pub(crate) fn follow_names(
    state_dir: &StateDir,
    directory: &Path,
    calendar: &FileNamer,
) -> Result<(), OpenError> {
    state_dir.anchored_names()?.iter().for_each(|name| calendar.follow(name));
    let pins = Pins::read(state_dir.disk(), directory)?;
    pins.file_names().for_each(|name| calendar.follow(name));
    Ok(())
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
            JournalError::InboxHeld { directory } => Self::Locked { directory, process_id: None },
            JournalError::Damaged { path, fault } => Self::Damaged { path, fault },
        }
    }
}
