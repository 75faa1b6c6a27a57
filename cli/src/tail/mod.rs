//! `cdrlog tail`: the last lines of a CDR directory, and new ones.

mod backwards;
mod filter;
mod output;
mod pretty;
mod start;

use std::error::Error;
use std::io;
use std::time::Duration;

use cdrlog::Reader;
use cdrlog::reader::{FileKind, ReadError};
use clap::Args;
use jiff::tz::TimeZone;

use super::cdr_path::{self, PathArg};
use super::outcome::{Outcome, say};
use super::print::or_nobody_reads;
use super::time_arg::{TimeArg, times_help};
pub(crate) use filter::Filter;
use output::Output;
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

    /// Print lines as they are, even on a terminal
    #[arg(long, visible_alias = "raw")]
    json: bool,

    #[command(flatten)]
    path: PathArg,
}

impl Tail {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        let since = self.since.map(|since| since.in_zone(&TimeZone::system())).transpose()?;
        let until = self.until.map(|until| until.in_zone(&TimeZone::system())).transpose()?;
        let filter = Filter::new(&self.events, self.session.as_deref(), since, until);
        let path = self.path.into_path();
        let source = Source::new(&path, &cdr_path::metadata(&path)?, FileKind::Cdr)?;
        let count = self.lines.or_else(|| since.is_none().then_some(LINES_DEFAULT));
        let begin = source.start(count, &filter, since, until)?;
        let builder = source.reader(until).follow(self.follow);
        let reader = match begin {
            Some(begin) => builder.begin_at(begin),
            None => builder,
        }
        .open()?;
        let mut lines = Lines {
            reader,
            filter,
            follows: self.follow,
            left: count.filter(|_| !self.follow).unwrap_or(u64::MAX),
            outcome: Outcome::Done,
        };
        match lines.print(&mut Output::new(self.json)) {
            Err(Stop::Write(error)) => or_nobody_reads(Err(error))?,
            Err(Stop::Read(error)) => return Err(error.into()),
            Ok(()) => {}
        }
        Ok(lines.outcome)
    }
}

/// Lines on their way to standard output.
struct Lines {
    reader: Reader,
    filter: Filter,
    follows: bool,
    /// How many lines are still to be printed.
    left: u64,
    outcome: Outcome,
}

/// Why printing stopped early.
enum Stop {
    Read(ReadError),
    Write(io::Error),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Write(error)
    }
}

impl Lines {
    fn print(&mut self, output: &mut Output) -> Result<(), Stop> {
        while self.left > 0 {
            match self.reader.next_line() {
                Ok(Some(line)) => {
                    if line.is_whole() && self.filter.matches(line.bytes()) {
                        output.line(&line)?;
                        self.left -= 1;
                    }
                }
                Ok(None) if self.follows => {
                    output.flush()?;
                    if output.is_closed() {
                        return Ok(());
                    }
                    self.reader.wait(LOOK_INTERVAL);
                }
                Ok(None) => break,
                Err(error) => self.go_on_after(error)?,
            }
        }
        Ok(output.flush()?)
    }

    /// A line that is too long, or a damaged file, does not keep other lines from being printed.
    fn go_on_after(&mut self, error: ReadError) -> Result<(), Stop> {
        self.outcome = Outcome::Failed;
        match &error {
            ReadError::LineTooLong { .. } => {}
            ReadError::Io { action: "open" | "read", .. } => self.reader.skip_file(),
            _ => return Err(Stop::Read(error)),
        }
        say(error);
        Ok(())
    }
}
