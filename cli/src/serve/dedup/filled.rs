//! The memory of events when a directory is opened: what was acknowledged before is not written again.

use super::super::options::AckLevel;
use super::super::settings::Settings;
use super::{Dedup, ReadSoFar};

/// A memory of events that is being filled from the CDR; nothing if there is no window.
#[derive(Debug)]
pub(in super::super) struct FilledDedup {
    dedup: Option<Dedup>,
    so_far: ReadSoFar,
}

impl FilledDedup {
    pub(in super::super) fn new(dedup: Option<Dedup>) -> Self {
        Self { dedup, so_far: ReadSoFar::default() }
    }

    /// Reads the CDR while another process still writes to it, so that little remains to be read
    /// while nobody serves.
    pub(in super::super) fn read_before(&mut self, settings: &Settings) {
        self.read(settings, false);
    }

    /// Reads the rest, once the directory is open.
    pub(in super::super) fn finish(mut self, settings: &Settings) -> Option<Dedup> {
        self.read(settings, settings.ack == AckLevel::Synced);
        self.dedup
    }

    fn read(&mut self, settings: &Settings, is_synced: bool) {
        let Some(dedup) = &self.dedup else { return };
        let read = dedup.remember_cdr(&settings.directory, is_synced, &mut self.so_far);
        if let Err(error) = read {
            tracing::warn!(%error, "an event from before may be written again");
        }
    }
}
