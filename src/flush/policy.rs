//! When written lines are synced.

use std::time::{Duration, Instant};

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

/// What the flusher asks the policy. Each answer names every policy, so a new one does not compile
/// before it has all answers.
impl SyncPolicy {
    /// Whether it is valid.
    pub(crate) fn is_valid(self) -> bool {
        match self {
            Self::Never | Self::Always => true,
            Self::Interval(interval) => !interval.is_zero(),
        }
    }

    /// Whether lines are written without letting them gather.
    pub(crate) const fn writes_at_once(self) -> bool {
        match self {
            Self::Never | Self::Interval(_) => false,
            Self::Always => true,
        }
    }

    /// Whether to sync what was written now. `is_last`: nothing will be written after it.
    pub(crate) fn sync_is_due(self, last_sync: Instant, is_last: bool) -> bool {
        match self {
            Self::Never => false,
            Self::Always => true,
            Self::Interval(interval) => is_last || last_sync.elapsed() >= interval,
        }
    }

    /// When to sync, if that is later than at once. An interval that ends after the end of time is
    /// over on close.
    pub(crate) fn next_sync(self, last_sync: Instant) -> Option<Instant> {
        match self {
            Self::Never | Self::Always => None,
            Self::Interval(interval) => last_sync.checked_add(interval),
        }
    }
}
