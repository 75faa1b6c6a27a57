//! `cdrlog verify`: whether every line is right and every file complete.

mod chain;
mod file;
mod plan;
mod remark;
mod report;
mod workers;

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;

use clap::Args;

use super::outcome::{Outcome, say};
use super::print::or_nobody_reads;
use plan::Plan;
use report::Report;

/// Check that every line is valid and whole, and every finished file complete
///
/// Lines are checked as strictly as bodies are when they are taken: RFC 8259, UTF-8, one root member
/// with a name, nesting. Finished files are compared with the manifest of the directory: lines,
/// bytes, hash. The manifest is a chain of hashes; where a link was altered, removed or inserted,
/// that is a finding too. Nothing is changed.
///
/// Findings go to standard output, one a line: file, line, byte of the uncompressed file, reason.
/// Notes, which are no findings, and the summary go to standard error.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cdrlog verify /opt/openvidu/cdr
  cdrlog verify CDR.2026-11-23_00-00-00.log.zst
  cdrlog verify --json ./cdr | jq -r 'select(.type == \"finding\") | .file' | sort | uniq -c

With --json, standard output has one JSON object a line: findings and notes with type, file, line,
byte, reason (one word) and message, and the summary as the last one.

Exit codes: 0 nothing is wrong, 1 there are findings, or something could not be read, 2 wrong usage")]
pub(super) struct Verify {
    /// Directories, with all their CDR and rejects files, and files
    #[arg(value_name = "DIR|FILE", env = "OPENVIDU_CDR_PATH", default_value = "/opt/openvidu/cdr")]
    paths: Vec<PathBuf>,

    /// Print findings, notes and the summary as JSON objects, one a line
    #[arg(long)]
    json: bool,

    /// Files that are checked at the same time [default: one for each processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
}

impl Verify {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        let plan = Plan::new(&self.paths)?;
        let threads = self.threads.or_else(|| available_parallelism().ok());
        let mut report = Report::new(self.json, &plan);
        let threads = threads.map_or(1, NonZeroUsize::get);
        or_nobody_reads(workers::check(plan, threads, &mut report))?;
        let (summary, has_findings) = report.end()?;
        say(summary);
        Ok(if has_findings { Outcome::Failed } else { Outcome::Done })
    }
}
