//! Which time the age of files is measured by.
//!
//! The age of a file is that of its last line: the time of the last write to it. The stamp in its
//! name is that of its first line, in a time zone that may have been another one.
//!
//! A clock that is wrong by years would make every file old at once. So a time is not trusted if
//! the clock jumped to it: nothing was written in between, and no appender was running to see the
//! time pass. Until the clock has run for a while after the jump, which is time enough for somebody
//! to correct it, files age only by the time that has passed since. The files themselves show this,
//! so it also works for runs of a second, one after the other.

use std::time::{Duration, Instant, SystemTime};

const HOUR: Duration = Duration::from_secs(3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

/// A gap longer than a third of the maximum age is a jump, within these bounds: with the default of
/// 30 days, 10 days.
const JUMP_MIN: Duration = HOUR;
const JUMP_MAX: Duration = DAY.saturating_mul(10);

/// A jump is trusted after a day, or after the length of the shortest jump if that is less.
const WAIT_MAX: Duration = DAY;

/// A clock that jumped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Jump {
    /// The time that it jumped over.
    pub(super) skipped: Duration,
    /// When it is trusted, unless the clock changes.
    pub(super) believed_in: Duration,
}

/// The time by which the age of files is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AgeTime {
    pub(super) now: SystemTime,
    pub(super) jump: Option<Jump>,
}

/// Since when the clock was watched.
#[derive(Clone, Copy, Debug)]
pub(super) struct Watch {
    begin: SystemTime,
    since: Instant,
}

impl Watch {
    pub(super) fn begin(now: SystemTime) -> Self {
        Self { begin: now, since: Instant::now() }
    }

    /// The time to measure ages by, for files that may be as old as `age_max`, where `written` are
    /// the times of the last writes to files, and the clock shows `now`.
    pub(super) fn age_time(
        self,
        written: impl Iterator<Item = SystemTime>,
        now: SystemTime,
        age_max: Duration,
    ) -> AgeTime {
        age_time(written, now, self.begin..self.begin + self.since.elapsed(), age_max)
    }
}

/// `watched`: from when to when an appender saw the time pass.
fn age_time(
    written: impl Iterator<Item = SystemTime>,
    now: SystemTime,
    watched: std::ops::Range<SystemTime>,
    age_max: Duration,
) -> AgeTime {
    let jump_min = (age_max / 3).clamp(JUMP_MIN, JUMP_MAX);
    let wait = jump_min.min(WAIT_MAX);
    // Times in the future come from a clock that was set back since.
    let mut times: Vec<_> =
        written.chain([watched.start, watched.end, now]).filter(|&time| time <= now).collect();
    times.sort_unstable();
    let (mut skipped, mut believed_in) = (Duration::ZERO, Duration::ZERO);
    for pair in times.windows(2) {
        let &[before, after] = pair else { continue };
        let gap = since(after, before);
        let gone_on = since(now, after);
        let is_watched = watched.start <= before && after <= watched.end;
        if gap > jump_min && gone_on < wait && !is_watched {
            skipped += gap;
            believed_in = believed_in.max(wait - gone_on);
        }
    }
    let jump = (!skipped.is_zero()).then_some(Jump { skipped, believed_in });
    AgeTime { now: now.checked_sub(skipped).unwrap_or(now), jump }
}

fn since(later: SystemTime, earlier: SystemTime) -> Duration {
    later.duration_since(earlier).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const AGE_MAX: Duration = DAY.saturating_mul(30);

    fn day(day: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + DAY * day
    }

    /// The reference of an appender that started at `watched.0` and has run until `watched.1` by a
    /// clock that never jumps.
    fn seen(written: &[u32], now: SystemTime, watched: (SystemTime, SystemTime)) -> AgeTime {
        let written = written.iter().map(|&number| day(number));
        age_time(written, now, watched.0..watched.1, AGE_MAX)
    }

    #[test]
    fn where_lines_were_written_now_and_then_the_clock_is_believed() {
        let now = day(100);
        let time = seen(&[60, 70, 80, 90, 99], now, (now, now));
        assert_eq!(time, AgeTime { now, jump: None });
    }

    #[test]
    fn a_jump_before_the_start_is_believed_after_a_day() {
        let days = [60, 70, 80, 90, 99];
        let start = day(139);
        let jump = Jump { skipped: 40 * DAY, believed_in: DAY };
        assert_eq!(seen(&days, start, (start, start)), AgeTime { now: day(99), jump: Some(jump) });
        let later = start + DAY / 2;
        let jump = Jump { believed_in: DAY / 2, ..jump };
        let time = seen(&days, later, (start, later));
        assert_eq!(time, AgeTime { now: day(99) + DAY / 2, jump: Some(jump) });
        assert_eq!(seen(&days, start + DAY, (start, start + DAY)).jump, None);
    }

    #[test]
    fn runs_of_a_moment_that_write_with_a_wrong_clock_do_not_make_it_right() {
        let now = day(139) + HOUR;
        // The previous run left a file an hour ago, by the same clock.
        let time = seen(&[90, 99, 139], now, (now, now));
        assert_eq!(time.now, day(99) + HOUR);
        // After the clock is corrected, its file is in the future.
        let now = day(100);
        assert_eq!(seen(&[90, 99, 139], now, (now, now)), AgeTime { now, jump: None });
    }

    #[test]
    fn a_jump_while_an_appender_runs_is_seen_and_idle_time_is_none() {
        let start = day(99);
        let time = seen(&[90, 99], day(140), (start, start + DAY));
        assert_eq!(time.now, start + DAY);
        let now = day(140);
        assert_eq!(seen(&[90, 99], now, (start, now)), AgeTime { now, jump: None });
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_file_old() {
        let now = day(1);
        let time = seen(&[60, 70], now, (day(70), day(70) + HOUR));
        assert_eq!(time, AgeTime { now, jump: None });
    }
}
