//! The sockets that connections are accepted from: those of `--listen`, those that the parent of
//! the process passed, and those that a running server hands over.

mod address;
mod passed;
mod stream;
mod unix;

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use rustix::net::{AddressFamily, SocketType};
use tokio::net::{TcpListener, TcpSocket, UnixListener};

pub(super) use self::address::{ListenAddress, one_or_several};
pub(super) use self::passed::{Passed, PassedError, take};
pub(super) use self::stream::{Accepted, PeerName, Stream, UNIX_PEER};
pub(super) use self::unix::{SocketFile, connect, listen};

/// Where a server listens if it is not told.
const DEFAULT: ListenAddress =
    ListenAddress::Tcp(SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 8787));

/// Connections that wait to be accepted: as many as the kernel allows (`net.core.somaxconn`, 4096
/// by default). During a hand-over they wait for some time.
const BACKLOG: u16 = u16::MAX;

/// As many sockets as one message can hand over: more than anybody needs.
const LISTENERS_MAX: usize = 64;

/// What the sockets of a server are made from. A socket that is passed or handed over is used if
/// its address is wanted; the others are bound.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    /// `--listen`; the default address if this is empty and no socket is passed.
    pub(super) asked: &'a [ListenAddress],
    /// The mode of new unix sockets.
    pub(super) mode: u32,
    /// There is a certificate.
    pub(super) has_tls: bool,
    pub(super) passed: Vec<Passed>,
    pub(super) handed: Vec<(ListenAddress, OwnedFd)>,
}

/// All sockets of a server. By default none, from which nothing is ever accepted.
#[derive(Debug, Default)]
pub(super) struct Listeners {
    all: Vec<Listener>,
    /// Which one is asked first, so that each of them gets its turn.
    turn: AtomicUsize,
}

#[derive(Debug)]
struct Listener {
    origin: Origin,
    address: ListenAddress,
    is_tls: bool,
    /// Dropped before the socket: as long as the socket is open, no other file gets its inode.
    file: Mutex<Option<SocketFile>>,
    socket: Socket,
}

/// Where a socket came from: its next owner recognizes it by this.
#[derive(Clone, Debug)]
pub(super) enum Origin {
    /// `--listen` asked for it, with this value.
    Asked(ListenAddress),
    /// The parent passed it, under this name.
    Passed(String),
}

#[derive(Debug)]
enum Socket {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listeners {
    /// Called in the runtime. Errors name the address.
    pub(super) fn new(mut plan: Plan<'_>) -> Result<Self, String> {
        let mut all = Vec::new();
        for passed in std::mem::take(&mut plan.passed) {
            all.push(Listener::passed(passed, plan.has_tls)?);
        }
        let default = [DEFAULT];
        let asked = if plan.asked.is_empty() && all.is_empty() { &default[..] } else { plan.asked };
        for address in asked {
            // An address that is passed may be given, but need not be.
            if !all.iter().any(|known| known.address == *address) {
                all.push(Listener::asked(address, &mut plan)?);
            }
        }
        if all.len() > LISTENERS_MAX {
            return Err(format!("cannot listen on more than {LISTENERS_MAX} sockets"));
        }
        Ok(Self { all, turn: AtomicUsize::new(0) })
    }

    /// The next connection. May be cancelled before it is ready: no connection is lost.
    pub(super) async fn accept(&self) -> io::Result<Accepted> {
        poll_fn(|context| {
            let turn = self.turn.fetch_add(1, Ordering::Relaxed);
            let turn = turn.checked_rem(self.all.len()).unwrap_or_default();
            let (later, first) = self.all.split_at(turn);
            let mut accepted = first.iter().chain(later).map(|one| one.poll_accept(context));
            accepted.find(Poll::is_ready).unwrap_or(Poll::Pending)
        })
        .await
    }

    /// The first address that programs on other machines can reach.
    pub(super) fn exposed(&self) -> Option<&ListenAddress> {
        self.all.iter().map(|listener| &listener.address).find(|address| address.is_exposed())
    }

    /// The sockets, and how their next owner recognizes them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&Origin, BorrowedFd<'_>)> {
        self.all.iter().map(|listener| (&listener.origin, listener.socket.as_fd()))
    }

    /// Whether this process removes the files of the unix sockets at its end, or another one does.
    pub(super) fn own_files(&self, is_owned: bool) {
        for listener in &self.all {
            let mut file = listener.file.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(file) = &mut *file {
                file.own(is_owned);
            }
        }
    }
}

/// The addresses, separated by commas.
impl fmt::Display for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, listener) in self.all.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{}", listener.address)?;
        }
        Ok(())
    }
}

impl Listener {
    /// A socket that was asked for: the handed-over one, or a new one.
    fn asked(address: &ListenAddress, plan: &mut Plan<'_>) -> Result<Self, String> {
        let named = |error: io::Error| format!("cannot listen on {address}: {error}");
        let is_tls = plan.has_tls && matches!(address, ListenAddress::Tcp(_));
        let handed = plan.handed.iter().position(|(asked, _)| asked == address);
        let (socket, file) = match (handed.map(|index| plan.handed.swap_remove(index)), address) {
            (Some((_, socket)), ListenAddress::Tcp(_)) => (Socket::tcp(socket), None),
            (Some((_, socket)), ListenAddress::Unix(path)) => {
                (Socket::unix(socket), Some(SocketFile::find(path).map_err(named)?))
            }
            (None, ListenAddress::Tcp(address)) => (bind(*address).map(Socket::Tcp), None),
            (None, ListenAddress::Unix(path)) => {
                let (socket, file) = listen(path, SocketType::STREAM, plan.mode).map_err(named)?;
                (Socket::unix(socket), Some(file))
            }
        };
        let socket = socket.map_err(named)?;
        Ok(Self {
            origin: Origin::Asked(address.clone()),
            address: socket.address(Some(address)).map_err(named)?,
            is_tls,
            file: Mutex::new(file),
            socket,
        })
    }

    /// Its name says what it speaks; with any other name, it speaks what `--listen` would.
    fn passed(passed: Passed, has_tls: bool) -> Result<Self, String> {
        let Passed { socket, family, name } = passed;
        let unusable = |fault: &dyn fmt::Display| format!("the passed socket {name:?}: {fault}");
        let is_unix = family == AddressFamily::UNIX;
        let is_tls = match name.as_str() {
            "https" if is_unix => return Err(unusable(&"a unix socket does not speak TLS")),
            "https" if !has_tls => {
                return Err(unusable(&"its name asks for TLS: give --tls-cert and --tls-key"));
            }
            "http" => false,
            _ => has_tls && !is_unix,
        };
        let socket = if is_unix { Socket::unix(socket) } else { Socket::tcp(socket) };
        let socket = socket.map_err(|error| unusable(&error))?;
        let address = socket.address(None).map_err(|error| unusable(&error))?;
        let file = Mutex::new(None);
        Ok(Self { origin: Origin::Passed(name), address, is_tls, file, socket })
    }

    fn poll_accept(&self, context: &mut Context<'_>) -> Poll<io::Result<Accepted>> {
        let (stream, peer) = match &self.socket {
            Socket::Tcp(listener) => {
                let (stream, peer) = ready!(listener.poll_accept(context))?;
                (Stream::Tcp(stream), peer)
            }
            Socket::Unix(listener) => {
                let (stream, _) = ready!(listener.poll_accept(context))?;
                (Stream::Unix(stream), UNIX_PEER)
            }
        };
        Poll::Ready(Ok(Accepted { stream, peer, is_tls: self.is_tls }))
    }
}

impl Socket {
    fn tcp(socket: OwnedFd) -> io::Result<Self> {
        let listener = std::net::TcpListener::from(socket);
        listener.set_nonblocking(true)?;
        TcpListener::from_std(listener).map(Self::Tcp)
    }

    fn unix(socket: OwnedFd) -> io::Result<Self> {
        let listener = std::os::unix::net::UnixListener::from(socket);
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener).map(Self::Unix)
    }

    /// A unix socket that the process made has the path that was asked for, not the one by which it
    /// was bound.
    fn address(&self, asked: Option<&ListenAddress>) -> io::Result<ListenAddress> {
        match (self, asked) {
            (Self::Tcp(listener), _) => listener.local_addr().map(ListenAddress::Tcp),
            (Self::Unix(_), Some(asked)) => Ok(asked.clone()),
            (Self::Unix(listener), None) => {
                let address = listener.local_addr()?;
                let path = address.as_pathname().unwrap_or(Path::new("(without a path)"));
                Ok(ListenAddress::Unix(path.to_owned()))
            }
        }
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(listener) => listener.as_fd(),
            Self::Unix(listener) => listener.as_fd(),
        }
    }
}

fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG.into())
}
