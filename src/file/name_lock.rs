//! Locks of the name of a directory: what a lock on the directory itself does not cover.
//!
//! If a directory is moved and a new one gets its name, the lock goes with the old one, but the
//! appender still writes to the name. So the name is locked too: by a socket with an abstract name,
//! which is in no file system, cannot be removed, and disappears with its process. The socket
//! accepts no connections; the kernel tells a process that connects which process is listening.
//!
//! This is the second line of defence. The file locks keep two writers apart; this one refuses the
//! second writer at once, where otherwise the first would find its directory taken at its next
//! write. It therefore gives way: to a system without such sockets, and to a socket of a user who
//! has no right to the directory. The name is per network namespace.

use std::ffi::OsStr;
use std::io;
use std::path::Path;

use crate::storage::{Disk, DiskResult, Metadata};
use crate::system::{NameSocket, user_id};

/// A name that nobody else can take while this lives.
#[derive(Debug)]
pub(super) struct NameLock {
    socket: NameSocket,
}

/// Another process holds the name.
pub(super) struct NameHeld {
    pub(super) process_id: Option<u32>,
}

impl NameLock {
    /// Takes the names of `directory`, without waiting: the given one, and the one that it resolves
    /// to.
    pub(super) fn take_all(
        disk: &Disk,
        directory: &Path,
    ) -> DiskResult<Result<Vec<Self>, NameHeld>> {
        let owner = disk.examine_target(directory)?.owner;
        let mut locks = Vec::new();
        for name in names(disk, directory)? {
            match take(&name, owner) {
                Ok(lock) => locks.extend(lock),
                Err(held) => return Ok(Err(held)),
            }
        }
        Ok(Ok(locks))
    }

    /// Whether anybody holds one of the names of `directory`; takes none.
    pub(super) fn holder(disk: &Disk, directory: &Path) -> DiskResult<Option<NameHeld>> {
        let owner = disk.examine_target(directory)?.owner;
        let names = names(disk, directory)?;
        Ok(names.iter().find_map(|name| holder(name, owner)))
    }

    /// Releases the name.
    pub(super) fn give_back(&self) {
        self.socket.release();
    }
}

/// Takes one name; none if the system has no such names, or if a process holds it that does not
/// count.
fn take(name: &str, owner: u32) -> Result<Option<NameLock>, NameHeld> {
    match NameSocket::take(name) {
        Ok(socket) => Ok(Some(NameLock { socket })),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            holder(name, owner).map_or(Ok(None), Err)
        }
        Err(_) => Ok(None),
    }
}

/// The process that holds a name, if its user may write to a directory of `owner`.
fn holder(name: &str, owner: u32) -> Option<NameHeld> {
    let holder = NameSocket::holder(name)?;
    let may_write = [0, owner, user_id()].contains(&holder.user_id);
    may_write.then_some(NameHeld { process_id: holder.process_id })
}

/// The names of `directory`, each once.
fn names(disk: &Disk, directory: &Path) -> DiskResult<Vec<String>> {
    let target = disk.resolve(directory)?;
    let mut texts = Vec::new();
    for name in [directory, target.as_path()] {
        // `/` has none; it cannot be moved.
        let (Some(parent), Some(last)) = (name.parent(), name.file_name()) else { continue };
        let parent = disk.examine_target(parent)?;
        texts.push(socket_name(&parent, last));
    }
    // The same name, spelled in two ways.
    texts.dedup();
    Ok(texts)
}

/// A name as that of a socket: the parent directory as the kernel identifies it, so
/// that it is the same through every mount.
fn socket_name(parent: &Metadata, name: &OsStr) -> String {
    let name = crc32c::crc32c(name.as_encoded_bytes());
    format!("cdrlog/{:x}/{:x}/{name:08x}", parent.device, parent.inode)
}

#[cfg(all(test, target_os = "linux"))]
impl NameLock {
    /// What a forked child has.
    pub(super) fn copy(&self) -> std::os::fd::OwnedFd {
        self.socket.copy()
    }
}
