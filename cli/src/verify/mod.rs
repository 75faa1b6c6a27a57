//! `cdrlog verify`: whether every line is valid and every file complete.

mod chain;
mod file;
mod journal;
mod plan;
mod remark;
mod report;
#[cfg(feature = "ship")]
mod shipped;
mod workers;

use std::error::Error;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::thread::available_parallelism;

use cdrlog::manifest::Hash;
use clap::Args;

use super::cdr_path;
use super::outcome::{Outcome, WrongUsage, say};
use super::places::PathArgs;
use super::print::{or_nobody_reads, print};
use chain::Chain;
use plan::{Demands, Plan};
use remark::{Kind, Remark};
use report::Report;

/// Check that every line is valid and whole, and every sealed file complete
///
/// It checks lines as strictly as `append` and `serve` check bodies: RFC 8259, UTF-8, one root
/// member with a name, nesting. It compares sealed files (those that get no more lines) with the
/// manifest of the directory: lines, bytes, hash. The manifest is a chain of hashes; a line that
/// was changed, removed or inserted is a finding. So is a damaged journal, and one that holds lines
/// of a killed process that are not in a file yet. Nothing is changed.
///
/// Of a shipped record it checks every block: headers, the chain of their numbers and ids, hashes,
/// lengths, that files have no hole, and every line. Gaps that were accepted are notes.
///
/// Anybody who can write to the directory can also remove the end of the manifest, or replace it.
/// To detect that, keep its last hash on another machine with --print-hash, and pass that hash to
/// --expect later.
///
/// Findings go to standard output, one per line: file, line, byte of the uncompressed file, reason.
/// Notes, which are not findings, and the summary go to standard error.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cdrlog verify /opt/openvidu/cdr
  cdrlog verify CDR.2026-11-23_00-00-00.log.zst
  cdrlog verify s3://bucket/cdr
  cdrlog verify --json ./cdr | jq -r 'select(.type == \"finding\") | .file' | sort | uniq -c
  cdrlog verify --print-hash ./cdr | ssh archive 'cat >>cdr-hashes'
  cdrlog verify --expect \"$(ssh archive tail -n 1 cdr-hashes)\" ./cdr

With --json, standard output has one JSON object per line: findings and notes with type, file, line, \
byte, reason (one word) and message, and the summary as the last one.

Exit codes: 0 no findings in what could be checked; 1 findings, or something could \
not be read or written; 2 usage error")]
pub(super) struct Verify {
    #[command(flatten)]
    paths: PathArgs,

    /// Print findings, notes and the summary as JSON objects, one per line
    #[arg(long)]
    json: bool,

    /// How many files are checked at the same time [default: one per processor]
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// Require that a line of the manifest has this hash, as printed earlier by --print-hash; may
    /// be given several times
    #[arg(long, value_name = "HASH", value_parser = hash)]
    expect: Vec<Hash>,

    /// Make it a finding if there is no manifest, or a sealed file is not in it
    #[arg(long)]
    require_manifest: bool,

    /// Check the manifest only, and print the hash of its last line, to keep it elsewhere
    #[arg(long, conflicts_with_all = ["json", "threads"])]
    print_hash: bool,
}

fn hash(text: &str) -> Result<Hash, String> {
    Hash::try_from(text.trim().to_owned())
        .map_err(|_| "it must be 64 hexadecimal digits, as --print-hash prints them".to_owned())
}

impl Verify {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        let Self { paths, json, threads, expect, require_manifest, print_hash } = self;
        let places = paths.into_places()?;
        let paths = &places.paths;
        if print_hash || !expect.is_empty() {
            check_one_directory(paths)?;
        }
        if print_hash {
            return print_last_hash(paths, &expect);
        }
        let demands = Demands { expected: &expect, is_required: require_manifest };
        let plan = Plan::new(&places, demands)?;
        let threads = threads.or_else(|| available_parallelism().ok());
        let mut report = Report::new(json, &plan);
        let threads = threads.map_or(1, NonZeroUsize::get);
        or_nobody_reads(workers::check(plan, threads, &mut report))?;
        let (summary, has_findings) = report.end()?;
        say(summary);
        Ok(if has_findings { Outcome::Failed } else { Outcome::Done })
    }
}

/// A hash belongs to the manifest of one directory.
fn check_one_directory(paths: &[PathBuf]) -> Result<(), Box<dyn Error>> {
    match paths {
        [directory] => Ok(cdr_path::check_directory(directory)?),
        _ => Err(WrongUsage("--expect and --print-hash need exactly one directory".into()).into()),
    }
}

/// Prints the hash to keep, if the manifest is intact.
fn print_last_hash(paths: &[PathBuf], expected: &[Hash]) -> Result<Outcome, Box<dyn Error>> {
    let mut outcome = Outcome::Done;
    for directory in paths {
        let mut remarks = Vec::new();
        let chain = Chain::read(directory, expected, &mut remarks);
        if chain.is_missing {
            let message = "there is no manifest: no file was sealed yet, or it was removed";
            remarks.push(Remark::finding(directory, "no_manifest", message));
        }
        for remark in &remarks {
            say(format_args!("{}{remark}", if remark.kind == Kind::Note { "note: " } else { "" }));
        }
        match chain.last_hash.filter(|_| !remarks.iter().any(Remark::is_finding)) {
            Some(hash) => print(format!("{hash}\n"))?,
            None => outcome = Outcome::Failed,
        }
    }
    Ok(outcome)
}
