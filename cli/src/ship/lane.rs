//! One stream on its way to one destination.

use std::time::{Duration, Instant};

use super::clock::{now_ms, uptime};
use super::destination::{Destination, Failure};
use super::directory::Directory;
use super::header::{Chain, Stream};
use super::job::Job;
use super::mark::Unmarked;
use super::notes::Notes;
use super::patience::Patience;
use super::redact::{RedactedSource, Redactor};
use super::shipper::{Shipper, Step, Stop};
use super::state::NoteFile;
use super::status::{Health, StreamStatus};

/// How long a chain gets no block before it is said how far it is complete.
const MARK_INTERVAL: Duration = Duration::from_secs(60);

/// What a round did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Round {
    Idle,
    Busy,
    /// It is tried again after the pause.
    Failed {
        pause: Duration,
    },
    /// It failed for too long.
    GivenUp,
}

/// What a step did.
enum Stepped {
    Idle,
    Busy,
    Failed,
}

pub(super) struct Lane {
    stream: Stream,
    source: RedactedSource<Directory>,
    shipper: Shipper<NoteFile>,
    pub(super) health: Health,
    pub(super) stop: Option<Stop>,
    /// The destination is not used before somebody did something.
    is_refused: bool,
    patience: Patience,
    /// After a failure: when it is tried again.
    due: Option<Instant>,
    /// When the chain last got a block or a watermark, by the clock of [`uptime`].
    marked_at: Duration,
}

impl Lane {
    /// Pins the stream for the destination, and reads what was noted.
    pub(super) fn open(job: &Job<'_>, stream: Stream) -> Result<Self, Failure> {
        let pin = job.place.pin_name();
        let source = Directory::pin(job.directory, stream, &pin, job.required);
        let source = source.map_err(|error| Failure(error.to_string()))?;
        let source = RedactedSource::new(source, stream, job.redactor.cloned());
        let file = job.place.notes(stream);
        let path = file.path.clone();
        let notes = Notes::open(file).map_err(|error| {
            Failure(format!(
                "cannot use {}: {error}; without it, the record at the destination alone counts: \
                 move it away",
                path.display()
            ))
        })?;
        let chain = Chain { node: job.node.to_owned(), stream };
        let mut shipper = Shipper::new(chain, job.writer.to_owned(), job.rules, notes);
        shipper.redaction = job.redactor.and_then(Redactor::redaction);
        let (health, stop, marked_at) = (Health::default(), None, uptime());
        let (is_refused, patience, due) = (false, Patience::new(job.once), None);
        Ok(Self { stream, source, shipper, health, stop, is_refused, patience, due, marked_at })
    }

    /// The destination is asked what it has before the next block.
    pub(super) fn look_again(&mut self) {
        self.shipper.look_again();
    }

    pub(super) fn status(&self) -> StreamStatus {
        let has_stopped = self.stop.is_some() || self.is_refused;
        StreamStatus::new(self.stream, &self.shipper, &self.health, has_stopped)
    }

    /// The next step, unless the stream has stopped or pauses.
    pub(super) fn round(&mut self, job: &Job<'_>, destination: &mut dyn Destination) -> Round {
        let pause = self.due.map(|due| due.saturating_duration_since(Instant::now()));
        if let Some(pause) = pause.filter(|pause| !pause.is_zero()) {
            return Round::Failed { pause };
        }
        self.due = None;
        let stepped = match self.stop {
            Some(_) => Stepped::Idle,
            None => self.step(job, destination),
        };
        self.measure_lag();
        let round = match stepped {
            Stepped::Idle => Round::Idle,
            Stepped::Busy => Round::Busy,
            Stepped::Failed => {
                let Some(pause) = self.patience.after_failure() else { return Round::GivenUp };
                self.due = Some(Instant::now() + pause);
                return Round::Failed { pause };
            }
        };
        self.patience.after_success();
        round
    }

    /// What was not cut yet, and what was cut but not acknowledged. It is for people: without an
    /// answer, the last one stays.
    fn measure_lag(&mut self) {
        if let Ok(uncut_bytes) = self.source.source.lag_bytes() {
            self.health.lag_bytes = uncut_bytes + self.shipper.unacknowledged_bytes();
        }
    }

    fn step(&mut self, job: &Job<'_>, destination: &mut dyn Destination) -> Stepped {
        let step = self.shipper.step(&mut self.source, destination, now_ms());
        for remark in self.shipper.remarks.drain(..) {
            job.tell(&remark);
        }
        let marked = match step {
            Ok(Step::Idle | Step::Waiting(_)) => self.mark(job, destination),
            _ => Ok(()),
        };
        match (step, marked) {
            (Err(stop), _) | (_, Err(Unmarked::Stop(stop))) => self.end(job, stop),
            (_, Err(Unmarked::Failed(failure))) => self.note(job, Step::Retry(failure)),
            (Ok(step), Ok(())) => self.note(job, step),
        }
    }

    /// Says how far the idle chain is complete, once a minute.
    fn mark(&mut self, job: &Job<'_>, destination: &mut dyn Destination) -> Result<(), Unmarked> {
        if job.once || uptime().saturating_sub(self.marked_at) >= MARK_INTERVAL {
            self.shipper.mark(destination)?;
            self.marked_at = uptime();
        }
        Ok(())
    }

    fn end(&mut self, job: &Job<'_>, stop: Stop) -> Stepped {
        job.tell(&stop);
        self.health.error = Some(stop.to_string());
        self.stop = Some(stop);
        Stepped::Idle
    }

    fn note(&mut self, job: &Job<'_>, step: Step) -> Stepped {
        let health = &mut self.health;
        match step {
            Step::Shipped { lines, bytes } => {
                health.shipped(lines, bytes, now_ms());
                self.marked_at = uptime();
                Stepped::Busy
            }
            Step::Again => Stepped::Busy,
            Step::Idle => {
                health.waits_for = None;
                health.caught_up(now_ms());
                Stepped::Idle
            }
            Step::Waiting(reason) => {
                if health.waits_for.as_ref() != Some(&reason) {
                    job.tell(&format_args!("waits: {reason}"));
                }
                health.caught_up(now_ms());
                health.waits_for = Some(reason);
                Stepped::Idle
            }
            Step::Retry(failure) => {
                self.fail(job, failure);
                Stepped::Failed
            }
        }
    }

    /// The destination is not used; that is told by the end.
    pub(super) fn refuse(&mut self, fault: &str) {
        self.is_refused = true;
        self.health.error = Some(fault.to_owned());
        self.measure_lag();
    }

    /// It failed for now; a new reason is told.
    pub(super) fn fail(&mut self, job: &Job<'_>, Failure(fault): Failure) {
        if !self.health.error.as_ref().is_some_and(|known| is_same_reason(known, &fault)) {
            job.tell(&format_args!("{fault}; trying again"));
        }
        self.health.error = Some(fault);
        self.measure_lag();
    }
}

/// Whether two sentences differ only in numbers, times and names of requests: an outage is told once, and not
/// each time that it was looked for.
pub(super) fn is_same_reason(one: &str, other: &str) -> bool {
    fn words(text: &str) -> impl Iterator<Item = &str> {
        text.split_whitespace().filter(|word| !word.contains(|char: char| char.is_ascii_digit()))
    }
    words(one).eq(words(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outage_is_told_once_however_long_each_request_took() {
        let of_s3 = |took: &str, why: &str| {
            format!(
                "Generic S3 error: Error performing PUT http://127.0.0.1:9/cdr in {took} - {why}"
            )
        };
        let refused =
            "HTTP error: cannot connect to 127.0.0.1:9: Connection refused (os error 111)";
        assert!(is_same_reason(&of_s3("646.272µs", refused), &of_s3("2.04ms", refused)));
        let busy =
            |id: &str| format!("<Error><Code>SlowDown</Code><RequestId>{id}</RequestId></Error>");
        assert!(is_same_reason(&busy("4442587FB7D0A2F9"), &busy("DF1AAA9F8E3C0C2B")));
        assert!(!is_same_reason(&of_s3("1ms", refused), &of_s3("1ms", "HTTP error: timed out")));
    }
}
