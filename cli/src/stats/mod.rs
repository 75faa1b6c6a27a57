//! `cdrlog stats`: what a CDR says about sessions, participants and recordings.

mod event;
mod export;
mod line;
mod period;
mod presence;
mod table;
mod tally;
#[cfg(test)]
mod tests;

use std::error::Error;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use cdrlog::LineFault;
use cdrlog::reader::{FileKind, Line, ReadError, Reader, cdr_files};
use clap::Args;
use indicatif::HumanCount;
use jiff::tz::TimeZone;
use rustix::termios::tcgetwinsize;

use self::period::{By, Divider};
use self::table::Look;
use self::tally::Tally;
use super::outcome::{Outcome, say};
use super::place;
use super::print::print;
use super::progress::Progress;
use super::when::{When, times_help};

/// How many bad lines are named; the rest is counted.
const BAD_LINES_NAMED: u64 = 10;

/// Count events, sessions, participants, participant-minutes and recordings
///
/// Reads the CDR files of directories, the oldest first, and single files, compressed or not, and
/// needs memory for the sessions that are open at one time only. Events are those of OpenVidu 2,
/// of LiveKit and OpenVidu 3, and of OpenVidu Meet.
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP)]
pub(super) struct Stats {
    /// Divide the figures by local day or hour
    #[arg(long, value_enum, value_name = "day|hour")]
    by: Option<By>,

    /// Count from this time on
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<When>,

    /// Count up to this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<When>,

    /// Print one JSON object
    #[arg(long, conflicts_with = "csv")]
    json: bool,

    /// Print CSV with a heading
    #[arg(long)]
    csv: bool,

    /// Days and hours in UTC instead of local time
    #[arg(long)]
    utc: bool,

    /// Fail where a line is no event
    #[arg(long)]
    strict: bool,

    /// Directories of a CDR, and files
    #[arg(value_name = "DIR|FILE", env = "OPENVIDU_CDR_PATH", default_value = "/opt/openvidu/cdr")]
    paths: Vec<PathBuf>,
}

const AFTER_HELP: &str = concat!(
    "\
Examples:
  cdrlog stats /opt/openvidu/cdr
  cdrlog stats --by day --since 30d
  cdrlog stats --by hour --csv CDR.2026-11-23_00-00-00.log.zst > hours.csv
  cdrlog stats --json ./cdr | jq .participant_minutes

What the figures are:
  events               lines, at their own time; one without a time has that of the line before
  sessions             sessions that began, at their beginning (sessionCreated, room_started,
                       meetingStarted)
  participants         participants that joined, when they joined
  participant-minutes  by `duration` of participantLeft, else by its times, when they left; of one
                       whose leaving is missing, up to the end of its session, at that end
  recordings           files that were recorded (status ready, egress_ended with files), when they
                       were complete, and their bytes
  peaks                the most at one time
Where the beginning of a session or participant is missing, the start time in its end is its
beginning; where that is before the first line or missing too, it is counted in the peaks only.
A session of which nothing is heard for 24 hours has ended without an end (a server that died).
--since and --until choose what is counted; what was before is still followed.
",
    times_help!(),
    "

A line that is no event is counted and named on standard error; --strict makes it a failure.

Exit codes: 0 all went well, 1 a file could not be read, or --strict and a bad line; 2 wrong usage"
);

impl Stats {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        let zone = if self.utc { TimeZone::UTC } else { TimeZone::system() };
        let time = |when: &Option<When>, otherwise| {
            let time = when.as_ref().map(|when| when.in_zone(&zone)).transpose();
            time.map(|time| time.map_or(otherwise, |time| time.as_millisecond()))
        };
        let period = time(&self.since, i64::MIN)?..time(&self.until, i64::MAX)?;
        let divider = Divider { by: self.by, zone };
        let sources = sources(&self.paths)?;
        let mut reading = Reading::new(Tally::new(divider.clone(), period), &sources);
        for source in &sources {
            reading.read(source);
        }
        let Reading { tally, progress, lines_bad, is_incomplete, .. } = reading;
        progress.end();
        if lines_bad > BAD_LINES_NAMED {
            say(format_args!("{} lines are no events", HumanCount(lines_bad)));
        }
        let report = tally.end();
        let files: usize = sources.iter().map(|source| source.files).sum();
        let text = if self.json {
            format!("{}\n", export::json(&report, &divider, files, lines_bad))
        } else if self.csv {
            export::csv(&report, &divider)
        } else {
            table::render(&report, &divider, look())
        };
        print(&text)?;
        Ok(if is_incomplete || self.strict && lines_bad > 0 {
            Outcome::Failed
        } else {
            Outcome::Done
        })
    }
}

/// Bars are for eyes, colours for those who did not ask to have none.
fn look() -> Look {
    let columns = tcgetwinsize(io::stdout()).map_or(0, |size| usize::from(size.ws_col));
    // A terminal that does not say how wide it is is believed to have room.
    let columns = if columns == 0 { usize::MAX } else { columns };
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    match io::stdout().is_terminal() {
        false => Look::Plain,
        true if is_set("NO_COLOR") || is_dumb => Look::Bars { columns },
        true => Look::Colours { columns },
    }
}

/// A directory or a file of the command line.
struct Source<'a> {
    path: &'a Path,
    is_directory: bool,
    files: usize,
    /// Bytes on the disk; `None` where some are compressed.
    bytes: Option<u64>,
}

/// Looks at everything before the first line is read, so that a typing error shows at once.
fn sources(paths: &[PathBuf]) -> Result<Vec<Source<'_>>, Box<dyn Error>> {
    let source = |path: &'_ PathBuf| -> Result<(bool, usize, Option<u64>), Box<dyn Error>> {
        let metadata = place::metadata(path)?;
        if !metadata.is_dir() {
            let is_compressed = path.extension().is_some_and(|end| end == "zst" || end == "gz");
            return Ok((
                false,
                1,
                (metadata.is_file() && !is_compressed).then_some(metadata.len()),
            ));
        }
        let files = cdr_files(path)?;
        let files: Vec<_> = files.iter().filter(|file| file.kind == FileKind::Cdr).collect();
        if files.is_empty() {
            say(format_args!("{} has no CDR files", path.display()));
        }
        let is_plain = files.iter().all(|file| file.encoding == cdrlog::reader::Encoding::Plain);
        let bytes = files.iter().map(|file| file.bytes).sum();
        Ok((true, files.len(), is_plain.then_some(bytes)))
    };
    let found = paths.iter().map(|path| {
        source(path).map(|(is_directory, files, bytes)| Source { path, is_directory, files, bytes })
    });
    found.collect()
}

/// Reads the sources one after the other.
struct Reading {
    tally: Tally,
    progress: Progress,
    lines_bad: u64,
    /// A file could not be read to its end.
    is_incomplete: bool,
}

impl Reading {
    fn new(tally: Tally, sources: &[Source<'_>]) -> Self {
        let bytes_total = sources.iter().map(|source| source.bytes).sum();
        let progress = Progress::new(bytes_total);
        Self { tally, progress, lines_bad: 0, is_incomplete: false }
    }

    fn read(&mut self, source: &Source<'_>) {
        let reader = if source.is_directory {
            Reader::builder(source.path).open()
        } else {
            Reader::of_files([source.path]).open()
        };
        match reader {
            Ok(mut reader) => self.read_lines(&mut reader),
            Err(error) => self.fail(&error),
        }
    }

    fn read_lines(&mut self, reader: &mut Reader) {
        loop {
            let error = match reader.next_lines() {
                Ok(Some(lines)) => {
                    for line in lines.iter() {
                        self.take(line);
                    }
                    self.progress.add(lines.bytes().len() as u64);
                    continue;
                }
                Ok(None) => return,
                Err(error) => error,
            };
            self.fail(&error);
            if !matches!(error, ReadError::LineTooLong { .. }) {
                // A compressed file was given up by the reader; a plain one is given up here,
                // where it would be tried for ever.
                reader.skip_file();
            }
        }
    }

    #[inline]
    fn take(&mut self, line: Line<'_>) {
        if let Err(fault) = self.tally.take(line.bytes_with_end()) {
            self.note_bad(line, fault);
        }
    }

    #[cold]
    fn note_bad(&mut self, line: Line<'_>, fault: LineFault) {
        self.lines_bad += 1;
        if self.lines_bad <= BAD_LINES_NAMED {
            let at = line.offset() + fault.offset as u64;
            let path = line.path().display();
            let message = format_args!("{path}: byte {at}: no event: {}", fault.reason);
            self.progress.suspend(|| say(message));
        }
    }

    fn fail(&mut self, error: &ReadError) {
        self.is_incomplete = true;
        self.progress.suspend(|| say(error));
    }
}
