//! Where events come in: the handle that every thread of the media server holds.

use std::fmt;

use bytes::Bytes;

use crate::ack::{Ack, Durability, acked};
use crate::chunks::{Arena, Opened, SLICE_BYTES_MAX};
use crate::error::{SendError, TrySendError};
use crate::queue::{KeptRoom, Message, Packed, Queue, Refused};

/// Takes events. One for each thread.
///
/// Each has a chunk of 64 KiB for what it sends, from its first send on; where there are thousands
/// of connections, they better share a few.
///
/// # Order
///
/// An event whose `send` returned before another's began, on whatever thread, is before it in the
/// file.
///
/// # What a return means
///
/// `Ok` means *accepted*: the event is in the queue, in memory. What becomes of it after that is
/// counted in [`Stats`](crate::Stats); [`Appender::flush`](crate::Appender::flush) and
/// [`Appender::sync`](crate::Appender::sync) wait for it. A body that is no event is not refused
/// here: it goes to the rejects file.
///
/// # After the appender is closed
///
/// Every call gives its event back.
pub struct Producer {
    queue: Queue,
    arena: Arena<Message>,
}

impl Producer {
    pub(crate) fn new(queue: Queue) -> Self {
        let arena = queue.arena();
        Self { queue, arena }
    }

    /// Hands an event over without a copy; waits while the queue is full.
    ///
    /// A `Bytes` that is a part of a larger buffer keeps the whole buffer alive until the event was
    /// rewritten; the bound of the queue counts only the part.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] with the event.
    #[inline]
    pub fn send(&self, event: Bytes) -> Result<(), SendError> {
        self.push(self.arena.store(Message::Event(event)))
    }

    /// Hands an event over without a copy and without ever waiting.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] or [`TrySendError::Closed`] with the event.
    #[inline]
    pub fn try_send(&self, event: Bytes) -> Result<(), TrySendError> {
        self.try_push(self.arena.store(Message::Event(event)))
    }

    /// Copies an event once, into memory that many events share, and hands it over; waits while the
    /// queue is full.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] with the copy.
    #[inline]
    pub fn send_slice(&self, event: &[u8]) -> Result<(), SendError> {
        self.push(self.copy(event))
    }

    /// Copies an event once, into memory that many events share, and hands it over without ever
    /// waiting.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] or [`TrySendError::Closed`] with the copy.
    #[inline]
    pub fn try_send_slice(&self, event: &[u8]) -> Result<(), TrySendError> {
        self.try_push(self.copy(event))
    }

    /// Hands an event over without a copy and gives an [`Ack`] to learn what becomes of it; waits
    /// while the queue is full.
    ///
    /// Many senders that wait at the same time share one write and one sync (group commit). An
    /// acknowledgement costs one small allocation, and a call into the kernel where the rewriter
    /// thread has to be woken.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] with the event.
    pub fn send_acked(&self, event: Bytes, durability: Durability) -> Result<Ack, SendError> {
        let (acked, ack) = acked(event, durability);
        self.push(self.arena.store(Message::Acked(acked)))?;
        self.queue.ring();
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
        let ack = self.try_send_acked_later(event, durability)?;
        self.queue.ring();
        Ok(ack)
    }

    /// As [`try_send_acked`](Self::try_send_acked), but leaves the rewriter thread asleep where it
    /// sleeps, for up to 10 ms. For event loops: many sends, then one [`wake`](Self::wake) before
    /// the loop waits for what comes.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] or [`TrySendError::Closed`] with the event.
    pub fn try_send_acked_later(
        &self,
        event: Bytes,
        durability: Durability,
    ) -> Result<Ack, TrySendError> {
        let (acked, ack) = acked(event, durability);
        self.try_push(self.arena.store(Message::Acked(acked)))?;
        Ok(ack)
    }

    /// Wakes the rewriter thread, where it sleeps, to look into the queue now.
    pub fn wake(&self) {
        self.queue.ring();
    }

    /// Hands an event over for which room was kept. `Full` only where it is longer than that.
    pub(crate) fn send_kept(&self, event: Bytes, room: KeptRoom) -> Result<(), TrySendError> {
        self.push_kept(Message::Event(event), room)
    }

    /// As [`send_kept`](Self::send_kept), acknowledged.
    pub(crate) fn send_acked_kept(
        &self,
        event: Bytes,
        durability: Durability,
        room: KeptRoom,
    ) -> Result<Ack, TrySendError> {
        let (acked, ack) = acked(event, durability);
        self.push_kept(Message::Acked(acked), room)?;
        self.queue.ring();
        Ok(ack)
    }

    fn push_kept(&self, message: Message, room: KeptRoom) -> Result<(), TrySendError> {
        self.queue.push_kept(self.arena.store(message), room).map_err(try_send_error)
    }

    #[inline]
    fn copy(&self, event: &[u8]) -> Packed {
        if event.len() > SLICE_BYTES_MAX {
            return self.arena.store(Message::Event(Bytes::copy_from_slice(event)));
        }
        self.arena.store_slice(event)
    }

    #[inline]
    fn push(&self, message: Packed) -> Result<(), SendError> {
        self.queue.push(message).map_err(|message| SendError::Closed(event_of(message)))
    }

    #[inline]
    fn try_push(&self, message: Packed) -> Result<(), TrySendError> {
        self.queue.try_push(message).map_err(try_send_error)
    }
}

#[cold]
fn try_send_error(refused: Refused) -> TrySendError {
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

/// The event that was not taken.
#[cold]
fn event_of(message: Packed) -> Bytes {
    match message.open() {
        Opened::Slice(slice) => Bytes::copy_from_slice(&slice),
        Opened::Other(Message::Event(event)) => event,
        Opened::Other(Message::Acked(acked)) => acked.take_event(),
        Opened::Other(Message::Barrier(_)) => Bytes::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::queue::queue;
    use std::sync::Arc;

    const _: fn() = || {
        fn is_send<T: Send + Clone>() {}
        is_send::<Producer>();
    };

    #[test]
    fn slices_of_every_length_come_out_as_they_went_in() {
        let (queue, mut end) = queue(2000, 1 << 30, Arc::default());
        let producer = Producer::new(queue);
        let long = if cfg!(miri) { [8194, 9000] } else { [65_536, 200_000] };
        let lengths = [0, 1, 275, 8192, 8193, long[0], long[1]];
        let bodies: Vec<Vec<u8>> = (0..if cfg!(miri) { 28 } else { 2000 })
            .map(|number| vec![number as u8; lengths[number % 7]])
            .collect();
        for body in &bodies {
            producer.send_slice(body).unwrap();
        }
        for body in &bodies {
            match end.take() {
                Some(Opened::Slice(event)) => assert!(*event == **body, "an event was changed"),
                Some(Opened::Other(Message::Event(event))) => assert!(event == body),
                _ => panic!("an event is missing"),
            }
        }
    }

    #[test]
    fn a_refused_event_comes_back_whole() {
        let (queue, end) = queue(1, 1 << 20, Arc::default());
        let producer = Producer::new(queue);
        producer.try_send_slice(b"first").unwrap();
        let refused = producer.try_send(Bytes::from_static(b"second")).unwrap_err();
        assert!(refused.is_full());
        assert_eq!(refused.into_event(), "second");
        drop(end);
        assert_eq!(producer.clone().send_slice(b"third").unwrap_err().into_event(), "third");
    }
}
