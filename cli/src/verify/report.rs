//! What is said, while it is found and at the end.

use std::error::Error;
use std::fmt::{Display, Write as _};
use std::io::{self, Write};

use indicatif::{DecimalBytes, HumanCount};

use super::file::Checked;
use super::plan::Plan;
use super::remark::Remark;
use crate::outcome::say;
use crate::print::print;
use crate::progress::Progress;

/// Findings on standard output, notes and progress on standard error.
pub(super) struct Report {
    json: bool,
    progress: Progress,
    /// What the progress was told.
    bytes_read: u64,
    files: u64,
    checked: Checked,
    findings: u64,
    notes: u64,
}

impl Report {
    pub(super) fn new(json: bool, plan: &Plan) -> Self {
        Self {
            json,
            progress: Progress::new(Some(plan.bytes())),
            bytes_read: 0,
            files: 0,
            checked: Checked::default(),
            findings: 0,
            notes: 0,
        }
    }

    pub(super) fn remark(&mut self, remark: &Remark) -> io::Result<()> {
        *(if remark.is_finding { &mut self.findings } else { &mut self.notes }) += 1;
        let json = self.json;
        self.progress.suspend(|| match (json, remark.is_finding) {
            (true, _) => writeln!(io::stdout(), "{}", remark.json()),
            (false, true) => writeln!(io::stdout(), "{remark}"),
            (false, false) => {
                say(format_args!("note: {remark}"));
                Ok(())
            }
        })
    }

    pub(super) fn checked(&mut self, checked: Checked) {
        self.files += 1;
        self.checked.lines += checked.lines;
        self.checked.bytes += checked.bytes;
    }

    pub(super) fn progress(&mut self, bytes_read: u64) {
        self.progress.add(bytes_read - self.bytes_read);
        self.bytes_read = bytes_read;
    }

    /// The last sentence, and whether anything was found.
    pub(super) fn end(self) -> Result<(impl Display, bool), Box<dyn Error>> {
        let Self { files, findings, notes, .. } = self;
        let Checked { lines, bytes } = self.checked;
        let seconds = self.progress.end().1.as_secs_f64();
        if self.json {
            let summary = serde_json::json!({
                "type": "summary",
                "files": files,
                "lines": lines,
                "bytes": bytes,
                "findings": findings,
                "notes": notes,
                "seconds": seconds,
            });
            print(format!("{summary}\n"))?;
        }
        let per_second = DecimalBytes((bytes as f64 / seconds.max(1e-9)) as u64);
        let mut text = format!(
            "{}, {}, {} in {seconds:.3} s, {per_second} a second: ",
            count(files, "file"),
            count(lines, "line"),
            DecimalBytes(bytes),
        );
        match findings {
            0 => text.push_str("nothing is wrong"),
            _ => write!(text, "{}", count(findings, "finding"))?,
        }
        Ok((text, findings > 0))
    }
}

fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", HumanCount(number), if number == 1 { "" } else { "s" })
}
