//! When written lines are made to survive a power loss.

use std::time::Duration;

/// When the flusher calls `fdatasync(2)` by itself. [`Appender::sync`](crate::Appender::sync) works
/// under each of them.
///
/// Lines that are written and not synced survive the end of the process, however it ends, but
/// **not** a power loss or a crash of the kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncPolicy {
    /// Never, not on close either. The kernel writes back after about 30 seconds by itself.
    Never,
    /// This long after the last sync, if anything was written since, and on close. The default,
    /// with one second.
    Interval(Duration),
    /// After every write: all that came in during one sync shares the next (group commit).
    Always,
}

impl Default for SyncPolicy {
    fn default() -> Self {
        Self::Interval(Duration::from_secs(1))
    }
}
