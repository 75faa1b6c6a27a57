//! Failing writes: since when, when they are retried, and when the appender gives up.

use std::time::{Duration, Instant};

use super::schedule::Schedule;
use crate::error::FlushError;

/// Writes fail, from the first failure until one succeeds.
#[derive(Debug)]
pub(crate) struct FailingWrites {
    /// When the first attempt failed.
    since: Instant,
    /// When the first attempt failed after which nothing was written.
    stuck_since: Instant,
    /// When the last attempt failed.
    failed_at: Instant,
    retry_at: Instant,
    backoff: Backoff,
    error: FlushError,
    /// Whether the appender was closing at the last attempt, and since when, or since when nothing
    /// was written.
    closing_since: Option<Instant>,
}

impl FailingWrites {
    /// Writes started to fail, at `now`; [`note`](Self::note) must follow.
    pub(crate) fn begin(error: FlushError, now: Instant) -> Self {
        Self {
            since: now,
            stuck_since: now,
            failed_at: now,
            retry_at: now,
            backoff: Backoff::new(),
            error,
            closing_since: None,
        }
    }

    /// A write failed at `now`. `has_progressed`: something was written before it, so the timeouts
    /// start again: a disk that is slowly freed is not one that stays full.
    pub(crate) fn note(
        &mut self,
        error: FlushError,
        now: Instant,
        has_progressed: bool,
        is_closing: bool,
    ) {
        self.failed_at = now;
        if has_progressed {
            self.stuck_since = now;
            self.backoff = Backoff::new();
            self.closing_since = None;
        }
        self.retry_at = now + self.backoff.next_pause();
        self.error = error;
        if is_closing && self.closing_since.is_none() {
            self.closing_since = Some(now);
        }
    }

    /// Whether a timeout is over, from the first failure to the last without a byte written in
    /// between: so within every timeout except zero there is more than one attempt, the last at its
    /// end.
    pub(crate) fn retry_timeout_is_over(&self, schedule: &Schedule) -> bool {
        let longer_than = |since: Instant, timeout: Duration| {
            self.failed_at.saturating_duration_since(since) >= timeout
        };
        schedule.write_retry_timeout.is_some_and(|timeout| longer_than(self.stuck_since, timeout))
            || self.closing_since.is_some_and(|since| longer_than(since, schedule.close_timeout))
    }

    /// The time of the next attempt.
    pub(crate) const fn retry_at(&self) -> Instant {
        self.retry_at
    }

    /// Whether the last attempt was made while the appender was closing.
    pub(crate) const fn has_failed_while_closing(&self) -> bool {
        self.closing_since.is_some()
    }

    /// How long writes have failed.
    pub(crate) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// The last failure.
    pub(crate) const fn error(&self) -> &FlushError {
        &self.error
    }
}

/// The pause before the next attempt: it doubles with each attempt.
#[derive(Clone, Copy, Debug)]
struct Backoff {
    pause: Duration,
}

impl Backoff {
    const PAUSE_MIN: Duration = Duration::from_millis(5);
    const PAUSE_MAX: Duration = Duration::from_secs(1);

    const fn new() -> Self {
        Self { pause: Self::PAUSE_MIN }
    }

    fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(Self::PAUSE_MAX);
        pause
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flush::SyncPolicy;

    const MS: Duration = Duration::from_millis(1);

    fn schedule(write_retry_timeout: Option<Duration>, close_timeout: Duration) -> Schedule {
        let sync_policy = SyncPolicy::Never;
        Schedule { gather: MS, sync_policy, write_retry_timeout, close_timeout }
    }

    /// Fails at each of these milliseconds.
    fn failing_at(milliseconds: &[u32], has_progressed: bool, is_closing: bool) -> FailingWrites {
        let begin = Instant::now();
        let mut failing = FailingWrites::begin(FlushError::Closed, begin);
        for &at in milliseconds {
            failing.note(FlushError::Closed, begin + at * MS, has_progressed, is_closing);
        }
        failing
    }

    #[test]
    fn the_pause_before_the_next_try_doubles_up_to_a_second_and_starts_again_with_progress() {
        let begin = Instant::now();
        let mut failing = FailingWrites::begin(FlushError::Closed, begin);
        for pause in [5, 10, 20, 40, 80, 160, 320, 640, 1000, 1000] {
            failing.note(FlushError::Closed, begin, false, false);
            assert_eq!(failing.retry_at() - begin, pause * MS);
        }
        failing.note(FlushError::Closed, begin, true, false);
        assert_eq!(failing.retry_at() - begin, 5 * MS);
    }

    #[test]
    fn the_timeout_of_writes_counts_from_the_first_failure_after_which_nothing_was_written() {
        let schedule = schedule(Some(20 * MS), 5 * MS);
        assert!(!failing_at(&[0, 19], false, false).retry_timeout_is_over(&schedule));
        assert!(failing_at(&[0, 20], false, false).retry_timeout_is_over(&schedule));
        assert!(!failing_at(&[0, 20, 40], true, false).retry_timeout_is_over(&schedule));
    }

    #[test]
    fn the_timeout_of_a_close_counts_from_the_first_try_after_it() {
        let schedule = schedule(None, 20 * MS);
        assert!(!failing_at(&[0, 1000], false, false).retry_timeout_is_over(&schedule));
        assert!(!failing_at(&[1000, 1019], false, true).retry_timeout_is_over(&schedule));
        assert!(failing_at(&[1000, 1020], false, true).retry_timeout_is_over(&schedule));
        assert!(!failing_at(&[1000, 1020], true, true).retry_timeout_is_over(&schedule));
    }
}
