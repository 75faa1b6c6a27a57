//! The new process: takes the sockets and the directory from the running one.

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::net::SocketType;
use rustix::process::geteuid;

use super::channel::{Channel, HandedSocket, Message, VERSION};
use super::socket_path;
use crate::serve::listen::{ListenAddress, Passed, PassedError, connect};

/// How long the running server may take to answer. It finishes an earlier hand-over first.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);

/// What closing takes in addition to the time for requests in flight: the disk may be slow.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// The running server, as seen by the process that takes over.
#[derive(Debug)]
pub(in super::super) struct Predecessor {
    channel: Channel,
    pid: i32,
    /// The sockets of its `--listen`.
    asked: Vec<(ListenAddress, OwnedFd)>,
    passed: Vec<Passed>,
    /// How long its requests in flight may take.
    end_timeout: Duration,
}

/// A running server does not hand over. It goes on, if it is alive.
#[derive(Debug)]
#[non_exhaustive]
pub(in super::super) enum TakeOverError {
    /// It cannot be talked to.
    Io { path: PathBuf, source: io::Error },
    /// A process of another user listens on the socket.
    Stranger { path: PathBuf, uid: u32 },
    /// It says why it does not hand over.
    Refused { pid: i32, reason: String },
    /// One of its sockets cannot be used.
    Socket(PassedError),
}

impl fmt::Display for TakeOverError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Io { path, source } => {
                let path = path.display();
                write!(f, "cannot take over from the running server by {path}: {source}")
            }
            Self::Stranger { path, uid } => {
                let path = path.display();
                write!(f, "a process of another user ({uid}) listens on {path}: run as that user")
            }
            Self::Refused { pid, reason } => {
                write!(f, "the running server (process {pid}) does not hand over: {reason}")
            }
            Self::Socket(error) => write!(f, "cannot take over from the running server: {error}"),
        }
    }
}

impl Error for TakeOverError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Socket(error) => Some(error),
            Self::Stranger { .. } | Self::Refused { .. } => None,
        }
    }
}

impl Predecessor {
    /// Asks the server of a directory for its sockets. `None` if none runs there, or one of an
    /// earlier version. Called in the runtime.
    pub(in super::super) async fn find(directory: &Path) -> Result<Option<Self>, TakeOverError> {
        use io::ErrorKind::{ConnectionRefused, NotFound};
        let path = socket_path(directory);
        let failed = |source| TakeOverError::Io { path: path.clone(), source };
        let socket = match connect(&path, SocketType::SEQPACKET) {
            Ok(socket) => socket,
            Err(error) if matches!(error.kind(), ConnectionRefused | NotFound) => return Ok(None),
            Err(error) => return Err(failed(error)),
        };
        let channel = Channel::new(socket).map_err(failed)?;
        let (uid, pid) = channel.peer().map_err(failed)?;
        if uid != geteuid().as_raw() {
            return Err(TakeOverError::Stranger { path, uid });
        }
        let message = Message::TakeOver { version: VERSION };
        channel.send(&message, &[]).await.map_err(failed)?;
        match channel.receive_within(ANSWER_TIMEOUT).await.map_err(failed)? {
            (Message::Sockets { sockets, end_timeout_ms }, descriptors) => {
                let end_timeout = Duration::from_millis(end_timeout_ms);
                let mut new =
                    Self { channel, pid, asked: Vec::new(), passed: Vec::new(), end_timeout };
                if sockets.len() != descriptors.len() {
                    return Err(failed(io::Error::other("a socket is missing")));
                }
                for (handed, descriptor) in sockets.into_iter().zip(descriptors) {
                    new.add(handed, descriptor).map_err(TakeOverError::Socket)?;
                }
                Ok(Some(new))
            }
            (Message::Refused { reason }, _) => Err(TakeOverError::Refused { pid, reason }),
            (message, _) => Err(failed(io::Error::other(format!("it said {message:?}")))),
        }
    }

    fn add(&mut self, handed: HandedSocket, socket: OwnedFd) -> Result<(), PassedError> {
        match handed {
            HandedSocket::Passed(name) => self.passed.push(Passed::new(socket, name)?),
            HandedSocket::Asked(text) => {
                let socket = Passed::new(socket, text.clone())?.into_socket();
                // A kind of socket that another version knows and this one does not is not taken.
                if let Ok(address) = text.parse() {
                    self.asked.push((address, socket));
                }
            }
        }
        Ok(())
    }

    pub(in super::super) fn pid(&self) -> i32 {
        self.pid
    }

    /// The sockets of its `--listen`, by the values of that.
    pub(in super::super) fn take_asked(&mut self) -> Vec<(ListenAddress, OwnedFd)> {
        std::mem::take(&mut self.asked)
    }

    /// The sockets that its parent passed.
    pub(in super::super) fn take_passed(&mut self) -> Vec<Passed> {
        std::mem::take(&mut self.passed)
    }

    /// Tells it to stop, and waits until the directory is free. If it has died, the directory is
    /// free too; the next `open` recovers what it left.
    pub(in super::super) async fn release(&self) -> Result<(), TakeOverError> {
        let path = PathBuf::from(format!("/proc/{}", self.pid));
        let failed = |source| TakeOverError::Io { path: path.clone(), source };
        let is_gone = |error: &io::Error| {
            matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::BrokenPipe)
                || error.kind() == io::ErrorKind::ConnectionReset
        };
        let released = async {
            self.channel.send(&Message::Go, &[]).await?;
            self.channel.receive_within(self.end_timeout + CLOSE_TIMEOUT).await
        };
        match released.await {
            Ok((Message::Closed, _)) => Ok(()),
            Ok((Message::Refused { reason }, _)) => {
                Err(TakeOverError::Refused { pid: self.pid, reason })
            }
            Ok((message, _)) => Err(failed(io::Error::other(format!("it said {message:?}")))),
            Err(error) if is_gone(&error) => {
                tracing::warn!(pid = self.pid, "the server has ended before it handed over");
                Ok(())
            }
            Err(error) => Err(failed(error)),
        }
    }

    /// The directory is open and connections are accepted: the other process may exit. If it is
    /// gone already, nobody needs to hear it.
    pub(in super::super) async fn dismiss(self) {
        if let Err(error) = self.channel.send(&Message::Serving, &[]).await {
            tracing::debug!(%error, "the server that ran before is gone");
        }
    }

    /// The directory cannot be opened: the other process goes on.
    pub(in super::super) async fn give_back(self, reason: String) {
        if let Err(error) = self.channel.send(&Message::Refused { reason }, &[]).await {
            tracing::warn!(%error, "the server that ran before is gone");
        }
    }
}
