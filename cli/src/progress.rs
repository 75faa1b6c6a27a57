//! The progress bar of a long run, on a terminal only.

use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A run that is over before that shows no bar.
const QUIET_FIRST: Duration = Duration::from_secs(1);

/// Draws times a second.
const DRAWS_PER_SECOND: u8 = 10;

/// Counts bytes, and shows them when it takes long.
pub(super) struct Progress {
    begin: Instant,
    /// `None` where the end is not known, as for standard input.
    bytes_total: Option<u64>,
    bytes: u64,
    bar: Option<ProgressBar>,
    on_terminal: bool,
}

impl Progress {
    pub(super) fn new(bytes_total: Option<u64>) -> Self {
        Self {
            begin: Instant::now(),
            bytes_total,
            bytes: 0,
            bar: None,
            on_terminal: stderr().is_terminal(),
        }
    }

    pub(super) fn add(&mut self, bytes: u64) {
        self.bytes += bytes;
        if self.bar.is_none() && self.on_terminal && self.begin.elapsed() >= QUIET_FIRST {
            self.bar = Some(self.start_bar());
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.bytes);
        }
    }

    /// Takes the bar off the screen while something is said.
    pub(super) fn suspend<T>(&self, say: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    fn start_bar(&self) -> ProgressBar {
        let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
        let bar = ProgressBar::with_draw_target(self.bytes_total, target)
            .with_elapsed(self.begin.elapsed());
        let template = match self.bytes_total {
            Some(_) => "{wide_bar} {bytes}/{total_bytes} {binary_bytes_per_sec} {eta}",
            None => "{spinner} {bytes} {binary_bytes_per_sec} {elapsed}",
        };
        bar.set_style(
            ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar()),
        );
        bar
    }

    /// Takes the bar off the screen; gives how many bytes there were and how long it took.
    pub(super) fn end(self) -> (u64, Duration) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        (self.bytes, self.begin.elapsed())
    }
}
