//! When the flusher acts.

use std::time::Duration;

use super::policy::SyncPolicy;

#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// How long journaled lines may gather while the flusher was not idle.
    pub(crate) gather: Duration,
    pub(crate) sync_policy: SyncPolicy,
    /// How long writes may fail before the appender gives up; `None` is for ever.
    pub(crate) write_retry_timeout: Option<Duration>,
    /// The same while closing.
    pub(crate) close_timeout: Duration,
}
