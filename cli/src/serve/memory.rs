//! The memory of HTTP/2 connections: of peers that have shown no credentials, and for answers that
//! are not read.
//!
//! An HTTP/2 peer decides how much of each answer it takes. What it has asked for and does not take
//! stays here, and it can ask for much with few bytes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::shutdown_phase::{ShutdownControl, ShutdownPhase};

/// The memory for all HTTP/2 peers that have shown no credentials, and for the unread answers of
/// all others.
const HELD_BYTES_MAX: usize = 8 << 20;

/// The memory for connections that were told to end and still exist. Above this limit no connection
/// is accepted: a crowd connects faster than a busy server ends connections, and without the limit
/// there were 1 200 connections at the same time, with 97 MiB.
const ENDING_BYTES_MAX: usize = 2 << 20;

/// What an HTTP/2 connection counts for without its requests: its buffers, the tables that compress
/// heads, and room for streams. A debug build took 20 KiB of memory for one that had sent its
/// preface; the rest is for what the allocator loses between connections that come and go.
pub(super) const CONNECTION_BYTES: usize = 32 << 10;

/// What an HTTP/2 request counts for, with its task, its stream and its head. A debug build took
/// 3.6 KiB for a small one.
pub(super) const STREAM_BYTES: usize = 4 << 10;

/// The memory of all of them.
#[derive(Debug, Default)]
pub(super) struct Memory {
    held: Mutex<Held>,
    /// Wakes the one task that accepts connections.
    connection_ended: Notify,
}

/// What HTTP/2 connections hold, by their number, so the oldest one comes first.
#[derive(Debug, Default)]
struct Held {
    bytes: usize,
    by_connection: BTreeMap<u64, Holding>,
    /// Bytes of connections that were told to end; they are not in `bytes` any more.
    ending_bytes: usize,
    ending: BTreeMap<u64, usize>,
}

#[derive(Debug)]
struct Holding {
    bytes: usize,
    has_credentials: bool,
    control: Arc<ShutdownControl>,
}

impl Holding {
    fn new(control: &Arc<ShutdownControl>) -> Self {
        Self { bytes: 0, has_credentials: false, control: control.clone() }
    }
}

impl Held {
    /// Subtracts up to `bytes`, and returns the rest: a connection that was told to end holds only
    /// what it took after that here.
    fn subtract(&mut self, number: u64, bytes: usize) -> usize {
        let Some(own) = self.by_connection.get_mut(&number) else { return bytes };
        let part = bytes.min(own.bytes);
        own.bytes -= part;
        self.bytes -= part;
        if own.bytes == 0 {
            self.by_connection.remove(&number);
        }
        bytes - part
    }

    /// The same for a connection that was told to end. False if it was not.
    fn subtract_ending(&mut self, number: u64, bytes: usize) -> bool {
        let Some(own) = self.ending.get_mut(&number) else { return false };
        let part = bytes.min(*own);
        *own -= part;
        self.ending_bytes -= part;
        if *own == 0 {
            self.ending.remove(&number);
        }
        true
    }

    fn remove(&mut self, number: u64) -> Option<Holding> {
        let own = self.by_connection.remove(&number)?;
        self.bytes -= own.bytes;
        Some(own)
    }

    /// Which one is ended if all together hold too much: the oldest one without credentials,
    /// because those of senders are answered within milliseconds; if there is none, the one that
    /// holds the most.
    fn next_victim(&self) -> Option<u64> {
        let mut all = self.by_connection.iter();
        let stranger = all.find(|(_, own)| !own.has_credentials);
        let greatest = || self.by_connection.iter().max_by_key(|(_, own)| own.bytes);
        stranger.or_else(greatest).map(|(number, _)| *number)
    }
}

impl Memory {
    /// It has shown credentials: its connection's own memory is not counted any more.
    pub(super) fn note_credentials(&self, number: u64) {
        let mut held = self.held();
        if let Some(own) = held.by_connection.get_mut(&number)
            && !own.has_credentials
        {
            own.has_credentials = true;
            held.subtract(number, CONNECTION_BYTES);
        }
    }

    /// An HTTP/2 connection takes memory. If all together take too much, some are ended.
    pub(super) fn hold(
        &self,
        number: u64,
        control: &Arc<ShutdownControl>,
        bytes: usize,
        has_credentials: bool,
    ) {
        let mut held = self.held();
        held.bytes += bytes;
        let own = held.by_connection.entry(number).or_insert_with(|| Holding::new(control));
        own.bytes += bytes;
        own.has_credentials |= has_credentials;
        while held.bytes > HELD_BYTES_MAX
            && let Some(victim) = held.next_victim()
        {
            if let Some(own) = held.remove(victim) {
                held.ending_bytes += own.bytes;
                *held.ending.entry(victim).or_default() += own.bytes;
                own.control.advance(ShutdownPhase::End);
            }
        }
    }

    /// A request returns what it held. That may be after its connection was forgotten.
    pub(super) fn release(&self, number: u64, bytes: usize) {
        let mut held = self.held();
        let rest = held.subtract(number, bytes);
        if held.subtract_ending(number, rest) {
            self.connection_ended.notify_one();
        }
    }

    /// The connection has ended, and returns everything.
    pub(super) fn forget(&self, number: u64) {
        let mut held = self.held();
        held.remove(number);
        if held.subtract_ending(number, usize::MAX) {
            self.connection_ended.notify_one();
        }
    }

    /// Waits until the connections that were told to end have returned most of their memory.
    pub(super) async fn wait_for_ending(&self) {
        while self.held().ending_bytes > ENDING_BYTES_MAX {
            self.connection_ended.notified().await;
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.held().bytes
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_stranger_that_holds_memory_is_ended_and_then_it_counts_no_more() {
        let memory = Memory::default();
        let all = [(); 3].map(|()| Arc::new(ShutdownControl::new(ShutdownPhase::Serve)));
        let [sender, old, new] = &all;
        let phases = || [&all[0], &all[1], &all[2]].map(|control| control.phase());
        memory.hold(0, sender, HELD_BYTES_MAX - 20, true);
        memory.hold(1, old, 10, false);
        memory.hold(2, new, 10, false);
        assert_eq!(phases(), [ShutdownPhase::Serve; 3]);
        memory.hold(2, new, 10, false);
        assert_eq!(phases(), [ShutdownPhase::Serve, ShutdownPhase::End, ShutdownPhase::Serve]);
        // What it returns late is not taken from others.
        memory.release(1, 10);
        assert_eq!(memory.bytes(), HELD_BYTES_MAX);
        memory.hold(0, sender, 21, true);
        // Without strangers it is the one that holds the most.
        assert_eq!(phases(), [ShutdownPhase::End; 3]);
        assert_eq!(memory.bytes(), 0);
    }

    #[test]
    fn no_connection_is_accepted_while_those_that_were_told_to_end_hold_their_memory() {
        let memory = Memory::default();
        let control = Arc::new(ShutdownControl::new(ShutdownPhase::Serve));
        let accepts = || {
            let mut waiting = std::pin::pin!(memory.wait_for_ending());
            let mut context = std::task::Context::from_waker(std::task::Waker::noop());
            Future::poll(waiting.as_mut(), &mut context).is_ready()
        };
        memory.hold(0, &control, HELD_BYTES_MAX, false);
        assert!(accepts());
        memory.hold(1, &control, 1, false);
        assert!(!accepts(), "the first one was told to end, and is still there");
        memory.forget(0);
        assert!(accepts());
        // A request whose connection is already forgotten still returns all that it held.
        memory.hold(0, &control, HELD_BYTES_MAX + 1, false);
        assert!(!accepts());
        memory.release(0, HELD_BYTES_MAX + 1);
        assert!(accepts());
    }
}
