//! The lock of a directory: one writer at a time.

use std::path::Path;

use super::disk::{Disk, DiskError, DiskResult};
use super::disk_file::DiskFile;

/// Held from the opening to the end of the appender, or of its process: a kill gives it back too.
#[derive(Debug)]
pub(crate) struct Lock {
    file: DiskFile,
    process_id: u32,
}

pub(crate) enum LockError {
    /// Another appender, of this process or another, has the directory; its process id where it
    /// could be read.
    Held(Option<u32>),
    Disk(DiskError),
}

impl From<DiskError> for LockError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

impl Lock {
    /// Takes the lock file at `path` at once, or not at all. It is never removed: a lock on a
    /// removed file would be none.
    pub(crate) fn take(disk: &Disk, path: &Path) -> Result<Self, LockError> {
        let file = disk.open_or_create(path)?;
        if !file.try_lock()? {
            return Err(LockError::Held(holder(&file)));
        }
        write_holder(&file)?;
        Ok(Self { file, process_id: std::process::id() })
    }

    /// Keeps writers away while somebody looks; changes nothing. `None` where no writer ever was.
    pub(crate) fn look(disk: &Disk, path: &Path) -> Result<Option<Self>, LockError> {
        let Some(file) = disk.open_existing(path)? else { return Ok(None) };
        if !file.try_lock_shared()? {
            return Err(LockError::Held(holder(&file)));
        }
        Ok(Some(Self { file, process_id: std::process::id() }))
    }
}

impl Drop for Lock {
    /// Gives the lock back by name. Closing the file would not do while a child that the server is
    /// just starting has a copy of its descriptor: until its `exec`, the child would hold the lock.
    fn drop(&mut self) {
        if self.process_id == std::process::id() {
            // What fails here is made good by the closing that follows.
            let _ = self.file.unlock();
        }
    }
}

fn write_holder(file: &DiskFile) -> DiskResult<()> {
    let text = format!("{}\n", std::process::id());
    file.set_len(0)?;
    file.write_all_at(text.as_bytes(), 0)
}

fn holder(file: &DiskFile) -> Option<u32> {
    file.read_text(16).ok()?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_was_given_back_is_free_though_a_child_has_a_copy_of_it() {
        let disk = Disk::default();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = Lock::take(&disk, &path).ok().unwrap();
        let copy = lock.file.call("copy", std::fs::File::try_clone).unwrap();
        drop(lock);
        assert!(Lock::take(&disk, &path).is_ok());
        drop(copy);
    }

    #[test]
    fn a_second_taker_is_refused_and_told_who_holds_it() {
        let disk = Disk::default();
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = Lock::take(&disk, &path).ok().unwrap();
        assert!(
            matches!(Lock::take(&disk, &path), Err(LockError::Held(Some(id))) if id == std::process::id())
        );
        drop(lock);
        assert!(Lock::take(&disk, &path).is_ok());
    }
}
