//! Finds the last lines without reading everything before them.

use std::collections::VecDeque;
use std::error::Error;
use std::fs::{File, Metadata};
use std::io;
use std::path::{Path, PathBuf};

use cdrlog::Reader;
use cdrlog::reader::{
    Encoding, Event, FileKind, ReadError, ReaderBuilder, ReaderPosition, cdr_files,
};
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};

use super::backwards::Backwards;
use super::filter::Filter;
use crate::cdr_path;

/// A file is skipped if the next one was created this long before the requested time, or if it was
/// created this long after it: the time in its name is local time, perhaps of another zone than ours.
const ZONES_APART: SignedDuration = SignedDuration::from_hours(26);

/// Where lines come from.
pub(crate) struct Source {
    path: PathBuf,
    kind: FileKind,
    is_directory: bool,
    /// Oldest first, without those that hold nothing before the end of the period.
    files: Vec<SourceFile>,
    /// There are no others.
    has_all_files: bool,
}

struct SourceFile {
    path: PathBuf,
    /// The same without `.zst` or `.gz`.
    plain_path: PathBuf,
    is_plain: bool,
    created: Option<DateTime>,
}

impl Source {
    /// The files of this kind in a directory that may hold events before `until`, or one file.
    pub(crate) fn new(
        path: &Path,
        metadata: &Metadata,
        kind: FileKind,
        until: Option<Timestamp>,
    ) -> Result<Self, Box<dyn Error>> {
        let is_directory = metadata.is_dir();
        let mut files = if is_directory {
            let files = cdr_files(path)?.into_iter().filter(|file| file.kind == kind);
            files
                .map(|file| SourceFile {
                    plain_path: path.join(&file.name),
                    is_plain: file.encoding == Encoding::Plain,
                    created: Some(file.created),
                    path: file.path,
                })
                .collect()
        } else if metadata.is_file() {
            vec![SourceFile::given(path)]
        } else {
            return Err(
                format!("{} is neither a directory nor a regular file", path.display()).into()
            );
        };
        let all = files.len();
        files.truncate(files_before(&files, kind, until));
        let has_all_files = files.len() == all;
        Ok(Self { path: path.to_owned(), kind, is_directory, files, has_all_files })
    }

    pub(crate) fn reader(&self) -> ReaderBuilder {
        let reader = if self.has_all_files && self.is_directory {
            Reader::builder(&self.path)
        } else {
            Reader::of_files(self.files.iter().map(|file| &file.path))
        };
        reader.kind(self.kind)
    }

    /// The position of the last `count` matching lines; of all matching lines without `count`.
    /// `None` is the start.
    pub(crate) fn start(
        &self,
        count: Option<u64>,
        filter: &Filter,
        since: Option<Timestamp>,
    ) -> Result<Option<ReaderPosition>, Box<dyn Error>> {
        let oldest = self.oldest_since(since);
        let files = self.files.get(oldest..).unwrap_or_default();
        let mut left = count.unwrap_or(0);
        for file in files.iter().rev().filter(|_| count.is_some()) {
            let found = file.last_lines(left, filter)?;
            if found.lines == left {
                let file = file.plain_path.clone();
                return Ok(Some(ReaderPosition { file, offset: found.offset }));
            }
            left -= found.lines;
        }
        let first = files.first().filter(|_| oldest > 0);
        Ok(first.map(|file| ReaderPosition { file: file.plain_path.clone(), offset: 0 }))
    }

    /// The first file that may hold events of `since` or later.
    fn oldest_since(&self, since: Option<Timestamp>) -> usize {
        let Some(limit) = since.and_then(|since| since.checked_sub(ZONES_APART).ok()) else {
            return 0;
        };
        let was_created_before =
            |file: &SourceFile| file.created_at().is_some_and(|created| created < limit);
        // What precedes a file that was created earlier is older still.
        self.files.iter().rposition(was_created_before).unwrap_or(0)
    }
}

/// The number of files up to the last one that may hold events before `until`; at least one if there
/// are any.
fn files_before(files: &[SourceFile], kind: FileKind, until: Option<Timestamp>) -> usize {
    let limit = until.and_then(|until| Some((until, until.checked_add(ZONES_APART).ok()?)));
    let Some((until, limit)) = limit else { return files.len() };
    let may_hold = |file: &SourceFile| {
        file.created_at().is_none_or(|created| created <= limit)
            // Events may be written long after their time: a sender was away, or an archive was
            // appended. Rejects have the time at which they were written.
            || kind == FileKind::Cdr && file.begins_before(until)
    };
    let last = files.iter().rposition(may_hold);
    last.map_or(files.len().min(1), |last| last + 1)
}

/// How many of the requested lines are in a file, and where the first of them starts.
struct Found {
    lines: u64,
    offset: u64,
}

impl SourceFile {
    fn given(path: &Path) -> Self {
        let plain_path = cdr_path::plain_path(path);
        let is_plain = plain_path == path;
        Self { path: path.to_owned(), plain_path, is_plain, created: None }
    }

    /// The time in its name, as if it were UTC.
    fn created_at(&self) -> Option<Timestamp> {
        self.created.and_then(|created| TimeZone::UTC.to_timestamp(created).ok())
    }

    /// Whether its first line is an event of before that. What cannot be read is not.
    fn begins_before(&self, until: Timestamp) -> bool {
        let Ok(mut reader) = Reader::of_files([&self.path]).open() else { return false };
        let Ok(Some(line)) = reader.next_line() else { return false };
        let at = Event::from_line(line.bytes()).ok().and_then(|event| event.timestamp_ms());
        at.is_some_and(|at| at < until.as_millisecond())
    }

    /// The last `count` matching lines, or all of them.
    fn last_lines(&self, count: u64, filter: &Filter) -> Result<Found, Box<dyn Error>> {
        if self.is_plain {
            match File::open(&self.path) {
                Ok(file) => {
                    return last_lines_backwards(file, count, filter).map_err(|error| {
                        format!("cannot read {}: {error}", self.path.display()).into()
                    });
                }
                // It was just compressed, or removed.
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    return Err(format!("cannot open {}: {error}", self.path.display()).into());
                }
            }
        }
        Ok(self.last_lines_forwards(count, filter))
    }

    /// A compressed file is read from its start. In a damaged one, the lines that can be read
    /// count: the error is reported when they are printed.
    fn last_lines_forwards(&self, count: u64, filter: &Filter) -> Found {
        let mut offsets = VecDeque::new();
        let mut end = 0;
        let Ok(mut reader) = Reader::of_files([&self.path]).open() else {
            return Found { lines: 0, offset: 0 };
        };
        loop {
            match reader.next_line() {
                Ok(Some(line)) if line.is_whole() => {
                    end = line.offset() + line.bytes_with_end().len() as u64;
                    if filter.matches(line.bytes()) {
                        offsets.push_back(line.offset());
                        if offsets.len() as u64 > count {
                            offsets.pop_front();
                        }
                    }
                }
                Err(ReadError::LineTooLong { .. }) => {}
                _ => break,
            }
        }
        Found { lines: offsets.len() as u64, offset: offsets.front().copied().unwrap_or(end) }
    }
}

/// The last `count` matching lines of a plain file, or all of them.
fn last_lines_backwards(file: File, count: u64, filter: &Filter) -> io::Result<Found> {
    let mut backwards = Backwards::new(file)?;
    backwards.pass_half_line()?;
    let mut found = Found { lines: 0, offset: backwards.offset() };
    while found.lines < count {
        let Some(line) = backwards.next_line()? else { break };
        if filter.matches(line) {
            found = Found { lines: found.lines + 1, offset: backwards.offset() };
        }
    }
    Ok(found)
}
