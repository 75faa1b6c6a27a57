//! Sockets with abstract names: in no file system, removed by nobody, gone with their process.

#![expect(unsafe_code, reason = "std and rustix have no sound name for SO_PEERCRED")]

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::net::{
    AddressFamily, Shutdown, SocketAddrUnix, SocketFlags, SocketType, bind, connect, listen,
    shutdown, socket_with,
};

use crate::system::name_holder::NameHolder;

/// The number of refused processes that the kernel remembers: a day of restarts every 20 seconds.
const BACKLOG: i32 = 4096;

/// A name that nobody else can take while this lives. It accepts no connections; the kernel tells a
/// process that connects which process is listening.
#[derive(Debug)]
pub(crate) struct NameSocket(OwnedFd);

impl NameSocket {
    /// Takes `name`. [`AddrInUse`](io::ErrorKind::AddrInUse) if somebody has it; any other error if
    /// it cannot be had.
    pub(crate) fn take(name: &str) -> io::Result<Self> {
        let socket = unix_socket()?;
        bind(&socket, &address(name)?)?;
        listen(&socket, BACKLOG)?;
        Ok(Self(socket))
    }

    /// The process that has `name`. `None` if nobody has it; or a process that released it, whose
    /// forked child still has a copy; or one that cannot be determined, because the kernel remembers
    /// no more connections.
    pub(crate) fn holder(name: &str) -> Option<NameHolder> {
        let (address, socket) = (address(name).ok()?, unix_socket().ok()?);
        connect(&socket, &address).ok()?;
        let peer = peer_of(&socket)?;
        // 0 if it is in a pid namespace that we cannot see.
        let process_id = u32::try_from(peer.pid).ok().filter(|&id| id != 0);
        Some(NameHolder { user_id: peer.uid, process_id })
    }

    /// Releases the name. Closing is not enough while a forked child has a copy of the socket.
    pub(crate) fn release(&self) {
        // Shutting down a socket cannot fail in a way that would keep the name.
        let _ = shutdown(&self.0, Shutdown::Both);
    }

    /// What a forked child has.
    #[cfg(test)]
    pub(crate) fn copy(&self) -> OwnedFd {
        self.0.try_clone().unwrap()
    }
}

fn address(name: &str) -> rustix::io::Result<SocketAddrUnix> {
    SocketAddrUnix::new_abstract_name(name.as_bytes())
}

fn unix_socket() -> rustix::io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
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
