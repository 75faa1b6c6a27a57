//! An appender that ends with something undone.

use std::error::Error;
use std::fmt;

use bytes::Bytes;

use super::flush::FlushError;
use crate::stats::Stats;

/// An appender ended with something undone.
///
/// What was journaled and not written is in the journal, and the next opening of the directory
/// writes it, as long as the journal [is in its place](Self::journal_is_in_place). What was only
/// accepted is given back here. What was written may still be lost by a power loss, if a sync
/// [failed](Self::sync_failure).
#[derive(Clone)]
pub struct CloseError(Box<Undone>);

#[derive(Clone)]
pub(crate) struct Undone {
    pub(crate) cause: FlushError,
    pub(crate) sync_failure: Option<FlushError>,
    pub(crate) journal_is_in_place: bool,
    pub(crate) stats: Stats,
    pub(crate) events: Vec<Bytes>,
}

impl From<Undone> for CloseError {
    fn from(undone: Undone) -> Self {
        Self(Box::new(undone))
    }
}

impl CloseError {
    /// Why.
    #[must_use]
    pub fn cause(&self) -> &FlushError {
        &self.0.cause
    }

    /// The first sync that failed, be it the cause or not: lines that were written since the last
    /// sync that succeeded may not survive a power loss.
    #[must_use]
    pub fn sync_failure(&self) -> Option<&FlushError> {
        self.0.sync_failure.as_ref()
    }

    /// Whether the journal is where it was opened. `false` where others removed or moved the
    /// directory, or `.cdrlog` in it: an opening of the same path then finishes nothing. Where it
    /// was moved, an opening of its new place does; where it was removed, what was not in a file
    /// is lost.
    #[must_use]
    pub fn journal_is_in_place(&self) -> bool {
        self.0.journal_is_in_place
    }

    /// The counters at the end.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// The events that were accepted and could not be journaled, in the order in which they were
    /// sent.
    #[must_use]
    pub fn events(&self) -> &[Bytes] {
        &self.0.events
    }

    /// The events that were accepted and could not be journaled, in the order in which they were
    /// sent.
    #[must_use]
    pub fn into_events(self) -> Vec<Bytes> {
        self.0.events
    }
}

impl fmt::Debug for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CloseError")
            .field("cause", &self.0.cause)
            .field("sync_failure", &self.0.sync_failure)
            .field("journal_is_in_place", &self.0.journal_is_in_place)
            .field("stats", &self.0.stats)
            .field("events", &self.0.events.len())
            .finish()
    }
}

impl fmt::Display for CloseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.cause.fmt(f)?;
        match (&self.0.cause, &self.0.sync_failure) {
            (FlushError::Sync { .. }, _) | (_, None) => Ok(()),
            (_, Some(failure)) => write!(f, "; {failure}"),
        }
    }
}

impl Error for CloseError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.0.cause)
    }
}
