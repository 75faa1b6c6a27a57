//! The bounded queue between the producers and the rewriter thread.
//!
//! All producers share one channel: if `send` returns for one event before it is called for
//! another, the first event comes out first. The channel bounds the number of events, and the
//! [`Gate`] (`gate.rs`) their bytes. What goes through the channel is usually the address of a
//! record in the inbox (`message.rs`).
//!
//! A send does not wake the receiving thread, which would cost the sender a system call each time;
//! the thread checks on its own (`engine/rewriter.rs`). It is woken by a sender that finds the
//! queue half full or full, by one that finds it idle, and by whoever waits for an answer. Senders
//! that wait for room are woken when half of the queue is free.

mod end;
mod gate;
mod late;
mod message;
mod tasks;

use std::sync::Arc;
use std::task::{Poll, Waker};

use crossbeam_channel::Sender;

pub(crate) use self::end::QueueEnd;
pub(crate) use self::gate::{Gate, Refusal};
use self::late::Late;
pub(crate) use self::message::{Barrier, Body, Content, Message, Other};
use self::message::{PLACE_BYTES, cost_of};
pub(crate) use self::tasks::TaskPlace;
use crate::inbox::{Arena, ChunkPool};
use crate::pipeline::Pipeline;

/// Why a message was not accepted; contains the message.
#[derive(Debug)]
pub(crate) enum Refused {
    Full(Message),
    Closed(Message),
}

/// The sending side, shared by all producers.
#[derive(Clone, Debug)]
pub(crate) struct Queue {
    sender: Sender<Message>,
    gate: Arc<Gate>,
    late: Arc<Late>,
    pipeline: Arc<Pipeline>,
    pool: Arc<ChunkPool>,
}

/// A queue of at most `events_max` events with at most `bytes_max` bytes in total, whose records
/// are in `pool`.
pub(crate) fn queue(
    events_max: usize,
    bytes_max: u64,
    pool: Arc<ChunkPool>,
    pipeline: Arc<Pipeline>,
) -> (Queue, QueueEnd) {
    let (sender, receiver) = crossbeam_channel::bounded(events_max);
    let gate = Arc::new(Gate::new(bytes_max));
    let late = Arc::new(Late::default());
    let end = QueueEnd::new(receiver, gate.clone(), late.clone(), pool.clone(), events_max);
    (Queue { sender, gate, late, pipeline, pool }, end)
}

impl Queue {
    /// Puts a message into the queue, or gives it back. `let_in` gets the ticket, before the
    /// receiver can see the message.
    #[inline]
    pub(crate) fn try_push(&self, message: Message, let_in: impl Fn(u64)) -> Result<(), Refused> {
        let refused = self.push_or_refuse(message, &let_in);
        if matches!(refused, Err(Refused::Full(_))) {
            self.note_full();
        }
        refused
    }

    #[cold]
    fn note_full(&self) {
        self.pipeline.counters.producers.queue_full.add(1);
        self.pipeline.rewriter_waker.wake();
    }

    #[inline]
    fn push_or_refuse(&self, message: Message, let_in: &impl Fn(u64)) -> Result<(), Refused> {
        let cost = message.cost();
        let entry = match self.gate.enter(cost) {
            Ok(entry) => entry,
            Err(Refusal::Closed) => return Err(Refused::Closed(message)),
            Err(Refusal::Full) => return Err(Refused::Full(message)),
        };
        let_in(entry.ticket);
        if let Err(error) = self.sender.try_send(message) {
            self.gate.refuse_unless_seen(cost, || self.is_half_taken());
            return Err(match error {
                crossbeam_channel::TrySendError::Full(message) => Refused::Full(message),
                crossbeam_channel::TrySendError::Disconnected(message) => Refused::Closed(message),
            });
        }
        if entry.is_half_full {
            self.pipeline.rewriter_waker.wake();
        }
        // After the message is in: the receiver announces that it is idle, then checks the gate.
        self.pipeline.rewriter_waker.wake_if_idle();
        Ok(())
    }

    /// Puts a time mark into the queue. False if there is no room, or the queue is closed.
    pub(crate) fn push_time_mark(&self, time_ms: u64) -> bool {
        let pushed = self.push_or_refuse(Message::other(Other::TimeMark(time_ms)), &|_| ());
        self.pipeline.rewriter_waker.wake();
        pushed.is_ok()
    }

    /// Puts a message into the queue, waiting while it is full. Gives it back only if the queue is
    /// closed.
    #[inline]
    pub(crate) fn push(&self, message: Message, let_in: impl Fn(u64)) -> Result<(), Message> {
        match self.try_push(message, &let_in) {
            Ok(()) => Ok(()),
            Err(Refused::Closed(message)) => Err(message),
            Err(Refused::Full(message)) => self.push_waiting(message, &let_in),
        }
    }

    #[cold]
    fn push_waiting(&self, mut message: Message, let_in: &impl Fn(u64)) -> Result<(), Message> {
        loop {
            let cost = message.cost();
            self.gate.wait(|| self.gate.has_room(cost) && !self.sender.is_full());
            message = match self.push_or_refuse(message, let_in) {
                Ok(()) => return Ok(()),
                Err(Refused::Closed(message)) => return Err(message),
                Err(Refused::Full(message)) => message,
            };
        }
    }

    /// Ready when an event of `event_bytes` would fit, or the queue is closed; otherwise `waker` is
    /// called when that may be so.
    pub(crate) fn poll_room(
        &self,
        event_bytes: usize,
        place: &mut TaskPlace,
        waker: &Waker,
    ) -> Poll<()> {
        let cost = cost_of(event_bytes);
        self.gate.poll_wait(place, waker, || self.gate.has_room(cost) && !self.sender.is_full())
    }

    /// A task that waited by [`poll_room`](Self::poll_room) stops waiting.
    pub(crate) fn stop_waiting(&self, place: &mut TaskPlace) {
        self.gate.stop_waiting(place);
    }

    /// Reserves room for an event of `event_bytes`. If there is none, the receiving thread is
    /// notified.
    pub(crate) fn keep_room(&self, event_bytes: usize) -> Result<KeptRoom, Refusal> {
        let cost = cost_of(event_bytes);
        let kept = if self.sender.is_full() { Err(Refusal::Full) } else { self.gate.keep(cost) };
        match kept {
            Ok(entry) => {
                if entry.is_half_full {
                    self.pipeline.rewriter_waker.wake();
                }
                Ok(KeptRoom { queue: self.clone(), cost })
            }
            Err(_) if self.gate.is_closed() => Err(Refusal::Closed),
            Err(refusal) => {
                self.note_full();
                Err(refusal)
            }
        }
    }

    /// Puts a message for which room was reserved into the queue. `let_in` as in
    /// [`try_push`](Self::try_push).
    ///
    /// Full only if the message costs more than what was reserved.
    pub(crate) fn push_kept(
        &self,
        message: Message,
        room: KeptRoom,
        let_in: impl Fn(u64),
    ) -> Result<(), Refused> {
        let cost = message.cost();
        let mut late = self.late.lock();
        match self.gate.enter_kept(cost, room.cost) {
            Ok(ticket) => let_in(ticket),
            Err(Refusal::Closed) => return Err(Refused::Closed(message)),
            Err(Refusal::Full) => return Err(Refused::Full(message)),
        }
        if !late.is_empty() {
            late.push(message);
            return Ok(());
        }
        match self.sender.try_send(message) {
            Ok(()) => {
                self.pipeline.rewriter_waker.wake_if_idle();
                Ok(())
            }
            Err(crossbeam_channel::TrySendError::Disconnected(message)) => {
                self.gate.refuse(cost);
                Err(Refused::Closed(message))
            }
            Err(crossbeam_channel::TrySendError::Full(message)) => {
                self.gate.shut();
                late.push(message);
                self.pipeline.rewriter_waker.wake();
                Ok(())
            }
        }
    }

    /// Wakes the receiving thread, for a message that somebody waits for.
    pub(crate) fn wake(&self) {
        self.pipeline.rewriter_waker.wake();
    }

    /// An arena for the records of one sender.
    pub(crate) fn arena(&self) -> Arena {
        Arena::new(self.pool.clone())
    }

    /// The memory of the records.
    pub(crate) fn pool(&self) -> &ChunkPool {
        &self.pool
    }

    /// Closes the queue. Messages that are in, or are just being pushed, still come out.
    pub(crate) fn close(&self) {
        self.gate.close();
    }

    /// Whether more than half of the places are taken: the receiver checks for waiters after it
    /// took their messages out.
    fn is_half_taken(&self) -> bool {
        self.sender.capacity().is_some_and(|places| self.sender.len() > places / 2)
    }

    /// The number of messages in the queue now.
    pub(crate) fn events_queued(&self) -> u64 {
        (self.sender.len() + self.late.count()) as u64
    }

    /// The approximate number of bytes of events in the queue now: the load minus the cost of
    /// places.
    pub(crate) fn bytes_queued(&self) -> u64 {
        self.gate.load_of_events().saturating_sub(self.events_queued() * PLACE_BYTES)
    }
}

/// Reserved room for a future event, until this is dropped, which wakes those who wait.
#[derive(Debug)]
pub(crate) struct KeptRoom {
    queue: Queue,
    cost: u64,
}

impl KeptRoom {
    /// The length of the longest event that it has room for, in bytes.
    pub(crate) fn event_bytes(&self) -> u64 {
        self.cost - PLACE_BYTES
    }
}

impl Drop for KeptRoom {
    fn drop(&mut self) {
        self.queue.gate.give_up(self.cost, || self.queue.is_half_taken());
    }
}

#[cfg(test)]
mod tests;
