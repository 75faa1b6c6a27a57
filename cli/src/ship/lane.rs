//! One stream on its way to one destination.

use std::time::Duration;

use super::clock::{now_ms, uptime};
use super::destination::{Destination, Failure};
use super::directory::Directory;
use super::header::{Chain, Stream};
use super::job::Job;
use super::mark::Unmarked;
use super::notes::Notes;
use super::redact::{RedactedSource, Redactor};
use super::shipper::{Shipper, Step, Stop};
use super::state::NoteFile;
use super::status::{Health, StreamStatus};

/// How long a chain gets no block before it is said how far it is complete.
const MARK_INTERVAL: Duration = Duration::from_secs(60);

/// What a round of steps did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Round {
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
        Ok(Self { stream, source, shipper, health, stop, marked_at })
    }

    /// The destination is asked what it has before the next block.
    pub(super) fn look_again(&mut self) {
        self.shipper.look_again();
    }

    pub(super) fn status(&self) -> StreamStatus {
        StreamStatus::new(self.stream, &self.shipper, &self.health, self.stop.is_some())
    }

    /// The next step, unless the stream has stopped.
    pub(super) fn round(&mut self, job: &Job<'_>, destination: &mut dyn Destination) -> Round {
        let round = if self.stop.is_some() { Round::Idle } else { self.step(job, destination) };
        self.measure_lag();
        round
    }

    /// What was not cut yet, and what was cut but not acknowledged. It is for people: without an
    /// answer, the last one stays.
    fn measure_lag(&mut self) {
        if let Ok(uncut_bytes) = self.source.source.lag_bytes() {
            self.health.lag_bytes = uncut_bytes + self.shipper.unacknowledged_bytes();
        }
    }

    fn step(&mut self, job: &Job<'_>, destination: &mut dyn Destination) -> Round {
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

    fn end(&mut self, job: &Job<'_>, stop: Stop) -> Round {
        job.tell(&stop);
        self.health.error = Some(stop.to_string());
        self.stop = Some(stop);
        Round::Idle
    }

    fn note(&mut self, job: &Job<'_>, step: Step) -> Round {
        let health = &mut self.health;
        match step {
            Step::Shipped { lines, bytes } => {
                health.shipped(lines, bytes, now_ms());
                self.marked_at = uptime();
                Round::Busy
            }
            Step::Again => Round::Busy,
            Step::Idle => {
                health.waits_for = None;
                health.caught_up(now_ms());
                Round::Idle
            }
            Step::Waiting(reason) => {
                if health.waits_for.as_ref() != Some(&reason) {
                    job.tell(&format_args!("waits: {reason}"));
                }
                health.caught_up(now_ms());
                health.waits_for = Some(reason);
                Round::Idle
            }
            Step::Retry(failure) => {
                self.fail(job, failure);
                Round::Failed
            }
        }
    }

    /// It failed for now; a new reason is told.
    pub(super) fn fail(&mut self, job: &Job<'_>, Failure(fault): Failure) {
        if self.health.error.as_ref() != Some(&fault) {
            job.tell(&format_args!("{fault}; trying again"));
        }
        self.health.error = Some(fault);
        self.measure_lag();
    }
}
