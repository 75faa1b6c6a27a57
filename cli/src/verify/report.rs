//! Prints the remarks as they are found, and the summary.

use std::error::Error;
use std::fmt::{Display, Write as _};
use std::io::{self, Write};

use indicatif::{DecimalBytes, HumanCount};

use super::file::Checked;
use super::plan::Plan;
use super::remark::{Kind, Remark};
use crate::json_output::{self, ObjectType};
use crate::outcome::say;
use crate::print::print;
use crate::progress::Progress;

/// Findings on standard output, notes and progress on standard error.
pub(super) struct Report {
    json: bool,
    progress: Progress,
    /// What was reported to the progress bar.
    bytes_read: u64,
    files: u64,
    checked: Checked,
    findings: u64,
    notes: u64,
    /// Something could not be checked.
    is_incomplete: bool,
    /// Nobody reads standard output any more. Counting continues, so that the summary and the exit
    /// code are right.
    is_unread: bool,
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
            is_incomplete: false,
            is_unread: false,
        }
    }

    pub(super) fn remark(&mut self, remark: &Remark) -> io::Result<()> {
        *(if remark.is_finding() { &mut self.findings } else { &mut self.notes }) += 1;
        self.is_incomplete |= remark.kind == Kind::Unchecked;
        let (json, is_unread) = (self.json, self.is_unread);
        let written = self.progress.suspend(|| match (json, remark.is_finding()) {
            (false, false) => {
                say(format_args!("note: {remark}"));
                Ok(())
            }
            _ if is_unread => Ok(()),
            (true, _) => writeln!(io::stdout(), "{}", remark.json()),
            (false, true) => writeln!(io::stdout(), "{remark}"),
        });
        match written {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => self.is_unread = true,
            other => other?,
        }
        Ok(())
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
        let Self { files, findings, notes, is_incomplete, .. } = self;
        let Checked { lines, bytes } = self.checked;
        let seconds = self.progress.end().1.as_secs_f64();
        if self.json {
            let members = serde_json::json!({
                "files_count": files,
                "lines": lines,
                "bytes": bytes,
                "findings": findings,
                "notes": notes,
                "seconds": seconds,
            });
            let summary = json_output::object("verify", ObjectType::Summary, members);
            print(format!("{summary}\n"))?;
        }
        let per_second = DecimalBytes((bytes as f64 / seconds.max(1e-9)) as u64);
        let mut text = format!(
            "{}, {}, {} in {seconds:.3} s, {per_second} per second: ",
            count(files, "file"),
            count(lines, "line"),
            DecimalBytes(bytes),
        );
        match findings {
            0 if is_incomplete => {
                text.push_str(
                    "nothing wrong was found, but not everything could be checked: see the notes",
                );
            }
            0 => text.push_str("nothing is wrong"),
            _ => write!(text, "{}", count(findings, "finding"))?,
        }
        Ok((text, findings > 0))
    }
}

fn count(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", HumanCount(number), if number == 1 { "" } else { "s" })
}
