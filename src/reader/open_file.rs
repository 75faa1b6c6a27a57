//! The file that is being read.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::block::Block;
use super::input::{Input, Skipped};
use super::listing::with_encoding;
use super::{ReadError, ReaderPosition};
use crate::file::lines::first_line_end;
use crate::system::{file_identity, path_identity, read_exact_at};

/// How many bytes before the current offset are compared, to see whether the text is still the
/// same.
const MARK_BYTES: usize = 64;

/// One line, several lines, or the rest at the end of a file, in the block of the file.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) range: Range<usize>,
    pub(super) offset: u64,
}

/// How to look for lines.
#[derive(Clone, Copy)]
pub(super) struct Look {
    pub(super) line_bytes_max: usize,
    /// More may be written.
    pub(super) follows: bool,
    /// All lines that are in memory at once, instead of one.
    pub(super) together: bool,
}

/// An open file and how far its lines were taken.
pub(super) struct OpenFile {
    /// Its path without the encoding.
    path: PathBuf,
    input: Input,
    block: Block,
    /// The start of the next line. Everything before was returned in whole lines.
    offset: u64,
    /// How far the file was read.
    read_bytes: u64,
    /// The start of the line that is being skipped because it is too long.
    too_long_from: Option<u64>,
    /// The last read returned nothing.
    at_end: bool,
    /// The text just before `offset`, noted at the end of the file.
    mark: Vec<u8>,
    /// The writer has moved on: the file gets no more lines.
    pub(super) is_superseded: bool,
}

impl OpenFile {
    pub(super) fn new(path: PathBuf, input: Input) -> Self {
        Self {
            path,
            input,
            block: Block::new(),
            offset: 0,
            read_bytes: 0,
            too_long_from: None,
            at_end: false,
            mark: Vec::new(),
            is_superseded: false,
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn bytes(&self, range: Range<usize>) -> &[u8] {
        self.block.get(range)
    }

    /// The start of the next line, or of the one that is being skipped.
    pub(super) fn position(&self) -> ReaderPosition {
        let offset = self.too_long_from.unwrap_or(self.offset);
        ReaderPosition { file: self.path.clone(), offset }
    }

    /// Continues at `offset`, which must be the start of a line.
    pub(super) fn begin_at(&mut self, offset: u64) -> Result<(), ReadError> {
        let skipped = self.input.skip_to(offset, self.block.scratch());
        let skipped = skipped.map_err(|error| self.failed(error))?;
        let fault = match skipped {
            Skipped { bytes, .. } if bytes < offset => format!("the file ends at byte {bytes}"),
            Skipped { last: None | Some(b'\n'), .. } => {
                (self.offset, self.read_bytes) = (offset, offset);
                return Ok(());
            }
            _ => "no line begins there".to_owned(),
        };
        Err(ReadError::NoSuchPosition { path: self.path.clone(), offset, fault })
    }

    fn failed(&self, error: io::Error) -> ReadError {
        // Its real name on the disk, which somebody will look for.
        let path = with_encoding(&self.path, self.input.encoding());
        ReadError::io("read", &path, error)
    }

    /// Whether its content can be damaged in such a way that reading again does not help.
    pub(super) const fn is_compressed(&self) -> bool {
        self.input.plain().is_none()
    }

    /// Takes the next whole line. `None` if there is none now; with `follows`, more may come.
    #[inline]
    pub(super) fn next_line(&mut self, look: Look) -> Result<Option<Found>, ReadError> {
        loop {
            let taken =
                if look.together { self.block.take_lines() } else { self.block.take_line() };
            if let Some(range) = taken {
                let found = Found { range, offset: self.offset };
                self.offset += found.range.len() as u64;
                if self.too_long_from.is_some() {
                    match self.after_too_long(found) {
                        Some(found) => return Ok(Some(found)),
                        None => continue,
                    }
                }
                if !look.together && found.range.len() - 1 > look.line_bytes_max {
                    return Err(self.too_long(found.offset, look.line_bytes_max));
                }
                return Ok(Some(found));
            }
            self.pass_over(look.line_bytes_max)?;
            if self.fill(look.follows).map_err(|error| self.failed(error))? == 0 {
                return Ok(None);
            }
        }
    }

    /// What is left of lines of which the first is the end of a skipped one.
    #[cold]
    fn after_too_long(&mut self, found: Found) -> Option<Found> {
        self.too_long_from = None;
        let Found { range, offset } = found;
        let end = first_line_end(self.block.get(range.clone()))?;
        let rest = Found { range: range.start + end..range.end, offset: offset + end as u64 };
        (!rest.range.is_empty()).then_some(rest)
    }

    /// Discards the start of a line that is already too long, so that it takes no memory.
    fn pass_over(&mut self, line_bytes_max: usize) -> Result<(), ReadError> {
        let held = self.block.rest().len();
        if self.too_long_from.is_none() && held <= line_bytes_max {
            return Ok(());
        }
        let from = self.offset;
        self.offset += held as u64;
        self.block.clear();
        if self.too_long_from.is_some() {
            return Ok(());
        }
        self.too_long_from = Some(from);
        Err(self.too_long(from, line_bytes_max))
    }

    #[cold]
    fn too_long(&self, offset: u64, line_bytes_max: usize) -> ReadError {
        ReadError::LineTooLong { path: self.path.clone(), offset, line_bytes_max }
    }

    fn fill(&mut self, follows: bool) -> io::Result<usize> {
        let goes_on = follows || self.is_superseded;
        if self.at_end && !(goes_on && self.has_changed()?) {
            return Ok(0);
        }
        let read = self.input.read(self.block.room())?;
        self.block.grow(read);
        self.read_bytes += read as u64;
        if read == 0 {
            self.at_end = true;
            self.note_mark()?;
        }
        Ok(read)
    }

    /// Takes the rest of a file that is over: the start of a line. The position stays at its start.
    pub(super) fn take_rest(&mut self) -> Option<Found> {
        let range = self.block.take_rest();
        let is_whole = range.is_empty() || self.too_long_from.is_some();
        (!is_whole).then_some(Found { range, offset: self.offset })
    }

    // ===== following =====

    /// Checks whether the length of the file differs from what was read. If so, reading continues
    /// after the last whole line: the writer may have taken back what followed. A file that was
    /// truncated and rewritten, as by logrotate's `copytruncate`, is read from the start.
    fn has_changed(&mut self) -> io::Result<bool> {
        let Some(metadata) = self.input.metadata()? else { return Ok(false) };
        if !metadata.is_file() {
            // A pipe: only reading shows whether there is more.
            self.at_end = false;
            return Ok(true);
        }
        if metadata.len() == self.read_bytes {
            return Ok(false);
        }
        if metadata.len() < self.offset || !self.mark_is_there()? {
            self.offset = 0;
            self.too_long_from = None;
        }
        self.input.seek_plain(self.offset)?;
        self.read_bytes = self.offset;
        self.block.clear();
        self.at_end = false;
        Ok(true)
    }

    fn note_mark(&mut self) -> io::Result<()> {
        self.mark.clear();
        if let Some(bytes) = self.text_before_offset()? {
            self.mark = bytes;
        }
        Ok(())
    }

    fn mark_is_there(&self) -> io::Result<bool> {
        Ok(self.text_before_offset()?.is_some_and(|bytes| bytes == self.mark))
    }

    /// The bytes before `offset`; `None` if the file is shorter now.
    fn text_before_offset(&self) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.input.plain() else { return Ok(Some(Vec::new())) };
        let length = MARK_BYTES.min(usize::try_from(self.offset).unwrap_or(MARK_BYTES));
        let mut bytes = vec![0; length];
        match read_exact_at(file, &mut bytes, self.offset - length as u64) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether another non-empty file has its name now, as after logrotate's `create`.
    pub(super) fn is_replaced(&self) -> Result<bool, ReadError> {
        let failed = |error| ReadError::io("examine", &self.path, error);
        let Some(ours) = self.input.plain() else { return Ok(false) };
        let (_, ours) = file_identity(ours).map_err(failed)?;
        match path_identity(&self.path, true) {
            Ok((metadata, named)) => {
                let is_other = !named.is_same_file(&ours);
                Ok(is_other && metadata.is_file() && metadata.len() > 0)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }
}
