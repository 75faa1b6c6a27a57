//! The running process: waits for another one to ask for a hand-over, and gives it the sockets.

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

/// How long another process may take for a step of the conversation before this one stops anything
/// for it.
const STEP_TIMEOUT: Duration = Duration::from_secs(30);

/// The pause after an accept that failed.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Accepts requests for a hand-over. When it is dropped, its socket is removed.
#[derive(Debug)]
pub(in super::super) struct Control {
    ready: mpsc::Receiver<Successor>,
    task: Option<JoinHandle<()>>,
}

/// A process that has the sockets and waits for the directory.
#[derive(Debug)]
pub(in super::super) struct Successor {
    channel: Channel,
    pid: i32,
}

/// The result of a hand-over after the directory was closed.
#[derive(Debug)]
pub(in super::super) enum Verdict {
    /// The new process serves.
    Serving,
    /// It is gone, or cannot serve: the reason.
    Failed(String),
}

impl Control {
    /// Listens in the directory. Called in the runtime, by the process that has it open. If that is
    /// impossible, it is logged, and there is no hand-over: events are accepted all the same.
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

    /// The next process that wants the directory. Never returns if none can ask. May be cancelled
    /// before it is ready.
    pub(in super::super) async fn next(&mut self) -> Successor {
        match self.ready.recv().await {
            Some(successor) => successor,
            None => std::future::pending().await,
        }
    }

    /// Removes the socket: the next process creates its own.
    pub(in super::super) async fn close(mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
            // It ends by the abort.
            let _ = task.await;
        }
        // A second process that wants to take over was told to wait.
        while let Ok(other) = self.ready.try_recv() {
            if let Err(error) = other.refuse("the server is ending".to_owned()).await {
                tracing::debug!(%error, "the process that wanted to take over is gone");
            }
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
    /// Dropped before the socket: as long as the socket is open, no other file gets its inode.
    _file: SocketFile,
    /// Not of streams: see [`Channel`].
    socket: UnixListener,
    listeners: Arc<Listeners>,
    end_timeout: Duration,
}

impl Door {
    /// One at a time: a second one waits until the result of the first is known.
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

    /// Gives the sockets to a process of the same user. `None` for one of another user, and for
    /// whoever only checks whether somebody listens.
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

    /// The server goes on as before. The new process is told why.
    pub(in super::super) async fn refuse(&self, reason: String) -> io::Result<()> {
        self.channel.send(&Message::Refused { reason }, &[]).await
    }

    /// The directory is closed: it belongs to the other process. If that cannot be sent any more,
    /// the verdict will tell.
    pub(in super::super) async fn give(&self) -> io::Result<()> {
        self.channel.send(&Message::Closed, &[]).await
    }

    /// Waits for the result. As long as the other process lives, it may still open the directory.
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
