//! The lock of a directory: one writer at a time.
//!
//! A lock file alone can be removed, and the next one of that name is a different file. So
//! everything that leads to the journal is locked: the directory itself, the state directory in it,
//! the lock file (the only lock of cdrlog 0.1), and the name of the directory (`name_lock.rs`).
//! Whoever opens the same directory meets at least one of these locks, by whatever path and
//! whatever was removed.
//!
//! A kill releases all of them. No writer is ever waited for, only a reader that looks whether there
//! is one.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use super::name::STATE_DIR_NAME;
use super::name_lock::{NameHeld, NameLock};
use crate::storage::{Disk, DiskError, DiskFile, DiskResult, LockKind, Metadata, check_owner};
use crate::sync::lock;
use crate::system::has_no_locks;

/// The lock file in the state directory.
const FILE_NAME: &str = "lock";

/// How often a writer tries again to lock what a reader has locked to look for writers, which takes
/// microseconds, and after which pause.
const LOOKS_MAX: u32 = 50;
const LOOK_PAUSE: Duration = Duration::from_millis(1);

/// Held from the open to the end of the appender, or of its process.
#[derive(Debug)]
pub(crate) struct Lock {
    disk: Disk,
    directory: PathBuf,
    access: Access,
    /// From the outermost to the innermost. Replaced if what is at their paths was replaced.
    parts: Mutex<Vec<Part>>,
    names: Vec<NameLock>,
    process_id: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    /// For a writer.
    Exclusive,
    /// For a reader that changes nothing.
    Shared,
}

/// The things that are locked, each at its own path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Directory,
    StateDir,
    File,
}

#[derive(Debug)]
struct Part {
    kind: Kind,
    file: DiskFile,
    /// The identity of the file when it was locked.
    metadata: Metadata,
}

#[derive(Debug)]
pub(crate) enum LockError {
    /// Another appender, in this process or another one, has the directory; with its process id if
    /// it could be read.
    Held(Option<u32>),
    Disk(DiskError),
}

impl From<DiskError> for LockError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

impl LockError {
    /// The error of a write that is refused because of this.
    fn into_disk_error(self, directory: &Path) -> DiskError {
        let process_id = match self {
            Self::Disk(error) => return error,
            Self::Held(process_id) => process_id,
        };
        let holder = process_id.map_or(String::new(), |id| format!(", in process {id}"));
        let fault = format!(
            "it was moved and another appender has the new one{holder}; close one of the two"
        );
        DiskError::new("lock", directory, io::Error::new(io::ErrorKind::WouldBlock, fault))
    }
}

impl Lock {
    /// Locks `directory` for a writer, without waiting. If its state directory is created later,
    /// [`take_state_dir`](Self::take_state_dir) adds it.
    pub(crate) fn take(disk: &Disk, directory: &Path) -> Result<Self, LockError> {
        let mut lock = Self::of_directory(disk, directory, Access::Exclusive)?;
        match NameLock::take_all(disk, directory)? {
            Ok(names) => lock.names = names,
            Err(NameHeld { process_id }) => return Err(LockError::Held(process_id)),
        }
        Ok(lock)
    }

    /// Locks writers out while the directory is examined; changes nothing.
    pub(crate) fn look(disk: &Disk, directory: &Path) -> Result<Self, LockError> {
        let lock = Self::of_directory(disk, directory, Access::Shared)?;
        match NameLock::holder(disk, directory)? {
            Some(NameHeld { process_id }) => Err(LockError::Held(process_id)),
            None => Ok(lock),
        }
    }

    fn of_directory(disk: &Disk, directory: &Path, access: Access) -> Result<Self, LockError> {
        let lock = Self {
            disk: disk.clone(),
            directory: directory.to_owned(),
            access,
            parts: Mutex::default(),
            names: Vec::new(),
            process_id: std::process::id(),
        };
        lock.add(Kind::Directory)?;
        Ok(lock)
    }

    /// Locks the state directory too, and the lock file in it.
    pub(crate) fn take_state_dir(&self) -> Result<(), LockError> {
        self.add(Kind::StateDir)?;
        self.add(Kind::File)
    }

    fn add(&self, kind: Kind) -> Result<(), LockError> {
        let part = self.lock_part(kind)?;
        lock(&self.parts).extend(part);
        Ok(())
    }

    /// Checks whether the paths still lead to what is locked. If not, locks what is there instead,
    /// and creates it if it is missing: lines go there from now on. Returns the outermost path that
    /// had changed.
    ///
    /// Called before each write. It is an error if the directory is missing, or another appender
    /// has it: nothing may be written there.
    pub(crate) fn check(&self) -> DiskResult<Option<PathBuf>> {
        self.check_parts().map_err(|error| error.into_disk_error(&self.directory))
    }

    fn check_parts(&self) -> Result<Option<PathBuf>, LockError> {
        let mut parts = lock(&self.parts);
        // The path of the lock file goes through the state directory.
        let outer_and_inner = [parts.first(), parts.last()];
        let mut all_named = true;
        for part in outer_and_inner.into_iter().flatten() {
            all_named &= self.is_named(part)?;
        }
        if all_named {
            return Ok(None);
        }
        let mut changed = None;
        for part in parts.iter_mut() {
            if self.is_named(part)? {
                continue;
            }
            if part.kind == Kind::StateDir {
                self.disk.create_directory(&self.path(Kind::StateDir))?;
            }
            if let Some(now) = self.lock_part(part.kind)? {
                changed.get_or_insert(self.path(part.kind));
                *part = now;
            }
        }
        Ok(changed)
    }

    /// Whether the path of `part` still leads to it.
    fn is_named(&self, part: &Part) -> DiskResult<bool> {
        let path = self.path(part.kind);
        let now = match part.kind {
            // The directory may have been given as a link.
            Kind::Directory => Some(self.disk.examine_target(&path)?),
            Kind::StateDir | Kind::File => self.disk.examine(&path)?,
        };
        Ok(now.is_some_and(|now| now.is_same_file(&part.metadata)))
    }

    fn path(&self, kind: Kind) -> PathBuf {
        match kind {
            Kind::Directory => self.directory.clone(),
            Kind::StateDir => self.directory.join(STATE_DIR_NAME),
            Kind::File => self.directory.join(STATE_DIR_NAME).join(FILE_NAME),
        }
    }

    /// Opens and locks what is at the path of `kind`. `None` if there is no lock file and this is
    /// only a look.
    fn lock_part(&self, kind: Kind) -> Result<Option<Part>, LockError> {
        let path = self.path(kind);
        let file = match (kind, self.access) {
            (Kind::Directory, _) => self.disk.open_directory(&path, true)?,
            (Kind::StateDir, _) => self.disk.open_directory(&path, false)?,
            (Kind::File, Access::Exclusive) => self.disk.open_or_create(&path)?,
            (Kind::File, Access::Shared) => match self.disk.open_existing(&path)? {
                Some(file) => file,
                None => return Ok(None),
            },
        };
        let metadata = file.metadata()?;
        if kind == Kind::StateDir {
            check_owner(&metadata).map_err(|source| DiskError::new("use", &path, source))?;
        }
        if !self.try_lock(kind, &file)? {
            return Err(LockError::Held(self.holder()));
        }
        if kind == Kind::File && self.access == Access::Exclusive {
            write_holder(&file)?;
        }
        Ok(Some(Part { kind, metadata, file }))
    }

    fn try_lock(&self, kind: Kind, file: &DiskFile) -> DiskResult<bool> {
        let taken = match self.access {
            Access::Exclusive => try_lock_as_writer(file),
            Access::Shared => file.try_lock(LockKind::Shared),
        };
        match taken {
            // NFS and Windows cannot lock directories: there, the lock file must do.
            Err(error) if kind != Kind::File && has_no_locks(&error.source) => Ok(true),
            taken => taken,
        }
    }

    /// The process id in the lock file.
    fn holder(&self) -> Option<u32> {
        let file = self.disk.open_reading(&self.path(Kind::File)).ok()??;
        file.read_text(16).ok()?.trim().parse().ok()
    }
}

/// Whether a writer has `directory`. It is not kept out meanwhile: a moment later, one may.
///
/// For those who ask again and again. They leave the name of the directory alone, where each request
/// takes a place that the kernel remembers.
#[cfg(feature = "synced")]
pub(crate) fn has_writer(disk: &Disk, directory: &Path) -> DiskResult<bool> {
    let state_dir = directory.join(STATE_DIR_NAME);
    let file = disk.open_reading(&state_dir.join(FILE_NAME))?;
    for file in file.into_iter().chain([disk.open_directory(&state_dir, false)?]) {
        match file.try_lock(LockKind::Shared) {
            Ok(false) => return Ok(true),
            // A lock that ends later than this would look like a writer to one that opens.
            Ok(true) => file.unlock()?,
            Err(error) if has_no_locks(&error.source) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}

/// Locks `file` for a writer, unless another one has it. Somebody who only looks is waited for.
fn try_lock_as_writer(file: &DiskFile) -> DiskResult<bool> {
    for _ in 0..LOOKS_MAX {
        if file.try_lock(LockKind::Exclusive)? {
            return Ok(true);
        }
        if !file.try_lock(LockKind::Shared)? {
            return Ok(false);
        }
        file.unlock()?;
        std::thread::sleep(LOOK_PAUSE);
    }
    file.try_lock(LockKind::Exclusive)
}

impl Drop for Lock {
    /// Unlocks explicitly. Closing the files is not enough while a child that the server is just
    /// starting has copies of their descriptors: it would hold the locks until its `exec`.
    fn drop(&mut self) {
        if self.process_id != std::process::id() {
            return;
        }
        self.names.iter().for_each(NameLock::give_back);
        for part in lock(&self.parts).iter().rev() {
            // If this fails, the close that follows releases the lock.
            let _ = part.file.unlock();
        }
    }
}

fn write_holder(file: &DiskFile) -> DiskResult<()> {
    let text = format!("{}\n", std::process::id());
    file.set_len(0)?;
    file.write_all_at(text.as_bytes(), 0)
}

// On other systems, `tests/portable.rs` shows what is left of the locks.
#[cfg(all(test, target_os = "linux"))]
mod tests;
