//! Inboxes that name a directory but that no control file names: for people to decide on.

use std::io;
use std::path::{Path, PathBuf};

use super::layout::path_in;
use super::left::{open_private, read_header};
use crate::storage::{Disk, DiskResult, LockKind};

/// The inboxes in `place` that name `directory` and that no process holds. They are read, and left
/// as they are. None if `place` does not exist.
pub(crate) fn unclaimed(disk: &Disk, place: &Path, directory: &Path) -> DiskResult<Vec<PathBuf>> {
    let names = match disk.names(place) {
        Ok(names) => names,
        Err(error) if is_no_place(&error.source) => return Ok(Vec::new()),
        Err(error) => return Err(error),
    };
    let mut found = Vec::new();
    for name in names {
        if name.starts_with("cdrlog-") && name.ends_with(".inbox") {
            let path = place.join(name);
            if is_unclaimed(disk, &path, directory)? {
                found.push(path);
            }
        }
    }
    found.sort();
    Ok(found)
}

fn is_no_place(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

fn is_unclaimed(disk: &Disk, path: &Path, directory: &Path) -> DiskResult<bool> {
    let Ok(file) = open_private(disk, path)? else { return Ok(false) };
    // Checked first: whoever opens the directory of another inbox must not find that inbox locked.
    let is_of_directory = read_header(&file)?
        .is_some_and(|(page, _)| path_in(&page) == directory.as_os_str().as_encoded_bytes());
    Ok(is_of_directory && file.try_lock(LockKind::Exclusive)?)
}
