//! Locks of the name of a directory: what a lock on the directory itself does not cover.
//!
//! Where a directory is moved and a new one gets its name, the lock goes with the old one. The
//! appender still writes to that name. So the name is taken too: by a socket of an abstract name,
//! which is in no file system, cannot be removed, and goes with its process. The socket takes no
//! connections; who connects learns from the kernel that somebody is there, and who.
//!
//! This is the second line of defence. The locks of files keep two writers apart; this one refuses
//! the second of them at once, where else the first would find its directory taken at its next
//! write. It therefore gives way: to a system that has no such sockets, and to a socket of a user
//! who has no right to the directory. The name is of one network namespace.

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

/// How many who were refused the kernel remembers: a day of restarts every 20 seconds.
const BACKLOG: i32 = 4096;

/// A name that nobody else takes while this lives.
#[derive(Debug)]
pub(super) struct NameLock {
    socket: OwnedFd,
}

/// Somebody holds the name.
pub(super) struct NameHeld {
    pub(super) process_id: Option<u32>,
}

impl NameLock {
    /// Takes the names of `directory`, at once or not at all: the one that was given, and where it
    /// leads to.
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

    /// Whether somebody holds one of the names of `directory`; takes none.
    pub(super) fn holder(disk: &Disk, directory: &Path) -> DiskResult<Option<NameHeld>> {
        let owner = disk.examine_target(directory)?.owner;
        let addresses = addresses(disk, directory)?;
        Ok(addresses.iter().find_map(|address| holder(address, owner)))
    }

    /// Gives the name back. Closing would not do while a forked child has a copy of the socket.
    pub(super) fn give_back(&self) {
        // A socket that was closed cannot fail in a way that would keep the name.
        let _ = shutdown(&self.socket, Shutdown::Both);
    }
}

/// Takes one name; none where the system has no such sockets, or somebody has the name who does not
/// count.
fn take(address: &SocketAddrUnix, owner: u32) -> Result<Option<NameLock>, NameHeld> {
    let Ok(socket) = unix_socket() else { return Ok(None) };
    match bind(&socket, address) {
        Ok(()) => Ok(listen(&socket, BACKLOG).is_ok().then_some(NameLock { socket })),
        Err(Errno::ADDRINUSE) => holder(address, owner).map_or(Ok(None), Err),
        Err(_) => Ok(None),
    }
}

/// Who holds a name, if it is somebody who may write to a directory of `owner`.
fn holder(address: &SocketAddrUnix, owner: u32) -> Option<NameHeld> {
    let socket = unix_socket().ok()?;
    match connect(&socket, address) {
        Ok(()) => {}
        // Nobody; or one who gave it back, and whose forked child still has a copy; or one who
        // cannot be known, because the kernel remembers no more who connect.
        Err(_) => return None,
    }
    let peer = peer_of(&socket)?;
    let may_write = [0, owner, rustix::process::geteuid().as_raw()].contains(&peer.uid);
    // 0 where it is in a pid namespace that we do not see.
    let process_id = u32::try_from(peer.pid).ok().filter(|&id| id != 0);
    may_write.then_some(NameHeld { process_id })
}

/// Who listens at the other end of a connection.
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

/// The addresses of the names that `directory` has, each once.
fn addresses(disk: &Disk, directory: &Path) -> DiskResult<Vec<SocketAddrUnix>> {
    let target = disk.resolve(directory)?;
    let mut texts = Vec::new();
    for name in [directory, target.as_path()] {
        // None of `/`, which cannot be moved.
        let (Some(parent), Some(last)) = (name.parent(), name.file_name()) else { continue };
        let parent = disk.examine_target(parent)?;
        texts.push(address_text(&parent, last));
    }
    // The same name in two spellings.
    texts.dedup();
    let address = |text: String| SocketAddrUnix::new_abstract_name(text.as_bytes()).ok();
    Ok(texts.into_iter().filter_map(address).collect())
}

/// What the address of a name is made of: the directory that it is in, as the kernel knows that, so
/// that it is the same through every mount of it.
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
