//! A compressed file.

use std::io::{self, Read};

use super::lines::{Lines, READ_BYTES, cut};
use crate::file::Decoder;
use crate::storage::DiskReader;

/// A compressed file, which can only be read forwards.
pub(super) struct Compressed {
    decoder: Decoder<DiskReader>,
    /// Decoded, and not returned yet.
    pub(super) rest: Vec<u8>,
    /// The offset of `rest`.
    pub(super) offset: u64,
    is_over: bool,
}

impl Compressed {
    pub(super) const fn new(decoder: Decoder<DiskReader>) -> Self {
        Self { decoder, rest: Vec::new(), offset: 0, is_over: false }
    }

    /// Decodes until there are at least `bytes` in `rest`, or to the end.
    pub(super) fn fill(&mut self, bytes: usize) -> io::Result<()> {
        while self.rest.len() < bytes && !self.is_over {
            let filled = self.rest.len();
            self.rest.resize(filled + READ_BYTES.min(bytes - filled), 0);
            let (_, room) = self.rest.split_at_mut(filled);
            let read = self.decoder.read(room);
            self.rest.truncate(filled + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => self.is_over = true,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Drops what is before `offset`; the last byte of it.
    pub(super) fn skip_to(&mut self, offset: u64) -> io::Result<Option<u8>> {
        assert!(self.offset <= offset, "a compressed file is read backwards");
        let mut last = None;
        while self.offset < offset {
            let wanted =
                READ_BYTES.min(usize::try_from(offset - self.offset).unwrap_or(READ_BYTES));
            self.fill(wanted)?;
            let skipped = wanted.min(self.rest.len());
            if skipped == 0 {
                break;
            }
            last = self.rest.get(skipped - 1).copied();
            self.rest.drain(..skipped);
            self.offset += skipped as u64;
        }
        Ok(last)
    }

    /// Whole lines: at most `limit_bytes`, or one line. `None` at the end of the file.
    pub(super) fn read(&mut self, limit_bytes: usize) -> io::Result<Option<Lines>> {
        let limit_bytes = limit_bytes.max(1);
        let mut bytes_max = limit_bytes;
        loop {
            // One more, to see whether the file ends there.
            self.fill(bytes_max.saturating_add(1))?;
            if self.rest.is_empty() {
                return Ok(None);
            }
            let bytes = self.rest.get(..bytes_max).unwrap_or(&self.rest).to_vec();
            let at_file_end = bytes.len() == self.rest.len();
            if let Some(lines) = cut(bytes, bytes_max > limit_bytes, at_file_end) {
                self.rest.drain(..lines.bytes.len());
                self.offset += lines.bytes.len() as u64;
                return Ok(Some(lines));
            }
            bytes_max *= 2;
        }
    }
}
