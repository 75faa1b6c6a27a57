//! When written lines are synced.

use std::time::Duration;

/// When the flusher calls `fdatasync(2)` on its own. [`Appender::sync`](crate::Appender::sync)
/// works with every policy.
///
/// Lines that are written and not synced survive the end of the process, however it ends, but
/// **not** a power loss or a kernel crash.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncPolicy {
    /// Never, not even on close. The kernel writes data back after about 30 seconds.
    Never,
    /// This long after the last sync, if anything was written since, and on close. The default,
    /// with one second. Must be longer than zero.
    Interval(Duration),
    /// After every write: everything that arrives during one sync shares the next (group commit).
    Always,
}

impl Default for SyncPolicy {
    fn default() -> Self {
        Self::Interval(Duration::from_secs(1))
    }
}
