//! Whole lines of a file.

use std::io;
use std::ops::Range;

use super::error::CursorError;
use crate::file::lines::{first_line_end, last_line_end};
use crate::storage::DiskFile;

/// What is decoded or read at once where no block says how much.
pub(super) const READ_BYTES: usize = 128 << 10;

/// How far the lines of a file may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Extent {
    /// To its end: it gets no more lines.
    Whole,
    /// To this offset, if a line ends there.
    UpTo(u64),
}

/// The bytes of a block.
#[derive(Debug)]
pub(super) struct Lines {
    pub(super) bytes: Vec<u8>,
    /// The file ends after them.
    pub(super) file_ends_here: bool,
    /// The last line has no line feed.
    pub(super) torn: bool,
}

/// The bytes of a range; `None` if the file ends before: it was truncated.
pub(super) fn read_or_end(
    file: &DiskFile,
    range: Range<u64>,
) -> Result<Option<Vec<u8>>, CursorError> {
    match file.read_range(range) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
        found => Ok(Some(found?)),
    }
}

/// Whole lines of a file that is not compressed, from `offset` on.
pub(super) fn read_plain(
    file: &DiskFile,
    offset: u64,
    extent: Extent,
    limit_bytes: usize,
) -> Result<Option<Lines>, CursorError> {
    let (end, is_whole) = match extent {
        Extent::Whole => (file.bytes()?, true),
        Extent::UpTo(end) => (end, false),
    };
    let mut bytes_max = limit_bytes.max(1) as u64;
    loop {
        let to = end.min(offset.saturating_add(bytes_max));
        if to <= offset {
            return Ok(None);
        }
        // The caller looks whether the file was truncated.
        let Some(bytes) = read_or_end(file, offset..to)? else { return Ok(None) };
        let is_all = to == end;
        if let Some(lines) = cut(bytes, bytes_max > limit_bytes as u64, is_all && is_whole) {
            return Ok(Some(lines));
        }
        if is_all {
            return Ok(None);
        }
        // The first line is longer.
        bytes_max *= 2;
    }
}

/// The whole lines in `bytes`; only the first if there is room for no more. What is left at the end
/// of the file counts as one.
pub(super) fn cut(mut bytes: Vec<u8>, first_only: bool, at_file_end: bool) -> Option<Lines> {
    let end = if first_only { first_line_end(&bytes) } else { last_line_end(&bytes) };
    match end {
        Some(end) => {
            let file_ends_here = at_file_end && end == bytes.len();
            let rest_is_torn = at_file_end && !first_only && !file_ends_here;
            if rest_is_torn {
                return Some(Lines { bytes, file_ends_here: true, torn: true });
            }
            bytes.truncate(end);
            Some(Lines { bytes, file_ends_here, torn: false })
        }
        None if at_file_end => Some(Lines { bytes, file_ends_here: true, torn: true }),
        None => None,
    }
}
