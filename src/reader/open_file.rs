//! The file that is being read.

use std::fs;
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use super::block::Block;
use super::input::{Input, Skipped};
use super::listing::with_encoding;
use super::{ReadError, ReaderPosition};
use crate::file::lines::first_line_end;

/// How much before the place that was read up to is looked at, to see whether it is still the same
/// text.
const MARK_BYTES: usize = 64;

/// One line, lines together, or what is left at the end of a file, in the block of the file.
#[derive(Clone, Debug)]
pub(super) struct Found {
    pub(super) range: Range<usize>,
    pub(super) offset: u64,
}

/// How lines are looked for.
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
    /// Where it is when it is not compressed.
    path: PathBuf,
    input: Input,
    block: Block,
    /// Where the next line begins. Everything before was given in whole lines.
    offset: u64,
    /// How far the file was read.
    read_bytes: u64,
    /// Where the line begins that is passed over because it is too long.
    too_long_from: Option<u64>,
    /// The last read gave nothing.
    at_end: bool,
    /// The text just before `offset`, noted at the end of the file.
    mark: Vec<u8>,
    /// The writer has gone on elsewhere: what is here now is all that there will be.
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

    /// Where the next line begins, or the one that is just being passed over.
    pub(super) fn position(&self) -> ReaderPosition {
        let offset = self.too_long_from.unwrap_or(self.offset);
        ReaderPosition { file: self.path.clone(), offset }
    }

    /// Goes on at `offset`, where a line has to begin.
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
        // The name that it has on the disk: somebody will look for it.
        let path = with_encoding(&self.path, self.input.encoding());
        ReadError::io("read", &path, error)
    }

    /// Whether what it holds can be damaged in a way that reading again does not help.
    pub(super) const fn is_compressed(&self) -> bool {
        self.input.plain().is_none()
    }

    /// Takes the next whole line. `None` where there is none now; with `follows`, more may come.
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

    /// What is left of lines of which the first is the end of one that is passed over.
    #[cold]
    fn after_too_long(&mut self, found: Found) -> Option<Found> {
        self.too_long_from = None;
        let Found { range, offset } = found;
        let end = first_line_end(self.block.get(range.clone()))?;
        let rest = Found { range: range.start + end..range.end, offset: offset + end as u64 };
        (!rest.range.is_empty()).then_some(rest)
    }

    /// Forgets the beginning of a line that is too long already, so that it takes no memory.
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

    /// Takes what is left of a file that is over: the beginning of a line. The position stays where
    /// it begins.
    pub(super) fn take_rest(&mut self) -> Option<Found> {
        let range = self.block.take_rest();
        let is_whole = range.is_empty() || self.too_long_from.is_some();
        (!is_whole).then_some(Found { range, offset: self.offset })
    }

    // ===== following =====

    /// Looks whether the file has another length than it was read to. If so, reading goes on where
    /// the last whole line ended: the writer may have taken back what followed. A file that was
    /// truncated and written anew, as by logrotate's `copytruncate`, begins again.
    fn has_changed(&mut self) -> io::Result<bool> {
        let Some(metadata) = self.input.metadata()? else { return Ok(false) };
        if !metadata.is_file() {
            // A pipe: reading is the only way to learn whether there is more.
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

    /// The bytes before `offset`; `None` where the file is shorter now.
    fn text_before_offset(&self) -> io::Result<Option<Vec<u8>>> {
        let Some(file) = self.input.plain() else { return Ok(Some(Vec::new())) };
        let length = MARK_BYTES.min(usize::try_from(self.offset).unwrap_or(MARK_BYTES));
        let mut bytes = vec![0; length];
        match file.read_exact_at(&mut bytes, self.offset - length as u64) {
            Ok(()) => Ok(Some(bytes)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether another file that holds something has its name now, as after logrotate's `create`.
    pub(super) fn is_replaced(&self) -> Result<bool, ReadError> {
        let failed = |error| ReadError::io("examine", &self.path, error);
        let Some(ours) = self.input.metadata().map_err(failed)? else { return Ok(false) };
        match fs::metadata(&self.path) {
            Ok(named) => {
                let is_same = (named.dev(), named.ino()) == (ours.dev(), ours.ino());
                Ok(!is_same && named.is_file() && named.len() > 0)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(error)),
        }
    }
}
