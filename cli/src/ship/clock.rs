//! The clock by which ages are measured, and the time of day.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

/// How long ago the machine started, counting the time in which it was suspended. Nobody sets this
/// clock.
pub(super) fn uptime() -> Duration {
    let time = clock_gettime(ClockId::Boottime);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// Milliseconds since 1970.
pub(crate) fn now_ms() -> i64 {
    milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// As many as fit.
pub(super) fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_counts_all_that_the_one_counts_which_stops_in_suspension() {
        let awake = clock_gettime(ClockId::Monotonic);
        let first = uptime();
        assert!(first.as_secs() >= awake.tv_sec as u64, "{first:?} {awake:?}");
        std::thread::sleep(Duration::from_millis(2));
        assert!(uptime() - first >= Duration::from_millis(2));
    }
}
