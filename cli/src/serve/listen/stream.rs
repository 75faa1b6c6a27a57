//! An accepted connection, and the name of its peer.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

use tokio::net::{TcpStream, UnixStream};

/// A new connection.
#[derive(Debug)]
pub(in super::super) struct Accepted {
    pub(in super::super) stream: Stream,
    /// Where it comes from; [`UNIX_PEER`] for a unix socket.
    pub(in super::super) peer: SocketAddr,
    /// Whether its socket speaks TLS.
    pub(in super::super) is_tls: bool,
}

#[derive(Debug)]
pub(in super::super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// The address of everybody who connects to a unix socket. No TCP peer has it.
pub(in super::super) const UNIX_PEER: SocketAddr =
    SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), 0);

/// A peer for the log: its address, or `unix`.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct PeerName(pub(in super::super) SocketAddr);

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 == UNIX_PEER { f.write_str("unix") } else { self.0.fmt(f) }
    }
}
