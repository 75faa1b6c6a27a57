//! `cdrlog export`: the CDR as Parquet files, for SQL.
//!
//! ```text
//! files, chains ──> events (ranges) ──────────┐
//! files, chains ──> count ──> sessions, rows ─┴─> table_file, parquet_file ──> target
//! ```
//!
//! `columns.rs` has the tables, `target.rs` how files get their names, and `ranges.rs` what was
//! exported already. `docs/sql.md` documents the columns.

#[cfg(feature = "ship")]
mod chains;
mod columns;
mod days;
mod events;
mod fields;
mod parquet_file;
mod ranges;
mod rows;
mod table_file;
mod target;

use std::error::Error;
use std::fs;
use std::num::NonZero;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::thread::{self, ScopedJoinHandle};
use std::time::Duration;

use clap::Args;
use indicatif::HumanCount;
use jiff::tz::TimeZone;
use serde_json::json;

use self::columns::FORMAT;
use self::days::Days;
use self::events::{EventFiles, Exported};
use self::target::{Description, Target};
use super::cdr_path;
use super::count::inputs::Inputs;
use super::count::reading;
use super::json_output::{self, ObjectType};
use super::local_time::zone_of_name;
use super::outcome::{Outcome, say};
use super::places::{self, DirArgs, Places};
use super::print::print;
use super::progress::Progress;
use super::sessions::{Filter, Ledger, RowType, begin_of_day, day};

/// Threads that export events, each with files of its own: more would take too much memory.
const THREADS_MAX: usize = 4;

/// How often it looks whether they have ended.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// Export events and sessions as Parquet files, to query them with SQL
///
/// Writes three tables to a directory, with a directory for each day: `events` has every line of the
/// CDR, `participants` and `sessions` have the rows of `cdrlog sessions`. Files are only added, and
/// what was exported before is not exported again, also if a run was killed: run it as often as you
/// like. Participants and sessions of a day are exported once, when the day is closed. Reads directories
/// and shipped records. docs/sql.md has the columns and queries.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Export {
    /// The directory of the Parquet files; created if it does not exist
    #[arg(long, value_name = "DIR_OUT")]
    parquet: PathBuf,

    /// The time zone of the days, such as Europe/Madrid: the same in every run
    #[arg(long, value_name = "ZONE", default_value = "UTC", value_parser = zone_of_name)]
    tz: TimeZone,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    paths: DirArgs,
}

const AFTER_HELP: &str = "\
Examples:
  cdrlog export --parquet /srv/cdr-parquet /var/lib/cdrlog
  cdrlog export --parquet /srv/cdr-parquet s3://bucket/cdr
  duckdb -c \"SELECT event, count(*) FROM '/srv/cdr-parquet/events/*/*.parquet' GROUP BY ALL\"

Exit codes: 0 success; 1 something could not be read or written; 2 usage error";

impl Export {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        let Self { parquet, tz: zone, json, paths } = self;
        let sources = sources(paths.into_places()?)?;
        // Before the rows: then they have every block that the events have, and tell what is wrong.
        #[cfg(feature = "ship")]
        let chains = chains::open(&sources.addresses, &sources.places)?;
        let files = Inputs::of(&sources.places, &(i64::MIN..i64::MAX))?;
        reading::say_what_is_odd(&files);
        let target = Target::open(&parquet, &description(&sources, &zone))?;
        let events = EventFiles::new(
            &target,
            Days::new(zone.clone()),
            &sources.directories,
            #[cfg(feature = "ship")]
            chains,
        )?;
        // Both read the whole CDR, the ledger also what was exported before.
        let (mut exported, reading) = thread::scope(|scope| {
            let processors = thread::available_parallelism().map_or(1, NonZero::get);
            let threads = 0..processors.min(THREADS_MAX);
            let threads: Vec<_> = threads.map(|_| scope.spawn(|| events.export())).collect();
            let kinds = [RowType::Participant, RowType::Session];
            let reading = reading::read(&files, || Ledger::new(&kinds, &Filter::default())).end();
            Ok::<_, String>((join(threads, &events)?, reading))
        })?;
        let (mut ledger, _, is_incomplete) = reading;
        exported.is_incomplete |= is_incomplete;
        let closed_before = ledger.end(&files).and_then(|at| begin_of_day(at, &zone));
        // Without all lines, a day is not known to be complete.
        if !exported.is_incomplete {
            exported.files_created += rows::export(&target, &mut ledger, closed_before, &zone)?;
        }
        if json {
            print(format!("{}\n", object(&exported, closed_before)))?;
        } else {
            let day = closed_before.and_then(|at| day(at, &zone));
            say(sentence(&exported, &parquet, day.as_deref()));
        }
        Ok(if exported.is_incomplete { Outcome::Failed } else { Outcome::Done })
    }
}

/// Waits for the threads that export events.
fn join(
    threads: Vec<ScopedJoinHandle<'_, Result<Exported, String>>>,
    events: &EventFiles<'_>,
) -> Result<Exported, String> {
    let (mut progress, mut shown) = (Progress::new(None), 0);
    while threads.iter().any(|thread| !thread.is_finished()) {
        let bytes = events.bytes();
        progress.add(bytes - std::mem::replace(&mut shown, bytes));
        thread::sleep(LOOK_INTERVAL);
    }
    progress.end();
    let mut exported = Exported::default();
    for thread in threads {
        exported.add(&thread.join().unwrap_or_else(|panic| resume_unwind(panic))?);
    }
    Ok(exported)
}

/// What is exported, each once and in order.
struct Sources {
    /// By their full paths.
    directories: Vec<PathBuf>,
    /// Of shipped records.
    addresses: Vec<String>,
    /// All of these.
    places: Places,
}

fn sources(mut places: Places) -> Result<Sources, Box<dyn Error>> {
    let (mut directories, mut addresses) = (Vec::new(), Vec::new());
    for path in &places.paths {
        if let Some(address) = places::record_address(path) {
            addresses.push(places::full_address(address)?);
            continue;
        }
        cdr_path::check_directory(path)?;
        let full = fs::canonicalize(path);
        directories.push(full.map_err(|error| format!("cannot use {}: {error}", path.display()))?);
    }
    directories.sort();
    directories.dedup();
    addresses.sort();
    addresses.dedup();
    let all = directories.iter().cloned().chain(addresses.iter().map(PathBuf::from));
    places.paths = all.collect();
    Ok(Sources { directories, addresses, places })
}

fn description(sources: &Sources, zone: &TimeZone) -> Description {
    let Sources { directories, addresses, places } = sources;
    let zone = zone.iana_name().unwrap_or_default().to_owned();
    let paths = directories.iter().map(|path| path.display().to_string());
    let directories = paths.chain(addresses.iter().cloned()).collect();
    Description { format: FORMAT, zone, directories, nodes: places.node_names() }
}

fn object(exported: &Exported, closed_before: Option<i64>) -> serde_json::Value {
    let Exported { files_created, lines, lines_bad, bytes, .. } = *exported;
    let members = json!({
        "files_created": files_created,
        "lines": lines,
        "lines_bad": lines_bad,
        "bytes": bytes,
        "closed_before": closed_before,
    });
    json_output::object("export", ObjectType::Summary, members)
}

fn sentence(exported: &Exported, target: &std::path::Path, day: Option<&str>) -> String {
    let closed = match day {
        Some(day) => format!("sessions of every day before {day} are there"),
        None => "no day of sessions is closed".to_owned(),
    };
    format!(
        "{} new lines, {} new files in {}; {closed}",
        HumanCount(exported.lines),
        HumanCount(exported.files_created),
        target.display()
    )
}
