//! Where events come in: the handle that every thread of the media server holds.

use std::cell::Cell;
use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::ack::{Ack, Durability, acked};
use crate::chunks::CHUNK_BYTES;
use crate::error::{SendError, TrySendError};
use crate::queue::{Message, Queue, Refused};

/// A slice of more than this gets an allocation of its own, so that little of a chunk is wasted.
const SHARED_SLICE_BYTES_MAX: usize = CHUNK_BYTES / 8;

/// Takes events. Cheap to clone; one for each thread.
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
    /// The rest of the chunk that slices are copied to. Taken out and put back by each call.
    chunk: Cell<BytesMut>,
}

impl Producer {
    pub(crate) fn new(queue: Queue) -> Self {
        Self { queue, chunk: Cell::default() }
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
        self.queue
            .push(Message::Event(event))
            .map_err(|message| SendError::Closed(event_of(message)))
    }

    /// Hands an event over without a copy and without ever waiting.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] or [`TrySendError::Closed`] with the event.
    #[inline]
    pub fn try_send(&self, event: Bytes) -> Result<(), TrySendError> {
        self.queue.try_push(Message::Event(event)).map_err(|refused| match refused {
            Refused::Full(message) => TrySendError::Full(event_of(message)),
            Refused::Closed(message) => TrySendError::Closed(event_of(message)),
        })
    }

    /// Copies an event once, into memory that many events share, and hands it over; waits while the
    /// queue is full.
    ///
    /// # Errors
    ///
    /// [`SendError::Closed`] with the copy.
    #[inline]
    pub fn send_slice(&self, event: &[u8]) -> Result<(), SendError> {
        self.send(self.copy(event))
    }

    /// Copies an event once, into memory that many events share, and hands it over without ever
    /// waiting.
    ///
    /// # Errors
    ///
    /// [`TrySendError::Full`] or [`TrySendError::Closed`] with the copy.
    #[inline]
    pub fn try_send_slice(&self, event: &[u8]) -> Result<(), TrySendError> {
        self.try_send(self.copy(event))
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
        match self.queue.push(Message::Acked(acked)) {
            Ok(()) => {
                self.queue.ring();
                Ok(ack)
            }
            Err(message) => Err(SendError::Closed(event_of(message))),
        }
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
        match self.queue.try_push(Message::Acked(acked)) {
            Ok(()) => Ok(ack),
            Err(Refused::Full(message)) => Err(TrySendError::Full(event_of(message))),
            Err(Refused::Closed(message)) => Err(TrySendError::Closed(event_of(message))),
        }
    }

    /// Wakes the rewriter thread, where it sleeps, to look into the queue now.
    pub fn wake(&self) {
        self.queue.ring();
    }

    #[inline]
    fn copy(&self, event: &[u8]) -> Bytes {
        if event.len() > SHARED_SLICE_BYTES_MAX {
            return Bytes::copy_from_slice(event);
        }
        let mut chunk = self.chunk.take();
        if chunk.capacity() - chunk.len() < event.len() {
            chunk = self.queue.chunks().exchange(chunk);
        }
        chunk.extend_from_slice(event);
        let copy = chunk.split().freeze();
        self.chunk.set(chunk);
        copy
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

fn event_of(message: Message) -> Bytes {
    match message {
        Message::Event(event) => event,
        Message::Acked(acked) => acked.take_event(),
        Message::Barrier(_) => Bytes::new(),
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
        let (queue, mut end) = queue(100_000, 1 << 30, Arc::default());
        let producer = Producer::new(queue);
        let lengths = [0, 1, 275, 8192, 8193, 65_536, 200_000];
        let bodies: Vec<Vec<u8>> =
            (0..2000).map(|number| vec![number as u8; lengths[number % 7]]).collect();
        for body in &bodies {
            producer.send_slice(body).unwrap();
        }
        for body in &bodies {
            let Some(Message::Event(event)) = end.take() else { panic!("an event is missing") };
            assert!(event == body, "an event was changed");
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
