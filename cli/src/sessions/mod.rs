//! `cdrlog sessions`: who was in which session for how long, a row each.
//!
//! ```text
//! inputs ─> count ──> ledger (row) ──> spool (packed) ──> export (JSON, CSV), table (text)
//! ```
//!
//! The counting core hands over a record of each participant and session (`count/records.rs`), with
//! what was counted for it, so rows add up to the figures of `stats`. `docs/billing.md` has the
//! rules.

mod clock;
mod export;
mod ledger;
mod packed;
mod row;
mod spool;
mod table;

use std::error::Error;
use std::io::{self, BufWriter, Write};
use std::ops::Range;

use clap::{Args, ValueEnum};
use indicatif::HumanCount;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::json;

use self::clock::Clock;
use self::export::{CsvRows, Final};
pub(crate) use self::ledger::{Filter, Ledger};
pub(crate) use self::row::{Row, RowType};
use self::table::Table;
use super::count::inputs::Inputs;
use super::count::reading;
use super::json_output::{self, ObjectType};
use super::local_time::ZoneOptions;
use super::outcome::{Outcome, say};
use super::places::PathArgs;
use super::print::or_nobody_reads;
use super::time_arg::{TimeArg, period_ms, since_until, times_help};

/// List who was in which session for how long, to bill from
///
/// One row for each participant of each session: joined, left, seconds, what ended it, tracks,
/// egress and recordings. The seconds of all rows add up to the participant-minutes of `stats`. It
/// reads the CDR files of directories, and single files, compressed or not, in the order of the times
/// of their events. Memory grows with the open sessions and the events of the last minutes, not with
/// the files. It knows the events of OpenVidu 2, of LiveKit and OpenVidu 3, and of OpenVidu Meet.
#[derive(Debug, Args)]
#[command(
    after_help = AFTER_HELP,
    mut_arg("utc", |utc| utc.help("Use UTC instead of local time for days and times"))
)]
pub(super) struct Sessions {
    /// What a row is
    #[arg(long, value_enum, default_value = "participant")]
    by: RowOption,

    /// Only rows that ended at this time or later
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<TimeArg>,

    /// Only rows that ended before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<TimeArg>,

    /// Only this session: its name or its unique id
    #[arg(long, value_name = "ID")]
    session: Option<String>,

    /// Only sessions with this name
    #[arg(long, value_name = "NAME")]
    room: Option<String>,

    /// Only rows of days that are closed: nothing that belongs to them can change or come
    #[arg(long)]
    closed: bool,

    /// Print rows and the summary as JSON objects, one on each line
    #[arg(long, conflicts_with = "csv")]
    json: bool,

    /// Print CSV with a header; the columns are always the same
    #[arg(long)]
    csv: bool,

    #[command(flatten)]
    zone: ZoneOptions,

    #[command(flatten)]
    paths: PathArgs,
}

/// What a row is.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum RowOption {
    /// A participant of a session
    Participant,
    /// A session
    Session,
}

const AFTER_HELP: &str = concat!(
    "\
Examples:
  cdrlog sessions --since yesterday --until today
  cdrlog sessions --by session --closed --csv /var/lib/cdrlog > sessions.csv
  cdrlog sessions --room daily --tz Europe/Madrid node1 node2
  cdrlog sessions --since yesterday --until today postgres://cdr@db.example.org/cdr
  cdrlog sessions --json ./cdr | jq -r 'select(.type == \"participant\") | [.session, .seconds] | @tsv'

What ended a row:
  leave         the participant left
  session_end   the session ended; of the participant, no leave came
  inferred      no end came: another session with the name began, or no event came for 24 hours. It
                counts no seconds, because nobody knows how many there were
A row without that is open. What belongs to a session and to none of its participants, such as the
recording of a whole room, is in a row of the session. docs/billing.md has all rules, with examples.

A row belongs to the time at which it ended, also if it began on another day. A day is closed when
every directory has events of more than 5 minutes after it, and nothing that is still open can belong
to it.
",
    times_help!(),
    "

Exit codes: 0 success; 1 a file could not be read, or blocks of a shipped record are missing; 2 usage
error"
);

/// The rows that are printed, and what they add up to.
#[derive(Debug, Default)]
struct Printed {
    rows: u64,
    participants: u64,
    stay_ms: i64,
    recordings: u64,
    recording_bytes: u64,
}

impl Printed {
    fn add(&mut self, row: &Row<'_>) {
        self.rows += 1;
        self.participants += row.participants;
        self.stay_ms = self.stay_ms.saturating_add(row.stay_ms);
        self.recordings += row.usage.recordings.count;
        self.recording_bytes = self.recording_bytes.saturating_add(row.usage.recording_bytes);
    }

    fn minutes(&self) -> f64 {
        self.stay_ms as f64 / 60_000.0
    }
}

/// Which rows are printed, and how.
struct Selection {
    period: Range<i64>,
    zone: TimeZone,
    /// Only closed days.
    closed: bool,
    /// The begin of the first day that is not closed.
    closed_before: Option<i64>,
    /// The latest time of an event, to which open rows belong.
    now: i64,
}

impl Selection {
    fn is_closed(&self, row: &Row<'_>) -> bool {
        let at = row.at();
        at.is_some_and(|at| self.closed_before.is_some_and(|before| at < before))
    }

    fn is_wanted(&self, row: &Row<'_>) -> bool {
        self.period.contains(&row.at().unwrap_or(self.now)) && (!self.closed || self.is_closed(row))
    }

    fn finish<'a>(&self, row: &'a Row<'a>, clock: &'a mut Clock) -> Final<'a> {
        let day = row.at().and_then(|at| clock.date(at)).unwrap_or_default();
        Final { row, day, is_closed: self.is_closed(row) }
    }
}

impl Sessions {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        let zone = self.zone.zone();
        let period = period_ms(since_until(self.since.as_ref(), self.until.as_ref(), &zone)?);
        let of = match self.by {
            RowOption::Participant => RowType::Participant,
            RowOption::Session => RowType::Session,
        };
        let filter = Filter { session: self.session.clone(), room: self.room.clone() };
        let (closed, json, csv) = (self.closed, self.json, self.csv);
        let files = Inputs::of(&self.paths.into_places()?, &period)?;
        reading::say_what_is_odd(&files);
        let reading = reading::read(&files, || Ledger::new(&[of], &filter));
        let (mut ledger, lines_bad, is_incomplete) = reading.end();
        let complete_before = ledger.end(&files);
        let closed_before = complete_before.and_then(|at| begin_of_day(at, &zone));
        let now = ledger.last.unwrap_or_default();
        let selection = Selection { period, zone, closed, closed_before, now };
        say_what_is_uncertain(&ledger);
        if json {
            print_json(&mut ledger, &selection, of, files.files.len(), lines_bad)?;
        } else if csv {
            print_csv(&mut ledger, &selection, of)?;
        } else {
            print_table(&mut ledger, &selection, of)?;
        }
        Ok(if is_incomplete { Outcome::Failed } else { Outcome::Done })
    }
}

fn say_what_is_uncertain(ledger: &Ledger) {
    let unknown = ledger.tracker().events_unknown();
    if unknown > 0 {
        let unknown = HumanCount(unknown);
        say(format_args!(
            "{unknown} events are older than the events around them: they may occur twice, and all \
             of them count"
        ));
    }
}

/// Hands the wanted rows to `print`, and adds them up.
fn print_rows(
    ledger: &mut Ledger,
    selection: &Selection,
    of: RowType,
    mut print: impl FnMut(&Row<'_>) -> io::Result<()>,
) -> Result<Printed, Box<dyn Error>> {
    let mut printed = Printed::default();
    let written = ledger.rows(of, |row| {
        if selection.is_wanted(&row) {
            printed.add(&row);
            print(&row)?;
        }
        Ok::<_, io::Error>(())
    });
    or_nobody_reads(written)?;
    Ok(printed)
}

fn print_json(
    ledger: &mut Ledger,
    selection: &Selection,
    of: RowType,
    files_count: usize,
    lines_bad: u64,
) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(io::stdout().lock());
    let mut clock = Clock::new(selection.zone.clone());
    let printed = print_rows(ledger, selection, of, |row| {
        serde_json::to_writer(&mut out, &selection.finish(row, &mut clock))?;
        out.write_all(b"\n")
    })?;
    let tracker = ledger.tracker();
    let (sessions_open, participants_open) = tracker.open();
    let summary = json!({
        "files_count": files_count,
        "lines": ledger.lines,
        "lines_bad": lines_bad,
        "bytes": ledger.bytes,
        "events_repeated": tracker.events_repeated(),
        "events_not_told_apart": tracker.events_unknown(),
        "first_timestamp": ledger.first,
        "last_timestamp": ledger.last,
        "sessions_open": sessions_open,
        "participants_open": participants_open,
        "rows_count": printed.rows,
        "participants": printed.participants,
        "participant_minutes": printed.minutes(),
        "recordings": printed.recordings,
        "recording_bytes": printed.recording_bytes,
        "closed_before": selection.closed_before,
    });
    let summary = json_output::object("sessions", ObjectType::Summary, summary);
    or_nobody_reads(writeln!(out, "{summary}").and_then(|()| out.flush()))
}

fn print_csv(
    ledger: &mut Ledger,
    selection: &Selection,
    of: RowType,
) -> Result<(), Box<dyn Error>> {
    let out = BufWriter::new(io::stdout().lock());
    let mut csv = CsvRows::new(out, of, selection.zone.clone())?;
    let mut clock = Clock::new(selection.zone.clone());
    print_rows(ledger, selection, of, |row| {
        csv.write(&selection.finish(row, &mut clock)).map_err(export::io_error)
    })?;
    or_nobody_reads(csv.end())
}

fn print_table(
    ledger: &mut Ledger,
    selection: &Selection,
    of: RowType,
) -> Result<(), Box<dyn Error>> {
    let mut table = Table::new(of, selection.zone.clone());
    // The sums are those of this pass: whoever reads the rows may go away before the last one.
    let printed = print_rows(ledger, selection, of, |row| {
        table.measure(row);
        Ok(())
    })?;
    let mut out = BufWriter::new(io::stdout().lock());
    or_nobody_reads(table.write_header(&mut out))?;
    print_rows(ledger, selection, of, |row| table.write(row, &mut out))?;
    or_nobody_reads(out.flush())?;
    drop(out);
    let closed = match selection.closed_before.and_then(|at| day(at, &selection.zone)) {
        Some(day) => format!("every day before {day} is closed"),
        None => "no day is closed".to_owned(),
    };
    let (rows, minutes) = (HumanCount(printed.rows), printed.minutes());
    let noun = if printed.rows == 1 { "row" } else { "rows" };
    say(format_args!("{rows} {noun}, {minutes:.1} participant-minutes; {closed}"));
    Ok(())
}

/// The local date of a time in milliseconds since 1970; `None` if it has none.
pub(crate) fn day(at: i64, zone: &TimeZone) -> Option<String> {
    let time = Timestamp::from_millisecond(at).ok()?.to_zoned_datetime(zone.clone());
    Some(time.strftime("%Y-%m-%d").to_string())
}

/// When the local day of a time begins. Both are in milliseconds since 1970.
pub(crate) fn begin_of_day(at: i64, zone: &TimeZone) -> Option<i64> {
    let time = Timestamp::from_millisecond(at).ok()?.to_zoned_datetime(zone.clone());
    Some(time.start_of_day().ok()?.timestamp().as_millisecond())
}
