//! Merges files in the order of their events' times.
//!
//! Two servers write two directories in the same hours, and an archive that was appended again is a
//! second file about the same days. If files were read one after the other, time would go back at
//! each file. So the next block is always read from the file that is furthest back in time, and a
//! file is opened when time has reached its first event.
//!
//! If time goes back within a file (an archive was appended to it), the file is cut, and its parts
//! are merged. That is known only at its end, so everything is then read once more.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::PathBuf;

use cdrlog::LineFault;
use cdrlog::reader::ReadError;

use super::Source;
use super::ahead::{BLOCKS_MAX, FileLine, Pending, ReadBlock, Threads};
use super::event_order::LATENESS_MS;
use super::event_reader;
use super::input::{Input, InputReader};
use super::line::Parser;
use super::line_reader::{LineReader, ReadEvent};
use super::piece::Piece;
use crate::input_remark::InputRemark;

/// The maximum number of open files; each has a block in memory.
const OPEN_MAX: usize = 128;

/// Lines of a file that are read to find its first time.
const PEEK_LINES: usize = 1000;

/// The maximum number of cuts, in all files together.
pub(crate) const CUTS_MAX: usize = 100;

/// Receives what is read.
pub(crate) trait LineListener {
    /// What reads lines for it.
    fn reader(&self) -> LineReader;

    /// A line, what it says or why it is not that of an event, and the time of the line before it in
    /// its file.
    fn line(
        &mut self,
        line: FileLine<'_>,
        event: Result<ReadEvent, LineFault>,
        source: Source,
        before: Option<i64>,
    );

    /// Hardly any event before this time is still to come.
    fn advance(&mut self, watermark: i64);

    /// This many bytes of lines were read.
    fn read(&mut self, bytes: u64);

    /// Something could not be read, and is skipped.
    fn fail(&mut self, error: &ReadError);

    /// Something is to be told of an input.
    fn remark(&mut self, remark: &InputRemark);
}

/// A position in a file at which time goes back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Cut {
    /// The number of the input.
    pub(crate) file: usize,
    /// The position in the input at which the first line with an earlier time starts.
    pub(crate) position: u64,
    /// The file of that line, and the byte at which it starts.
    pub(crate) path: PathBuf,
    pub(crate) offset: u64,
    /// That time.
    pub(crate) begin: i64,
    /// The time that it was before.
    pub(crate) from: i64,
}

/// A part of a file in which time does not go back, or the whole file.
#[derive(Clone, Copy, Debug)]
struct Part {
    file: usize,
    begin: i64,
    position: u64,
    end: Option<u64>,
}

/// How far a part was read.
struct OpenPart {
    part: Part,
    reader: InputReader,
    /// What was read from it, and not taken yet.
    ahead: VecDeque<Next>,
    /// It was read to its end.
    is_read: bool,
    clock: Clock,
}

/// What comes next in a part.
enum Next {
    Lines {
        pending: Pending,
        /// What is added to the offset of a line to get its position in the input.
        shift: u64,
    },
    Failed(ReadError),
    Remark(InputRemark),
}

impl OpenPart {
    fn new(part: Part, reader: InputReader) -> Self {
        let (ahead, clock) = (VecDeque::new(), Clock::new(part.begin));
        Self { part, reader, ahead, is_read: false, clock }
    }

    /// Reads until so many blocks wait, or to the end.
    fn read_ahead(&mut self, count_max: usize, threads: &mut Threads) {
        while !self.is_read && self.ahead.len() < count_max {
            match self.reader.next_lines() {
                Ok(None) => self.is_read = true,
                Ok(Some(piece)) if self.part.end.is_some_and(|end| piece.position >= end) => {
                    self.is_read = true;
                }
                Ok(Some(Piece { lines, position })) => {
                    let shift = position.wrapping_sub(lines.offset());
                    self.ahead.push_back(Next::Lines { pending: threads.begin(lines), shift });
                }
                Err(error) => {
                    if !matches!(error, ReadError::LineTooLong { .. }) {
                        self.is_read = true;
                    }
                    self.ahead.push_back(Next::Failed(error));
                }
            }
            self.ahead.extend(self.reader.take_remarks().into_iter().map(Next::Remark));
        }
    }
}

/// The time in a part that is being read.
#[derive(Debug)]
struct Clock {
    now: i64,
    /// The time of the last event, and where its line is: its position in the input, and its offset
    /// in the file.
    last: Option<(i64, (u64, u64))>,
}

impl Clock {
    fn new(begin: i64) -> Self {
        Self { now: begin, last: None }
    }

    /// An event has the time `at`, in the line at `place`. Returns the place if time went back.
    ///
    /// A single event with a wrong time means nothing: two consecutive ones must agree.
    fn hear(&mut self, at: i64, place: (u64, u64)) -> Option<((u64, u64), i64)> {
        let (last, last_place) = self.last.replace((at, place)).unwrap_or((at, place));
        let begin = at.min(last);
        if at.max(last) < self.now.saturating_sub(LATENESS_MS) {
            self.now = begin;
            return Some((last_place, begin));
        }
        self.now = self.now.max(begin);
        None
    }
}

/// Reads all files once, with the cuts that an earlier pass found, and returns all cuts that are
/// known now.
pub(crate) fn read(files: &[Input], cuts: &[Cut], listener: &mut impl LineListener) -> Vec<Cut> {
    let mut opened = BTreeMap::new();
    // A single input needs no place among others, unless it is cut.
    if files.len() > 1 || !cuts.is_empty() {
        // All of them before the first is read: nodes are then asked at the same time.
        let chains = files.iter().enumerate().filter(|(_, input)| !input.is_file());
        opened.extend(chains.filter_map(|(number, input)| Some((number, input.open(0).ok()?))));
    }
    let mut merge = Merge {
        files,
        // The first one is the last of the list.
        waiting: parts(files, cuts, &mut opened),
        opened,
        open: Vec::new(),
        cuts: Vec::new(),
        last: None,
        threads: Threads::new(listener.reader()),
    };
    merge.waiting.sort_by_key(|part| std::cmp::Reverse((part.begin, part.file, part.position)));
    while merge.open_due() {
        merge.read_block(listener);
        if let Some(watermark) = merge.watermark() {
            listener.advance(watermark);
        }
    }
    merge.cuts
}

struct Merge<'a> {
    files: &'a [Input],
    waiting: Vec<Part>,
    /// What nodes shipped, of which the first lines were looked at, by the number of the input.
    opened: BTreeMap<usize, InputReader>,
    open: Vec<OpenPart>,
    cuts: Vec<Cut>,
    /// The time of the last event that was read.
    last: Option<i64>,
    threads: Threads,
}

impl Merge<'_> {
    /// The time up to which everything was read.
    fn watermark(&self) -> Option<i64> {
        let open = self.open.iter().map(|open| open.clock.now).min();
        open.into_iter().chain(self.waiting.last().map(|part| part.begin)).min()
    }

    /// Opens the parts whose time has come. False if nothing is left.
    fn open_due(&mut self) -> bool {
        while let Some(&part) = self.waiting.last() {
            let now = self.open.iter().map(|open| open.clock.now).min();
            let Some(input) = self.files.get(part.file) else { break };
            let is_full = input.is_file() && self.open.len() >= OPEN_MAX;
            if now.is_some_and(|now| now < part.begin) || is_full {
                break;
            }
            self.waiting.pop();
            let opened = if part.position == 0 { self.opened.remove(&part.file) } else { None };
            if let Ok(reader) = opened.map_or_else(|| input.open(part.position), Ok) {
                self.open.push(OpenPart::new(part, reader));
            }
        }
        !self.open.is_empty()
    }

    /// Reads from the part that is furthest back.
    fn read_block(&mut self, listener: &mut impl LineListener) {
        // With many files each has one block, which is in memory anyway.
        let ahead = (BLOCKS_MAX / self.open.len().max(1)).max(1);
        let Some(furthest_back) = (0..self.open.len())
            .min_by_key(|&index| self.open.get(index).map(|open| open.clock.now))
        else {
            return;
        };
        let Some(open) = self.open.get_mut(furthest_back) else { return };
        let Some(file) = self.files.get(open.part.file) else { return };
        open.read_ahead(ahead, &mut self.threads);
        match open.ahead.pop_front() {
            Some(Next::Lines { pending, shift }) => {
                let mut block = pending.wait();
                self.take_block(furthest_back, &mut block, shift, listener);
                listener.read(block.bytes());
                self.threads.end(block);
            }
            Some(Next::Failed(error)) => {
                if !(file.is_listed && is_not_found(&error)) {
                    listener.fail(&error);
                }
            }
            Some(Next::Remark(remark)) => listener.remark(&remark),
            None => {
                self.open.swap_remove(furthest_back);
            }
        }
    }

    /// Takes the lines of a block of an open part.
    fn take_block(
        &mut self,
        index: usize,
        block: &mut ReadBlock,
        shift: u64,
        listener: &mut impl LineListener,
    ) {
        let Some(OpenPart { part, clock, .. }) = self.open.get_mut(index) else { return };
        let Some(file) = self.files.get(part.file) else { return };
        let mut before = clock.last.map(|(at, _)| at).or(self.last);
        for (line, event) in block.take_lines() {
            let position = line.offset.wrapping_add(shift);
            if part.end.is_some_and(|end| position >= end) {
                break;
            }
            let at = event.as_ref().ok().and_then(|event| event.at);
            listener.line(line, event, file.source, before);
            let Some(at) = at else { continue };
            before = Some(at);
            let from = clock.now;
            let cut = clock.hear(at, (position, line.offset));
            self.cuts.extend(cut.map(|((position, offset), begin)| Cut {
                file: part.file,
                position,
                path: line.path.to_owned(),
                offset,
                begin,
                from,
            }));
        }
        self.last = before;
    }
}

fn is_not_found(error: &ReadError) -> bool {
    matches!(error, ReadError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
}

/// All inputs, each cut where necessary.
fn parts(files: &[Input], cuts: &[Cut], opened: &mut BTreeMap<usize, InputReader>) -> Vec<Part> {
    let mut begins: BTreeMap<(usize, u64), i64> = BTreeMap::new();
    for (number, input) in files.iter().enumerate() {
        let begin = match opened.get_mut(&number) {
            Some(reader) => first_time(reader),
            None if files.len() == 1 && cuts.is_empty() => None,
            None => input.open(0).ok().and_then(|mut reader| first_time(&mut reader)),
        };
        begins.insert((number, 0), begin.unwrap_or(i64::MIN));
    }
    begins.extend(cuts.iter().map(|cut| ((cut.file, cut.position), cut.begin)));
    let ends = begins.keys().skip(1).copied().map(Some).chain([None]);
    let parts = begins.iter().zip(ends).map(|((&(file, position), &begin), next)| {
        let end = next.filter(|next| next.0 == file).map(|next| next.1);
        Part { file, begin, position, end }
    });
    parts.collect()
}

/// The earliest time in the first lines of an input; `None` if there is none. One that cannot be read
/// is reported when it is read.
fn first_time(reader: &mut InputReader) -> Option<i64> {
    let lines = reader.peek_lines().ok()??.lines;
    let mut parser = Parser::default();
    let times = lines.iter().take(PEEK_LINES).filter_map(|line| {
        let line = parser.parse(line.bytes_with_end()).ok()?;
        event_reader::read(&line).at
    });
    times.min()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: i64 = 60_000;

    #[test]
    fn time_goes_back_where_two_events_in_a_row_say_so() {
        let mut clock = Clock::new(0);
        let times = [60, 61, 58, 1, 62, 90, 63, 1, 2, 3, 1_000_000, 4];
        let cuts: Vec<_> = times
            .iter()
            .zip(0..)
            .filter_map(|(minutes, offset)| clock.hear(minutes * MINUTE, (offset, offset)))
            .collect();
        assert_eq!(cuts, [((7, 7), MINUTE)]);
        assert_eq!(clock.now, 4 * MINUTE);
    }
}
