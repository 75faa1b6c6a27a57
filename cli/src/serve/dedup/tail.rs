//! What was acknowledged before a restart: the last lines of the CDR.
//!
//! When each of them was acknowledged is not known. All lines of the files that were written within
//! the window count as acknowledged now: too many rather than too few, for a whole window. An event
//! that has the same bytes as one of them and is no retry would have to have no time of its own.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use cdrlog::reader::FileKind;

use super::{Dedup, Key};

/// How much of the end of each file is looked at. A compressed file is looked at as a whole: it has
/// no end that could be read alone.
const TAIL_BYTES: u64 = 64 << 20;

/// An event may be acknowledged some time after its line was written: a sync takes time.
const ACK_DELAY: Duration = Duration::from_secs(10);

impl Dedup {
    /// Remembers what the CDR of `directory` says was written within the window, and gives the
    /// number of lines.
    ///
    /// To be called after the directory was opened for appending, so that the lines of a killed
    /// process are there, and before the first event is taken. `is_synced`: an acknowledged event has
    /// to be on the disk, and a process that was killed may not have got to that.
    pub(in super::super) fn remember_cdr(
        &self,
        directory: &Path,
        is_synced: bool,
    ) -> io::Result<u64> {
        let files = files_since(directory, self.0.window + ACK_DELAY)?;
        let mut lines = 0;
        for path in files {
            let remember = || {
                if is_synced {
                    File::open(&path)?.sync_data()?;
                }
                self.remember_file(&path)
            };
            lines += remember().map_err(|error| {
                io::Error::new(error.kind(), format!("{}: {error}", path.display()))
            })?;
        }
        Ok(lines)
    }

    fn remember_file(&self, path: &Path) -> io::Result<u64> {
        let mut file = File::open(path)?;
        let mut lines: Box<dyn BufRead> = match path.extension().and_then(|text| text.to_str()) {
            Some("zst") => Box::new(BufReader::new(zstd::stream::read::Decoder::new(file)?)),
            Some("gz") => Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file))),
            _ => {
                let skipped = file.metadata()?.len().saturating_sub(TAIL_BYTES);
                // From the byte before on: a line that begins right there is no rest of one.
                file.seek(SeekFrom::Start(skipped.saturating_sub(1)))?;
                let mut lines = BufReader::with_capacity(1 << 20, file.take(TAIL_BYTES + 1));
                if skipped > 0 {
                    lines.skip_until(b'\n')?;
                }
                Box::new(lines)
            }
        };
        let (mut line, mut count) = (Vec::new(), 0);
        while lines.read_until(b'\n', &mut line)? > 0 {
            if line.ends_with(b"\n") {
                if let Some(key) = Key::of_line(&line) {
                    self.0.table().remember(key, Instant::now(), self.0.events_max);
                }
                count += 1;
            }
            line.clear();
        }
        Ok(count)
    }
}

/// The files of the CDR that were written within `time`, in the order of their last writes.
fn files_since(directory: &Path, time: Duration) -> io::Result<Vec<PathBuf>> {
    let now = SystemTime::now();
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        let metadata = entry.metadata()?;
        if metadata.is_file() && name.to_str().and_then(FileKind::of_name) == Some(FileKind::Cdr) {
            let modified = metadata.modified()?;
            // A time in the future is a clock that was set back: nobody knows, so it counts.
            if now.duration_since(modified).unwrap_or_default() <= time {
                files.push((modified, entry.path()));
            }
        }
    }
    files.sort();
    Ok(files.into_iter().map(|(_, path)| path).collect())
}
