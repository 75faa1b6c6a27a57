//! The table of events: each line of the CDR, with what its members tell in columns.

use std::collections::{BTreeMap, VecDeque};
use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use cdrlog::reader::{CdrFile, FileKind, Line, ReadError, Reader, ReaderPosition, cdr_files};

use super::columns::EVENTS;
use super::days::{Days, NO_DAY};
use super::parquet_file::Cell;
use super::ranges::{self, CdrFileKey, Gap, Ranges};
use super::table_file::TableFile;
use super::target::Target;
use crate::cdr_path;
use crate::count::event::{ActivityRef, Id, Says, SessionRef};
use crate::count::line::{Line as Event, Members, Parser, text};
use crate::count::{detail::Detail, event_reader};
use crate::outcome::say;

pub(super) const TABLE: &str = "events";

/// The bytes of lines of a range, which is as much as a killed run has to do again.
const RANGE_BYTES_MAX: u64 = 256 << 20;

/// The days of a range, each of which is an open file: times may be anything.
const RANGE_DAYS_MAX: usize = 8;

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

/// The files of the CDR, which threads take one after the other. No file depends on another one.
pub(super) struct EventFiles<'a> {
    target: &'a Target,
    days: Days,
    /// What was exported before.
    known: Ranges,
    waiting: Mutex<VecDeque<(PathBuf, CdrFile)>>,
    /// The bytes that all threads have read.
    bytes: AtomicU64,
    /// A thread has failed, and the others are to end.
    has_failed: AtomicBool,
}

impl<'a> EventFiles<'a> {
    pub(super) fn new(
        target: &'a Target,
        days: Days,
        directories: &[PathBuf],
    ) -> Result<Self, Box<dyn Error>> {
        let names = target.files(TABLE)?;
        let known = Ranges::of_names(names.iter().map(|(_, name)| name.as_str()));
        let mut waiting = VecDeque::new();
        for directory in directories {
            let files = cdr_files(directory)?.into_iter();
            let files = files.filter(|file| file.kind == FileKind::Cdr);
            waiting.extend(files.map(|file| (directory.clone(), file)));
        }
        let (waiting, bytes) = (Mutex::new(waiting), AtomicU64::new(0));
        let has_failed = AtomicBool::new(false);
        Ok(Self { target, days, known, waiting, bytes, has_failed })
    }

    pub(super) fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Exports file after file, until there is none. Several threads may do so.
    pub(super) fn export(&self) -> Result<Exported, String> {
        let days = self.days.clone();
        let (parser, exported) = (Parser::default(), Exported::default());
        let mut export = EventExport { files: self, days, parser, exported };
        while let Some((directory, file)) = self.next() {
            export.file(&directory, &file).inspect_err(|_| {
                self.has_failed.store(true, Ordering::Relaxed);
            })?;
        }
        Ok(export.exported)
    }

    fn next(&self) -> Option<(PathBuf, CdrFile)> {
        if self.has_failed.load(Ordering::Relaxed) {
            return None;
        }
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

/// Exports the lines of files that were not exported yet.
struct EventExport<'a> {
    files: &'a EventFiles<'a>,
    days: Days,
    parser: Parser,
    exported: Exported,
}

/// A range that is being written.
struct OpenRange {
    end: u64,
    before: Option<i64>,
    files: BTreeMap<String, TableFile>,
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
            let offset = gap.start;
            let position = ReaderPosition { file: cdr_path::plain_path(&file.path), offset };
            let reader = Reader::of_files([&file.path]).begin_at(position).open();
            let range = reader.and_then(|reader| self.range(directory, reader, gap));
            let range = match range {
                Ok(range) => range?,
                Err(error) => {
                    self.fail(&error);
                    return Ok(());
                }
            };
            if let Some(end) = gap.end.filter(|end| gap.is_begun && *end != range.end) {
                let path = file.path.display();
                return Err(format!(
                    "{path} was exported up to byte {end}, and now a line ends at byte {}: is it \
                     another file?",
                    range.end
                ));
            }
            if range.end == gap.start {
                return Ok(());
            }
            from = range.end;
            self.commit(range, gap.start, &key)?;
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
        let Gap { start, end, is_begun } = gap;
        let mut range = OpenRange { end: start, before: None, files: BTreeMap::new() };
        let (bytes_max, days_max) =
            if is_begun { (u64::MAX, usize::MAX) } else { (RANGE_BYTES_MAX, RANGE_DAYS_MAX) };
        let limit = start.saturating_add(bytes_max).min(end.unwrap_or(u64::MAX));
        let directory = directory.display().to_string();
        loop {
            let lines = match reader.next_lines() {
                Ok(Some(lines)) => lines,
                Ok(None) => return Ok(Ok(range)),
                Err(error @ ReadError::LineTooLong { .. }) => {
                    self.fail(&error);
                    continue;
                }
                Err(error) => return Err(error),
            };
            for line in lines.iter() {
                let is_over = line.offset() >= limit || range.files.len() >= days_max;
                // Half a line is being written.
                if is_over || !line.is_whole() {
                    return Ok(Ok(range));
                }
                if let Err(error) = self.line(&directory, line, &mut range) {
                    return Ok(Err(error));
                }
            }
            self.files.bytes.fetch_add(lines.bytes().len() as u64, Ordering::Relaxed);
        }
    }

    fn line(
        &mut self,
        directory: &str,
        line: Line<'_>,
        range: &mut OpenRange,
    ) -> Result<(), String> {
        let bytes = line.bytes_with_end();
        range.end = line.offset() + bytes.len() as u64;
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
            Cell::Text(directory.as_bytes()),
            Cell::Text(cdr_path::plain_name(&name).as_bytes()),
            Cell::Whole(offset),
            Cell::Text(event.text),
        ])
    }

    /// The last file makes the range complete.
    fn commit(&mut self, range: OpenRange, start: u64, key: &CdrFileKey) -> Result<(), String> {
        let OpenRange { end, mut files, .. } = range;
        if files.is_empty() {
            // Not one event: an empty file says that these lines were read.
            let file = TableFile::new(self.files.target, TABLE, NO_DAY, EVENTS)?;
            files.insert(NO_DAY.to_owned(), file);
        }
        let count = files.len();
        for (number, (_, file)) in (1..).zip(files) {
            let name = ranges::name(key, &(start..end), number, count);
            self.exported.files_created += u64::from(file.commit(self.files.target, &name)?);
        }
        Ok(())
    }

    fn fail(&mut self, error: &ReadError) {
        self.exported.is_incomplete = true;
        say(error);
    }
}

/// What the members of an event tell.
#[derive(Debug, Default)]
struct Fields<'a> {
    at: Option<i64>,
    session: Option<Id<'a>>,
    session_id: Option<Id<'a>>,
    participant: Option<Id<'a>>,
    activity: Option<Id<'a>>,
    reason: Option<Id<'a>>,
    recording_bytes: Option<u64>,
}

impl<'a> Fields<'a> {
    fn of(event: &Event<'a>) -> Self {
        let (read, detail) = event_reader::read_with_detail(event);
        let mut fields = Self { at: read.at, ..Self::default() };
        match read.says {
            Says::SessionBegan(session) => fields.set_session(session),
            Says::SessionEnded { session, reason, .. } => {
                fields.set_session(session);
                fields.reason = reason;
            }
            Says::Joined { session, participant } => {
                fields.set_session(session);
                fields.participant = Some(participant);
            }
            Says::Left(session, stay) => {
                fields.set_session(session);
                fields.participant = stay.participant;
                fields.reason = stay.reason;
            }
            Says::Recorded(recorded) => {
                fields.set_session(recorded.session);
                fields.activity = recorded.id;
                fields.recording_bytes = Some(recorded.bytes);
            }
            _ => fields.set_others(event, detail),
        }
        fields
    }

    fn set_session(&mut self, session: SessionRef<'a>) {
        self.session = Some(session.name);
        self.session_id = session.unique;
    }

    /// The members of events that are not counted.
    fn set_others(&mut self, event: &Event<'a>, detail: Option<Detail<'a>>) {
        let activity = match detail {
            Some(Detail::Activity(
                Says::ActivityBegan(activity) | Says::ActivityEnded { activity, .. },
            )) => activity,
            _ => return self.set_members(event.body),
        };
        let ActivityRef { session, participant, id, .. } = activity;
        self.set_session(session);
        self.participant = participant;
        self.activity = Some(id);
    }

    fn set_members(&mut self, body: &'a [u8]) {
        for (key, value) in Members::of_object(body) {
            match key.as_ref() {
                b"sessionId" => self.session = text(value),
                b"uniqueSessionId" => self.session_id = text(value),
                b"connectionId" => self.participant = text(value),
                b"reason" => self.reason = text(value),
                _ => {}
            }
        }
    }
}
