//! Ships both streams of a directory to one destination, in a thread of its own.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::destination::{Destination, Failure, Unfit};
use super::directory::Directory;
use super::header::{Chain, Stream};
use super::notes::Notes;
use super::shipper::{Rules, Shipper, Step, Stop};
use super::state::{NoteFile, Place};
use super::status::{Health, StatusFile, StreamStatus};
use super::target::Target;

/// How often a destination is asked what it has, even if nothing failed.
const LOOK_INTERVAL: Duration = Duration::from_secs(3600);

/// The pauses after failures: doubled from the first to the longest one.
const PAUSE_FIRST: Duration = Duration::from_millis(200);
const PAUSE_MAX: Duration = Duration::from_secs(60);

/// How long a run that ends by itself tries again.
const ONCE_PATIENCE: Duration = Duration::from_secs(20);

/// How long to sleep before asking whether to end.
const NAP: Duration = Duration::from_millis(50);

/// What to ship, and how.
#[derive(Clone)]
pub(super) struct Job<'a> {
    pub(super) directory: &'a Path,
    pub(super) target: &'a Target,
    pub(super) place: &'a Place,
    pub(super) node: &'a str,
    pub(super) writer: &'a str,
    pub(super) rules: Rules,
    pub(super) block_age: Duration,
    /// End when everything that may be shipped is acknowledged.
    pub(super) once: bool,
    pub(super) ends: &'a AtomicBool,
    /// Where sentences go.
    pub(super) tell: &'a (dyn Fn(String) + Sync),
}

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

/// One stream on its way.
struct Lane {
    stream: Stream,
    source: Directory,
    shipper: Shipper<NoteFile>,
    health: Health,
    stop: Option<Stop>,
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
        let mut destination = self.target.open()?;
        let mut patience = Patience::new(self.once);
        while let Err(unfit) = destination.probe(self.writer) {
            match unfit {
                Unfit::Refused(fault) => return Err(Failure(fault)),
                Unfit::Failed(failure) => {
                    (self.tell)(format!("{}: {failure}; trying again", self.target));
                    let Some(pause) = patience.after_failure() else { return Err(failure) };
                    self.sleep(pause);
                }
            }
            if self.ends() {
                return Ok(Ended::Done);
            }
        }
        let mut lanes = Vec::new();
        for stream in Stream::ALL {
            lanes.push(self.lane(stream)?);
        }
        self.ship(&mut lanes, destination.as_mut(), patience)
    }

    fn ship(
        &self,
        lanes: &mut [Lane],
        destination: &mut dyn Destination,
        mut patience: Patience,
    ) -> Result<Ended, Failure> {
        let mut report = StatusFile::new(self.place.status_path(), self.target.to_string());
        let mut looked = SystemTime::now();
        while !self.ends() {
            if is_old(looked) {
                lanes.iter_mut().for_each(|lane| lane.shipper.look_again());
                looked = SystemTime::now();
            }
            let round = self.round(lanes, destination);
            // What stopped needs somebody; the other stream is shipped before that is told by the end.
            let has_stopped = lanes.iter().any(|lane| lane.stop.is_some());
            let is_last = round == Round::Idle && (self.once || has_stopped);
            if let Err(error) = report.write(&self.streams(lanes), is_last) {
                (self.tell)(format!("cannot write the status of {}: {error}", self.target));
            }
            match round {
                Round::Busy => patience.after_success(),
                Round::Idle if is_last => break,
                Round::Idle => {
                    patience.after_success();
                    self.sleep(self.block_age);
                }
                Round::Failed => match patience.after_failure() {
                    Some(pause) => self.sleep(pause),
                    None => {
                        let fault = lanes.iter().find_map(|lane| lane.health.error.clone());
                        return Err(Failure(fault.unwrap_or_default()));
                    }
                },
            }
        }
        Ok(ended(lanes))
    }

    fn ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    fn lane(&self, stream: Stream) -> Result<Lane, Failure> {
        let source = Directory::pin(self.directory, stream, &self.place.pin_name());
        let source = source.map_err(|error| Failure(error.to_string()))?;
        let file = self.place.notes(stream);
        let path = file.path.clone();
        let notes = Notes::open(file).map_err(|error| {
            Failure(format!(
                "cannot use {}: {error}; without it, the record at the destination alone counts: \
                 move it away",
                path.display()
            ))
        })?;
        let chain = Chain { node: self.node.to_owned(), stream };
        let shipper = Shipper::new(chain, self.writer.to_owned(), self.rules, notes);
        Ok(Lane { stream, source, shipper, health: Health::default(), stop: None })
    }

    /// A step of each stream.
    fn round(&self, lanes: &mut [Lane], destination: &mut dyn Destination) -> Round {
        let mut round = Round::Idle;
        for lane in lanes.iter_mut().filter(|lane| lane.stop.is_none()) {
            let Lane { source, shipper, .. } = lane;
            let step = shipper.step(source, destination, now_ms());
            for remark in shipper.remarks.drain(..) {
                (self.tell)(format!("{}: {remark}", self.target));
            }
            // It is for people: without an answer, the last one stays.
            lane.health.lag_bytes = lane.source.lag_bytes().unwrap_or(lane.health.lag_bytes);
            round = round.max(match step {
                Ok(step) => self.note(lane, step),
                Err(stop) => {
                    (self.tell)(format!("{}: {stop}", self.target));
                    lane.health.error = Some(stop.to_string());
                    lane.stop = Some(stop);
                    Round::Idle
                }
            });
        }
        round
    }

    fn note(&self, lane: &mut Lane, step: Step) -> Round {
        let health = &mut lane.health;
        match step {
            Step::Shipped { lines, bytes } => {
                health.shipped(lines, bytes, now_ms());
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
                    (self.tell)(format!("{}: waits: {reason}", self.target));
                }
                health.caught_up(now_ms());
                health.waits_for = Some(reason);
                Round::Idle
            }
            Step::Retry(Failure(fault)) => {
                if health.error.as_ref() != Some(&fault) {
                    (self.tell)(format!("{}: {fault}; trying again", self.target));
                }
                health.error = Some(fault);
                Round::Failed
            }
        }
    }

    fn streams(&self, lanes: &[Lane]) -> Vec<StreamStatus> {
        let status = |lane: &Lane| StreamStatus::new(lane.stream, &lane.shipper, &lane.health);
        lanes.iter().map(status).collect()
    }

    fn sleep(&self, time: Duration) {
        let begin = Instant::now();
        while begin.elapsed() < time && !self.ends() {
            thread::sleep(NAP.min(time.saturating_sub(begin.elapsed())));
        }
    }
}

/// How long to pause after failures, and when to give up.
struct Patience {
    pause: Duration,
    since: Option<Instant>,
    /// A run that ends by itself also ends when nothing works.
    gives_up: bool,
}

impl Patience {
    const fn new(gives_up: bool) -> Self {
        Self { pause: PAUSE_FIRST, since: None, gives_up }
    }

    const fn after_success(&mut self) {
        *self = Self::new(self.gives_up);
    }

    /// `None` to give up.
    fn after_failure(&mut self) -> Option<Duration> {
        let since = *self.since.get_or_insert_with(Instant::now);
        if self.gives_up && since.elapsed() > ONCE_PATIENCE {
            return None;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(PAUSE_MAX);
        Some(pause)
    }
}

/// What a round of steps did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Round {
    Idle,
    Busy,
    Failed,
}

fn ended(lanes: &[Lane]) -> Ended {
    if let Some(stop) = lanes.iter().find_map(|lane| lane.stop.clone()) {
        return Ended::Stopped(stop);
    }
    let waits = lanes.iter().find_map(|lane| lane.health.waits_for.clone());
    waits.map_or(Ended::Done, Ended::Waiting)
}

/// Whether so much time has passed, by a clock that goes on while the machine is suspended.
fn is_old(looked: SystemTime) -> bool {
    SystemTime::now().duration_since(looked).is_ok_and(|age| age > LOOK_INTERVAL)
}

pub(super) fn now_ms() -> i64 {
    milliseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())
}

pub(super) fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}
