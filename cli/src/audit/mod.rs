//! `cdrlog audit`: the events that never came.
//!
//! ```text
//! inputs ─> count ──> record ──> judge (cause) ──> report
//!  gaps.jsonl ──> drops ──────────┘ │
//!  server ──> livekit ──────────────┘
//! ```
//!
//! `record` reads everything once and keeps what is missing, as the counting core tells it
//! (`count/missing.rs`). At the end `judge` decides which of it is a finding, and `cause` why it is
//! likely to be missing. `livekit` asks a server what is going on now.

mod cause;
mod drops;
mod finding;
mod judge;
#[cfg(feature = "serve")]
mod livekit;
mod record;
mod report;
mod sequence;

use std::error::Error;

use clap::Args;
use jiff::tz::TimeZone;

use self::cause::Causes;
use self::drops::Drop;
use self::finding::Finding;
use self::judge::Judge;
use self::record::Record;
use self::report::{Report, Summary};
use super::count::input::Input;
use super::count::inputs::Inputs;
use super::count::merge::Cut;
use super::count::reading;
use super::local_time::ZoneOptions;
use super::outcome::{Outcome, say};
use super::places::PathArgs;
use super::time_arg::{TimeArg, period_ms, since_until, times_help};
use super::units::Seconds;

/// Find events that never came: joins, leaves, ends of sessions, tracks and recordings
///
/// Media servers drop an event that cannot be posted, so the CDR may lack events that nobody ever
/// heard of. What did come tells of many of them: a participant who left and never joined, a session
/// that ended while somebody was in it, a recording without an end. Each is a finding, with its
/// session, its time and the likely reason. It reads the CDR files of directories, and single files,
/// compressed or not, and needs memory for the open sessions and the findings, not for the files.
///
/// With --livekit it also asks a LiveKit server which rooms and participants there are now, and tells
/// what the record should have heard of.
#[derive(Debug, Args)]
#[command(
    after_help = AFTER_HELP,
    mut_arg("utc", |utc| utc.help("Show times in UTC instead of local time"))
)]
pub(super) struct Audit {
    /// Only findings from this time on
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<TimeArg>,

    /// Only findings before this time
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<TimeArg>,

    /// Only findings of this session: its name or its unique id
    #[arg(long, value_name = "ID")]
    session: Option<String>,

    /// What is open at the end of the record is a finding only if it has had no event for so long
    #[arg(long, value_name = "DURATION", default_value = "24h")]
    grace: Seconds,

    /// Print findings, notes and the summary as JSON objects, one on each line
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    zone: ZoneOptions,

    #[cfg(feature = "serve")]
    #[command(flatten)]
    livekit: livekit::LiveKitArgs,

    #[command(flatten)]
    paths: PathArgs,
}

/// `serve` notes a gap when an event that says so arrives: at most this much later than the last
/// event, in milliseconds.
const GAP_NOTED_LATE_MS: i64 = 10 * 60_000;

const AFTER_HELP: &str = concat!(
    "\
Examples:
  cdrlog audit /opt/openvidu/cdr
  cdrlog audit --since yesterday --until today
  cdrlog audit --session ses_Jd8tUyvhXO ./cdr
  cdrlog audit --since 7d s3://bucket/cdr
  cdrlog audit --json ./cdr | jq -r 'select(.type == \"finding\") | .reason' | sort | uniq -c
  cdrlog audit --livekit https://livekit.example.org --livekit-key-file livekit.keys ./cdr

What is a finding:
  joins and leaves     a participant who left and never joined, or did not leave before the session
                       ended
  sessions and rooms   an end without a start; no end, although another session of the name
                       began, or no event came for --grace (24 hours at least within the record)
  tracks               no end, although the participant left; an end without a start
  egress, ingress,     no end, although the session ended more than an hour before, or no event came
  recordings,          for --grace; an end without a start
  broadcasts
  dropped events       a sender says so: `numDropped` of LiveKit, also noted in gaps.jsonl
  numbers              `sequence`, `sequenceNumber` or `seq` of events leaves one out
  clocks               times in a file, or from one file to the next, go back more than 5 minutes
An event that is there twice counts once. Events may be up to 5 minutes late. \
Notes are not findings: a start before the first line of the record, and events of a kind that \
the sender never sends (20 are missing, and not one came).
",
    times_help!(),
    "
It is compared with the time at which the event should have come.

Exit codes: 0 no findings; 1 findings, or something could not be read; 2 usage error"
);

impl Audit {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        let zone = self.zone.zone();
        let period = period_ms(since_until(self.since.as_ref(), self.until.as_ref(), &zone)?);
        let grace_ms = i64::try_from(self.grace.0.as_millis()).unwrap_or(i64::MAX);
        let files = Inputs::of(&self.paths.into_places()?, &period)?;
        reading::say_what_is_odd(&files);
        // The server first: what begins while the record is read is then not a finding.
        #[cfg(feature = "serve")]
        let asked = self.livekit.ask()?;
        let reading = reading::read(&files, || Record::new(grace_ms));
        let cuts = reading.cuts.clone();
        let (mut record, lines_bad, mut is_incomplete) = reading.end();
        record.end();
        let gaps = read_gaps(&files, &record, &mut is_incomplete);
        let judged = judge(&mut record, &files.files, &cuts, gaps, grace_ms, &zone);
        #[cfg(feature = "serve")]
        let judged = {
            let server = asked.as_ref().map(|asked| asked.compare(&record.tracker, record.first()));
            judged.into_iter().chain(server.into_iter().flatten()).collect::<Vec<_>>()
        };
        let mut summary = summary(&record, files.files.len(), lines_bad);
        #[cfg(feature = "serve")]
        {
            summary.server = asked.as_ref().map(livekit::Asked::counts);
        }
        let is_wanted = |finding: &Finding| {
            let session = self.session.as_deref();
            period.contains(&finding.at)
                && session.is_none_or(|session| finding.subject.is_of_session(session))
        };
        summary.untold = if self.session.is_some() { 0 } else { summary.untold };
        let report = Report::new(judged.into_iter().filter(is_wanted).collect(), summary);
        if self.json {
            report.print_json()?
        } else {
            report.print_table(&zone)?
        }
        Ok(if is_incomplete || report.has_findings() { Outcome::Failed } else { Outcome::Done })
    }
}

/// What the `gaps.jsonl` files of the directories say. One that cannot be read makes the audit
/// incomplete.
fn read_gaps(files: &Inputs, record: &Record, is_incomplete: &mut bool) -> Vec<Drop> {
    let mut gaps = Vec::new();
    for (source, directory) in files.directories() {
        let Some(begin) = record.begin(source) else { continue };
        let end = record.last.unwrap_or(begin).saturating_add(GAP_NOTED_LATE_MS);
        match drops::read_gaps(directory, source) {
            // Others belong to files that are not read, or do not exist any more.
            Ok(told) => gaps.extend(told.into_iter().filter(|gap| (begin..=end).contains(&gap.at))),
            Err(error) => {
                say(error);
                *is_incomplete = true;
            }
        }
    }
    gaps
}

/// All findings and notes of a record.
fn judge(
    record: &mut Record,
    files: &[Input],
    cuts: &[Cut],
    gaps: Vec<Drop>,
    grace_ms: i64,
    zone: &TimeZone,
) -> Vec<Finding> {
    let drops = drops::merge(std::mem::take(&mut record.drops), gaps);
    let sequences = std::mem::take(&mut record.sequences).end();
    let record = &*record;
    let listed: Vec<_> = files.iter().flat_map(|input| record.listed_spans(input)).collect();
    let spans = files.iter().flat_map(|input| record.spans(input)).map(|(_, span)| span).collect();
    let causes = Causes::new(spans, &drops, zone);
    let judge = Judge { record, causes, grace_ms, zone };
    let mut findings = judge.absences();
    findings.extend(judge.drops(&drops));
    findings.extend(judge.gaps(&sequences));
    findings.extend(judge.clock_steps(cuts, &listed));
    findings
}

fn summary(record: &Record, files_count: usize, lines_bad: u64) -> Summary {
    let tracker = &record.tracker;
    let (sessions_open, participants_open) = tracker.open();
    Summary {
        files_count,
        lines: record.lines,
        lines_bad,
        bytes: record.bytes,
        events_repeated: tracker.events_repeated(),
        first: record.first(),
        last: record.last,
        sessions_open,
        participants_open,
        activities_open: tracker.open_activities(),
        untold: record.absences.untold,
        server: None,
    }
}
