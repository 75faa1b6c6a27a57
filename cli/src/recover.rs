//! `cdrlog recover`: shows or writes what a process left that did not close.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use cdrlog::{Appender, Recovery};
use clap::Args;
use indicatif::HumanCount;

use super::cdr_path::{self, DirArg};
use super::inbox_place::InboxOption;
use super::json_output::{self, ObjectType};
use super::local_time::UtcOption;
use super::outcome::Outcome;
use super::print::print;

/// Show what the next open of a directory would recover, or recover it now
///
/// A process that was killed leaves lines in the journal that are not in the CDR yet. A power loss
/// may leave a torn end of a file. The next run of `append`, `serve` or a server that contains
/// cdrlog repairs both. `recover` runs the same code to show what it would do, and changes nothing;
/// with --apply it does it, and creates no new CDR file.
///
/// While a process writes to the directory there is nothing to recover. `recover` then fails and
/// names the process.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cdrlog recover /opt/openvidu/cdr
  cdrlog recover --apply /opt/openvidu/cdr
  cdrlog recover --json ./cdr | jq .clean

--json prints one object: \"clean\" is true if there was nothing to do, \"applied\" if it was done. \
The other members say how many bytes go, or went, to which files.

Exit codes: 0 nothing to do, shown, or done; 1 failed, in use, or damaged; 2 usage error")]
#[command(
    mut_arg("utc", |utc| utc.help(UTC_HELP)),
    mut_arg("inbox_directory", |inbox| inbox.help(INBOX_HELP))
)]
pub(super) struct Recover {
    /// Do it now, instead of showing it
    #[arg(long)]
    apply: bool,

    /// Print the report as one JSON object on standard output
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    utc: UtcOption,

    #[command(flatten)]
    inbox: InboxOption,

    #[command(flatten)]
    directory: DirArg,
}

const UTC_HELP: &str =
    "Name a file in UTC instead of local time, if one has to be created [default: false]";
const INBOX_HELP: &str = "A directory in which to search for inboxes of the CDR directory that no \
    open will use; /dev/shm is always searched";

impl Recover {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        let directory = self.directory.into_path();
        cdr_path::check_directory(&directory)?;
        let options = self.inbox.apply(Appender::builder(&directory).utc(self.utc.is_utc()));
        let recovery = if self.apply { options.recover()? } else { options.plan_recovery()? };
        let report = Report { directory: &directory, recovery: &recovery, applied: self.apply };
        let text = if self.json { report.json().to_string() } else { report.to_string() };
        print(format!("{text}\n"))?;
        Ok(Outcome::Done)
    }
}

struct Report<'a> {
    directory: &'a Path,
    recovery: &'a Recovery,
    applied: bool,
}

impl Report<'_> {
    fn json(&self) -> serde_json::Value {
        let paths = |paths: &[PathBuf]| -> Vec<String> {
            paths.iter().map(|path| path.to_string_lossy().into_owned()).collect()
        };
        let recovery = self.recovery;
        let members = serde_json::json!({
            "directory": self.directory.to_string_lossy(),
            "clean": recovery.is_nothing(),
            "applied": self.applied,
            "power_loss": recovery.power_loss,
            "lines_bytes": recovery.lines_bytes,
            "rejects_bytes": recovery.rejects_bytes,
            "inbox_events": recovery.inbox_events,
            "unusable_inbox": recovery.unusable_inbox.as_ref().map(|(path, _)| path.to_string_lossy()),
            "unclaimed_inboxes": paths(&recovery.unclaimed_inboxes),
            "files": paths(&recovery.files),
            "torn_bytes": recovery.torn_bytes,
            "torn_files": paths(&recovery.torn_files),
            "changed_by_others": paths(&recovery.changed_by_others),
        });
        json_output::object("recover", ObjectType::Summary, members)
    }

    fn write_unclaimed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths = &self.recovery.unclaimed_inboxes;
        if paths.is_empty() {
            return Ok(());
        }
        f.write_str(
            "\ninboxes of this directory that no open will use; remove them if nobody needs them:",
        )?;
        write_paths(f, paths)
    }

    /// One line for each thing to do.
    fn write_steps(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let recovery = self.recovery;
        let (cut, append) =
            if self.applied { ("cut", "appended") } else { ("would cut", "would append") };
        if recovery.torn_bytes > 0 {
            write!(f, "\n{cut} {} torn bytes, kept in", HumanCount(recovery.torn_bytes))?;
            write_paths(f, &recovery.torn_files)?;
        }
        if recovery.lines_bytes > 0 || recovery.rejects_bytes > 0 {
            let (lines, rejects) =
                (HumanCount(recovery.lines_bytes), HumanCount(recovery.rejects_bytes));
            write!(f, "\n{append} {lines} bytes of lines and {rejects} bytes of rejects, to")?;
            write_paths(f, &recovery.files)?;
        }
        if recovery.inbox_events > 0 {
            let events = HumanCount(recovery.inbox_events);
            write!(f, "\n{events} of these events had been accepted and were not journaled yet")?;
        }
        if let Some((path, why)) = &recovery.unusable_inbox {
            write!(f, "\naccepted events in {} cannot be used: {why}", path.display())?;
        }
        if !recovery.changed_by_others.is_empty() {
            f.write_str("\nmoved, removed, truncated or appended to by other programs:")?;
            write_paths(f, &recovery.changed_by_others)?;
        }
        Ok(())
    }
}

fn write_paths(f: &mut fmt::Formatter<'_>, paths: &[PathBuf]) -> fmt::Result {
    for (index, path) in paths.iter().enumerate() {
        write!(f, "{} {}", if index == 0 { "" } else { "," }, path.display())?;
    }
    Ok(())
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let directory = self.directory.display();
        if self.recovery.is_nothing() {
            write!(f, "{directory}: nothing to do")?;
            return self.write_unclaimed(f);
        }
        let cause = if self.recovery.power_loss { "machine went down" } else { "process ended" };
        write!(f, "{directory}: the last {cause} without closing")?;
        self.write_steps(f)?;
        if !self.applied {
            f.write_str("\nnothing was changed; the next open does this, or --apply does it now")?;
        }
        self.write_unclaimed(f)
    }
}
