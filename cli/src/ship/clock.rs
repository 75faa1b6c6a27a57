//! The clock by which ages are measured.

use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// How long ago the machine started, counting the time in which it was suspended. Nobody sets this
/// clock.
pub(super) fn uptime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}
