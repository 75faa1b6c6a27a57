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

#![expect(unsafe_code, reason = "std and rustix have no sound name for SO_PEERCRED")]

use std::ffi::OsStr;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen,
    shutdown, socket_with,
};

use crate::storage::{Disk, DiskResult, Metadata};

/// The number of refused processes that the kernel remembers: a day of restarts every 20 seconds.
const BACKLOG: i32 = 4096;

/// A name that nobody else can take while this lives.
#[derive(Debug)]
pub(super) struct NameLock {
    socket: OwnedFd,
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
        for address in addresses(disk, directory)? {
            match take(&address, owner) {
                Ok(lock) => locks.extend(lock),
                Err(held) => return Ok(Err(held)),
            }
        }
        Ok(Ok(locks))
    }

    /// Whether anybody holds one of the names of `directory`; takes none.
    pub(super) fn holder(disk: &Disk, directory: &Path) -> DiskResult<Option<NameHeld>> {
        let owner = disk.examine_target(directory)?.owner;
        let addresses = addresses(disk, directory)?;
        Ok(addresses.iter().find_map(|address| holder(address, owner)))
    }

    /// Releases the name. Closing is not enough while a forked child has a copy of the socket.
    pub(super) fn give_back(&self) {
        // Shutting down a socket cannot fail in a way that would keep the name.
        let _ = shutdown(&self.socket, Shutdown::Both);
    }
}

/// Takes one name; none if the system has no such sockets, or if a process holds the name that does
/// not count.
fn take(address: &SocketAddrUnix, owner: u32) -> Result<Option<NameLock>, NameHeld> {
    let Ok(socket) = unix_socket() else { return Ok(None) };
    match bind(&socket, address) {
        Ok(()) => Ok(listen(&socket, BACKLOG).is_ok().then_some(NameLock { socket })),
        Err(Errno::ADDRINUSE) => holder(address, owner).map_or(Ok(None), Err),
        Err(_) => Ok(None),
    }
}

/// The process that holds a name, if its user may write to a directory of `owner`.
fn holder(address: &SocketAddrUnix, owner: u32) -> Option<NameHeld> {
    let socket = unix_socket().ok()?;
    match connect(&socket, address) {
        Ok(()) => {}
        // Nobody; or a process that released it, whose forked child still has a copy; or one that
        // cannot be determined, because the kernel remembers no more connections.
        Err(_) => return None,
    }
    let peer = peer_of(&socket)?;
    let may_write = [0, owner, rustix::process::geteuid().as_raw()].contains(&peer.uid);
    // 0 if it is in a pid namespace that we cannot see.
    let process_id = u32::try_from(peer.pid).ok().filter(|&id| id != 0);
    may_write.then_some(NameHeld { process_id })
}

/// The process that listens at the other end of a connection.
fn peer_of(socket: &OwnedFd) -> Option<libc::ucred> {
    let mut peer = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut bytes = size_of::<libc::ucred>() as libc::socklen_t;
    let value = (&raw mut peer).cast();
    // SAFETY: `value` is a place of `bytes` bytes that lives through the call, and any bytes in it
    // are a `ucred`.
    let done = unsafe {
        libc::getsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_PEERCRED,
            value,
            &raw mut bytes,
        )
    };
    (done == 0 && bytes as usize == size_of::<libc::ucred>()).then_some(peer)
}

fn unix_socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
}

/// The addresses of the names of `directory`, each once.
fn addresses(disk: &Disk, directory: &Path) -> DiskResult<Vec<SocketAddrUnix>> {
    let target = disk.resolve(directory)?;
    let mut texts = Vec::new();
    for name in [directory, target.as_path()] {
        // `/` has none; it cannot be moved.
        let (Some(parent), Some(last)) = (name.parent(), name.file_name()) else { continue };
        let parent = disk.examine_target(parent)?;
        texts.push(address_text(&parent, last));
    }
    // The same name, spelled in two ways.
    texts.dedup();
    let address = |text: String| SocketAddrUnix::new_abstract_name(text.as_bytes()).ok();
    Ok(texts.into_iter().filter_map(address).collect())
}

/// What the address of a name is made from: the parent directory as the kernel identifies it, so
/// that it is the same through every mount.
fn address_text(parent: &Metadata, name: &OsStr) -> String {
    let name = crc32c::crc32c(name.as_encoded_bytes());
    format!("cdrlog/{:x}/{:x}/{name:08x}", parent.device, parent.inode)
}

#[cfg(test)]
impl NameLock {
    /// What a forked child has.
    pub(super) fn copy(&self) -> OwnedFd {
        self.socket.try_clone().unwrap()
    }
}
