//! What was acknowledged before a restart: the last lines of the CDR.
//!
//! Nobody knows when each of them was acknowledged. All lines of files that were written within the
//! window count as acknowledged now, for a whole window: that is too many rather than too few. To
//! be taken for a retry by mistake, an event with the same bytes would have to have no time of its
//! own.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use cdrlog::reader::{CdrFile, FileKind, Reader, ReaderPosition, cdr_files};

use super::{Dedup, Key};

/// How much of the end of each file is read. A compressed file is read completely: its end cannot
/// be read alone.
pub(super) const TAIL_BYTES: u64 = 64 << 20;

/// An event may be acknowledged some time after its line was written: a sync takes time.
const ACK_DELAY: Duration = Duration::from_secs(10);

/// How far each file has been read. A process that takes over from another one reads the CDR while
/// the other still writes to it, and the lines that follow once it is closed.
#[derive(Debug, Default)]
pub(in super::super) struct ReadSoFar(HashMap<PathBuf, u64>);

impl Dedup {
    /// Remembers what the CDR of `directory` says was written within the window, and returns the
    /// number of lines. Lines that were read before are not read again.
    ///
    /// Call this after the directory was opened for appending, so that the lines of a killed
    /// process are there, and before the first event is accepted. `is_synced`: an acknowledged
    /// event must be on the disk, and a killed process may not have synced it.
    pub(in super::super) fn remember_cdr(
        &self,
        directory: &Path,
        is_synced: bool,
        so_far: &mut ReadSoFar,
    ) -> io::Result<u64> {
        let mut lines = 0;
        for file in files_since(directory, self.0.window + ACK_DELAY)? {
            lines += self.remember_listed(directory, &file, is_synced, so_far)?;
        }
        Ok(lines)
    }

    /// A sealed file may have been compressed since it was listed, and then has another name; or
    /// retention may have removed it.
    pub(super) fn remember_listed(
        &self,
        directory: &Path,
        file: &CdrFile,
        is_synced: bool,
        so_far: &mut ReadSoFar,
    ) -> io::Result<u64> {
        match self.remember_file(&file.path, is_synced, so_far) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let files = cdr_files(directory).map_err(io::Error::other)?;
                let now = files.into_iter().find(|now| now.name == file.name);
                now.map_or(Ok(0), |now| self.remember_file(&now.path, is_synced, so_far))
            }
            remembered => remembered,
        }
    }

    fn remember_file(
        &self,
        path: &Path,
        is_synced: bool,
        so_far: &mut ReadSoFar,
    ) -> io::Result<u64> {
        let named =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
        if is_synced {
            File::open(path).and_then(|file| file.sync_data()).map_err(named)?;
        }
        let Some(start) = tail_start(path).map_err(named)? else { return Ok(0) };
        let read = so_far.0.get(path).copied();
        let mut offset = start.max(read.unwrap_or_default());
        let is_read = is_compressed(path) || offset == fs::metadata(path).map_err(named)?.len();
        if read.is_some() && is_read {
            return Ok(0);
        }
        let position = ReaderPosition { file: path.to_owned(), offset };
        let mut reader = Reader::of_files([path]).line_bytes_max(usize::MAX);
        if offset > 0 {
            reader = reader.begin_at(position);
        }
        // Its errors name the file.
        let mut reader = reader.open().map_err(io::Error::other)?;
        let mut count = 0;
        while let Some(line) = reader.next_line().map_err(io::Error::other)? {
            if line.is_whole() {
                offset += line.bytes_with_end().len() as u64;
                if let Some(key) = Key::of_line(line.bytes_with_end()) {
                    self.0.table().acknowledged.insert(key, Instant::now());
                }
                count += 1;
            }
        }
        so_far.0.insert(path.to_owned(), offset);
        Ok(count)
    }
}

/// The offset of the first line that is read: 0 for a compressed file. `None` if there is none.
pub(super) fn tail_start(path: &Path) -> io::Result<Option<u64>> {
    let mut file = File::open(path)?;
    let bytes = file.metadata()?.len();
    // Starts one byte earlier: if that is a line feed, the line right after it is whole.
    let Some(before) = bytes.checked_sub(TAIL_BYTES + 1).filter(|_| !is_compressed(path)) else {
        return Ok(Some(0));
    };
    file.seek(SeekFrom::Start(before))?;
    let rest_bytes = BufReader::new(file).skip_until(b'\n')?;
    let start = before + rest_bytes as u64;
    Ok((start < bytes).then_some(start))
}

fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|suffix| suffix == "zst" || suffix == "gz")
}

/// The files of the CDR that were written within `time`, in the order of their last writes.
fn files_since(directory: &Path, time: Duration) -> io::Result<Vec<CdrFile>> {
    let now = SystemTime::now();
    let mut files = Vec::new();
    for file in cdr_files(directory).map_err(io::Error::other)? {
        let modified = match fs::metadata(&file.path) {
            Ok(metadata) => metadata.modified()?,
            // Compressed or removed since it was listed; it is looked for once more.
            Err(error) if error.kind() == io::ErrorKind::NotFound => now,
            Err(error) => return Err(error),
        };
        // A time in the future means that the clock was set back: its age is unknown, so it counts.
        if file.kind == FileKind::Cdr && now.duration_since(modified).unwrap_or_default() <= time {
            files.push((modified, file));
        }
    }
    files.sort_by(|one, other| (one.0, &one.1.path).cmp(&(other.0, &other.1.path)));
    Ok(files.into_iter().map(|(_, file)| file).collect())
}
