//! The table of events: each line of the CDR, with what its members tell in columns.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::fmt::Display;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use cdrlog::reader::{CdrFile, FileKind, Line, ReadError, Reader, ReaderPosition, cdr_files};

#[cfg(feature = "ship")]
use super::chains::ShippedChain;
use super::columns::EVENTS;
use super::days::{Days, NO_DAY};
use super::fields::Fields;
use super::parquet_file::Cell;
use super::ranges::{self, CdrFileKey, Gap, Ranges};
use super::table_file::TableFile;
use super::target::Target;
use crate::cdr_path;
use crate::count::line::Parser;
use crate::outcome::say;

pub(super) const TABLE: &str = "events";

/// The bytes of lines of a range, which is as much as a killed run has to do again.
pub(super) const RANGE_BYTES_MAX: u64 = 256 << 20;

/// The days of a range, each of which is an open file: times may be anything.
pub(super) const RANGE_DAYS_MAX: usize = 8;

/// What was exported.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Exported {
    pub(super) files_created: u64,
    pub(super) lines: u64,
    pub(super) lines_bad: u64,
    pub(super) bytes: u64,
    /// Something could not be read.
    pub(super) is_incomplete: bool,
}

impl Exported {
    pub(super) fn add(&mut self, other: &Self) {
        self.files_created += other.files_created;
        self.lines += other.lines;
        self.lines_bad += other.lines_bad;
        self.bytes += other.bytes;
        self.is_incomplete |= other.is_incomplete;
    }
}

/// What is exported by one thread.
enum Input {
    /// A file, and its directory.
    File(PathBuf, CdrFile),
    #[cfg(feature = "ship")]
    Chain(ShippedChain),
}

/// The files of the CDR and the nodes of shipped records, which threads take one after the other. None
/// depends on another one.
pub(super) struct EventFiles<'a> {
    target: &'a Target,
    days: Days,
    /// What was exported before.
    pub(super) known: Ranges,
    waiting: Mutex<VecDeque<Input>>,
    /// The bytes that all threads have read.
    pub(super) bytes: AtomicU64,
    /// A thread has failed, and the others are to end.
    has_failed: AtomicBool,
}

impl<'a> EventFiles<'a> {
    pub(super) fn new(
        target: &'a Target,
        days: Days,
        directories: &[PathBuf],
        #[cfg(feature = "ship")] chains: Vec<ShippedChain>,
    ) -> Result<Self, Box<dyn Error>> {
        let names = target.files(TABLE)?;
        let known = Ranges::of_names(names.iter().map(|(_, name)| name.as_str()));
        let mut waiting = VecDeque::new();
        for directory in directories {
            let files = cdr_files(directory)?.into_iter();
            let files = files.filter(|file| file.kind == FileKind::Cdr);
            waiting.extend(files.map(|file| Input::File(directory.clone(), file)));
        }
        #[cfg(feature = "ship")]
        waiting.extend(chains.into_iter().map(Input::Chain));
        let (waiting, bytes) = (Mutex::new(waiting), AtomicU64::new(0));
        let has_failed = AtomicBool::new(false);
        Ok(Self { target, days, known, waiting, bytes, has_failed })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Exports one input after the other, until there is none. Several threads may do so.
    pub(super) fn export(&self) -> Result<Exported, String> {
        let days = self.days.clone();
        let (parser, exported) = (Parser::default(), Exported::default());
        let mut export = EventExport { files: self, days, parser, exported };
        while let Some(input) = self.next() {
            let done = match input {
                Input::File(directory, file) => export.file(&directory, &file),
                #[cfg(feature = "ship")]
                Input::Chain(chain) => export.chain(&chain),
            };
            done.inspect_err(|_| self.has_failed.store(true, Ordering::Relaxed))?;
        }
        Ok(export.exported)
    }

    fn next(&self) -> Option<Input> {
        if self.has_failed.load(Ordering::Relaxed) {
            return None;
        }
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// Exports the lines of files and chains that were not exported yet.
pub(super) struct EventExport<'a> {
    pub(super) files: &'a EventFiles<'a>,
    days: Days,
    parser: Parser,
    exported: Exported,
}

/// A range that is being written.
pub(super) struct OpenRange {
    pub(super) start: u64,
    pub(super) end: u64,
    /// Of a shipped record: the id of the block in which it ends.
    pub(super) id: Option<String>,
    /// The time of the last event that had one.
    before: Option<i64>,
    files: BTreeMap<String, TableFile>,
}

impl OpenRange {
    pub(super) const fn new(start: u64) -> Self {
        Self { start, end: start, id: None, before: None, files: BTreeMap::new() }
    }

    /// How many days it has, each of which is an open file.
    pub(super) fn days(&self) -> usize {
        self.files.len()
    }
}

/// Where a line is: the columns of the same names.
#[derive(Clone, Copy, Debug)]
pub(super) struct Origin<'a> {
    pub(super) directory: &'a str,
    pub(super) node: Option<&'a str>,
}

impl EventExport<'_> {
    fn file(&mut self, directory: &Path, file: &CdrFile) -> Result<(), String> {
        let plain = cdr_path::plain_path(&file.path);
        let name = plain.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let key = (ranges::hash_of(directory), name);
        let known = self.files.known.of_file(&key);
        let mut from = 0;
        loop {
            let gap = known.next_gap(from);
            let (start, end) = (gap.start, gap.end.filter(|_| gap.is_begun));
            let offset = start;
            let position = ReaderPosition { file: cdr_path::plain_path(&file.path), offset };
            let reader = Reader::of_files([&file.path]).begin_at(position).open();
            let range = reader.and_then(|reader| self.range(directory, reader, gap));
            let range = match range {
                Ok(range) => range?,
                Err(error) => {
                    self.fail(error);
                    return Ok(());
                }
            };
            if let Some(end) = end.filter(|end| *end != range.end) {
                let path = file.path.display();
                return Err(format!(
                    "{path} was exported up to byte {end}, and now a line ends at byte {}: is it \
                     another file?",
                    range.end
                ));
            }
            if range.end == start {
                return Ok(());
            }
            from = range.end;
            self.commit(range, &key)?;
        }
    }

    /// Reads the gap, or as much of it as fits into a range. The outer error is
    /// of the CDR, the inner one of the export.
    fn range(
        &mut self,
        directory: &Path,
        mut reader: Reader,
        gap: Gap,
    ) -> Result<Result<OpenRange, String>, ReadError> {
        let Gap { start, end, is_begun, .. } = gap;
        let mut range = OpenRange::new(start);
        let (bytes_max, days_max) =
            if is_begun { (u64::MAX, usize::MAX) } else { (RANGE_BYTES_MAX, RANGE_DAYS_MAX) };
        let limit = start.saturating_add(bytes_max).min(end.unwrap_or(u64::MAX));
        let directory = directory.display().to_string();
        let origin = Origin { directory: &directory, node: None };
        loop {
            let lines = match reader.next_lines() {
                Ok(Some(lines)) => lines,
                Ok(None) => return Ok(Ok(range)),
                Err(error @ ReadError::LineTooLong { .. }) => {
                    self.fail(error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            for line in lines.iter() {
                let is_over = line.offset() >= limit || range.days() >= days_max;
                // Half a line is being written.
                if is_over || !line.is_whole() {
                    return Ok(Ok(range));
                }
                range.end = line.offset() + line.bytes_with_end().len() as u64;
                if let Err(error) = self.line(origin, line, &mut range) {
                    return Ok(Err(error));
                }
            }
            self.files.bytes.fetch_add(lines.bytes().len() as u64, Ordering::Relaxed);
        }
    }

    /// Adds a line to the range.
    pub(super) fn line(
        &mut self,
        origin: Origin<'_>,
        line: Line<'_>,
        range: &mut OpenRange,
    ) -> Result<(), String> {
        let bytes = line.bytes_with_end();
        self.exported.bytes += bytes.len() as u64;
        self.exported.lines += 1;
        let Ok(event) = self.parser.parse(bytes) else {
            self.exported.lines_bad += 1;
            return Ok(());
        };
        let fields = Fields::of(&event);
        let at = fields.at.or(range.before);
        range.before = at;
        let day = at.map_or(NO_DAY, |at| self.days.of(at));
        let file = match range.files.get_mut(day) {
            Some(file) => file,
            None => {
                let file = TableFile::new(self.files.target, TABLE, day, EVENTS)?;
                range.files.entry(day.to_owned()).or_insert(file)
            }
        };
        let name = line.path().file_name().unwrap_or_default().to_string_lossy();
        let offset = i64::try_from(line.offset()).unwrap_or(i64::MAX);
        file.push(&[
            Cell::whole(fields.at),
            Cell::Text(&event.name),
            Cell::bytes(fields.session.as_deref()),
            Cell::bytes(fields.session_id.as_deref()),
            Cell::bytes(fields.participant.as_deref()),
            Cell::bytes(fields.activity.as_deref()),
            Cell::bytes(fields.reason.as_deref()),
            fields.recording_bytes.map_or(Cell::Null, Cell::count),
            Cell::Text(origin.directory.as_bytes()),
            Cell::bytes(origin.node.map(str::as_bytes)),
            Cell::Text(cdr_path::plain_name(&name).as_bytes()),
            Cell::Whole(offset),
            Cell::Text(event.text),
        ])
    }

    /// The last file makes the range complete.
    pub(super) fn commit(&mut self, range: OpenRange, key: &CdrFileKey) -> Result<(), String> {
        let OpenRange { start, end, id, mut files, .. } = range;
        if files.is_empty() {
            // Not one event: an empty file says that these lines were read.
            let file = TableFile::new(self.files.target, TABLE, NO_DAY, EVENTS)?;
            files.insert(NO_DAY.to_owned(), file);
        }
        let count = files.len();
        for (number, (_, file)) in (1..).zip(files) {
            let name = ranges::name(key, &(start..end), id.as_deref(), number, count);
            self.exported.files_created += u64::from(file.commit(self.files.target, &name)?);
        }
        Ok(())
    }

    pub(super) fn fail(&mut self, error: impl Display) {
        self.exported.is_incomplete = true;
        say(error);
    }
}
