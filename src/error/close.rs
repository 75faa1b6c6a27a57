//! A close that could not write or sync everything.

use std::error::Error;
use std::fmt;

use bytes::Bytes;

use super::flush::FlushError;
use crate::stats::Stats;

/// A close could not write or sync everything.
///
/// Events that were journaled and not written are in the journal, and the next open of the
/// directory writes them, if the journal [is in its place](Self::journal_is_in_place). Events that
/// were only accepted are [given back](Self::events). If a sync [failed](Self::sync_failure),
/// written lines may still be lost in a power loss.
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
    /// Why the close failed.
    #[must_use]
    pub fn cause(&self) -> &FlushError {
        &self.0.cause
    }

    /// The first sync that failed, whether it is the cause or not: lines that were written after
    /// the last successful sync may not survive a power loss.
    #[must_use]
    pub fn sync_failure(&self) -> Option<&FlushError> {
        self.0.sync_failure.as_ref()
    }

    /// Whether the journal is where it was opened. `false` if another program removed or moved the
    /// directory, or `.cdrlog` in it: opening the same path then recovers nothing. If it was moved,
    /// open its new path; if it was removed, what was not in a file is lost.
    #[must_use]
    pub fn journal_is_in_place(&self) -> bool {
        self.0.journal_is_in_place
    }

    /// The counters at the end.
    #[must_use]
    pub fn stats(&self) -> &Stats {
        &self.0.stats
    }

    /// The events that were accepted and could not be journaled, in the order of sending.
    #[must_use]
    pub fn events(&self) -> &[Bytes] {
        &self.0.events
    }

    /// The events that were accepted and could not be journaled, in the order of sending.
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
