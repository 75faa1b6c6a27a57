//! What the two processes of a hand-over say to each other: one JSON object per message, with the
//! sockets attached.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream as StdUnixStream;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};
use tokio::io::Interest;
use tokio::net::UnixStream;

/// The version of the protocol. A server with another version is not taken over from.
pub(super) const VERSION: u32 = 1;

/// The maximum length of a message, and the maximum number of descriptors in one: the kernel's own
/// limit.
const MESSAGE_BYTES_MAX: usize = 64 << 10;
const DESCRIPTORS_MAX: usize = 253;

/// In the order in which they are sent. `New` is the process that takes over, `Old` the running
/// one.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Message {
    /// New: I want to take over.
    TakeOver { version: u32 },
    /// Old: these are my sockets, in the order of the descriptors. I let requests in flight go on
    /// for at most so many milliseconds.
    Sockets { sockets: Vec<HandedSocket>, end_timeout_ms: u64 },
    /// New: I can use what I was given. Stop.
    Go,
    /// Old: my directory is closed and I accept nothing.
    Closed,
    /// New: I have opened the directory and accept connections. You may exit.
    Serving,
    /// Old: I go on as before. New: I cannot, go on as before.
    Refused { reason: String },
}

/// How a socket is identified: by its `--listen` value, or by the name under which it was passed.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum HandedSocket {
    Asked(String),
    Passed(String),
}

/// One end of the conversation. Its socket preserves message boundaries (`SOCK_SEQPACKET`), for
/// which tokio has no type: waiting works just as well with the type for streams, and nothing else
/// of that is used.
#[derive(Debug)]
pub(super) struct Channel(UnixStream);

impl Channel {
    /// Called in the runtime, with a socket that preserves message boundaries.
    pub(super) fn new(socket: OwnedFd) -> io::Result<Self> {
        let socket = StdUnixStream::from(socket);
        socket.set_nonblocking(true)?;
        UnixStream::from_std(socket).map(Self)
    }

    /// A connection to a socket of that kind.
    pub(super) const fn of_accepted(socket: UnixStream) -> Self {
        Self(socket)
    }

    /// The user and the process at the other end, as the kernel tells them. The process is 0 if it
    /// is in another container.
    pub(super) fn peer(&self) -> io::Result<(u32, i32)> {
        let peer = self.0.peer_cred()?;
        Ok((peer.uid(), peer.pid().unwrap_or_default()))
    }

    pub(super) async fn send(
        &self,
        message: &Message,
        sockets: &[BorrowedFd<'_>],
    ) -> io::Result<()> {
        let text = serde_json::to_vec(message).map_err(io::Error::other)?;
        if text.len() > MESSAGE_BYTES_MAX || sockets.len() > DESCRIPTORS_MAX {
            return Err(io::Error::other("what is to be handed over is too much for one message"));
        }
        let sent = self.0.async_io(Interest::WRITABLE, || {
            let mut space =
                vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
            let mut ancillary = SendAncillaryBuffer::new(&mut space);
            if !sockets.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(sockets)) {
                return Err(io::Error::other("the sockets do not fit into a message"));
            }
            let parts = [IoSlice::new(&text)];
            Ok(sendmsg(&self.0, &parts, &mut ancillary, SendFlags::NOSIGNAL)?)
        });
        sent.await.map(|_| ())
    }

    /// The next message. An error of the kind `UnexpectedEof` if the other end is closed.
    pub(super) async fn receive(&self) -> io::Result<(Message, Vec<OwnedFd>)> {
        let (text, sockets) = self.0.async_io(Interest::READABLE, || read(&self.0)).await?;
        if text.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the other process is gone"));
        }
        let message = serde_json::from_slice(&text).map_err(io::Error::other)?;
        Ok((message, sockets))
    }

    pub(super) async fn receive_within(
        &self,
        timeout: Duration,
    ) -> io::Result<(Message, Vec<OwnedFd>)> {
        let received = tokio::time::timeout(timeout, self.receive()).await;
        received.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
    }
}

fn read(channel: &UnixStream) -> io::Result<(Vec<u8>, Vec<OwnedFd>)> {
    let mut text = vec![0; MESSAGE_BYTES_MAX];
    let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(DESCRIPTORS_MAX))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut parts = [IoSliceMut::new(&mut text)];
    let received = recvmsg(channel, &mut parts, &mut ancillary, RecvFlags::CMSG_CLOEXEC)?;
    let mut sockets = Vec::new();
    for message in ancillary.drain() {
        if let RecvAncillaryMessage::ScmRights(received) = message {
            sockets.extend(received);
        }
    }
    if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
        return Err(io::Error::other("the message is too long, or has more sockets than fit here"));
    }
    text.truncate(received.bytes);
    Ok((text, sockets))
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;

    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    fn pair() -> (Channel, Channel) {
        let (flags, kind) = (SocketFlags::CLOEXEC, SocketType::SEQPACKET);
        let (one, other) = socketpair(AddressFamily::UNIX, kind, flags, None).unwrap();
        (Channel::new(one).unwrap(), Channel::new(other).unwrap())
    }

    #[tokio::test]
    async fn messages_stay_apart_and_bring_their_sockets() {
        let (one, other) = pair();
        let file = File::open("/proc/self/comm").unwrap();
        let sockets = vec![HandedSocket::Asked("[::1]:1".into()), HandedSocket::Passed("a".into())];
        let message = Message::Sockets { sockets, end_timeout_ms: 7 };
        one.send(&message, &[file.as_fd(), file.as_fd()]).await.unwrap();
        one.send(&Message::Closed, &[]).await.unwrap();
        let (message, descriptors) = other.receive().await.unwrap();
        let Message::Sockets { sockets, end_timeout_ms: 7 } = message else {
            panic!("{message:?}")
        };
        assert_eq!(sockets[1], HandedSocket::Passed("a".into()));
        let mut text = String::new();
        File::from(descriptors.into_iter().nth(1).unwrap()).read_to_string(&mut text).unwrap();
        assert!(!text.is_empty());
        assert!(
            matches!(other.receive().await.unwrap(), (Message::Closed, none) if none.is_empty())
        );
    }

    #[tokio::test]
    async fn a_process_that_is_gone_is_told_from_one_that_is_silent() {
        let (one, other) = pair();
        let silent = other.receive_within(Duration::from_millis(1)).await.unwrap_err();
        assert_eq!(silent.kind(), io::ErrorKind::TimedOut);
        drop(one);
        assert_eq!(other.receive().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
