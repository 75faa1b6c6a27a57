//! The progress bar of a long run, on a terminal only.

use std::fmt::Write;
use std::io::{IsTerminal, stderr};
use std::time::{Duration, Instant};

use indicatif::{
    BinaryBytes, HumanDuration, ProgressBar, ProgressDrawTarget, ProgressState, ProgressStyle,
};

/// A run that ends before that shows no bar.
const QUIET_FIRST: Duration = Duration::from_secs(1);

/// Updates per second.
const DRAWS_PER_SECOND: u8 = 10;

/// Counts bytes, and shows them if it takes long.
pub(super) struct Progress {
    begin: Instant,
    /// `None` if the total is not known, as for standard input.
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
            let target = ProgressDrawTarget::stderr_with_hz(DRAWS_PER_SECOND);
            self.bar = Some(self.start_bar(target));
        }
        if let Some(bar) = &self.bar {
            bar.set_position(self.bytes);
        }
    }

    /// Hides the bar while a message is printed.
    pub(super) fn suspend<T>(&self, say: impl FnOnce() -> T) -> T {
        match &self.bar {
            Some(bar) => bar.suspend(say),
            None => say(),
        }
    }

    fn start_bar(&self, target: ProgressDrawTarget) -> ProgressBar {
        let bar = ProgressBar::with_draw_target(self.bytes_total, target)
            .with_elapsed(self.begin.elapsed());
        let template = match self.bytes_total {
            Some(_) => "{wide_bar} {bytes}/{total_bytes} {rate} {left}",
            None => "{spinner} {bytes} {rate} {elapsed}",
        };
        let style = ProgressStyle::with_template(template);
        bar.set_style(
            style
                .unwrap_or_else(|_| ProgressStyle::default_bar())
                .with_key("rate", write_rate)
                .with_key("left", write_left),
        );
        bar
    }

    /// Removes the bar; returns how many bytes there were and how long it took.
    pub(super) fn end(self) -> (u64, Duration) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
        (self.bytes, self.begin.elapsed())
    }
}

/// The mean rate since the start. The bar's own rate starts when the bar does, a second later, and
/// counts everything read until then for its first moment.
fn bytes_per_second(state: &ProgressState) -> f64 {
    state.pos() as f64 / state.elapsed().as_secs_f64().max(1e-9)
}

fn write_rate(state: &ProgressState, text: &mut dyn Write) {
    // Writing into memory does not fail.
    let _ = write!(text, "{}/s", BinaryBytes(bytes_per_second(state) as u64));
}

/// The remaining time at this rate.
fn write_left(state: &ProgressState, text: &mut dyn Write) {
    let rest = state.len().unwrap_or_default().saturating_sub(state.pos());
    let seconds = rest as f64 / bytes_per_second(state).max(1.0);
    let left = Duration::try_from_secs_f64(seconds.ceil()).unwrap_or(Duration::MAX);
    let _ = write!(text, "{:#}", HumanDuration(left));
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::{Arc, Mutex};

    use indicatif::TermLike;

    use super::*;

    /// A terminal that records its output.
    #[derive(Clone, Debug, Default)]
    struct Screen(Arc<Mutex<String>>);

    impl TermLike for Screen {
        fn width(&self) -> u16 {
            80
        }

        fn move_cursor_up(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_down(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_right(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn move_cursor_left(&self, _: usize) -> io::Result<()> {
            Ok(())
        }

        fn write_line(&self, text: &str) -> io::Result<()> {
            self.write_str(text)
        }

        fn write_str(&self, text: &str) -> io::Result<()> {
            self.0.lock().unwrap().push_str(text);
            Ok(())
        }

        fn clear_line(&self) -> io::Result<()> {
            Ok(())
        }

        fn flush(&self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What the bar shows of 64 MiB that took 4 s before it appeared.
    fn shown(bytes_total: Option<u64>) -> String {
        let screen = Screen::default();
        let mut progress = Progress::new(bytes_total);
        progress.begin = Instant::now().checked_sub(Duration::from_secs(4)).unwrap();
        let target = ProgressDrawTarget::term_like(Box::new(screen.clone()));
        progress.bar = Some(progress.start_bar(target));
        progress.add(64 << 20);
        if let Some(bar) = &progress.bar {
            bar.force_draw();
        }
        screen.0.lock().unwrap().clone()
    }

    #[test]
    fn the_rate_is_that_of_the_whole_run_from_the_first_moment_that_it_is_shown() {
        for bytes_total in [None, Some(128 << 20)] {
            let shown = shown(bytes_total);
            // A loaded machine makes it slower, never faster.
            let rates: Vec<_> = shown
                .split("/s")
                .filter_map(|before| {
                    let (before, unit) = before.rsplit_once(' ')?;
                    let number = before.rsplit(' ').next()?.parse::<f64>().ok()?;
                    Some((number, unit.to_owned()))
                })
                .filter(|(number, _)| *number > 0.0)
                .collect();
            let is_true = |(number, unit): &(f64, String)| match unit.as_str() {
                "MiB" => *number <= 16.0,
                unit => ["B", "KiB"].contains(&unit),
            };
            assert!(!rates.is_empty() && rates.iter().all(is_true), "{shown}");
        }
    }
}
