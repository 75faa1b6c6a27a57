//! `cdrlog ship`: keeps the record of a directory at other places, each line exactly once.
//!
//! ```text
//! directory ──> shipper ──> objects (file://, s3://), postgres or nats
//! synced lines  cuts blocks, notes them, and asks the destination what it has
//! ```
//!
//! Where to look:
//! - the protocol: `shipper.rs`, with `register.rs` for how a chain begins, `tail.rs` and
//!   `reconcile.rs` for what the last block at a destination means, `cut.rs` for the next one,
//!   `release.rs` and `showing.rs` for what need not be kept, and `mark.rs` for idle chains; they know nothing of
//!   files or networks, and `simulation` plays them with every fault;
//! - a block and its header: `header.rs`; where lines come from: `source.rs`, `directory.rs`;
//!   what of them must not leave the machine: `redact`;
//! - a destination: `destination.rs`, `objects`, `postgres`, `nats`; its address: `target.rs`;
//! - what is kept in `.cdrlog`: `state.rs`, `notes.rs`, `status.rs`;
//! - what a thread is to do, and its pauses: `job.rs`, `worker.rs`, `lane.rs`, `patience.rs`.

#[cfg(any(feature = "nats", feature = "postgres", feature = "s3"))]
mod certificate;
mod clock;
mod cut;
mod destination;
mod directory;
mod forecast;
mod header;
#[cfg(feature = "s3")]
mod http;
mod job;
mod lane;
mod mark;
#[cfg(feature = "nats")]
mod nats;
mod notes;
mod objects;
mod patience;
#[cfg(feature = "postgres")]
mod postgres;
mod reconcile;
mod record;
mod redact;
mod register;
mod release;
mod report;
mod retire;
#[cfg(feature = "serve")]
mod service;
mod shipper;
mod showing;
#[cfg(test)]
mod simulation;
mod source;
mod state;
mod status;
mod stop;
mod tail;
mod target;
mod watermark;
mod worker;

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::Duration;

use cdrlog::synced::Pin;
use clap::Args;
use signal_hook::consts::{SIGINT, SIGTERM};

use super::cdr_path::{self, DirArg};
use super::outcome::{Outcome, WrongUsage, say};
use super::units::{Seconds, units_help};
pub(crate) use clock::now_ms;
pub(crate) use destination::Failure;
#[cfg(test)]
pub(crate) use destination::{Answer, Destination};
#[cfg(test)]
pub(crate) use header::Missing;
#[cfg(test)]
pub(crate) use header::tests::header_for_tests;
pub(crate) use header::{Block, Chain, Fields, Header, Kind, Stream};
use job::Job;
#[cfg(test)]
pub(crate) use objects::Objects;
pub(crate) use record::Record;
use redact::Redactor;
#[cfg(feature = "serve")]
pub(crate) use service::{Service, Shipped, Table, shipped};
use shipper::{Rules, Stop};
pub(crate) use source::is_contiguous;
use state::{Place, State};
pub(crate) use target::Target;
pub(crate) use watermark::Watermark;
use worker::Ended;

/// How long acknowledged files are kept by default: a destination may go back to the backup of
/// last night.
const KEEP_DEFAULT: Duration = Duration::from_secs(24 * 3600);

/// Keep a copy of the record at another place, each line exactly once
///
/// Lines are shipped once a power loss cannot take them away, in blocks. The destination itself says
/// what it has, and takes a block only after the one before. So a kill at any time, lost answers, and a
/// second shipper lose and double nothing. A destination that lost blocks gets them again while the
/// files are still here. Retention removes no file before all destinations of --to have it for a day,
/// and a new connection showed that.
///
/// What does not fit stops the stream and is told: a gap, a second machine of the same name. Nothing is
/// guessed or overwritten.
#[derive(Debug, Args)]
#[command(after_help = concat!("\
Examples:
  cdrlog ship --dir ./cdr --to file:///mnt/archive
  cdrlog ship --dir ./cdr --to postgres://cdr@db.example.org/cdr --to s3://bucket/cdr
  cdrlog ship --dir ./cdr --to nats://nats.example.org:4222/CDR
  cdrlog ship --dir ./cdr --to s3://bucket/cdr --once
  cdrlog ship --dir ./cdr --status
  cdrlog ship --dir ./cdr --to s3://bucket/cdr --compact

Keys of S3 come from AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, the password of PostgreSQL from \
PGPASSWORD or the file that PGPASSFILE names. NATS_CREDS and NATS_NKEY name files of credentials of \
NATS; NATS_USER and NATS_PASSWORD, or NATS_TOKEN, are for a server that has passwords.

", units_help!(), "

Exit codes: 0 everything that is synced is acknowledged, or the program was told to end; 1 failed; \
2 usage error; 4 waits: the last writer was killed, and lines may be in its journal only; 5 lines are \
missing here or there, and --accept-gap or --accept-rollback would go on; 6 another writer has this \
node's name, another node shipped these files, or a file was changed; 7 the node was retired"))]
pub(super) struct Ship {
    #[command(flatten)]
    directory: DirArg,

    /// A destination; may be given several times
    #[arg(long, value_name = "URL", env = "CDRLOG_SHIP_TO", value_delimiter = ',')]
    to: Vec<String>,

    /// A destination for which no file is kept that retention would remove: lines that it lacks then
    /// are marked there as missing. May be given several times
    #[arg(long, value_name = "URL", env = "CDRLOG_SHIP_OPTIONAL", value_delimiter = ',')]
    optional: Vec<String>,

    /// Ship what is synced now, and end
    #[arg(long)]
    once: bool,

    /// With --once: end the record of this node with a closed block, so that nobody waits for it.
    /// A later start goes on after it
    #[arg(long, requires = "once")]
    close: bool,

    /// Show how far each destination is, and end
    #[arg(long, conflicts_with_all = ["once", "init", "forget", "accept_gap", "accept_rollback"])]
    status: bool,

    /// With --status: print one JSON object
    #[arg(long, requires = "status")]
    json: bool,

    /// Make or update what a database or a stream needs, and end
    #[arg(long, conflicts_with_all = ["once", "forget"])]
    init: bool,

    /// The name of this node at the destinations [default: a random one, made at the first ship]
    #[arg(long, value_name = "NAME", env = "CDRLOG_NODE")]
    node: Option<String>,

    /// This directory is a copy of one that another node shipped: begin after what that one shipped
    #[arg(long)]
    new_node: bool,

    /// Ship lines without these members, or with an HMAC of their values: drop:NAME,NAME or
    /// hmac:NAME,NAME. May be given several times
    #[arg(long, value_name = "RULE", requires = "redact_key")]
    redact: Vec<String>,

    /// A file with the key of --redact in its first line, and in further ones those of before
    #[arg(long, value_name = "FILE", env = "CDRLOG_REDACT_KEY")]
    redact_key: Option<PathBuf>,

    /// Go on after lines that are missing; a block at the destination says which
    #[arg(long)]
    accept_gap: bool,

    /// Append blocks again that a directory or a bucket lost
    #[arg(long)]
    accept_rollback: bool,

    /// End the shipping to these destinations for good: files are not kept for them any more
    #[arg(long, conflicts_with = "once")]
    forget: bool,

    /// End a node that does not come back: its record gets a last block, and nothing can follow
    #[arg(long, value_name = "NODE", conflicts_with_all = ["once", "init", "forget", "status"])]
    retire: Option<String>,

    /// Gather the blocks of each day that is over in one object, remove the small ones a day later, and
    /// end; runs beside a shipper
    #[arg(long, conflicts_with_all = ["once", "init", "forget", "status", "retire"])]
    compact: bool,

    /// How long a line may wait for others of its block; a number without a unit is seconds
    /// [default: 60s, 500ms for a database or a stream]
    #[arg(long, value_name = "DURATION", allow_negative_numbers = true, env = "CDRLOG_BLOCK_AGE")]
    block_age: Option<Seconds>,

    /// How long files are kept after all destinations acknowledged them; a number without a unit is
    /// seconds [default: 24h]
    #[arg(
        long,
        value_name = "DURATION",
        allow_negative_numbers = true,
        env = "CDRLOG_KEEP_AFTER_SHIP"
    )]
    keep_after_ship: Option<Seconds>,
}

impl Ship {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        let Self { directory, once, status, json, init, node, forget, .. } = &self;
        let directory = directory.path();
        let required = targets("--to", &self.to)?;
        let optional = targets("--optional", &self.optional)?;
        let to = &[required.as_slice(), &optional].concat();
        if to.is_empty() && !status {
            return Err(WrongUsage("name a destination with --to".to_owned()).into());
        }
        if let Some(twice) = to.iter().enumerate().find(|(at, target)| to[..*at].contains(target)) {
            return Err(WrongUsage(format!("{} is named twice", twice.1)).into());
        }
        if *init {
            return init_all(to);
        }
        if let Some(node) = &self.retire {
            return retire_at_all(to, node);
        }
        cdr_path::check_directory(directory)?;
        if *status {
            return report::print(&State::of(directory)?, to, *json);
        }
        if self.compact {
            let node = State::of(directory)?.node(node.as_deref())?;
            return compact_all(to, &node);
        }
        let state = State::lock(directory)?.ok_or_else(|| {
            let directory = directory.display();
            format!("another process ships {directory}: end it first, or leave it to that one")
        })?;
        if *forget {
            return forget_all(&state, directory, to);
        }
        let redactor = self.redactor()?;
        let node = state.node(node.as_deref())?;
        let writer = state::random_id()?;
        let ends = Arc::new(AtomicBool::new(false));
        for signal in [SIGTERM, SIGINT] {
            signal_hook::flag::register(signal, Arc::clone(&ends))?;
        }
        let places: Vec<Place> = to.iter().map(|target| state.place(&target.to_string())).collect();
        places.iter().try_for_each(Place::make)?;
        let job = |(target, place)| Job {
            directory,
            target,
            place,
            node: &node,
            writer: &writer,
            rules: self.rules(target, !optional.contains(target)),
            redactor: redactor.as_ref(),
            block_age: self.block_age.map_or(target.block_age(), |age| age.0),
            required: !optional.contains(target),
            once: *once,
            outlives_stop: false,
            ends: &ends,
            tell: &|sentence| say(sentence),
        };
        Ok(run_all(to.iter().zip(&places).map(job).collect()))
    }

    fn redactor(&self) -> Result<Option<Redactor>, Box<dyn Error>> {
        let rules = redact::Rules::parse(&self.redact);
        let rules = rules.map_err(|fault| WrongUsage(format!("--redact: {fault}")))?;
        let redactor = self.redact_key.as_deref().map(|key| Redactor::new(rules, key));
        Ok(redactor.transpose()?)
    }

    fn rules(&self, target: &Target, required: bool) -> Rules {
        let keep = self.keep_after_ship.map_or(KEEP_DEFAULT, |keep| keep.0);
        Rules {
            block_bytes: target.block_bytes(),
            accept_gap: self.accept_gap || !required,
            accept_rollback: self.accept_rollback,
            keep: clock::milliseconds(keep),
            opens: !self.once,
            closes: self.close,
            new_node: self.new_node,
        }
    }
}

/// The destinations that an option names. Not parsed by the parser of the command line, which repeats
/// what is wrong: it may be a password.
fn targets(option: &str, texts: &[String]) -> Result<Vec<Target>, WrongUsage> {
    let parsed = texts.iter().map(|text| text.parse::<Target>()).collect::<Result<_, _>>();
    parsed.map_err(|fault| WrongUsage(format!("{option}: {fault}")))
}

/// Runs each job in a thread of its own, and waits for all.
fn run_all(jobs: Vec<Job<'_>>) -> Outcome {
    let ended: Vec<Ended> = thread::scope(|scope| {
        let threads: Vec<_> = jobs.iter().map(|job| scope.spawn(|| job.run())).collect();
        let panicked = |_| Ended::Failed("a thread ended by a panic".to_owned());
        threads.into_iter().map(|thread| thread.join().unwrap_or_else(panicked)).collect()
    });
    let outcomes = ended.into_iter().map(|ended| match ended {
        Ended::Done => Outcome::Done,
        Ended::Waiting(_) => Outcome::Waiting,
        Ended::Stopped(Stop::Gap(_) | Stop::WentBack(_)) => Outcome::LinesMissing,
        Ended::Stopped(Stop::Foreign(_) | Stop::Copied { .. }) => Outcome::OtherWriter,
        Ended::Stopped(Stop::Retired) => Outcome::Retired,
        Ended::Failed(fault) => {
            say(fault);
            Outcome::Failed
        }
    });
    outcomes
        .reduce(|one, other| if one == Outcome::Done { other } else { one })
        .unwrap_or(Outcome::Done)
}

/// Databases get their schema, and streams are made; directories and buckets need nothing.
fn init_all(targets: &[Target]) -> Result<Outcome, Box<dyn Error>> {
    for target in targets {
        say(format_args!("{target}: {}", target.init()?));
    }
    Ok(Outcome::Done)
}

/// Ends a node at the destinations.
fn retire_at_all(targets: &[Target], node: &str) -> Result<Outcome, Box<dyn Error>> {
    let node = state::check_node(node)?;
    for target in targets {
        let mut destination = target.open()?;
        let writer = state::random_id()?;
        let is_done = retire::retire(destination.as_mut(), node, &writer, now_ms())
            .map_err(|failure| format!("{target}: {failure}"))?;
        say(match is_done {
            true => format!("{target}: {node} is retired"),
            false => format!("{target}: there is no block of {node}, or it was retired before"),
        });
    }
    Ok(Outcome::Done)
}

/// Compacts the record of a node at the destinations, until nothing is left to do.
fn compact_all(targets: &[Target], node: &str) -> Result<Outcome, Box<dyn Error>> {
    for target in targets {
        let mut destination = target.open()?;
        for stream in Stream::ALL {
            let chain = Chain { node: node.to_owned(), stream };
            loop {
                let done = destination.compact(&chain, now_ms());
                match done.map_err(|failure| format!("{target}: {failure}"))? {
                    Some(done) => say(format_args!("{target}: {done}")),
                    None => break,
                }
            }
        }
    }
    Ok(Outcome::Done)
}

/// Ends the pins of the destinations, and forgets what was noted for them.
fn forget_all(
    state: &State,
    directory: &Path,
    targets: &[Target],
) -> Result<Outcome, Box<dyn Error>> {
    for target in targets {
        let place = state.place(&target.to_string());
        for stream in Stream::ALL {
            Pin::forget(directory, &place.pin_name(), directory::library_stream(stream))?;
        }
        place.forget()?;
        say(format_args!("{target}: forgotten; files are not kept for it any more"));
    }
    Ok(Outcome::Done)
}
