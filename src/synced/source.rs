//! The lines of one file, by their uncompressed offsets.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use super::birth::Birth;
use super::block::SyncedBlock;
use super::compressed::Compressed;
use super::error::{CursorError, GoneReason};
use super::lines::{Extent, Lines, READ_BYTES, read_or_end, read_plain};
use crate::file::lines::first_line_end;
use crate::file::{Decoder, Encoding, FileName};
use crate::storage::{Disk, DiskFile, DiskReader, DiskResult, Metadata};

/// How much of the first line is compared at each block, to see whether the file is still the same.
const HEAD_BYTES: u64 = 4096;

/// How many bytes before an offset are compared for the same reason.
const MARK_BYTES: u64 = 64;

/// What a file is known by.
#[derive(Clone, Debug, PartialEq, Eq)]
struct FirstLine {
    birth: Birth,
    crc32c: u32,
    /// Its beginning.
    head: Vec<u8>,
}

/// An open file.
pub(super) struct Source {
    pub(super) key: FileName,
    /// Without the encoding.
    pub(super) name: String,
    path: PathBuf,
    metadata: Metadata,
    content: Content,
    /// `None` until it has one.
    first_line: Option<FirstLine>,
    /// The bytes before the offset that was read to last.
    mark: Vec<u8>,
    is_synced: bool,
}

enum Content {
    Plain(DiskFile),
    Compressed(Box<Compressed>),
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("path", &self.path).finish_non_exhaustive()
    }
}

impl Source {
    /// Opens the file whose uncompressed name is `name`, in whatever encoding it is. `None` if there
    /// is none.
    pub(super) fn open(
        disk: &Disk,
        directory: &Path,
        key: FileName,
        name: &str,
    ) -> Result<Option<Self>, CursorError> {
        // Plain once more at the end: a file that was being compressed may have been restored.
        for encoding in Encoding::ALL.into_iter().chain([Encoding::Plain]) {
            let path = directory.join(format!("{name}{}", encoding.suffix()));
            let Some(file) = disk.open_reading(&path)? else { continue };
            let metadata = file.metadata()?;
            let content = match encoding {
                Encoding::Plain => Content::Plain(file),
                Encoding::Zstd | Encoding::Gzip => {
                    // Nobody writes to a compressed file.
                    file.sync_data().map_err(CursorError::of_sync)?;
                    let decoder = Decoder::new(DiskReader::new(file), encoding)
                        .map_err(|error| CursorError::io("read", &path, error))?;
                    Content::Compressed(Box::new(Compressed::new(decoder)))
                }
            };
            let (name, first_line, mark) = (name.to_owned(), None, Vec::new());
            let is_synced = false;
            return Ok(Some(Self {
                key,
                name,
                path,
                metadata,
                content,
                first_line,
                mark,
                is_synced,
            }));
        }
        Ok(None)
    }

    /// Known once [`identify`](Self::identify) found a first line.
    pub(super) fn birth(&self) -> Option<Birth> {
        self.first_line.as_ref().map(|line| line.birth)
    }

    pub(super) const fn is_plain(&self) -> bool {
        matches!(self.content, Content::Plain(_))
    }

    /// Its length on the disk.
    pub(super) fn disk_bytes(&self) -> DiskResult<u64> {
        match &self.content {
            Content::Plain(file) => file.bytes(),
            Content::Compressed(_) => Ok(self.metadata.bytes),
        }
    }

    /// Whether its path still leads to it.
    pub(super) fn is_named(&self, disk: &Disk) -> DiskResult<bool> {
        let now = disk.examine(&self.path)?;
        Ok(now.is_some_and(|now| now.is_same_file(&self.metadata)))
    }

    /// Syncs a file that is over, and its name: its writer may have been one that never syncs.
    pub(super) fn sync(&mut self, disk: &Disk, directory: &Path) -> DiskResult<()> {
        if !self.is_synced {
            if let Content::Plain(file) = &self.content {
                file.sync_data()?;
            }
            disk.sync_directory(directory)?;
            self.is_synced = true;
        }
        Ok(())
    }

    /// Reads the first line, unless it is known. False if there is none within `extent`.
    pub(super) fn identify(&mut self, extent: Extent) -> Result<bool, CursorError> {
        if self.first_line.is_none() {
            self.first_line = self.read_first_line(extent)?;
        }
        Ok(self.first_line.is_some())
    }

    fn read_first_line(&mut self, extent: Extent) -> Result<Option<FirstLine>, CursorError> {
        let mut hasher = blake3::Hasher::new();
        let (mut crc32c, mut bytes_read) = (0, 0);
        let mut head = Vec::new();
        loop {
            let block = self.peek(bytes_read, extent)?;
            let line = block.get(..first_line_end(&block).unwrap_or(block.len()));
            let line = line.unwrap_or_default();
            hasher.update(line);
            crc32c = crc32c::crc32c_append(crc32c, line);
            let room = (HEAD_BYTES as usize).saturating_sub(head.len());
            head.extend_from_slice(line.get(..room).unwrap_or(line));
            bytes_read += line.len() as u64;
            let is_end = line.ends_with(b"\n") || block.is_empty();
            let is_line = line.ends_with(b"\n") || (extent == Extent::Whole && bytes_read > 0);
            if is_end {
                let birth = Birth::from_bytes(*hasher.finalize().as_bytes());
                return Ok(is_line.then_some(FirstLine { birth, crc32c, head }));
            }
        }
    }

    /// Some bytes at `offset`; none at the end of what may be read. A compressed file keeps them.
    fn peek(&mut self, offset: u64, extent: Extent) -> Result<Vec<u8>, CursorError> {
        match &mut self.content {
            Content::Plain(file) => {
                let end = match extent {
                    Extent::Whole => file.bytes()?,
                    Extent::UpTo(end) => end.min(file.bytes()?),
                };
                let range = offset..end.min(offset + READ_BYTES as u64);
                Ok(read_or_end(file, range)?.unwrap_or_default())
            }
            Content::Compressed(compressed) => {
                assert!(compressed.offset == 0, "the first line was dropped");
                let wanted = offset as usize + READ_BYTES;
                compressed.fill(wanted).map_err(|error| failed(&self.path, error))?;
                let bytes = compressed.rest.get(offset as usize..).unwrap_or_default();
                Ok(bytes.get(..READ_BYTES).unwrap_or(bytes).to_vec())
            }
        }
    }

    /// Goes to `offset`, after the first line was identified.
    pub(super) fn seek(&mut self, offset: u64) -> Result<Seek, CursorError> {
        let (last, is_end) = match &mut self.content {
            Content::Plain(file) => {
                let bytes = file.bytes()?;
                if bytes < offset {
                    return Ok(Seek::BeyondEnd { bytes });
                }
                self.mark = file.read_range(offset.saturating_sub(MARK_BYTES)..offset)?;
                (self.mark.last().copied(), offset == bytes)
            }
            Content::Compressed(compressed) => {
                let skipped = compressed.skip_to(offset);
                let last = skipped.map_err(|error| failed(&self.path, error))?;
                if compressed.offset < offset {
                    return Ok(Seek::BeyondEnd { bytes: compressed.offset });
                }
                compressed.fill(1).map_err(|error| failed(&self.path, error))?;
                (last, compressed.rest.is_empty())
            }
        };
        Ok(match last {
            None | Some(b'\n') => Seek::LineStart,
            Some(_) if is_end => Seek::FileEnd,
            Some(_) => Seek::WithinLine,
        })
    }

    /// What is wrong with the text around `offset`, up to which lines were returned: a file that
    /// another program truncated is shorter, or has another first line, or other bytes there.
    pub(super) fn change(&self, offset: u64) -> Result<Option<GoneReason>, CursorError> {
        let (Content::Plain(file), Some(first_line)) = (&self.content, &self.first_line) else {
            return Ok(None);
        };
        let is_there = |offset: u64, text: &[u8]| {
            let found = read_or_end(file, offset..offset + text.len() as u64)?;
            Ok::<_, CursorError>(found.is_none_or(|found| found == text))
        };
        let mark_offset = offset - self.mark.len() as u64;
        if !is_there(0, &first_line.head)? || !is_there(mark_offset, &self.mark)? {
            return Ok(Some(GoneReason::Replaced));
        }
        let bytes = file.bytes()?;
        let is_shorter = bytes < offset.max(first_line.head.len() as u64);
        Ok(is_shorter.then_some(GoneReason::Shortened { bytes }))
    }

    /// Reads exactly `bytes` bytes, once more; or why they are gone.
    pub(super) fn read_again(
        &mut self,
        offset: u64,
        bytes: usize,
    ) -> Result<Result<Lines, GoneReason>, CursorError> {
        let found = match &mut self.content {
            Content::Plain(file) => {
                let end = offset.saturating_add(bytes as u64);
                let file_bytes = file.bytes()?;
                match read_or_end(file, offset..end)? {
                    Some(found) => Ok((found, end == file_bytes)),
                    None => Err(GoneReason::Shortened { bytes: file_bytes }),
                }
            }
            Content::Compressed(compressed) => {
                let filled = compressed.fill(bytes.saturating_add(1));
                filled.map_err(|error| failed(&self.path, error))?;
                match compressed.rest.get(..bytes) {
                    Some(found) => Ok((found.to_vec(), found.len() == compressed.rest.len())),
                    None => {
                        let bytes = compressed.offset + compressed.rest.len() as u64;
                        Err(GoneReason::Shortened { bytes })
                    }
                }
            }
        };
        Ok(found.and_then(|(bytes, file_ends_here)| {
            let torn = !bytes.ends_with(b"\n");
            let lines = Lines { bytes, file_ends_here, torn };
            if torn && !file_ends_here { Err(GoneReason::WithinLine) } else { Ok(lines) }
        }))
    }

    /// A block of lines that were read at `start`.
    pub(super) fn block(&self, start: u64, lines: Lines, through_ms: Option<u64>) -> SyncedBlock {
        let Some(FirstLine { birth, crc32c, .. }) = self.first_line else {
            unreachable!("lines were read of a file without a first line")
        };
        let Lines { bytes, file_ends_here, torn } = lines;
        let lines = memchr::memchr_iter(b'\n', &bytes).count() as u64 + u64::from(torn);
        SyncedBlock {
            file: self.name.clone(),
            birth,
            start,
            end: start + bytes.len() as u64,
            bytes: bytes.into(),
            lines,
            file_ends_here,
            torn,
            through_ms,
            first_line_crc32c: crc32c,
        }
    }

    /// Whole lines from `offset` on: at most `limit_bytes`, or one line. `None` if there is none
    /// within `extent`, or the file is shorter. The end of a file that is over is a line in any case.
    ///
    /// A plain file can be read there again until [`accept`](Self::accept); a compressed one is read
    /// on from where the last read or seek ended.
    pub(super) fn read(
        &mut self,
        offset: u64,
        extent: Extent,
        limit_bytes: usize,
    ) -> Result<Option<Lines>, CursorError> {
        match &mut self.content {
            Content::Plain(file) => read_plain(file, offset, extent, limit_bytes),
            Content::Compressed(compressed) => {
                let lines = compressed.read(limit_bytes);
                lines.map_err(|error| failed(&self.path, error))
            }
        }
    }

    /// The bytes were returned.
    pub(super) fn accept(&mut self, bytes: &[u8]) {
        let mark_bytes = bytes.len().min(MARK_BYTES as usize);
        let kept = self.mark.len().min(MARK_BYTES as usize - mark_bytes);
        self.mark.drain(..self.mark.len() - kept);
        self.mark.extend_from_slice(bytes.get(bytes.len() - mark_bytes..).unwrap_or_default());
    }
}

/// Where a seek ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seek {
    LineStart,
    /// After a last line that has no line feed.
    FileEnd,
    WithinLine,
    /// The file is shorter.
    BeyondEnd {
        bytes: u64,
    },
}

fn failed(path: &Path, error: io::Error) -> CursorError {
    CursorError::io("read", path, error)
}
