//! What a killed process left of one stream: the bytes that its segments hold.
//!
//! The kernel kept every store, so the headers and the length of the file are right unless somebody
//! changed them. Both are checked all the same before anything is appended: what the file got since
//! the last note must be the bytes of the journal, and what is to follow must be whole lines.

use std::ops::Range;

use super::control::Anchor;
use super::segment::{HEADER_BYTES, SegmentHeader, Segments};
use super::state_dir::JournalError;
use super::{Stream, cut_record};
use crate::file::LogFile;
use crate::rewrite;
use crate::storage::{DiskFile, DiskResult};

/// The bytes of a stream that its segments hold, and what is known of the bytes before and after
/// them.
pub(super) struct Remainder {
    stream: Stream,
    /// Without a gap.
    segments: Segments,
    /// The bytes before the first segment of a record that continues in it; only the file has them.
    front: Vec<u8>,
    /// What follows the last segment, at the positions it would have if it had been committed: what
    /// closes a record that was cut there, and events that were accepted and not journaled.
    closing: Vec<u8>,
    /// Lines or records of events that were accepted and not journaled.
    accepted: Vec<u8>,
    /// They start with the rest of the record that was cut.
    begins_with_rest: bool,
}

/// How much of a stream a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileExtent {
    /// Everything before this position is in the file, or was.
    pub(super) position: u64,
    /// Another program changed the file: the line at the position is written again from its start.
    pub(super) changed: bool,
}

impl Remainder {
    /// What `segments` hold of `stream`.
    pub(super) fn new(stream: Stream, segments: Segments) -> Result<Self, JournalError> {
        for pair in segments.windows(2) {
            if let [(_, before), (file, header)] = pair
                && before.end() != header.start
            {
                let fault = "it does not begin where the one before it ends".to_owned();
                return Err(JournalError::Damaged { path: file.path().to_owned(), fault });
            }
        }
        let mut remainder = Self {
            stream,
            segments,
            front: Vec::new(),
            closing: Vec::new(),
            accepted: Vec::new(),
            begins_with_rest: false,
        };
        remainder.close()?;
        Ok(remainder)
    }

    /// Adds what was accepted and not journaled: lines or records, and before them, if needed, the
    /// rest of a record whose start the segments hold.
    pub(super) fn add_accepted(
        &mut self,
        rest: Option<Vec<u8>>,
        accepted: &[u8],
    ) -> DiskResult<()> {
        self.begins_with_rest = rest.is_some();
        self.accepted = rest.unwrap_or_default();
        self.accepted.extend_from_slice(accepted);
        self.close()
    }

    /// Replaces what follows the last segment.
    fn close(&mut self) -> DiskResult<()> {
        let cut = if self.begins_with_rest { Vec::new() } else { self.end_of_cut_record()? };
        self.closing = [cut.as_slice(), &self.accepted].concat();
        Ok(())
    }

    /// Whether the last segments hold `bytes` from position `start` on, as far as they hold
    /// anything there.
    pub(super) fn agrees_with(&self, start: u64, bytes: &[u8]) -> DiskResult<bool> {
        let mut offset = self.start().max(start).saturating_sub(start) as usize;
        let mut agrees = true;
        self.for_each_block(start..self.end(), |ours| {
            let theirs = bytes.get(offset..offset + ours.len());
            agrees &= theirs == Some(ours);
            offset += ours.len();
            Ok(())
        })?;
        Ok(agrees)
    }

    /// Whether the last segment ends within a record.
    pub(super) fn ends_in_record(&self) -> DiskResult<bool> {
        Ok(!self.segments.is_empty() && self.line_start(self.end())? != self.end())
    }

    /// The position after what was accepted, not counting a closed record.
    pub(super) fn accepted_end(&self) -> u64 {
        self.end() + self.accepted.len() as u64
    }

    pub(super) fn stream(&self) -> Stream {
        self.stream
    }

    fn start(&self) -> u64 {
        self.segments.first().map_or(0, |(_, header)| header.start)
    }

    /// The position after the last committed byte; 0 if there is no segment.
    pub(super) fn end(&self) -> u64 {
        self.segments.last().map_or(0, |(_, header)| header.end())
    }

    /// The position after what closes a cut record.
    pub(super) fn closed_end(&self) -> u64 {
        self.end() + self.closing.len() as u64
    }

    /// How much of the stream `file` holds, which was noted to hold it up to `noted`.
    ///
    /// The length of the file counts, unless another program changed it: if it is less than what
    /// was noted, or the bytes after that are not ours, the note counts.
    pub(super) fn held_by(
        &mut self,
        file: Option<&LogFile>,
        anchor: Option<&Anchor>,
        noted: u64,
    ) -> Result<FileExtent, JournalError> {
        if noted < self.start() {
            let missing = self.start() - noted;
            let fault = format!("the {missing} bytes of the stream before it are missing");
            return Err(self.damaged_at(noted, fault));
        }
        let begin = self.line_start(noted)?;
        let Some((file, anchored, claimed)) = file.zip(anchor).and_then(|(file, anchor)| {
            let since = file.bytes().checked_sub(anchor.file_bytes)?;
            let claimed = anchor.position.checked_add(since).filter(|&claimed| claimed >= noted)?;
            Some((file, anchor.position, claimed))
        }) else {
            return Ok(FileExtent { position: begin, changed: true });
        };
        // What is before the anchor may not be ours.
        let from = begin.max(anchored);
        let offset = file.bytes() - (claimed - from);
        self.find_front(file, begin..from, offset)?;
        let agreed = self.agreed(from..claimed, file.disk_file(), offset)?;
        if agreed < noted.min(self.end()) {
            let name = file.name();
            let fault = format!("it does not hold what was written to {name} last");
            return Err(self.damaged_at(noted, fault));
        }
        if agreed >= claimed.min(self.closed_end()) && self.goes_on_in(file, claimed)? {
            return Ok(FileExtent { position: claimed, changed: false });
        }
        self.front.clear();
        self.close()?;
        Ok(FileExtent { position: self.line_start(agreed)?, changed: true })
    }

    /// Whether what follows `position` can be appended to `file` as it is: a line starts there, or
    /// the last line of the file is the beginning of that line and nothing else.
    fn goes_on_in(&self, file: &LogFile, position: u64) -> DiskResult<bool> {
        if position >= self.closed_end() || self.begins_line(position)? {
            return Ok(true);
        }
        let begin = self.line_start(position)?;
        let front = if begin == self.start() { self.front.len() as u64 } else { 0 };
        let last_line = file.line_start(0, file.bytes())?;
        Ok(file.bytes() - last_line == front + (position - begin)
            && self.agreed(begin..position, file.disk_file(), last_line + front)? == position)
    }

    /// Searches `file` for the front of a record that continues in the first segment. `own` is
    /// known to be in the file where its bytes are, up to `offset`.
    fn find_front(&mut self, file: &LogFile, own: Range<u64>, offset: u64) -> DiskResult<()> {
        if own.start != self.start() || self.starts_line()? {
            return Ok(());
        }
        let Some(end) = offset.checked_sub(own.end - own.start) else { return Ok(()) };
        if self.agreed(own.clone(), file.disk_file(), end)? == own.end {
            let front = file.disk_file().read_range(file.line_start(0, end)?..end)?;
            if cut_record::is_beginning(&front) {
                self.front = front;
                self.close()?;
            }
        }
        Ok(())
    }

    /// Checks that what follows is whole lines, including the line that is partly in the file.
    ///
    /// Returns the rest of a record whose start is in no segment and not in the file, because
    /// another program changed that: it cannot be a line.
    pub(super) fn check(&self, extent: FileExtent) -> Result<Option<Range<u64>>, JournalError> {
        if extent.position >= self.closed_end() {
            return Ok(None);
        }
        let mut broken = self.broken_line(self.line_start(extent.position)?)?;
        let mut rest = None;
        if let Some(line) = broken.clone()
            && line.start == self.start()
            && self.front.is_empty()
            && !self.starts_line()?
        {
            broken = self.broken_line(line.end)?;
            rest = Some(line);
        }
        let Some(line) = broken else { return Ok(rest) };
        let fault = format!("the line at position {} of its stream is not whole", line.start);
        Err(self.damaged_at(line.start, fault))
    }

    /// Whether a line starts at `position`, and not the rest of a record whose front the file has.
    pub(super) fn begins_line(&self, position: u64) -> DiskResult<bool> {
        let is_rest = position == self.start() && !self.front.is_empty();
        Ok(!is_rest && self.line_start(position)? == position)
    }

    /// Passes the bytes of a range of positions on, block by block.
    pub(super) fn for_each_block(
        &self,
        range: Range<u64>,
        mut take: impl FnMut(&[u8]) -> DiskResult<()>,
    ) -> DiskResult<()> {
        for (file, header) in &self.segments {
            let from = range.start.max(header.start);
            let to = range.end.min(header.end());
            if from < to {
                let offset = HEADER_BYTES as u64 + from - header.start;
                file.for_each_block(offset..offset + to - from, &mut take)?;
            }
        }
        let from = range.start.saturating_sub(self.end()) as usize;
        let to = range.end.min(self.closed_end()).saturating_sub(self.end()) as usize;
        match self.closing.get(from..to) {
            Some(bytes) if !bytes.is_empty() => take(bytes),
            _ => Ok(()),
        }
    }

    /// Whether the first segment starts with a line. Lines never cross segments; of records, only
    /// the start looks like one, because quotes of a body are escaped.
    fn starts_line(&self) -> DiskResult<bool> {
        if self.stream == Stream::Lines || self.start() == 0 {
            return Ok(true);
        }
        let Some((file, _)) = self.segments.first() else { return Ok(true) };
        let data = HEADER_BYTES as u64;
        Ok(file.read_range(data..data + cut_record::BEGIN.len() as u64)? == cut_record::BEGIN)
    }

    /// The start of the line that contains `position`; the start of the first segment if the line
    /// starts before that.
    fn line_start(&self, position: u64) -> DiskResult<u64> {
        const DATA: u64 = HEADER_BYTES as u64;
        let in_closing = (position.saturating_sub(self.end()) as usize).min(self.closing.len());
        let before = self.closing.get(..in_closing).unwrap_or_default();
        if let Some(index) = before.iter().rposition(|&byte| byte == b'\n') {
            return Ok(self.end() + index as u64 + 1);
        }
        for (file, header) in self.segments.iter().rev() {
            if header.start < position {
                let bytes = position.min(header.end()) - header.start;
                let offset = file.line_start(DATA, DATA + bytes)?;
                if offset > DATA {
                    return Ok(header.start + offset - DATA);
                }
            }
        }
        let holds_nothing = self.segments.is_empty() && self.closing.is_empty();
        Ok(if holds_nothing { position } else { self.start() })
    }

    /// The position up to which `file` holds, from `offset` on, the bytes of `range`.
    fn agreed(&self, range: Range<u64>, file: &DiskFile, offset: u64) -> DiskResult<u64> {
        let mut agreed = range.start;
        let mut differs = false;
        let mut theirs = Vec::new();
        self.for_each_block(range.clone(), |ours| {
            if !differs {
                theirs.resize(ours.len(), 0);
                file.read_exact_at(&mut theirs, offset + (agreed - range.start))?;
                let same = ours.iter().zip(&theirs).take_while(|(our, their)| our == their).count();
                agreed += same as u64;
                differs = same < ours.len();
            }
            Ok(())
        })?;
        Ok(agreed)
    }

    /// The first line from `from` on that is not whole. `from` is the start of a line.
    fn broken_line(&self, from: u64) -> DiskResult<Option<Range<u64>>> {
        let mut broken = None;
        let mut line = Vec::new();
        let mut begin = from;
        self.for_each_block(from..self.closed_end(), |bytes| {
            for part in bytes.split_inclusive(|&byte| byte == b'\n') {
                if broken.is_some() {
                    break;
                }
                line.extend_from_slice(part);
                if part.ends_with(b"\n") {
                    let end = begin + line.len() as u64;
                    if !self.is_whole(begin, &line) {
                        broken = Some(begin..end);
                    }
                    begin = end;
                    line.clear();
                }
            }
            Ok(())
        })?;
        Ok(broken.or_else(|| (!line.is_empty()).then(|| begin..begin + line.len() as u64)))
    }

    /// Whether `line`, which starts at the position `begin`, is whole.
    fn is_whole(&self, begin: u64, line: &[u8]) -> bool {
        match self.stream {
            Stream::Lines => rewrite::is_whole_line(line),
            Stream::Rejects if begin == self.start() => {
                rewrite::is_whole_record(&[self.front.as_slice(), line].concat())
            }
            Stream::Rejects => rewrite::is_whole_record(line),
        }
    }

    /// What closes the record that the last segment ends in; nothing if that is whole, or is not a
    /// record.
    fn end_of_cut_record(&self) -> DiskResult<Vec<u8>> {
        let begin = self.line_start(self.end())?;
        if self.stream == Stream::Lines || begin == self.end() {
            return Ok(Vec::new());
        }
        let mut record = if begin == self.start() { self.front.clone() } else { Vec::new() };
        self.for_each_block(begin..self.end(), |bytes| {
            record.extend_from_slice(bytes);
            Ok(())
        })?;
        Ok(cut_record::end_of(&record).unwrap_or_default())
    }

    /// An error that names the segment that holds `position`, or should.
    fn damaged_at(&self, position: u64, fault: String) -> JournalError {
        let holds = |(_, header): &&(DiskFile, SegmentHeader)| position < header.end();
        let segment = self.segments.iter().find(holds).or(self.segments.last());
        let path = segment.map(|(file, _)| file.path().to_owned()).unwrap_or_default();
        JournalError::Damaged { path, fault }
    }
}
