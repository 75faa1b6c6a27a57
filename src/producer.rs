//! The handle by which each thread of the media server sends events.

use std::cell::Cell;
use std::fmt;

use bytes::Bytes;

use crate::ack::{Ack, Durability, acked};
use crate::error::{SendError, TrySendError};
use crate::inbox::{Arena, Stored};
use crate::queue::{Body, KeptRoom, Message, Other, Queue, Refused};

/// Sends events to the appender. Use one per thread.
///
/// From its first send on, each producer owns a chunk of 4 to 64 KiB of the inbox. A server with
/// thousands of connections should share a few producers.
///
/// # Order
///
/// If `send` returns for one event before it is called for another, on any threads, the first event
/// comes first in the file.
///
/// # What `Ok` means
///
/// The event is *accepted*: it is in the inbox, which outlives the process (see the [table of
/// promises](crate#promises)). [`Stats`](crate::Stats) counts what becomes of it;
/// [`Appender::flush`](crate::Appender::flush) and [`Appender::sync`](crate::Appender::sync) wait
/// for it. A body that is not an event is accepted too, and goes to the rejects file.
///
/// An event that was accepted but not acknowledged is recovered after a crash. If its sender, which
/// got no answer, sends it again, it is in the CDR twice.
///
/// # After the appender is closed
///
/// Every call gives its event back. The same holds in a forked child of the process that opened the
/// appender.
pub struct Producer {
    queue: Queue,
    arena: Arena,
}

impl Producer {
    pub(crate) fn new(queue: Queue) -> Self {
        let arena = queue.arena();
        Self { queue, arena }
    }

    /// Sends an event; waits while the queue is full. This copies the event into the inbox and
    /// drops the `Bytes`, unless the inbox has no room for it.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] with the event.
    #[inline]
    pub fn send(&self, event: Bytes) -> Result<(), SendError> {
        match self.store(&event) {
            Stores::Record(stored) if self.push(&stored).is_ok() => Ok(()),
            Stores::Record(_) | Stores::Child => Err(SendError::Closed(event)),
            Stores::NoRoom => self.push_other(Other::Event(event)).map_err(closed),
        }
    }

    /// Like [`send`](Self::send), but never waits.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] or [`TrySendError::Closed`] with the event.
    #[inline]
    pub fn try_send(&self, event: Bytes) -> Result<(), TrySendError> {
        match self.store(&event) {
            Stores::Record(stored) => self.try_push(&stored).map_err(|why| why.with(|| event)),
            Stores::Child => Err(TrySendError::Closed(event)),
            Stores::NoRoom => self.try_push_other(Other::Event(event)).map_err(refused),
        }
    }

    /// Sends an event, copying it once, into the inbox; waits while the queue is full.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] with a copy of the event.
    #[inline]
    pub fn send_slice(&self, event: &[u8]) -> Result<(), SendError> {
        match self.store(event) {
            Stores::Record(stored) if self.push(&stored).is_ok() => Ok(()),
            Stores::Record(_) | Stores::Child => {
                Err(SendError::Closed(Bytes::copy_from_slice(event)))
            }
            Stores::NoRoom => {
                let event = Bytes::copy_from_slice(event);
                self.push_other(Other::Event(event)).map_err(closed)
            }
        }
    }

    /// Like [`send_slice`](Self::send_slice), but never waits.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] or [`TrySendError::Closed`] with a copy of the event.
    #[inline]
    pub fn try_send_slice(&self, event: &[u8]) -> Result<(), TrySendError> {
        let copy = || Bytes::copy_from_slice(event);
        match self.store(event) {
            Stores::Record(stored) => self.try_push(&stored).map_err(|why| why.with(copy)),
            Stores::Child => Err(TrySendError::Closed(copy())),
            Stores::NoRoom => self.try_push_other(Other::Event(copy())).map_err(refused),
        }
    }

    /// Like [`send`](Self::send), and returns an [`Ack`], which completes when the event has
    /// reached `durability`.
    ///
    /// Senders that wait at the same time share one write and one sync (group commit). An
    /// acknowledgement costs two small allocations, and a system call if the rewriter thread must
    /// be woken.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] with the event.
    pub fn send_acked(&self, event: Bytes, durability: Durability) -> Result<Ack, SendError> {
        let (acked, ack) = acked(durability);
        match self.store(&event) {
            Stores::Record(stored) => {
                let body = Body::Record(self.arena.record(&stored));
                let message = Message::other(Other::Acked(acked, body));
                if self.push_stored(&stored, message).is_err() {
                    return Err(SendError::Closed(event));
                }
            }
            Stores::Child => return Err(SendError::Closed(event)),
            Stores::NoRoom => {
                self.push_other(Other::Acked(acked, Body::Bytes(event))).map_err(closed)?;
            }
        }
        self.queue.wake();
        Ok(ack)
    }

    /// Like [`send_acked`](Self::send_acked), but never waits for room in the queue.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] or [`TrySendError::Closed`] with the event.
    pub fn try_send_acked(
        &self,
        event: Bytes,
        durability: Durability,
    ) -> Result<Ack, TrySendError> {
        let ack = self.try_send_acked_no_wake(event, durability)?;
        self.queue.wake();
        Ok(ack)
    }

    /// Like [`try_send_acked`](Self::try_send_acked), but does not wake the rewriter thread, which
    /// lets events gather for up to 20 ms. For event loops: many sends, then one
    /// [`wake`](Self::wake) before the loop blocks.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] or [`TrySendError::Closed`] with the event.
    pub fn try_send_acked_no_wake(
        &self,
        event: Bytes,
        durability: Durability,
    ) -> Result<Ack, TrySendError> {
        let (acked, ack) = acked(durability);
        match self.store(&event) {
            Stores::Record(stored) => {
                let body = Body::Record(self.arena.record(&stored));
                let message = Message::other(Other::Acked(acked, body));
                self.try_push_stored(&stored, message).map_err(|why| why.with(|| event))?;
            }
            Stores::Child => return Err(TrySendError::Closed(event)),
            Stores::NoRoom => {
                self.try_push_other(Other::Acked(acked, Body::Bytes(event))).map_err(refused)?;
            }
        }
        Ok(ack)
    }

    /// Wakes the rewriter thread, if it sleeps, to process the queue now.
    pub fn wake(&self) {
        self.queue.wake();
    }

    /// Sends an event for which room was reserved. `Full` only if it is longer than that.
    pub(crate) fn send_kept(&self, event: Bytes, room: KeptRoom) -> Result<(), TrySendError> {
        match self.store(&event) {
            Stores::Record(stored) => {
                let message = Message::record(self.arena.record(&stored));
                self.push_kept_stored(&stored, message, room).map_err(|why| why.with(|| event))
            }
            Stores::Child => Err(TrySendError::Closed(event)),
            Stores::NoRoom => self.push_kept_other(Other::Event(event), room),
        }
    }

    /// Like [`send_kept`](Self::send_kept), with an acknowledgement.
    pub(crate) fn send_acked_kept(
        &self,
        event: Bytes,
        durability: Durability,
        room: KeptRoom,
    ) -> Result<Ack, TrySendError> {
        let (acked, ack) = acked(durability);
        match self.store(&event) {
            Stores::Record(stored) => {
                let body = Body::Record(self.arena.record(&stored));
                let message = Message::other(Other::Acked(acked, body));
                self.push_kept_stored(&stored, message, room).map_err(|why| why.with(|| event))?;
            }
            Stores::Child => return Err(TrySendError::Closed(event)),
            Stores::NoRoom => {
                self.push_kept_other(Other::Acked(acked, Body::Bytes(event)), room)?;
            }
        }
        self.queue.wake();
        Ok(ack)
    }

    /// Copies an event into the inbox. If the inbox is half full, the rewriter is woken: events that find
    /// no room in it do not survive the process.
    #[inline]
    fn store(&self, event: &[u8]) -> Stores {
        if self.arena.pool().is_in_child() {
            return Stores::Child;
        }
        match self.arena.store(event) {
            Some(stored) => {
                if stored.is_scarce {
                    self.queue.wake();
                }
                Stores::Record(stored)
            }
            None => {
                self.queue.wake();
                Stores::NoRoom
            }
        }
    }

    #[inline]
    fn push(&self, stored: &Stored) -> Result<(), Why> {
        self.push_stored(stored, Message::record(self.arena.record(stored)))
    }

    #[inline]
    fn try_push(&self, stored: &Stored) -> Result<(), Why> {
        self.try_push_stored(stored, Message::record(self.arena.record(stored)))
    }

    /// Sends a message that refers to the record, and makes the record complete.
    #[inline]
    fn push_stored(&self, stored: &Stored, message: Message) -> Result<(), Why> {
        let ticket = Cell::new(0);
        let pushed = self.queue.push(message, |number| {
            ticket.set(number);
            self.arena.set_ticket(stored, number);
        });
        match pushed {
            Ok(()) => self.arena.complete(stored, ticket.get()),
            Err(_) => {
                self.arena.take_back(stored);
                return Err(Why::Closed);
            }
        }
        Ok(())
    }

    #[inline]
    fn try_push_stored(&self, stored: &Stored, message: Message) -> Result<(), Why> {
        let ticket = Cell::new(0);
        let pushed = self.queue.try_push(message, |number| {
            ticket.set(number);
            self.arena.set_ticket(stored, number);
        });
        self.end_try(stored, ticket.get(), pushed)
    }

    /// Like [`try_push_stored`](Self::try_push_stored), into reserved room.
    fn push_kept_stored(
        &self,
        stored: &Stored,
        message: Message,
        room: KeptRoom,
    ) -> Result<(), Why> {
        let ticket = Cell::new(0);
        let pushed = self.queue.push_kept(message, room, |number| {
            ticket.set(number);
            self.arena.set_ticket(stored, number);
        });
        self.end_try(stored, ticket.get(), pushed)
    }

    /// Makes the record complete, or takes it back.
    #[inline]
    fn end_try(
        &self,
        stored: &Stored,
        ticket: u64,
        pushed: Result<(), Refused>,
    ) -> Result<(), Why> {
        let why = match pushed {
            Ok(()) => {
                self.arena.complete(stored, ticket);
                return Ok(());
            }
            Err(Refused::Full(_)) => Why::Full,
            Err(Refused::Closed(_)) => Why::Closed,
        };
        self.arena.take_back(stored);
        Err(why)
    }

    /// Sends something that has no record, and so needs no ticket.
    #[cold]
    fn push_other(&self, other: Other) -> Result<(), Message> {
        self.queue.push(Message::other(other), |_| ())
    }

    #[cold]
    fn try_push_other(&self, other: Other) -> Result<(), Refused> {
        self.queue.try_push(Message::other(other), |_| ())
    }

    #[cold]
    fn push_kept_other(&self, other: Other, room: KeptRoom) -> Result<(), TrySendError> {
        self.queue.push_kept(Message::other(other), room, |_| ()).map_err(refused)
    }
}

/// The result of storing a body.
enum Stores {
    Record(Stored),
    /// There is no room for it in the inbox.
    NoRoom,
    /// This process is a forked child of the one that owns the inbox.
    Child,
}

/// Why a record was not accepted.
enum Why {
    Full,
    Closed,
}

impl Why {
    #[cold]
    fn with(self, event: impl FnOnce() -> Bytes) -> TrySendError {
        match self {
            Self::Full => TrySendError::Full(event()),
            Self::Closed => TrySendError::Closed(event()),
        }
    }
}

#[cold]
fn closed(message: Message) -> SendError {
    SendError::Closed(message.into_event())
}

#[cold]
fn refused(refused: Refused) -> TrySendError {
    match refused {
        Refused::Full(message) => TrySendError::Full(message.into_event()),
        Refused::Closed(message) => TrySendError::Closed(message.into_event()),
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("events_queued", &self.queue.events_queued())
            .finish_non_exhaustive()
    }
}

impl Clone for Producer {
    /// Another producer of the same appender, with its own chunk.
    fn clone(&self) -> Self {
        Self::new(self.queue.clone())
    }
}

#[cfg(test)]
mod tests;
