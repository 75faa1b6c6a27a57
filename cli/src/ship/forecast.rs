//! When the disk will be full, if a destination that files are kept for stays away.

use std::path::Path;
use std::time::Duration;

/// The growth of what waits is known after this time.
const OBSERVED_MIN: Duration = Duration::from_secs(60);

/// How often it is told.
const TELL_INTERVAL: Duration = Duration::from_secs(3600);

/// Watches what waits for one destination.
#[derive(Debug, Default)]
pub(super) struct Forecast {
    /// When the destination was last there, and how many bytes waited for it then.
    since: Option<(Duration, u64)>,
    told_at: Option<Duration>,
    /// How long the disk has room at this rate, in seconds.
    pub(super) seconds: Option<u64>,
}

impl Forecast {
    /// Looks once more, at `now` of a clock that only goes on. Returns what is to be told, at most once
    /// an hour.
    pub(super) fn look(
        &mut self,
        is_away: bool,
        lag_bytes: u64,
        free_bytes: u64,
        now: Duration,
    ) -> Option<String> {
        if !is_away {
            *self = Self { told_at: self.told_at, ..Self::default() };
            return None;
        }
        let (since, lag_before) = *self.since.get_or_insert((now, lag_bytes));
        let observed = now.saturating_sub(since);
        if observed < OBSERVED_MIN {
            return None;
        }
        let bytes_a_second = lag_bytes.saturating_sub(lag_before) as f64 / observed.as_secs_f64();
        let seconds = free_bytes as f64 / bytes_a_second;
        self.seconds = seconds.is_finite().then_some(seconds as u64);
        let seconds = self.seconds?;
        if self.told_at.is_some_and(|at| now.saturating_sub(at) < TELL_INTERVAL) {
            return None;
        }
        self.told_at = Some(now);
        let hours = seconds / 3600;
        Some(format!(
            "files are kept for it until it is there again: at this rate the disk is full in {hours} hours"
        ))
    }
}

/// How many bytes are free where the directory is; 0 if nobody can tell.
pub(super) fn free_bytes(directory: &Path) -> u64 {
    rustix::fs::statvfs(directory).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(seconds: u64) -> Duration {
        Duration::from_secs(100_000 + seconds)
    }

    #[test]
    fn the_hours_until_the_disk_is_full_are_told_once_an_hour_while_a_destination_is_away() {
        let mut forecast = Forecast::default();
        assert_eq!(forecast.look(false, 5000, 0, at(0)), None);
        assert_eq!(forecast.look(true, 5000, 36_000_000, at(10)), None);
        assert_eq!(forecast.seconds, None);
        // 1 000 bytes a second, and room for 36 000 s.
        let told = forecast.look(true, 105_000, 36_000_000, at(110)).unwrap();
        assert!(told.ends_with("full in 10 hours"), "{told}");
        assert_eq!(forecast.look(true, 205_000, 35_900_000, at(210)), None);
        assert_eq!(forecast.seconds, Some(35_900));
        assert!(forecast.look(true, 4_005_000, 32_400_000, at(4010)).unwrap().contains("9 hours"));
        forecast.look(false, 0, 36_000_000, at(4100));
        assert_eq!(forecast.seconds, None);
    }

    #[test]
    fn what_does_not_grow_fills_no_disk() {
        let mut forecast = Forecast::default();
        for seconds in [0, 100, 10_000] {
            assert_eq!(forecast.look(true, 5000, 1, at(seconds)), None);
        }
        assert_eq!(forecast.seconds, None);
    }
}
