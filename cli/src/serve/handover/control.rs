//! The running process: hears that another one wants to take over, and gives it the sockets.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustix::net::SocketType;
use rustix::process::geteuid;
use tokio::net::UnixListener;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::channel::{Channel, HandedSocket, Message, VERSION};
use super::{SOCKET_MODE, socket_path};
use crate::serve::listen::{Listeners, Origin, SocketFile, listen};

/// How long another process may take for a step of the conversation before anything is stopped for
/// it.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Takes requests for a hand-over. Dropped, its socket is removed.
#[derive(Debug)]
pub(in super::super) struct Control {
    ready: mpsc::Receiver<Successor>,
    task: Option<JoinHandle<()>>,
}

/// A process that has the sockets, and waits for the directory.
#[derive(Debug)]
pub(in super::super) struct Successor {
    channel: Channel,
    pid: i32,
}

/// What became of a hand-over after the directory was closed.
#[derive(Debug)]
pub(in super::super) enum Verdict {
    /// The new process serves.
    Serving,
    /// It is gone, or cannot: the reason.
    Failed(String),
}

impl Control {
    /// Listens in the directory. Called in the runtime, by the process that has it open. Where that
    /// cannot be, it is told, and there is no hand-over: events are taken all the same.
    pub(in super::super) fn open(
        directory: &Path,
        listeners: &Arc<Listeners>,
        end_timeout: Duration,
    ) -> Self {
        let path = socket_path(directory);
        let (sender, ready) = mpsc::channel(1);
        let listening = listen(&path, SocketType::SEQPACKET, SOCKET_MODE)
            .and_then(|(socket, file)| Ok((UnixListener::from_std(socket.into())?, file)));
        let task = match listening {
            Ok((socket, file)) => {
                let door = Door { socket, _file: file, listeners: listeners.clone(), end_timeout };
                Some(tokio::spawn(door.keep(sender)))
            }
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "no hand-over is possible");
                None
            }
        };
        Self { ready, task }
    }

    /// The next process that wants the directory. Never, where none can ask. May be given up before
    /// it is ready.
    pub(in super::super) async fn next(&mut self) -> Successor {
        match self.ready.recv().await {
            Some(successor) => successor,
            None => std::future::pending().await,
        }
    }

    /// Removes the socket: the next process makes one of its own.
    pub(in super::super) async fn close(mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // Its end is the abort.
            let _ = task.await;
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        if let Some(task) = &self.task {
            task.abort();
        }
    }
}

/// What the task of the socket owns.
struct Door {
    /// Before the socket: as long as that is open, no other file gets the inode of this one.
    _file: SocketFile,
    /// Not of streams: see [`Channel`].
    socket: UnixListener,
    listeners: Arc<Listeners>,
    end_timeout: Duration,
}

impl Door {
    /// One at a time: a second one waits until it is known what becomes of the first.
    async fn keep(self, sender: mpsc::Sender<Successor>) {
        loop {
            let channel = match self.socket.accept().await {
                Ok((socket, _)) => Channel::of_accepted(socket),
                Err(error) => {
                    tracing::warn!(%error, "cannot hear who wants to take over");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            match self.greet(channel).await {
                Ok(Some(successor)) => {
                    if sender.send(successor).await.is_err() {
                        return;
                    }
                }
                Ok(None) => {}
                Err(error) => tracing::warn!(%error, "a process wanted to take over, and did not"),
            }
        }
    }

    /// Gives the sockets to a process of the same user. `None` for one of another, and for whoever
    /// only looks whether somebody listens.
    async fn greet(&self, channel: Channel) -> io::Result<Option<Successor>> {
        let (uid, pid) = channel.peer()?;
        if uid != geteuid().as_raw() {
            tracing::warn!(uid, pid, "refused to hand over to a process of another user");
            return Ok(None);
        }
        let version = match channel.receive_within(STEP_TIMEOUT).await {
            Ok((Message::TakeOver { version }, _)) => version,
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            other => return Err(unexpected(other)),
        };
        let successor = Successor { channel, pid };
        if version != VERSION {
            let reason = format!(
                "the running server hands over by version {VERSION}, not {version}: restart it"
            );
            successor.refuse(reason).await?;
            return Ok(None);
        }
        let (sockets, descriptors): (Vec<_>, Vec<_>) = self
            .listeners
            .iter()
            .map(|(origin, socket)| {
                let handed = match origin {
                    Origin::Asked(address) => HandedSocket::Asked(address.to_string()),
                    Origin::Passed(name) => HandedSocket::Passed(name.clone()),
                };
                (handed, socket)
            })
            .unzip();
        let end_timeout_ms = u64::try_from(self.end_timeout.as_millis()).unwrap_or(u64::MAX);
        let message = Message::Sockets { sockets, end_timeout_ms };
        successor.channel.send(&message, &descriptors).await?;
        match successor.channel.receive_within(STEP_TIMEOUT).await {
            Ok((Message::Go, _)) => Ok(Some(successor)),
            Ok((Message::Refused { reason }, _)) => Err(io::Error::other(reason)),
            other => Err(unexpected(other)),
        }
    }
}

impl Successor {
    pub(in super::super) fn pid(&self) -> i32 {
        self.pid
    }

    /// The server goes on as before. The new process hears why.
    pub(in super::super) async fn refuse(&self, reason: String) -> io::Result<()> {
        self.channel.send(&Message::Refused { reason }, &[]).await
    }

    /// The directory is closed: it is the other's. Where that cannot be said any more, the verdict
    /// will tell.
    pub(in super::super) async fn give(&self) -> io::Result<()> {
        self.channel.send(&Message::Closed, &[]).await
    }

    /// Waits for what becomes of it. As long as the other process lives, it may still open the
    /// directory.
    pub(in super::super) async fn verdict(&self) -> Verdict {
        match self.channel.receive().await {
            Ok((Message::Serving, _)) => Verdict::Serving,
            Ok((Message::Refused { reason }, _)) => Verdict::Failed(reason),
            other => Verdict::Failed(unexpected(other).to_string()),
        }
    }
}

fn unexpected(received: io::Result<(Message, Vec<OwnedFd>)>) -> io::Error {
    match received {
        Ok((message, _)) => io::Error::other(format!("it said {message:?}")),
        Err(error) => error,
    }
}
