//! How long to pause after failures, and when to give up.

use std::time::{Duration, Instant};

/// The pauses: doubled from the first to the longest one.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How long a run that ends by itself tries again.
const ONCE_PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Patience {
    pause: Duration,
    since: Option<Instant>,
    /// A run that ends by itself also ends when nothing works.
    gives_up: bool,
}

impl Patience {
    pub(super) const fn new(gives_up: bool) -> Self {
        Self { pause: PAUSE_FIRST, since: None, gives_up }
    }

    pub(super) const fn after_success(&mut self) {
        *self = Self::new(self.gives_up);
    }

    /// `None` to give up.
    pub(super) fn after_failure(&mut self) -> Option<Duration> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.gives_up && since.elapsed() > ONCE_PATIENCE {
            return None;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        Some(pause)
    }
}
