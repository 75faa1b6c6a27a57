//! `cdrlog stats`: what a CDR says about sessions, participants and recordings.
//!
//! ```text
//! inputs ─> count ──> tally ──> rows, figures ──> export (JSON, CSV), table (text)
//!           └ rejects ────────────────────────────┘
//! ```
//!
//! To add a figure, start where it is known: a number in an event is read in `count/event_reader`,
//! reported by `count/presence.rs` as a `Count`, and added in `tally.rs`. Its field is in `Figures`
//! or `Report` (`figures.rs`); `export.rs` and `table.rs` print it. `docs/json.md` must list every
//! member, which a test checks, and `docs/operations.md` says what is counted.

mod export;
mod figures;
mod names;
mod period;
mod rejects;
mod rows;
mod table;
mod tally;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::io::{self, IsTerminal};

use clap::Args;
use indicatif::HumanCount;
use rustix::termios::tcgetwinsize;

use self::export::Input;
use self::figures::Report;
use self::period::{By, Divider};
use self::rejects::Rejects;
#[cfg(feature = "serve")]
pub(crate) use self::rejects::record_of;
use self::table::Look;
use self::tally::Tally;
use super::count::Source;
use super::count::ahead::FileLine;
use super::count::inputs::Inputs;
use super::count::line_reader::{LineReader, ReadEvent};
use super::count::reading::{self, LineTaker};
use super::local_time::ZoneOptions;
use super::outcome::{Outcome, say};
use super::places::PathArgs;
use super::print::print;
use super::time_arg::{TimeArg, period_ms, since_until, times_help};

/// Count events, sessions, participants, participant-minutes and recordings
///
/// Reads the CDR files of directories, and single files, compressed or not, in the order of the
/// times of their events. An event that occurs several times counts once. Memory grows with the
/// open sessions and the events of the last minutes, not with the files. It knows the events of
/// OpenVidu 2, of LiveKit and OpenVidu 3, and of OpenVidu Meet.
#[derive(Debug, Args)]
#[command(
    after_help = AFTER_HELP,
    mut_arg("utc", |utc| utc.help("Use UTC instead of local time for days and hours"))
)]
pub(super) struct Stats {
    /// Add a row for each local day or hour
    #[arg(long, value_enum, value_name = "day|hour")]
    by: Option<By>,

    /// Count from this time on
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<TimeArg>,

    /// Count up to this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<TimeArg>,

    /// Print one JSON object
    #[arg(long, conflicts_with = "csv")]
    json: bool,

    /// Print CSV with a header; the columns are always the same
    #[arg(long)]
    csv: bool,

    #[command(flatten)]
    zone: ZoneOptions,

    /// Exit with 1 if a line is not an event
    #[arg(long)]
    strict: bool,

    #[command(flatten)]
    paths: PathArgs,
}

const AFTER_HELP: &str = concat!(
    "\
Examples:
  cdrlog stats /opt/openvidu/cdr
  cdrlog stats --by day --since 30d
  cdrlog stats --by hour --csv CDR.2026-11-23_00-00-00.log.zst > hours.csv
  cdrlog stats --json ./cdr | jq .participant_minutes
  cdrlog stats --since yesterday --until today s3://bucket/cdr

What is counted:
  events               lines, at their own time; a line without a time counts at the time of the
                       line before
  sessions             sessions that started, when they started (sessionCreated, room_started,
                       meetingStarted)
  participants         participants that joined, when they joined
  participant-minutes  `duration` of participantLeft, else end minus start, when the participant
                       left; if the end is missing, up to the end of the session
  recordings           recordings with files (status ready, egress_ended with files) and their
                       bytes, when they were complete
  peaks                most sessions and participants at one time, by the times of the events
  rejected bodies      records of the rejects files of directories, by reason
If the start of a session or participant is missing, the start time in its last event is used. If \
that is before the first line, or missing too, it counts only in the peaks. A session without an \
event for 24 hours counts as over: its server died. --since and --until select what is counted; \
earlier lines are read too, but of shipped records only those of an hour before. \
Two events of sessions are the same event if kind, session, participant and time are equal; two other \
events, if their lines are equal. Events may be up to 5 minutes late; a message says how many events \
could not be compared.
",
    times_help!(),
    "

A line that is not an event is counted, and reported on standard error; with --strict the exit code \
is 1.

Exit codes: 0 success; 1 a file could not be read, blocks of a shipped record are missing, or a bad \
line with --strict; 2 usage error"
);

impl Stats {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        let zone = self.zone.zone();
        let period = period_ms(since_until(self.since.as_ref(), self.until.as_ref(), &zone)?);
        let divider = Divider { by: self.by, zone };
        let files = Inputs::of(&self.paths.into_places()?, &period)?;
        reading::say_what_is_odd(&files);
        let mut reading = reading::read(&files, || Tally::new(divider.clone(), period.clone()));
        let rejects = Rejects::read(&files, &period, &mut reading);
        let (tally, lines_bad, is_incomplete) = reading.end();
        let report = tally.end();
        let input = Input {
            files_count: files.files.len(),
            files_repeated: files.repeated.len(),
            lines_bad,
            rejects,
        };
        say_what_is_uncertain(&report);
        let text = if self.json {
            format!("{}\n", export::json(&report, &divider, &input)).into_bytes()
        } else if self.csv {
            export::csv(&report, &divider)?
        } else {
            table::render(&report, &input.rejects, &divider, look()).into_bytes()
        };
        print(&text)?;
        Ok(if is_incomplete || self.strict && lines_bad > 0 {
            Outcome::Failed
        } else {
            Outcome::Done
        })
    }
}

fn say_what_is_uncertain(report: &Report) {
    if report.events_unknown > 0 {
        say(format_args!(
            "{} events are older than the events around them: they may occur twice, and all of \
             them count",
            HumanCount(report.events_unknown)
        ));
    }
}

/// Bars on terminals only, and colours unless they are turned off.
fn look() -> Look {
    let columns = tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    // A terminal that does not report its width is assumed to be wide enough.
    let columns = if columns == 0 { usize::MAX } else { columns };
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    match io::stdout().is_terminal() {
        false => Look::Plain,
        true if is_set("NO_COLOR") || is_dumb => Look::Bars { columns },
        true => Look::Colours { columns },
    }
}

impl LineTaker for Tally {
    fn reader(&self) -> LineReader {
        self.reader()
    }

    fn take(
        &mut self,
        line: FileLine<'_>,
        event: Option<ReadEvent>,
        source: Source,
        before: Option<i64>,
    ) {
        self.take(line.bytes, event, source, before);
    }

    fn advance(&mut self, watermark: i64) {
        self.advance(watermark);
    }
}
