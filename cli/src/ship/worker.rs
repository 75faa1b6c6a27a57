//! Ships both streams of a directory to one destination, in a thread of its own.

use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use super::clock::uptime;
use super::destination::{Destination, Failure, Unfit};
use super::forecast::{Forecast, free_bytes};
use super::header::Stream;
use super::job::Job;
use super::lane::{Lane, Round};
use super::patience::Patience;
use super::shipper::Stop;
use super::status::StatusFile;

/// How often a destination is asked what it has, even if nothing failed, and after which pause.
const LOOK_INTERVAL: Duration = Duration::from_secs(3600);

/// How long to sleep before asking whether to end.
const NAP: Duration = Duration::from_millis(50);

/// How a worker ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// Everything is acknowledged, or the program was told to end.
    Done,
    /// The same, but lines exist that may not be shipped before the directory is recovered.
    Waiting(String),
    /// A stream stopped; the other one was shipped.
    Stopped(Stop),
    /// It failed for too long.
    Failed(String),
}

impl Job<'_> {
    /// Ships until there is nothing left, or until it is told to end.
    pub(super) fn run(&self) -> Ended {
        match self.try_run() {
            Ok(ended) => ended,
            Err(failure) => Ended::Failed(format!("{}: {failure}", self.target)),
        }
    }

    fn try_run(&self) -> Result<Ended, Failure> {
        let mut patience = Patience::new(self.once);
        let mut watch = Watch::new(self);
        let mut lanes = Vec::new();
        let mut destination = loop {
            let unfit = match self.connect() {
                Ok(destination) => break destination,
                Err(unfit) => unfit,
            };
            // Files are kept for a destination that was never there, too.
            if lanes.is_empty() {
                lanes = self.lanes()?;
            }
            match unfit {
                Unfit::Refused(fault) => {
                    lanes.iter_mut().for_each(|lane| lane.refuse(&fault));
                    watch.look(&lanes, true);
                    return Err(Failure(fault));
                }
                Unfit::Failed(failure) => {
                    lanes.iter_mut().for_each(|lane| lane.fail(self, failure.clone()));
                    watch.look(&lanes, false);
                    let Some(pause) = patience.after_failure() else { return Err(failure) };
                    self.sleep(pause);
                }
            }
            if self.ends() {
                return Ok(Ended::Done);
            }
        };
        if lanes.is_empty() {
            lanes = self.lanes()?;
        }
        self.ship(&mut lanes, destination.as_mut(), watch)
    }

    fn connect(&self) -> Result<Box<dyn Destination>, Unfit> {
        let opened = self.target.open();
        let mut destination = opened.map_err(|Failure(fault)| Unfit::Refused(fault))?;
        destination.probe(self.writer)?;
        Ok(destination)
    }

    fn lanes(&self) -> Result<Vec<Lane>, Failure> {
        Stream::ALL.into_iter().map(|stream| Lane::open(self, stream)).collect()
    }

    fn ship(
        &self,
        lanes: &mut [Lane],
        destination: &mut dyn Destination,
        mut watch: Watch<'_>,
    ) -> Result<Ended, Failure> {
        let mut looked = uptime();
        while !self.ends() {
            if uptime().saturating_sub(looked) > LOOK_INTERVAL {
                lanes.iter_mut().for_each(Lane::look_again);
                looked = uptime();
            }
            let rounds: Vec<_> =
                lanes.iter_mut().map(|lane| lane.round(self, destination)).collect();
            // What stopped needs somebody; the other stream is shipped before that is told by the end.
            let has_stopped = lanes.iter().any(|lane| lane.stop.is_some());
            let ends_now = self.once || (has_stopped && !self.outlives_stop);
            let is_last = ends_now && rounds.iter().all(|round| *round == Round::Idle);
            watch.look(lanes, is_last);
            if is_last {
                break;
            }
            if rounds.contains(&Round::GivenUp) {
                let fault = lanes.iter().find_map(|lane| lane.health.error.clone());
                return Err(Failure(fault.unwrap_or_default()));
            }
            // What fails holds up nothing else.
            let pauses = rounds.iter().map(|round| match round {
                Round::Busy | Round::GivenUp => Duration::ZERO,
                Round::Idle => self.block_age,
                Round::Failed { pause } => *pause,
            });
            self.sleep(pauses.min().unwrap_or_default());
        }
        Ok(ended(lanes))
    }

    pub(super) fn ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    /// Sleeps until it is to end, at most.
    pub(super) fn sleep(&self, time: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < time && !self.ends() {
            thread::sleep(NAP.min(time.saturating_sub(begin.elapsed())));
        }
    }
}

/// What people are told of a destination: its status, and when the disk will be full.
struct Watch<'a> {
    job: &'a Job<'a>,
    report: StatusFile,
    /// Why it could not be written.
    report_fault: Option<String>,
    forecast: Forecast,
}

impl<'a> Watch<'a> {
    fn new(job: &'a Job<'a>) -> Self {
        let report = StatusFile::new(job.place.status_path(), job.target.to_string(), job.required);
        Self { job, report, report_fault: None, forecast: Forecast::default() }
    }

    fn look(&mut self, lanes: &[Lane], is_last: bool) {
        let job = self.job;
        let is_away = lanes.iter().any(|lane| lane.health.error.is_some());
        let lag_bytes = lanes.iter().map(|lane| lane.health.lag_bytes).sum();
        let is_away = is_away && job.required;
        let free = if is_away { free_bytes(job.directory) } else { 0 };
        if let Some(sentence) = self.forecast.look(is_away, lag_bytes, free, uptime()) {
            job.tell(&sentence);
        }
        let streams: Vec<_> = lanes.iter().map(Lane::status).collect();
        match self.report.write(&streams, self.forecast.seconds, is_last) {
            Ok(false) => {}
            Ok(true) => self.report_fault = None,
            Err(error) => {
                let fault = error.to_string();
                if self.report_fault.as_ref() != Some(&fault) {
                    (job.tell)(format!("cannot write the status of {}: {fault}", job.target));
                }
                self.report_fault = Some(fault);
            }
        }
    }
}

fn ended(lanes: &[Lane]) -> Ended {
    if let Some(stop) = lanes.iter().find_map(|lane| lane.stop.clone()) {
        return Ended::Stopped(stop);
    }
    let waits = lanes.iter().find_map(|lane| lane.health.waits_for.clone());
    waits.map_or(Ended::Done, Ended::Waiting)
}
