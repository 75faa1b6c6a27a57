//! A rate limit: a bucket that holds the tokens of one interval and is filled evenly.

use std::time::{Duration, Instant};

/// So many tokens per interval.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rate {
    tokens: u64,
    interval: Duration,
}

impl Rate {
    /// `None` for no tokens: there is no limit.
    pub(super) fn new(tokens: u64, interval: Duration) -> Option<Self> {
        (tokens > 0).then_some(Self { tokens, interval })
    }

    /// How long it takes until so many tokens are available.
    fn duration_of(self, tokens: u64) -> Duration {
        let nanos =
            self.interval.as_nanos().saturating_mul(tokens.into()) / u128::from(self.tokens);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

/// A token bucket is a single time: when it is full again if nothing more is taken. It is full if
/// that is past, and has less than a token if that is almost an interval away. A taker may take
/// more than there is; the next one then waits for longer.
#[derive(Clone, Copy, Debug)]
pub(super) struct TokenBucket {
    full_at: Instant,
}

impl TokenBucket {
    pub(super) fn full(now: Instant) -> Self {
        Self { full_at: now }
    }

    pub(super) fn is_full(self, now: Instant) -> bool {
        self.full_at <= now
    }

    /// How long until a token is available: zero if one is.
    pub(super) fn wait(self, rate: Rate, now: Instant) -> Duration {
        let until_full = self.full_at.saturating_duration_since(now);
        (until_full + rate.duration_of(1)).saturating_sub(rate.interval)
    }

    pub(super) fn take(&mut self, tokens: u64, rate: Rate, now: Instant) {
        let from = self.full_at.max(now);
        // The clock ends long after `u64` nanoseconds: if it did not, the bucket stays as it is.
        self.full_at = from.checked_add(rate.duration_of(tokens)).unwrap_or(from);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn a_full_bucket_has_the_tokens_of_one_interval_and_fills_evenly() {
        let (rate, now) = (Rate::new(4, SECOND).unwrap(), Instant::now());
        let mut bucket = TokenBucket::full(now);
        for _ in 0..4 {
            assert_eq!(bucket.wait(rate, now), Duration::ZERO);
            bucket.take(1, rate, now);
        }
        assert_eq!(bucket.wait(rate, now), SECOND / 4);
        assert_eq!(bucket.wait(rate, now + SECOND / 8), SECOND / 8);
        assert_eq!(bucket.wait(rate, now + SECOND / 4), Duration::ZERO);
        assert!(!bucket.is_full(now + SECOND * 3 / 4) && bucket.is_full(now + SECOND));
    }

    #[test]
    fn an_idle_bucket_holds_no_more_than_one_interval() {
        let (rate, begin) = (Rate::new(2, SECOND).unwrap(), Instant::now());
        let mut bucket = TokenBucket::full(begin);
        let now = begin + 100 * SECOND;
        bucket.take(2, rate, now);
        assert_eq!(bucket.wait(rate, now), SECOND / 2);
    }

    #[test]
    fn more_than_there_is_may_be_taken_and_is_waited_for_afterwards() {
        let (rate, now) = (Rate::new(1000, SECOND).unwrap(), Instant::now());
        let mut bucket = TokenBucket::full(now);
        bucket.take(5000, rate, now);
        assert_eq!(bucket.wait(rate, now), 4 * SECOND + SECOND / 1000);
        bucket.take(u64::MAX, Rate::new(1, Duration::MAX).unwrap(), now);
    }

    #[test]
    fn a_rate_of_nothing_is_no_limit() {
        assert!(Rate::new(0, SECOND).is_none());
    }
}
