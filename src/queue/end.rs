//! The receiving side of the queue.

use std::sync::Arc;

use crossbeam_channel::Receiver;

use super::gate::Gate;
use super::late::Late;
use super::message::{Body, Content, Message, Other};
use crate::contain::contain;
use crate::inbox::ChunkPool;

/// How often an ending receiver checks for senders that were let in before it closed the gate. They
/// need only a few instructions more, unless the system has preempted them.
const LATE_SENDERS_YIELDS_MAX: usize = 10_000;

/// The receiving side.
pub(crate) struct QueueEnd {
    receiver: Receiver<Message>,
    gate: Arc<Gate>,
    late: Arc<Late>,
    pool: Arc<ChunkPool>,
    events_max: usize,
    /// The cost of messages that were taken out and not reported to the gate yet.
    taken: u64,
}

impl QueueEnd {
    pub(super) fn new(
        receiver: Receiver<Message>,
        gate: Arc<Gate>,
        late: Arc<Late>,
        pool: Arc<ChunkPool>,
        events_max: usize,
    ) -> Self {
        Self { receiver, gate, late, pool, events_max, taken: 0 }
    }

    /// Takes the next message.
    #[inline]
    pub(crate) fn take(&mut self) -> Option<Content> {
        let message = match self.receiver.try_recv() {
            Ok(message) => message,
            Err(_) => self.take_late()?,
        };
        self.taken += message.cost();
        Some(message.into_content())
    }

    /// Takes the next late message, once the channel is empty.
    #[cold]
    fn take_late(&self) -> Option<Message> {
        if self.late.count() == 0 {
            return None;
        }
        let mut late = self.late.lock();
        // Again, under the lock: an event that was sent after one in the channel may have become
        // late since it was checked.
        if let Ok(message) = self.receiver.try_recv() {
            return Some(message);
        }
        let message = late.pop()?;
        let was_last = late.is_empty();
        // Senders woken by the gate may send at once.
        drop(late);
        if was_last {
            self.gate.reopen();
        }
        Some(message)
    }

    /// Returns the room of what was taken to the senders. Called once per batch.
    pub(crate) fn make_room(&mut self) {
        if self.taken == 0 {
            return;
        }
        self.gate.leave(self.taken);
        self.taken = 0;
        if self.gate.is_half_free() && self.receiver.len() <= self.events_max / 2 {
            self.gate.wake_waiting();
        }
    }

    /// The memory of the records.
    pub(crate) fn pool(&self) -> &Arc<ChunkPool> {
        &self.pool
    }

    /// The maximum number of events and bytes in the queue.
    pub(crate) fn bounds(&self) -> (usize, u64) {
        (self.events_max, self.gate.load_max())
    }

    /// Whether something is in the queue, or on its way there.
    pub(crate) fn has_load(&self) -> bool {
        self.gate.load_of_events() > 0
    }

    /// Whether so much is in the queue that it should be processed now. Senders that wait for room
    /// that is only reserved are no reason.
    pub(crate) fn is_half_full(&self) -> bool {
        !self.gate.is_half_free() || self.gate.has_waiting() && self.has_load()
    }

    /// Whether the queue is closed and nothing will come out of it any more.
    pub(crate) fn is_finished(&self) -> bool {
        self.gate.is_closed() && self.gate.load_of_events() == 0
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.gate.is_closed()
    }

    pub(crate) fn close(&self) {
        self.gate.close();
    }

    /// Drops a message that nobody will process. Events stay in the inbox for the next open, except
    /// those whose senders are told that they are lost and may send them again.
    fn give_up(&self, content: Content) {
        if let Content::Other(other) = content {
            match *other {
                Other::Acked(acked, Body::Record(record)) => {
                    self.pool.open(record).cancel();
                    drop(acked);
                }
                // Its owner may be a type of the embedder.
                Other::Event(event) => contain(|| drop(event)),
                Other::Acked(_, Body::Bytes(event)) => contain(|| drop(event)),
                Other::Barrier(_) | Other::TimeMark(_) => {}
            }
        }
    }
}

impl Drop for QueueEnd {
    /// Nobody may wait for a receiver that is gone. After a panic the channel may still hold
    /// messages, and keeps them as long as there are senders: whoever waits for the outcome of one
    /// would wait as long.
    fn drop(&mut self) {
        self.close();
        self.make_room();
        for _ in 0..LATE_SENDERS_YIELDS_MAX {
            while let Some(message) = self.take() {
                self.give_up(message);
            }
            self.make_room();
            if self.is_finished() {
                break;
            }
            // A sender is between the gate and the channel.
            std::thread::yield_now();
        }
    }
}
