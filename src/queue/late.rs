//! Events with reserved room that found no place in the channel.
//!
//! The gate reserves bytes; the channel has a place for each event, and others may have taken all
//! of them since. Such an event is *late*: it goes to a list, which the receiver empties once the
//! channel is empty.
//!
//! This keeps the promised order. While an event is late the gate is shut, and lets only senders
//! with reserved room in; their events are late as well. So nothing that is sent after it gets into
//! the channel, and what was sent before it is in the channel already. A sender that passed the
//! gate before it was shut is in between: its send and that of the late event overlap.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::Message;

#[derive(Debug, Default)]
pub(super) struct Late {
    /// The number of late events, readable without the lock.
    count: AtomicUsize,
    messages: Mutex<VecDeque<Message>>,
}

impl Late {
    pub(super) fn count(&self) -> usize {
        self.count.load(Ordering::SeqCst)
    }

    pub(super) fn lock(&self) -> LateMessages<'_> {
        let messages = self.messages.lock().unwrap_or_else(PoisonError::into_inner);
        LateMessages { messages, count: &self.count }
    }
}

/// The list, locked.
pub(super) struct LateMessages<'a> {
    messages: MutexGuard<'a, VecDeque<Message>>,
    count: &'a AtomicUsize,
}

impl LateMessages<'_> {
    pub(super) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    pub(super) fn push(&mut self, message: Message) {
        self.messages.push_back(message);
        self.count.store(self.messages.len(), Ordering::SeqCst);
    }

    pub(super) fn pop(&mut self) -> Option<Message> {
        let message = self.messages.pop_front();
        self.count.store(self.messages.len(), Ordering::SeqCst);
        message
    }
}
