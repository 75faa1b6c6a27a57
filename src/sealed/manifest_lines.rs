//! The lines of the manifest, one at a time, whatever its length.

use std::io::{self, BufRead, BufReader};

use memchr::memchr;

use super::hash::Hash;
use crate::storage::{DiskFile, DiskReader};

/// No entry is longer: a name has at most 255 bytes.
const LINE_BYTES_MAX: usize = 16 << 10;

/// A line as it is in the file.
#[derive(Debug)]
pub(super) struct RawLine {
    /// Without its line feed, and cut if it is too long.
    pub(super) text: Vec<u8>,
    /// Including its line feed.
    pub(super) bytes: u64,
    /// The line was longer than an entry may be.
    pub(super) is_too_long: bool,
    /// The hash of the whole line, without its line feed.
    pub(super) hash: Hash,
    /// It has its line feed and no NUL, which a power loss leaves in a line that was not synced.
    pub(super) is_whole: bool,
}

/// Reads the lines of the manifest.
#[derive(Debug)]
pub(super) struct RawLines {
    reader: BufReader<DiskReader>,
}

impl RawLines {
    pub(super) fn new(file: DiskFile) -> Self {
        Self { reader: BufReader::with_capacity(64 << 10, DiskReader::new(file)) }
    }

    /// `None` at the end.
    pub(super) fn next_line(&mut self) -> io::Result<Option<RawLine>> {
        let mut hasher = blake3::Hasher::new();
        let (mut text, mut bytes) = (Vec::new(), 0);
        let (mut is_too_long, mut has_end) = (false, false);
        while !has_end {
            let block = self.reader.fill_buf()?;
            if block.is_empty() {
                break;
            }
            let end = memchr(b'\n', block);
            let part = block.get(..end.unwrap_or(block.len())).unwrap_or_default();
            hasher.update(part);
            is_too_long |= text.len() + part.len() > LINE_BYTES_MAX;
            if !is_too_long {
                text.extend_from_slice(part);
            }
            has_end = end.is_some();
            let read = part.len() + usize::from(has_end);
            self.reader.consume(read);
            bytes += read as u64;
        }
        if bytes == 0 {
            return Ok(None);
        }
        let is_whole = has_end && memchr(0, &text).is_none();
        Ok(Some(RawLine { text, bytes, is_too_long, hash: Hash::of_hasher(&hasher), is_whole }))
    }
}
