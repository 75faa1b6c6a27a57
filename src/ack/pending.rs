//! Acknowledgements that wait for the flusher, and the files and offsets of their lines.

use std::collections::VecDeque;
use std::path::Path;
use std::sync::Arc;

use super::{AckError, Acked, Durability, Position};
use crate::error::FlushError;

/// An event whose line is journaled and whose sender waits for a higher level.
#[derive(Debug)]
pub(crate) struct PendingAck {
    pub(crate) acked: Acked,
    /// The position in the stream of the line's first byte.
    pub(crate) start: u64,
    pub(crate) line_bytes: u64,
}

/// The file that has the lines from some position on.
#[derive(Clone, Debug)]
pub(crate) struct FilePlace {
    pub(crate) file: Arc<Path>,
    /// Its length when the stream was anchored to it.
    pub(crate) file_bytes: u64,
    /// The position of the stream at that moment.
    pub(crate) position: u64,
}

impl FilePlace {
    /// Where the line at `start` is in the file.
    pub(crate) fn position_of(&self, start: u64, line_bytes: u64) -> Position {
        let offset = self.file_bytes + start.saturating_sub(self.position);
        Position { file: self.file.clone(), offset, line_bytes }
    }
}

/// Acknowledgements in the order of their lines.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    unwritten: VecDeque<PendingAck>,
    unsynced: VecDeque<(u64, Acked, Position)>,
    /// How many of `unwritten` wait for a sync, not only for the write.
    unwritten_unsynced: usize,
}

impl Acks {
    pub(crate) fn add(&mut self, acks: Vec<PendingAck>) {
        let for_sync = |ack: &&PendingAck| ack.acked.durability() == Durability::Synced;
        self.unwritten_unsynced += acks.iter().filter(for_sync).count();
        self.unwritten.extend(acks);
    }

    /// Whether anybody waits for a write only.
    pub(crate) fn want_write(&self) -> bool {
        self.unwritten.len() > self.unwritten_unsynced
    }

    /// How many wait for a sync, of what is written and of what is not.
    pub(crate) fn sync_waiters(&self) -> usize {
        self.unsynced.len() + self.unwritten_unsynced
    }

    /// How many wait for a sync of what is written.
    pub(crate) fn written_sync_waiters(&self) -> usize {
        self.unsynced.len()
    }

    /// Everything before `written` is in the file that is at `place`.
    ///
    /// Called before the stream is anchored to another file, so that every line is looked up in the
    /// right one.
    pub(crate) fn note_written(&mut self, written: u64, place: Option<&FilePlace>) {
        let Some(place) = place else { return };
        while self.unwritten.front().is_some_and(|ack| ack.start + ack.line_bytes <= written)
            && let Some(ack) = self.unwritten.pop_front()
        {
            let position = place.position_of(ack.start, ack.line_bytes);
            if ack.acked.durability() == Durability::Synced {
                self.unwritten_unsynced -= 1;
                self.unsynced.push_back((ack.start + ack.line_bytes, ack.acked, position));
            } else {
                ack.acked.complete(Ok(position));
            }
        }
    }

    /// Everything before `synced` is on the disk.
    pub(crate) fn note_synced(&mut self, synced: u64) {
        while self.unsynced.front().is_some_and(|(end, ..)| *end <= synced)
            && let Some((_, acked, position)) = self.unsynced.pop_front()
        {
            acked.complete(Ok(position));
        }
    }

    /// No sync will succeed any more.
    pub(crate) fn fail_syncs(&mut self, failure: &FlushError) {
        for (_, acked, _) in self.unsynced.drain(..) {
            acked.complete(Err(AckError::Failed(failure.clone())));
        }
    }

    /// Nothing will be written any more.
    pub(crate) fn fail_all(&mut self, failure: &FlushError) {
        self.fail_syncs(failure);
        self.unwritten_unsynced = 0;
        for ack in self.unwritten.drain(..) {
            ack.acked.complete(Err(AckError::Failed(failure.clone())));
        }
    }
}
