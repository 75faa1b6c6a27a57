//! Recovery by itself: to see what an opening would do, and to do it without one.

use std::path::Path;

use crate::appender::lock_error;
use crate::builder::Builder;
use crate::error::OpenError;
use crate::file::disk::Disk;
use crate::file::{Calendar, Lock};
use crate::finished::Begun;
use crate::journal::{self, Folder, Recovery};

/// What an opening would do; nothing is changed.
///
/// It is the code of the real recovery on a disk that forgets every change, so that the two cannot
/// differ.
pub(crate) fn plan(options: &Builder) -> Result<Recovery, OpenError> {
    let (disk, directory) = (Disk::dry_run(), options.directory.as_path());
    let Some(folder) = find_folder(&disk, directory)? else { return Ok(Recovery::default()) };
    let _lock = Lock::look(&disk, &folder.lock_path())
        .map_err(|error| lock_error(error, &options.directory))?;
    run(options, &disk, &folder)
}

/// Does what an opening would do before it begins a file.
pub(crate) fn recover(options: &Builder) -> Result<Recovery, OpenError> {
    let (disk, directory) = (Disk::default(), options.directory.as_path());
    let Some(folder) = find_folder(&disk, directory)? else { return Ok(Recovery::default()) };
    let _lock =
        Lock::take(&disk, &folder.lock_path()).map_err(|error| lock_error(error, directory))?;
    run(options, &disk, &folder)
}

fn find_folder(disk: &Disk, directory: &Path) -> Result<Option<Folder>, OpenError> {
    // Without a folder of ours there is nothing to do, but a directory has to be there.
    disk.names(directory)?;
    Ok(Folder::find(disk, directory)?)
}

fn run(options: &Builder, disk: &Disk, folder: &Folder) -> Result<Recovery, OpenError> {
    let directory = options.directory.as_path();
    let calendar = Calendar::new(disk, directory, options.time_zone(), options.clock.clone());
    Begun::new(disk, directory).look(&calendar)?;
    Ok(journal::recover(directory, folder, calendar.next_stamp())?)
}
