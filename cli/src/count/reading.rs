//! Reads all files once for every command that counts: reports progress and problems, and reads
//! everything again if files must be cut.

use cdrlog::LineFault;
use cdrlog::reader::ReadError;
use indicatif::HumanCount;

use super::Source;
use super::ahead::FileLine;
use super::inputs::Inputs;
use super::line_reader::{LineReader, ReadEvent};
use super::merge::{self, CUTS_MAX, Cut, LineListener};
use crate::input_remark::InputRemark;
use crate::outcome::say;
use crate::progress::Progress;

/// How many bad lines are printed; the others are only counted.
pub(crate) const BAD_LINES_NAMED: u64 = 10;

/// Takes the lines.
pub(crate) trait LineTaker {
    /// What reads lines for it.
    fn reader(&self) -> LineReader;

    /// Takes a line and what it says, `None` if it is not that of an event; and the time of the line
    /// before it in its file.
    fn take(
        &mut self,
        line: FileLine<'_>,
        event: Option<ReadEvent>,
        source: Source,
        before: Option<i64>,
    );

    /// Hardly an event before this time is still to come.
    fn advance(&mut self, watermark: i64);
}

/// What is read, on its way to the one that takes it.
pub(crate) struct Reading<T> {
    pub(crate) taker: T,
    pub(crate) lines_bad: u64,
    /// A file could not be read to its end.
    pub(crate) is_incomplete: bool,
    /// The places in files where time goes back.
    pub(crate) cuts: Vec<Cut>,
    progress: Progress,
    /// Everything is read again: problems were reported the first time.
    has_told: bool,
}

/// Reads everything; a second time if files must be cut because time goes back in them.
pub(crate) fn read<T: LineTaker>(files: &Inputs, new_taker: impl Fn() -> T) -> Reading<T> {
    let mut reading = Reading::new(new_taker(), files);
    let cuts = merge::read(&files.files, &[], &mut reading);
    // With very many, each would be an open file.
    if cuts.is_empty() || cuts.len() > CUTS_MAX {
        return Reading { cuts, ..reading };
    }
    let Reading { lines_bad, is_incomplete, progress, .. } = reading;
    progress.end();
    let mut again = Reading::new(new_taker(), files);
    again.has_told = true;
    merge::read(&files.files, &cuts, &mut again);
    again.lines_bad = again.lines_bad.max(lines_bad);
    again.is_incomplete |= is_incomplete;
    Reading { cuts, ..again }
}

/// Reports what is odd about the files of the command line.
pub(crate) fn say_what_is_odd(files: &Inputs) {
    files.told.iter().for_each(say);
    for path in &files.empty {
        say(format_args!("{} has no CDR files", path.display()));
    }
    if let Some(path) = files.repeated.first() {
        let more = match files.repeated.len() - 1 {
            0 => String::new(),
            more => format!(" and {} more", HumanCount(more as u64)),
        };
        say(format_args!("{}{more}: named twice, counted once", path.display()));
    }
}

impl<T: LineTaker> Reading<T> {
    fn new(taker: T, files: &Inputs) -> Self {
        Self {
            taker,
            lines_bad: 0,
            is_incomplete: false,
            cuts: Vec::new(),
            progress: Progress::new(files.bytes()),
            has_told: false,
        }
    }

    /// Removes the progress bar from the screen, and reports how many lines were bad beyond those
    /// that were printed.
    pub(crate) fn end(self) -> (T, u64, bool) {
        self.progress.end();
        if self.lines_bad > BAD_LINES_NAMED {
            say(format_args!("{} lines are not events", HumanCount(self.lines_bad)));
        }
        (self.taker, self.lines_bad, self.is_incomplete)
    }

    #[cold]
    fn note_bad(&mut self, line: FileLine<'_>, fault: LineFault) {
        self.lines_bad += 1;
        if self.lines_bad <= BAD_LINES_NAMED && !self.has_told {
            let at = line.offset + fault.offset as u64;
            let path = line.path.display();
            let message = format_args!("{path}: byte {at}: not an event: {}", fault.reason);
            self.progress.suspend(|| say(message));
        }
    }
}

impl<T: LineTaker> LineListener for Reading<T> {
    fn reader(&self) -> LineReader {
        self.taker.reader()
    }

    fn line(
        &mut self,
        line: FileLine<'_>,
        event: Result<ReadEvent, LineFault>,
        source: Source,
        before: Option<i64>,
    ) {
        let event = event.map_err(|fault| self.note_bad(line, fault)).ok();
        self.taker.take(line, event, source, before);
    }

    fn advance(&mut self, watermark: i64) {
        self.taker.advance(watermark);
    }

    fn read(&mut self, bytes: u64) {
        self.progress.add(bytes);
    }

    fn fail(&mut self, error: &ReadError) {
        self.is_incomplete = true;
        if !self.has_told {
            self.progress.suspend(|| say(error));
        }
    }

    fn remark(&mut self, remark: &InputRemark) {
        self.is_incomplete |= remark.is_fault;
        if !self.has_told {
            self.progress.suspend(|| say(&remark.text));
        }
    }
}
