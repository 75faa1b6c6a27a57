//! Takes the lines of a record, and keeps what an audit needs from them: what is missing, not what
//! is there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::cause::FileSpan;
use super::drops::{Drop, DropReader};
use super::finding::Subject;
use super::sequence::Sequences;
use crate::count::ahead::FileLine;
use crate::count::event::{ActivityRef, Says};
use crate::count::input::Input;
use crate::count::line::Line;
use crate::count::line_reader::{Depth, LineReader, ReadEvent};
use crate::count::reading::LineTaker;
use crate::count::{Count, Level, Listener, Missing, MissingEvent, SessionTracker, Sign, Source};

/// How many missing events are kept with their details; the rest is counted.
const KEPT_MAX: usize = 100_000;

/// A missing event. It outlives its session.
#[derive(Clone, Debug)]
pub(super) struct Absence {
    pub(super) event: MissingEvent,
    pub(super) sign: Sign,
    pub(super) source: Source,
    pub(super) subject: Subject,
    pub(super) told: Option<i64>,
    pub(super) after: Option<i64>,
    pub(super) before: i64,
    pub(super) inside: u64,
}

impl Absence {
    fn new(missing: &Missing<'_>) -> Self {
        let Missing { event, sign, source, told, after, before, inside, .. } = *missing;
        let subject = Subject::of_missing(missing);
        Self { event, sign, source, subject, told, after, before, inside }
    }
}

/// What is missing, as the tracker reports it.
#[derive(Debug, Default)]
pub(super) struct Absences {
    pub(super) kept: Vec<Absence>,
    /// How many there are of each event.
    pub(super) counts: BTreeMap<(Source, MissingEvent), u64>,
    /// Those that were not kept.
    pub(super) untold: u64,
}

impl Listener for Absences {
    fn count(&mut self, count: Count<'_>) {
        let Count::Missing(missing) = count else { return };
        if missing.sign != Sign::StillOpen {
            *self.counts.entry((missing.source, missing.event)).or_default() += 1;
        }
        if self.kept.len() < KEPT_MAX {
            self.kept.push(Absence::new(&missing));
        } else if missing.sign != Sign::StillOpen {
            self.untold += 1;
        }
    }

    fn level(&mut self, _: Range<i64>, _: Level) {}
}

/// A file, by the times of its first and last event.
#[derive(Debug)]
struct FileTimes {
    source: Source,
    first: i64,
    last: i64,
}

#[derive(Debug)]
pub(super) struct Record {
    pub(super) tracker: SessionTracker,
    pub(super) absences: Absences,
    pub(super) sequences: Sequences,
    drop_reader: DropReader,
    pub(super) drops: Vec<Drop>,
    /// The times of each file, and the file of the last line.
    files: HashMap<PathBuf, FileTimes>,
    file: Option<(PathBuf, FileTimes)>,
    /// How many events of each kind came, for the kinds that can be missing.
    heard: BTreeMap<(Source, MissingEvent), u64>,
    /// The time of the first event of each directory, and of all.
    begins: BTreeMap<Source, i64>,
    pub(super) last: Option<i64>,
    pub(super) lines: u64,
    pub(super) bytes: u64,
}

impl Record {
    /// What has had no event for this long, in milliseconds, is given up.
    pub(super) fn new(grace_ms: i64) -> Self {
        Self {
            tracker: SessionTracker::with_silence(grace_ms),
            absences: Absences::default(),
            sequences: Sequences::default(),
            drop_reader: DropReader::new(),
            drops: Vec::new(),
            files: HashMap::new(),
            file: None,
            heard: BTreeMap::new(),
            begins: BTreeMap::new(),
            last: None,
            lines: 0,
            bytes: 0,
        }
    }

    /// When the record of a directory begins.
    pub(super) fn begin(&self, source: Source) -> Option<i64> {
        self.begins.get(&source).copied()
    }

    pub(super) fn first(&self) -> Option<i64> {
        self.begins.values().min().copied()
    }

    /// Whether not one event of a kind came.
    pub(super) fn is_unheard(&self, source: Source, event: MissingEvent) -> bool {
        !self.heard.contains_key(&(source, event))
    }

    /// The times of one file.
    pub(super) fn span(&self, path: &Path) -> Option<FileSpan> {
        let times = match &self.file {
            Some((current, times)) if current == path => times,
            _ => self.files.get(path)?,
        };
        let FileTimes { source, first, last } = *times;
        Some(FileSpan { source, first, last })
    }

    /// The files of an input, in their order, with their times.
    pub(super) fn spans<'a>(&'a self, input: &'a Input) -> Vec<(&'a Path, FileSpan)> {
        let paths: Vec<&Path> = if input.is_file() {
            vec![&input.path]
        } else {
            // What a node shipped is of many files, whose names sort as they were written.
            let open = self.file.iter().map(|(path, _)| path);
            let paths: BTreeSet<&Path> =
                self.files.keys().chain(open).map(PathBuf::as_path).collect();
            paths.into_iter().collect()
        };
        let span = |path| self.span(path).map(|span| (path, span));
        let spans = paths.into_iter().filter_map(span);
        spans.filter(|(_, span)| input.is_file() || span.source == input.source).collect()
    }

    /// The same, if they follow one another.
    pub(super) fn listed_spans<'a>(&'a self, input: &'a Input) -> Vec<(&'a Path, FileSpan)> {
        if input.is_file() && !input.is_listed { Vec::new() } else { self.spans(input) }
    }

    /// The input is over.
    pub(super) fn end(&mut self) {
        self.tracker.end(&mut self.absences);
    }

    fn note_time(&mut self, path: &Path, source: Source, at: i64) {
        let begin = self.begins.entry(source).or_insert(at);
        *begin = (*begin).min(at);
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        match &mut self.file {
            Some((current, times)) if current == path => times.last = at,
            _ => self.change_file(path, source, at),
        }
    }

    #[cold]
    fn change_file(&mut self, path: &Path, source: Source, at: i64) {
        if let Some((path, times)) = self.file.take() {
            self.files.insert(path, times);
        }
        let known = self.files.remove(path);
        let mut times = known.unwrap_or(FileTimes { source, first: at, last: at });
        times.last = at;
        self.file = Some((path.to_owned(), times));
    }

    fn note_heard(&mut self, source: Source, says: &Says<'_>) {
        let event = match says {
            Says::SessionBegan(_) => MissingEvent::SessionStart,
            Says::SessionEnded { .. } => MissingEvent::SessionEnd,
            Says::Joined { .. } => MissingEvent::Join,
            Says::Left(..) => MissingEvent::Leave,
            Says::ActivityBegan(ActivityRef { kind, .. }) => MissingEvent::ActivityStart(*kind),
            Says::ActivityEnded { activity: ActivityRef { kind, .. }, .. } => {
                MissingEvent::ActivityEnd(*kind)
            }
            Says::Nothing
            | Says::Recorded(_)
            | Says::JoinFailed { .. }
            | Says::ActivityGoesOn(_) => return,
        };
        *self.heard.entry((source, event)).or_default() += 1;
    }
}

impl LineTaker for Record {
    fn reader(&self) -> LineReader {
        self.tracker.reader(Depth::Audit)
    }

    fn take(
        &mut self,
        line: FileLine<'_>,
        event: Option<ReadEvent>,
        source: Source,
        before: Option<i64>,
    ) {
        self.lines += 1;
        self.bytes += line.bytes.len() as u64;
        let Some(event) = event else { return };
        if let Some(at) = event.at {
            self.note_time(line.path, source, at);
        }
        self.note_heard(source, &event.says);
        let Some(at) = event.at.or(before) else { return };
        let parsed = Line::of_parsed(line.bytes);
        let count = self.drop_reader.count(&parsed);
        let session = count.and_then(|_| session_of(&event.says));
        if self.tracker.take(at, source, event) {
            self.sequences.take(&parsed, source, at);
            self.drops.extend(count.map(|count| Drop { source, at, count, session }));
        }
    }

    fn advance(&mut self, watermark: i64) {
        self.tracker.advance(watermark, &mut self.absences);
        self.sequences.advance(watermark);
    }
}

/// The name of the session that an event is about.
fn session_of(says: &Says<'_>) -> Option<String> {
    let session = match says {
        Says::SessionBegan(session)
        | Says::SessionEnded { session, .. }
        | Says::Joined { session, .. }
        | Says::JoinFailed { session, .. }
        | Says::Left(session, _)
        | Says::ActivityBegan(ActivityRef { session, .. })
        | Says::ActivityGoesOn(ActivityRef { session, .. })
        | Says::ActivityEnded { activity: ActivityRef { session, .. }, .. } => session,
        Says::Nothing | Says::Recorded(_) => return None,
    };
    let name = String::from_utf8_lossy(&session.name);
    (!name.is_empty()).then(|| name.into_owned())
}
