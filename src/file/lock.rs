//! The lock of a directory: one writer at a time.

use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;

use super::disk::{self, At, DiskError};

/// Held from the opening to the end of the appender, or of its process: a kill gives it back too.
#[derive(Debug)]
pub(crate) struct Lock {
    _file: File,
}

pub(crate) enum LockError {
    /// Another appender, of this process or another, has the directory; its process id where it could be read.
    Held(Option<u32>),
    Disk(DiskError),
}

impl Lock {
    /// Takes the lock file at `path` at once, or not at all. It is never removed: a lock on a removed file would be
    /// none.
    pub(crate) fn take(path: &Path) -> Result<Self, LockError> {
        let mut file = disk::open_or_create(path).map_err(LockError::Disk)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(LockError::Held(holder(&mut file))),
            Err(TryLockError::Error(error)) => {
                return Err(LockError::Disk(DiskError::new("lock", path, error)));
            }
        }
        write_holder(&mut file).at("write", path).map_err(LockError::Disk)?;
        Ok(Self { _file: file })
    }
}

fn write_holder(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    file.rewind()?;
    writeln!(file, "{}", std::process::id())
}

fn holder(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(16).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_taker_is_refused_and_told_who_holds_it() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lock");
        let lock = Lock::take(&path).ok().unwrap();
        assert!(
            matches!(Lock::take(&path), Err(LockError::Held(Some(id))) if id == std::process::id())
        );
        drop(lock);
        assert!(Lock::take(&path).is_ok());
    }
}
