//! `cdrlog tail`: the last lines of a CDR directory, and new ones.

mod backwards;
mod filter;
mod output;
mod pretty;
#[cfg(feature = "ship")]
mod record;
mod start;

use std::error::Error;
use std::fmt::{self, Display};
use std::io;
use std::path::Path;
use std::time::Duration;

use cdrlog::Reader;
use cdrlog::reader::{FileKind, Line, ReadError};
use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::cdr_path;
use super::outcome::{Outcome, say};
use super::places::{self, PathArg};
use super::print::or_nobody_reads;
#[cfg(feature = "ship")]
use super::time_arg::period_ms;
use super::time_arg::{TimeArg, since_until, times_help};
pub(crate) use filter::Filter;
use output::Output;
#[cfg(feature = "ship")]
use record::RecordSource;
pub(crate) use start::Source;

/// The default number of lines.
const LINES_DEFAULT: u64 = 10;

/// How often to check whether anybody still reads the output.
const LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// Print the last lines of the CDR, and follow it
///
/// On a terminal each line shows its local time, the event, the session and the other members.
/// Otherwise lines are printed as they are, byte for byte, as JSON Lines. Only whole lines are
/// printed: a line that is still being written is printed when it is complete.
#[derive(Debug, Args)]
#[command(after_help = concat!("\
Examples:
  cdrlog tail -f
  cdrlog tail -n 100 --event participantJoined --event participantLeft ./cdr
  cdrlog tail --since '2 hours' --session ses_Jd8tUyvhXO ./cdr
  cdrlog tail --since yesterday --until today ./cdr
  cdrlog tail -f ./cdr | jq -r 'keys[0]'
  cdrlog tail -f --node media-1 s3://bucket/cdr

", times_help!(), "
It is compared with the timestamp of the event.

Exit codes: 0 success; 1 something could not be read; 2 usage error"))]
pub(super) struct Tail {
    /// Also print new lines, across rotations, until Ctrl-C
    #[arg(short, long)]
    follow: bool,

    /// The last N matching lines [default: 10; all with --since]
    #[arg(short = 'n', long = "lines", value_name = "N")]
    lines: Option<u64>,

    /// Only events of this name; may be given several times
    #[arg(long = "event", value_name = "NAME")]
    events: Vec<String>,

    /// Only events of this session
    #[arg(long, value_name = "ID")]
    session: Option<String>,

    /// Only events from this time on
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<TimeArg>,

    /// Only events before this time; new lines are not read
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, conflicts_with = "follow")]
    until: Option<TimeArg>,

    /// The rejected bodies instead
    #[arg(long, conflicts_with_all = ["events", "session", "since", "until"])]
    rejects: bool,

    /// Print lines as they are, even on a terminal
    #[arg(long, visible_alias = "raw")]
    json: bool,

    #[command(flatten)]
    path: PathArg,
}

impl Tail {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        let (since, until) =
            since_until(self.since.as_ref(), self.until.as_ref(), &TimeZone::system())?;
        let filter = Filter::new(&self.events, self.session.as_deref(), since, until);
        let count = self.lines.or_else(|| since.is_none().then_some(LINES_DEFAULT));
        #[cfg_attr(
            not(feature = "ship"),
            expect(unused_variables, reason = "records need the feature")
        )]
        let (path, nodes) = self.path.into_parts()?;
        let kind = if self.rejects { FileKind::Rejects } else { FileKind::Cdr };
        let wanted = Wanted { kind, filter, count, since, until, follows: self.follow };
        let mut output = Output::new(self.json);
        match places::record_address(&path) {
            #[cfg(feature = "ship")]
            Some(address) => {
                let target = places::record_target(address)?;
                let period = period_ms((since, until));
                let selection = nodes.selection(&period);
                let source = RecordSource::open(&target, &selection, &wanted);
                let source = source.map_err(|failure| format!("{target}: {failure}"))?;
                print(source, &wanted, &mut output)
            }
            #[cfg(not(feature = "ship"))]
            Some(_) => Err(places::RECORDS_NEED_SHIP.into()),
            None => print(directory_source(&path, &wanted)?, &wanted, &mut output),
        }
    }
}

/// Which lines are printed.
struct Wanted {
    kind: FileKind,
    filter: Filter,
    /// The last ones; all if it is `None`.
    count: Option<u64>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    follows: bool,
}

/// Where lines come from, from the first wanted one on.
trait LineSource {
    /// The next line; `None` at the end, and while following if there is none yet.
    fn next_line(&mut self) -> Result<Option<Line<'_>>, Stop>;

    /// Waits for more, or for a moment.
    fn wait(&mut self) -> Result<(), Stop>;

    /// Whether to go on after an error, which was not told yet.
    fn goes_on_after(&mut self, error: &Stop) -> bool;

    /// What is to be told of what was read, and whether something was wrong with it.
    fn tell(&mut self) -> Outcome;
}

impl LineSource for Reader {
    fn next_line(&mut self) -> Result<Option<Line<'_>>, Stop> {
        Ok(Self::next_line(self)?)
    }

    fn wait(&mut self) -> Result<(), Stop> {
        Self::wait(self, LOOK_INTERVAL);
        Ok(())
    }

    /// A line that is too long, or a damaged file, does not keep other lines from being printed.
    fn goes_on_after(&mut self, error: &Stop) -> bool {
        match error {
            Stop::Read(ReadError::LineTooLong { .. }) => {}
            Stop::Read(ReadError::Io { action: "open" | "read", .. }) => self.skip_file(),
            _ => return false,
        }
        true
    }

    fn tell(&mut self) -> Outcome {
        Outcome::Done
    }
}

/// The files of a directory, or one file.
fn directory_source(path: &Path, wanted: &Wanted) -> Result<Reader, Box<dyn Error>> {
    let Wanted { kind, filter, count, since, until, follows } = wanted;
    let source = Source::new(path, &cdr_path::metadata(path)?, *kind, *until)?;
    let begin = source.start(*count, filter, *since)?;
    let builder = source.reader().follow(*follows);
    Ok(match begin {
        Some(begin) => builder.begin_at(begin),
        None => builder,
    }
    .open()?)
}

/// Why printing stopped early.
enum Stop {
    Read(ReadError),
    #[cfg(feature = "ship")]
    Record(crate::ship::Failure),
    Write(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl From<ReadError> for Stop {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

#[cfg(feature = "ship")]
impl From<crate::ship::Failure> for Stop {
    fn from(failure: crate::ship::Failure) -> Self {
        Self::Record(failure)
    }
}

impl Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => error.fmt(f),
            #[cfg(feature = "ship")]
            Self::Record(failure) => failure.fmt(f),
            Self::Write(error) => error.fmt(f),
        }
    }
}

/// Prints the wanted lines of a source.
fn print(
    mut source: impl LineSource,
    wanted: &Wanted,
    output: &mut Output,
) -> Result<Outcome, Box<dyn Error>> {
    let mut outcome = Outcome::Done;
    match print_lines(&mut source, wanted, output, &mut outcome) {
        Err(Stop::Write(error)) => or_nobody_reads(Err(error))?,
        Err(error) => return Err(error.to_string().into()),
        Ok(()) => {}
    }
    let told = source.tell();
    Ok(if outcome == Outcome::Done { told } else { outcome })
}

fn print_lines(
    source: &mut impl LineSource,
    wanted: &Wanted,
    output: &mut Output,
    outcome: &mut Outcome,
) -> Result<(), Stop> {
    let mut left = wanted.count.filter(|_| !wanted.follows).unwrap_or(u64::MAX);
    while left > 0 {
        match source.next_line() {
            Ok(Some(line)) => {
                if line.is_whole() && wanted.filter.matches(line.bytes()) {
                    output.line(&line)?;
                    left -= 1;
                }
            }
            Ok(None) if wanted.follows => {
                output.flush()?;
                if output.is_closed() {
                    return Ok(());
                }
                source.wait()?;
            }
            Ok(None) => break,
            Err(error) => {
                if !source.goes_on_after(&error) {
                    return Err(error);
                }
                *outcome = Outcome::Failed;
                say(error);
            }
        }
    }
    Ok(output.flush()?)
}
