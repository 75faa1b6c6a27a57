//! Tests that cannot run here say so where a person sees it.

use std::fs::OpenOptions;
use std::io::Write;

/// A file to which each skipped test adds a line, for a summary at the end of a run.
const SUMMARY: &str = "CDRLOG_SKIPPED_TO";

/// Says that the running test is skipped, why, and what would let it run.
///
/// Straight to standard error: what `eprintln!` prints is captured with the output of the test, and
/// shown only where it fails.
pub fn skip(reason: &str, how_to_get: &str) {
    let test = std::thread::current().name().unwrap_or("a test").to_owned();
    // In one write, because other tests print at the same time.
    let reason: Vec<_> = reason.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    let line = format!("skipped: {test}: {} ({how_to_get})\n", reason.join("; "));
    std::io::stderr().write_all(line.as_bytes()).unwrap();
    if let Some(path) = std::env::var_os(SUMMARY) {
        let mut summary = OpenOptions::new().create(true).append(true).open(path).unwrap();
        summary.write_all(line.as_bytes()).unwrap();
    }
}
