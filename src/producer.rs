//! Where events come in: the handle that every thread of the media server holds.

use std::cell::Cell;
use std::fmt;

use bytes::Bytes;

use crate::ack::{Ack, Durability, acked};
use crate::error::{SendError, TrySendError};
use crate::inbox::{Arena, Stored};
use crate::queue::{Body, Content, KeptRoom, Message, Other, Queue, Refused};

/// Takes events. One for each thread.
///
/// Each has a chunk of 4 to 64 KiB of the inbox for what it sends, from its first send on; where
/// there are thousands of connections, they better share a few.
///
/// # Order
///
/// An event whose `send` returned before another's began, on whatever thread, is before it in the
/// file.
///
/// # What a return means
///
/// `Ok` means *accepted*: the event is in the inbox, which outlives the process. What becomes of it
/// after that is counted in [`Stats`](crate::Stats);
/// [`Appender::flush`](crate::Appender::flush) and [`Appender::sync`](crate::Appender::sync) wait
/// for it. A body that is no event is not refused here: it goes to the rejects file.
///
/// An event that was accepted and not acknowledged comes up again after a crash, also where its
/// sender, which got no answer, sends it again.
///
/// # After the appender is closed
///
/// Every call gives its event back. So it does in a forked child of the process that opened the
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

    /// Copies an event into the inbox and hands it over; waits while the queue is full. The `Bytes`
    /// is dropped here, unless there is no room for the event in the inbox.
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

    /// As [`send`](Self::send), without ever waiting.
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

    /// Copies an event once, into the inbox, and hands it over; waits while the queue is full.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] with a copy.
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

    /// As [`send_slice`](Self::send_slice), without ever waiting.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] or [`TrySendError::Closed`] with a copy.
    #[inline]
    pub fn try_send_slice(&self, event: &[u8]) -> Result<(), TrySendError> {
        let copy = || Bytes::copy_from_slice(event);
        match self.store(event) {
            Stores::Record(stored) => self.try_push(&stored).map_err(|why| why.with(copy)),
            Stores::Child => Err(TrySendError::Closed(copy())),
            Stores::NoRoom => self.try_push_other(Other::Event(copy())).map_err(refused),
        }
    }

    /// As [`send`](Self::send), and gives an [`Ack`] to learn what becomes of the event.
    ///
    /// Many senders that wait at the same time share one write and one sync (group commit). An
    /// acknowledgement costs two small allocations, and a call into the kernel where the rewriter
    /// thread has to be woken.
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

    /// As [`send_acked`](Self::send_acked), without ever waiting for room in the queue.
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

    /// As [`try_send_acked`](Self::try_send_acked), but leaves the rewriter thread asleep where it
    /// lets events gather, for up to 10 ms. For event loops: many sends, then one [`wake`](Self::wake) before
    /// the loop waits for what comes.
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

    /// Wakes the rewriter thread, where it sleeps, to look into the queue now.
    pub fn wake(&self) {
        self.queue.wake();
    }

    /// Hands an event over for which room was kept. `Full` only where it is longer than that.
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

    /// As [`send_kept`](Self::send_kept), acknowledged.
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

    /// Copies an event into the inbox.
    #[inline]
    fn store(&self, event: &[u8]) -> Stores {
        if self.arena.pool().is_in_child() {
            return Stores::Child;
        }
        match self.arena.store(event) {
            Some(stored) => Stores::Record(stored),
            None => Stores::NoRoom,
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

    /// As [`try_push_stored`](Self::try_push_stored), where room was kept.
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

    /// Sends what has no record: its ticket is of no use.
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

/// What became of a body that was to be stored.
enum Stores {
    Record(Stored),
    /// There is no room for it in the inbox.
    NoRoom,
    /// This process is a child of the one that the inbox is of.
    Child,
}

/// Why a record was not taken.
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
    SendError::Closed(event_of(message))
}

#[cold]
fn refused(refused: Refused) -> TrySendError {
    match refused {
        Refused::Full(message) => TrySendError::Full(event_of(message)),
        Refused::Closed(message) => TrySendError::Closed(event_of(message)),
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
    /// Another producer of the same appender, with a chunk of its own.
    fn clone(&self) -> Self {
        Self::new(self.queue.clone())
    }
}

/// The event of a message that was not taken, which has no record.
#[cold]
fn event_of(message: Message) -> Bytes {
    match message.into_content() {
        Content::Other(other) => match *other {
            Other::Event(event) | Other::Acked(_, Body::Bytes(event)) => event,
            Other::Acked(_, Body::Record(_)) | Other::Barrier(_) => Bytes::new(),
        },
        Content::Record(_) => Bytes::new(),
    }
}

#[cfg(test)]
mod tests;
