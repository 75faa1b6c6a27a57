//! Shipping in a server, in threads of its own, which never hold up an acknowledgement.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer};

use super::KEEP_DEFAULT;
use super::clock::milliseconds;
use super::job::Job;
use super::lane::is_same_reason;
use super::patience::Patience;
use super::redact::{self, Redactor};
use super::shipper::Rules;
use super::state::{State, random_id};
use super::status::Status;
use super::target::Target;
use super::worker::Ended;
use crate::units::Seconds;

/// How often a server that took over looks whether its predecessor still ships.
const LOCK_INTERVAL: Duration = Duration::from_millis(500);

/// After so long it is no predecessor that ends: the operator is told.
const LOCK_PATIENCE: Duration = Duration::from_secs(60);

const OTHER_SHIPS: &str =
    "another process ships this directory, such as `cdrlog ship`; the server begins when it ends";

/// How long the end of a server waits for a block that is under way; and for the last ones, where the
/// node is to be closed.
const END_PATIENCE: Duration = Duration::from_secs(2);
const CLOSE_PATIENCE: Duration = Duration::from_secs(15);
const LOOK_INTERVAL: Duration = Duration::from_millis(5);

/// A table `[[ship]]` of the options file.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Table {
    #[serde(deserialize_with = "target")]
    to: Target,
    node: Option<String>,
    block_age: Option<Seconds>,
    keep_after_ship: Option<Seconds>,
    #[serde(default, deserialize_with = "redaction_rules")]
    redact: redact::Rules,
    redact_key: Option<PathBuf>,
    /// Files are kept until this destination has them.
    #[serde(default = "yes")]
    required: bool,
    /// The end of the server ends the record of the node.
    #[serde(default)]
    close: bool,
}

const fn yes() -> bool {
    true
}

fn target<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Target, D::Error> {
    String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
}

fn redaction_rules<'de, D: Deserializer<'de>>(deserializer: D) -> Result<redact::Rules, D::Error> {
    let rules = Vec::<String>::deserialize(deserializer)?;
    redact::Rules::parse(&rules).map_err(serde::de::Error::custom)
}

/// The threads that ship a directory.
pub(crate) struct Service {
    ends: Arc<AtomicBool>,
    patience: Duration,
    thread: JoinHandle<()>,
}

impl Service {
    /// Starts to ship to all `tables`. `tell` gets what an operator should know.
    pub(crate) fn start(
        directory: &Path,
        tables: Vec<Table>,
        tell: impl Fn(String) + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let ends = Arc::new(AtomicBool::new(false));
        let (directory, told) = (directory.to_owned(), Arc::clone(&ends));
        let closes = tables.iter().any(|table| table.close);
        let patience = if closes { CLOSE_PATIENCE } else { END_PATIENCE };
        let ship = move || {
            if let Err(fault) = ship_all(&directory, &tables, &told, &tell) {
                tell(format!("nothing is shipped: {fault}"));
            }
        };
        let thread = thread::Builder::new().name("ship".to_owned()).spawn(ship)?;
        Ok(Self { ends, patience, thread })
    }
}

impl Drop for Service {
    /// Ends after what is under way now; the next start goes on. The directory is closed before.
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        let begin = Instant::now();
        // An answer may take minutes, and nothing is lost without it.
        while !self.thread.is_finished() && begin.elapsed() < self.patience {
            thread::sleep(LOOK_INTERVAL);
        }
    }
}

fn ship_all(
    directory: &Path,
    tables: &[Table],
    ends: &AtomicBool,
    tell: &(dyn Fn(String) + Sync),
) -> Result<(), Box<dyn std::error::Error>> {
    let (begin, mut is_told) = (Instant::now(), false);
    let state = loop {
        match State::lock(directory) {
            Ok(Some(state)) => break state,
            // The server that this one took over from ends soon.
            Ok(None) if ends.load(Ordering::Relaxed) => return Ok(()),
            Ok(None) => thread::sleep(LOCK_INTERVAL),
            Err(error) => return Err(error.into()),
        }
        if !is_told && begin.elapsed() > LOCK_PATIENCE {
            tell(OTHER_SHIPS.to_owned());
            is_told = true;
        }
    };
    let node = tables.iter().find_map(|table| table.node.as_deref());
    let node = state.node(node)?;
    let writer = random_id()?;
    thread::scope(|scope| {
        for table in tables {
            let (state, node, writer) = (&state, &node, &writer);
            scope.spawn(move || {
                let target = &table.to;
                let place = state.place(&target.to_string());
                if let Err(error) = place.make() {
                    return tell(format!("{target}: {error}"));
                }
                let redactor = match table.redactor() {
                    Ok(redactor) => redactor,
                    Err(fault) => return tell(format!("{target}: nothing is shipped: {fault}")),
                };
                let job = Job {
                    directory,
                    target,
                    place: &place,
                    node,
                    writer,
                    rules: table.rules(),
                    redactor: redactor.as_ref(),
                    block_age: table.block_age.map_or(target.block_age(), |age| age.0),
                    required: table.required,
                    once: false,
                    outlives_stop: true,
                    ends,
                    tell,
                };
                run(&job, table.close);
            });
        }
    });
    Ok(())
}

impl Table {
    fn redactor(&self) -> Result<Option<Redactor>, String> {
        match &self.redact_key {
            Some(key) => Redactor::new(self.redact.clone(), key).map(Some),
            None if self.redact.is_empty() => Ok(None),
            None => Err("`redact` needs a file of keys: name it with `redact_key`".to_owned()),
        }
    }

    fn rules(&self) -> Rules {
        let keep = self.keep_after_ship.map_or(KEEP_DEFAULT, |keep| keep.0);
        Rules {
            block_bytes: self.to.block_bytes(),
            // No file is kept for an optional destination, so that it has gaps.
            accept_gap: !self.required,
            keep: milliseconds(keep),
            opens: true,
            ..Rules::default()
        }
    }
}

/// Ships until the server ends. Then the last lines follow, if they are to be the last of the node.
fn run(job: &Job<'_>, closes: bool) {
    let mut ended = run_until_end(job);
    if closes && ended == Ended::Done {
        let rules = Rules { opens: false, closes: true, ..job.rules };
        let ends = &AtomicBool::new(false);
        // The end of the process ends this too, and the next start goes on. A server that took over
        // has the directory: then the node goes on.
        ended = Job { rules, once: true, ends, ..job.clone() }.run();
    }
    if let Ended::Failed(fault) = ended {
        (job.tell)(fault);
    }
}

/// A destination that is not used is asked again, at most once a minute: a server is not started anew for
/// the sake of a table or a password.
fn run_until_end(job: &Job<'_>) -> Ended {
    let (mut patience, mut told) = (Patience::new(false), String::new());
    loop {
        let fault = match job.run() {
            Ended::Failed(fault) if !job.ends() => fault,
            ended => return ended,
        };
        if !is_same_reason(&told, &fault) {
            (job.tell)(format!("{fault}; nothing is shipped there yet; trying again"));
        }
        told = fault;
        job.sleep(patience.after_failure().unwrap_or_default());
        if job.ends() {
            return Ended::Done;
        }
    }
}

/// What shippers of a directory last said, whichever process they run in.
pub(crate) struct Shipped {
    pub(crate) destination: String,
    pub(crate) stream: &'static str,
    pub(crate) seq: u64,
    pub(crate) lag_bytes: u64,
    pub(crate) caught_up_at_ms: i64,
    pub(crate) is_failing: bool,
    /// Why it fails, also if it is tried again.
    pub(crate) error: Option<String>,
    /// Why it does not go on before somebody did something.
    pub(crate) stopped: Option<String>,
    /// When the disk will be full, if the destination stays away.
    pub(crate) disk_full_in_seconds: Option<u64>,
}

/// How far each destination of a directory is. Empty if nothing is shipped, or nobody can tell.
pub(crate) fn shipped(directory: &Path) -> Vec<Shipped> {
    let Ok(state) = State::of(directory) else { return Vec::new() };
    let paths = state.destinations().unwrap_or_default();
    let paths: Vec<PathBuf> = paths.iter().map(|place| place.status_path()).collect();
    let statuses = paths.iter().filter_map(|path| Status::read(path).ok().flatten());
    let streams = statuses.flat_map(|status| {
        let Status { destination, disk_full_in_seconds, streams, .. } = status;
        streams.into_iter().map(move |stream| Shipped {
            destination: destination.clone(),
            stream: stream.stream.as_str(),
            seq: stream.seq,
            lag_bytes: stream.lag_bytes,
            caught_up_at_ms: stream.caught_up_at.unwrap_or(0),
            is_failing: stream.error.is_some(),
            stopped: stream.error.clone().filter(|_| stream.has_stopped),
            error: stream.error,
            disk_full_in_seconds,
        })
    });
    streams.collect()
}
