//! `cdrlog append`: bodies from files or standard input into the CDR of a directory.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};

use cdrlog::{
    Appender, CloseError, FlushError, Notice, OpenError, Producer, SendError, Stats, SyncPolicy,
};
use clap::{Args, ValueEnum};

use super::bodies::Bodies;
use super::cdr_path::{DirOption, STATE_DIR_NAME};
use super::file_options::FileOptions;
use super::opening;
use super::outcome::{Outcome, say};
use super::print::print;
use super::progress::Progress;
use super::sighup::rotating_on_sighup;
use super::summary::{FileRange, Summary};
use super::units::{Seconds, Size, units_help};

/// An event must fit into a segment of the journal, which has at most 1 GiB.
const EVENT_BYTES_LIMIT: u64 = 1 << 30;

/// Append webhook bodies, one per line, to the CDR of a directory
///
/// The directory is created if it does not exist. A body that is not an event goes to the rejects
/// file of the directory, whole and with the reason, and the exit code is 3. Empty lines are
/// skipped. If a run is killed, the next run on the directory writes what it left.
///
/// A sealed file gets no more lines. The program lists sealed files in .cdrlog/manifest.jsonl with
/// a hash, compresses them with --compress, and removes the oldest ones. The next run seals the
/// file of this run. SIGHUP seals it too, and starts a new one.
#[derive(Debug, Args)]
#[command(after_help = concat!("\
Examples:
  cdrlog append --dir ./cdr webhooks.jsonl
  curl -s https://example.org/events | cdrlog append --dir ./cdr
  cdrlog append --dir ./cdr --json old/*.jsonl | jq .lines
  cdrlog append --compress zstd --rotate-bytes 100M --retention-days 90 <events.fifo

", units_help!(), "

Exit codes: 0 success; 1 failure, or all bodies were taken and the summary of --json could not be \
written: standard error says which; 2 usage error; 3 some bodies were rejected"))]
pub(super) struct Append {
    #[command(flatten)]
    directory: DirOption,

    /// Print the summary as one JSON object on standard output
    #[arg(long)]
    json: bool,

    /// When to sync lines to the disk, so that they survive a power loss
    #[arg(
        long,
        value_enum,
        value_name = "WHEN",
        default_value_t = Sync::Interval,
        env = "CDRLOG_SYNC"
    )]
    sync: Sync,

    /// How long to retry failed writes, for example on a full disk; a number without a unit is
    /// seconds
    #[arg(
        long,
        value_name = "DURATION",
        alias = "patience",
        default_value = "10s",
        allow_negative_numbers = true,
        env = "CDRLOG_WRITE_RETRY_TIMEOUT"
    )]
    write_retry_timeout: Seconds,

    /// The largest allowed body, from 1 byte to 1 GiB; a larger body is rejected
    #[arg(
        long,
        value_name = "SIZE",
        default_value = "1MiB",
        value_parser = event_bytes_max,
        allow_negative_numbers = true,
        env = "CDRLOG_EVENT_BYTES_MAX"
    )]
    event_bytes_max: usize,

    /// Files of bodies, one body per line; - is standard input [default: -]
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    file_options: FileOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Sync {
    /// Never; the kernel writes them to the disk within about 30 seconds
    Never,
    /// Every second, and at the end
    Interval,
    /// After every write
    Always,
}

impl Sync {
    pub(super) fn policy(self) -> SyncPolicy {
        match self {
            Self::Never => SyncPolicy::Never,
            Self::Interval => SyncPolicy::default(),
            Self::Always => SyncPolicy::Always,
        }
    }
}

/// Why reading and sending stopped early.
enum Stop {
    Read(io::Error),
    Closed,
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

impl From<SendError> for Stop {
    fn from(_: SendError) -> Self {
        Self::Closed
    }
}

impl Append {
    pub(super) fn run(mut self) -> Result<Outcome, Box<dyn Error>> {
        if self.files.is_empty() {
            self.files.push(PathBuf::from("-"));
        }
        // Before anything is appended, so that the same command can be repeated once the file
        // exists.
        let bytes_total = total_bytes(&self.files)?;
        let appender = self.open()?;
        if !appender.recovery().is_nothing() {
            say(appender.recovery());
        }
        let (first, first_rejects) = (appender.cdr_path(), appender.rejects_path());
        let mut progress = Progress::new(bytes_total);
        let stop = rotating_on_sighup(&appender, || {
            let stop = self.append_files(&appender.producer(), &mut progress).err();
            // A run may be too short for the maintenance thread. The close returns the error of the
            // flush again, and the callback reports failures of the maintenance.
            let _ = appender.flush();
            let _ = appender.wait_for_maintenance();
            stop
        })?;
        let cdr = FileRange { first, last: appender.cdr_path() };
        let rejects = FileRange { first: first_rejects, last: appender.rejects_path() };
        let closed = appender.close();
        let (bytes, elapsed) = progress.end();
        let stats = *closed.as_ref().unwrap_or_else(CloseError::stats);
        let summary = Summary::new(&stats, bytes, elapsed, cdr, rejects);
        self.report(&summary, stop, closed)
    }

    fn open(&self) -> Result<Appender, Box<dyn Error>> {
        if let Some(fault) = self.file_options.local_time_fault() {
            say(fault);
        }
        let Seconds(timeout) = self.write_retry_timeout;
        let builder = Appender::builder(&self.directory.dir)
            .event_bytes_max(self.event_bytes_max)
            .segment_bytes(self.event_bytes_max.max(1 << 20))
            .sync_policy(self.sync.policy())
            .write_retry_timeout(timeout)
            .close_timeout(timeout)
            .on_notice(tell);
        opening::open(&self.file_options.apply(builder)).map_err(|error| match &error {
            OpenError::Io { action: "create directory", .. } => {
                format!("{error}; --dir or OPENVIDU_CDR_PATH names another one").into()
            }
            _ => error.into(),
        })
    }

    fn append_files(
        &self,
        producer: &Producer,
        progress: &mut Progress,
    ) -> Result<(), (PathBuf, Stop)> {
        for path in &self.files {
            append_file(path, self.event_bytes_max, producer, progress)
                .map_err(|stop| (path.clone(), stop))?;
        }
        Ok(())
    }

    fn report(
        &self,
        summary: &Summary,
        stop: Option<(PathBuf, Stop)>,
        closed: Result<Stats, CloseError>,
    ) -> Result<Outcome, Box<dyn Error>> {
        let mut outcome = Outcome::Done;
        let all_sent = !matches!(&stop, Some((_, Stop::Closed)));
        say(summary);
        if summary.rejected > 0 {
            outcome = Outcome::SomeRejected;
            let of = summary.taken();
            say(format_args!(
                "{} of {of} bodies were rejected; see {}",
                summary.rejected, summary.rejects
            ));
        }
        if let Some((path, Stop::Read(error))) = stop {
            outcome = Outcome::Failed;
            say(format_args!(
                "cannot read {}: {error}; the bodies before it were appended",
                display(&path)
            ));
        }
        if let Err(error) = closed {
            outcome = Outcome::Failed;
            say(&error);
            say(self.what_is_left(summary, &error, all_sent));
        }
        if self.json
            && let Err(error) = print(format!("{}\n", summary.json()))
        {
            // If a failed run is simply repeated, everything is in the CDR twice.
            return Err(match outcome {
                Outcome::Failed => error,
                _ => format!(
                    "{error}; all {} bodies were taken, do not give them again",
                    summary.taken()
                )
                .into(),
            });
        }
        Ok(outcome)
    }

    /// Where everything is after a failed write or sync, as far as it is known.
    fn what_is_left(&self, summary: &Summary, error: &CloseError, all_sent: bool) -> String {
        let taken = summary.taken();
        let journal = self.directory.dir.join(STATE_DIR_NAME);
        let is_all = all_sent && error.events().is_empty();
        if !error.journal_is_in_place() {
            let which = if is_all { "all" } else { "the first" };
            return format!(
                "{which} {taken} bodies were taken, but {} was moved or removed: if it was moved, run \
                 cdrlog on its new path, which writes what is missing{}; if it was removed, what was \
                 in it is lost: give all bodies again",
                journal.display(),
                if is_all { "" } else { ", and give the bodies after them again" }
            );
        }
        let safety = match error.sync_failure() {
            Some(_) => format!(
                "; but lines since the last successful sync may not survive a power loss: check \
                 the disk and {}",
                summary.cdr
            ),
            None => String::new(),
        };
        if !is_all {
            return format!(
                "the first {taken} bodies were taken: they are in the CDR, or in {}, from where the next \
                 run on this directory writes them; give the bodies after them again{safety}",
                journal.display()
            );
        }
        if matches!(error.cause(), FlushError::Sync { .. }) {
            return format!("all {taken} bodies were taken, do not give them again{safety}");
        }
        format!(
            "all {taken} bodies were taken, do not give them again: they are in the CDR, or in {}, from \
             where the next run on this directory writes them{safety}",
            journal.display()
        )
    }
}

fn event_bytes_max(text: &str) -> Result<usize, String> {
    let Size(bytes) = text.parse()?;
    match (1..=EVENT_BYTES_LIMIT).contains(&bytes) {
        true => usize::try_from(bytes).map_err(|error| error.to_string()),
        false => Err("it must be from 1 byte to 1 GiB".to_owned()),
    }
}

/// Reports what concerns sealed files and the inbox: the rest is in the summary.
fn tell(notice: &Notice) {
    match notice {
        Notice::ForeignFiles { .. } => {
            say(format_args!("{notice}, unless --manage-foreign is given"));
        }
        Notice::MaintenanceFails(_)
        | Notice::FileRemoved { .. }
        | Notice::PinUnreadable { .. }
        | Notice::ClockJumped { .. }
        | Notice::NoInbox { .. }
        | Notice::WeakerSystem { .. }
        | Notice::InboxRemoved(_) => {
            say(notice);
        }
        _ => {}
    }
}

fn append_file(
    path: &Path,
    event_bytes_max: usize,
    producer: &Producer,
    progress: &mut Progress,
) -> Result<(), Stop> {
    let source: Box<dyn Read> = if is_standard_input(path) {
        if io::stdin().is_terminal() {
            say("reading bodies from the terminal, one per line; Ctrl-D ends the input");
        }
        Box::new(io::stdin().lock())
    } else {
        Box::new(File::open(path)?)
    };
    let mut bodies = Bodies::new(source, event_bytes_max);
    loop {
        let read = bodies.next_block(|body| producer.send_slice(body).map_err(Stop::from))?;
        if read == 0 {
            return Ok(());
        }
        progress.add(read as u64);
    }
}

/// The length of all files, unless one of them is not a regular file. It is an error if one cannot
/// be opened.
fn total_bytes(paths: &[PathBuf]) -> Result<Option<u64>, Box<dyn Error>> {
    let mut total = Some(0);
    for path in paths {
        if is_standard_input(path) {
            total = None;
            continue;
        }
        let metadata = fs::metadata(path)
            .map_err(|error| format!("cannot read {}: {error}", path.display()))?;
        if metadata.is_dir() {
            return Err(format!("cannot read {}: it is a directory", path.display()).into());
        }
        total = total.filter(|_| metadata.is_file()).map(|total| total + metadata.len());
    }
    Ok(total)
}

fn is_standard_input(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn display(path: &Path) -> String {
    if is_standard_input(path) { "standard input".to_owned() } else { path.display().to_string() }
}
