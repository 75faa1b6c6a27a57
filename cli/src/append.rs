//! `cdrlog append`: bodies from files or standard input into the CDR of a directory.

use std::error::Error;
use std::fs::{self, File};
use std::io::{self, IsTerminal, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use cdrlog::{
    Appender, CloseError, EVENT_BYTES_MAX_DEFAULT, FlushError, OpenError, Producer, SendError,
    Stats, SyncPolicy, Trouble,
};
use clap::{Args, ValueEnum};

use super::bodies::Bodies;
use super::file_options::FileOptions;
use super::hangup::rotating_on_hangup;
use super::outcome::{Outcome, say};
use super::print::print;
use super::progress::Progress;
use super::summary::Summary;

/// An event has to fit into a segment of the journal, which has 1 GiB at most.
const EVENT_BYTES_LIMIT: i64 = 1 << 30;

/// Append WebHook bodies, one a line, to the CDR of a directory
///
/// Bodies that are no events go to the rejects file of the directory, whole and with the reason,
/// and the exit code is 3. Empty lines are skipped. What a killed run left unfinished is finished
/// by the next one, whoever it is.
///
/// Finished files are listed in .cdrlog/manifest.jsonl with a hash, compressed if asked for, and the
/// oldest are removed. The file of this run is finished by the next one, or when SIGHUP begins
/// another.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cdrlog append --dir ./cdr webhooks.jsonl
  curl -s https://example.org/events | cdrlog append --dir ./cdr
  cdrlog append --dir ./cdr --json old/*.jsonl | jq .lines
  cdrlog append --compress zstd --retention-days 90 <events.fifo

Exit codes: 0 all went well, 1 failed, 2 wrong usage, 3 some bodies were rejected")]
pub(super) struct Append {
    /// The directory of the CDR; created where it is missing
    #[arg(
        long,
        value_name = "DIR",
        env = "OPENVIDU_CDR_PATH",
        default_value = "/opt/openvidu/cdr"
    )]
    dir: PathBuf,

    /// Print the summary as one JSON object on standard output
    #[arg(long)]
    json: bool,

    /// When to make lines survive a power loss
    #[arg(long, value_enum, default_value_t = Sync::Interval)]
    sync: Sync,

    /// Seconds to keep trying while the disk is full, before giving up
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    patience: u64,

    /// The largest body that is an event, in bytes
    #[arg(
        long,
        value_name = "BYTES",
        default_value_t = EVENT_BYTES_MAX_DEFAULT as u32,
        value_parser = clap::value_parser!(u32).range(1..=EVENT_BYTES_LIMIT),
    )]
    event_bytes_max: u32,

    /// Files of bodies, one a line; - is standard input, which is also the default
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,

    #[command(flatten)]
    file_options: FileOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Sync {
    /// Not at all; the kernel does within about 30 seconds
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

/// Why reading and sending ended before the end.
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
        // Before anything is appended, so that the same command may be given again once the file is
        // there.
        let bytes_total = total_bytes(&self.files)?;
        let appender = self.open()?;
        if !appender.recovery().is_nothing() {
            say(appender.recovery());
        }
        let mut progress = Progress::new(bytes_total);
        let stop = rotating_on_hangup(&appender, || {
            let stop = self.append_files(&appender.producer(), &mut progress).err();
            // A run may be too short for the thread that sees to finished files. Errors of the flush
            // come again with the close, and those of the upkeep are told by the callback.
            let _ = appender.flush();
            let _ = appender.upkeep();
            stop
        })?;
        let (cdr_path, rejects_path) = (appender.cdr_path(), appender.rejects_path());
        let closed = appender.close();
        let (bytes, elapsed) = progress.end();
        let stats = *closed.as_ref().unwrap_or_else(CloseError::stats);
        let summary = Summary::new(&stats, bytes, elapsed, cdr_path, rejects_path);
        self.report(&summary, stop, closed)
    }

    fn open(&self) -> Result<Appender, Box<dyn Error>> {
        let patience = Duration::from_secs(self.patience);
        let builder = Appender::builder(&self.dir)
            .event_bytes_max(self.event_bytes_max())
            .segment_bytes(self.event_bytes_max().max(1 << 20))
            .sync_policy(self.sync.policy())
            .write_patience(patience)
            .close_patience(patience)
            .on_trouble(tell);
        self.file_options.apply(builder).open().map_err(|error| match &error {
            OpenError::Io { action: "create directory", .. } => {
                format!("{error}; --dir or OPENVIDU_CDR_PATH names another one").into()
            }
            _ => error.into(),
        })
    }

    fn event_bytes_max(&self) -> usize {
        self.event_bytes_max as usize
    }

    fn append_files(
        &self,
        producer: &Producer,
        progress: &mut Progress,
    ) -> Result<(), (PathBuf, Stop)> {
        for path in &self.files {
            append_file(path, self.event_bytes_max(), producer, progress)
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
            let of = summary.lines + summary.rejected;
            say(format_args!(
                "{} of {of} bodies were rejected; see {}",
                summary.rejected,
                summary.rejects_path.display()
            ));
        }
        if let Some((path, Stop::Read(error))) = stop {
            outcome = Outcome::Failed;
            say(format_args!(
                "cannot read {}: {error}; what was read before is appended",
                display(&path)
            ));
        }
        if let Err(error) = closed {
            outcome = Outcome::Failed;
            say(&error);
            say(self.what_is_left(summary, &error, all_sent));
        }
        if self.json {
            print(format!("{}\n", summary.json()))?;
        }
        Ok(outcome)
    }

    /// Where everything is after writes or a sync failed.
    fn what_is_left(&self, summary: &Summary, error: &CloseError, all_sent: bool) -> String {
        let taken = summary.lines + summary.rejected;
        let journal = self.dir.join(".cdrlog");
        if !all_sent || !error.events().is_empty() {
            return format!(
                "the first {taken} bodies are taken: in the CDR, or in {}, from where the next run \
                 on this directory writes them; give the bodies behind them again",
                journal.display()
            );
        }
        if matches!(error.cause(), FlushError::Sync { .. }) {
            return format!(
                "all {taken} bodies are taken, give none again; but lines since the last sync that \
                 succeeded may not survive a power loss: look at the disk and at {}",
                summary.cdr_path.display()
            );
        }
        format!(
            "all {taken} bodies are taken, give none again: they are in the CDR, or in {}, from \
             where the next run on this directory writes them",
            journal.display()
        )
    }
}

/// Says what concerns finished files only: the rest is in the report.
fn tell(trouble: &Trouble) {
    if matches!(trouble, Trouble::UpkeepFails(_) | Trouble::FileRemoved { .. }) {
        say(trouble);
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
            say("reading bodies from the terminal, one a line; Ctrl-D ends them");
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

/// The length of all files, unless one of them is no regular file. An error where one cannot be
/// opened.
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
