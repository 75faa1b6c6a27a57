//! A file of whole lines that is only ever appended to.

use std::io;
use std::path::Path;

use crate::storage::{Disk, DiskFile, DiskResult, write_all};

/// An open CDR or rejects file, plain JSON Lines at any moment.
#[derive(Debug)]
pub(crate) struct LogFile {
    disk: Disk,
    file: DiskFile,
    /// The length of the file if nobody else wrote to it.
    bytes: u64,
}

/// What another program did to the file since the last check.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ExternalChange {
    /// Its length is not what we made it: it was truncated in place, or appended to.
    Resized,
    /// It was moved or removed, or another file has its name now.
    Replaced,
}

impl LogFile {
    /// Creates the file and syncs its directory. Nothing of that name may exist, except an empty
    /// file, as an earlier attempt leaves it that failed after the creation.
    pub(crate) fn create(disk: &Disk, path: &Path) -> DiskResult<Self> {
        let file = Self::create_unsynced(disk, path)?;
        file.sync_name()?;
        Ok(file)
    }

    /// Like `create`, but the caller syncs the directory: a failed sync must not be retried.
    pub(crate) fn create_unsynced(disk: &Disk, path: &Path) -> DiskResult<Self> {
        let file = match disk.create_appending(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let empty = disk.open_appending(path)?.filter(is_empty_file);
                empty.ok_or(error)?
            }
            other => other?,
        };
        Ok(Self { disk: disk.clone(), file, bytes: 0 })
    }

    /// Syncs the directory, so that the name of the file survives a power loss.
    pub(crate) fn sync_name(&self) -> DiskResult<()> {
        match self.path().parent() {
            Some(directory) => self.disk.sync_directory(directory),
            None => Ok(()),
        }
    }

    /// Opens the file at its end; `None` if it does not exist.
    pub(crate) fn open(disk: &Disk, path: &Path) -> DiskResult<Option<Self>> {
        let Some(file) = disk.open_appending(path)? else { return Ok(None) };
        let bytes = file.bytes()?;
        Ok(Some(Self { disk: disk.clone(), file, bytes }))
    }

    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    /// The underlying file, for reading.
    pub(crate) fn disk_file(&self) -> &DiskFile {
        &self.file
    }

    /// The file name.
    pub(crate) fn name(&self) -> String {
        self.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// Its length in bytes.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Appends as much as the system takes at once; returns how many bytes.
    pub(crate) fn append(&mut self, bytes: &[u8]) -> DiskResult<usize> {
        let written = self.file.append(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    /// Appends all of it, in as many writes as it takes.
    pub(crate) fn append_all(&mut self, bytes: &[u8]) -> DiskResult<()> {
        write_all(bytes, |rest| self.append(rest))
    }

    /// Syncs what was written.
    pub(crate) fn sync(&self) -> DiskResult<()> {
        self.file.sync_data()
    }

    /// Checks whether another program changed the file. After [`ExternalChange::Resized`] the
    /// length is the actual one.
    pub(crate) fn check(&mut self) -> DiskResult<Option<ExternalChange>> {
        let ours = self.file.metadata()?;
        match self.disk.examine(self.path())? {
            Some(named) if ours.is_same_file(&named) => {
                let resized = ours.bytes != self.bytes;
                self.bytes = ours.bytes;
                Ok(resized.then_some(ExternalChange::Resized))
            }
            _ => Ok(Some(ExternalChange::Replaced)),
        }
    }

    /// The file that has the name now; a new one if there is none. Either way its name may not be
    /// synced yet.
    pub(crate) fn reopen(&self) -> DiskResult<Self> {
        match Self::open(&self.disk, self.path())? {
            Some(file) => Ok(file),
            None => Self::create_unsynced(&self.disk, self.path()),
        }
    }

    /// Takes back the last `bytes` bytes.
    pub(crate) fn shorten_by(&mut self, bytes: u64) -> DiskResult<()> {
        if bytes > 0 {
            let end = self.file.bytes()?.saturating_sub(bytes);
            self.file.set_len(end)?;
            self.bytes = end;
        }
        Ok(())
    }

    /// Cuts what follows the last line feed after offset `from`; returns how many bytes.
    ///
    /// For a disk that is full in the middle of a line, when writing is given up: the journal still
    /// has the line.
    pub(crate) fn cut_to_line(&mut self, from: u64) -> DiskResult<u64> {
        let cut = self.bytes - self.line_start(from, self.bytes)?;
        self.shorten_by(cut)?;
        Ok(cut)
    }

    /// The start of the line that contains offset `to`: after the last line feed between `from` and
    /// `to`, or `from` if there is none.
    pub(crate) fn line_start(&self, from: u64, to: u64) -> DiskResult<u64> {
        self.file.line_start(from, to)
    }

    /// If the last line has no line feed, as another program may leave it, appends one, so that the
    /// next line is separate.
    pub(crate) fn end_line(&mut self) -> DiskResult<()> {
        let last = self.bytes.saturating_sub(1)..self.bytes;
        if self.bytes > 0 && self.file.read_range(last)? != b"\n" {
            self.append(b"\n")?;
        }
        Ok(())
    }
}

fn is_empty_file(file: &DiskFile) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.bytes == 0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;

    fn log_file() -> (tempfile::TempDir, LogFile) {
        let directory = tempfile::tempdir().unwrap();
        let log = LogFile::create(&Disk::default(), &directory.path().join("CDR.log")).unwrap();
        (directory, log)
    }

    #[test]
    fn a_file_that_holds_anything_is_never_created_again() {
        let (_directory, mut log) = log_file();
        let create = |log: &LogFile| LogFile::create(&Disk::default(), log.path());
        assert!(create(&log).is_ok());
        log.append(b"one\n").unwrap();
        assert_eq!(create(&log).unwrap_err().source.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn an_untouched_file_shows_no_interference() {
        let (_directory, mut log) = log_file();
        log.append(b"one\n").unwrap();
        assert_eq!(log.check().unwrap(), None);
        assert_eq!(log.bytes(), 4);
    }

    #[test]
    fn a_truncated_file_is_gone_on_with_at_its_new_length() {
        let (_directory, mut log) = log_file();
        log.append(b"one\n").unwrap();
        fs::File::options().write(true).open(log.path()).unwrap().set_len(0).unwrap();
        assert_eq!(log.check().unwrap(), Some(ExternalChange::Resized));
        log.append(b"two\n").unwrap();
        assert_eq!(fs::read(log.path()).unwrap(), b"two\n");
    }

    #[test]
    fn a_moved_file_keeps_its_lines_and_a_new_one_gets_the_next() {
        let (directory, mut log) = log_file();
        log.append(b"one\n").unwrap();
        let moved = directory.path().join("CDR.log.1");
        fs::rename(log.path(), &moved).unwrap();
        assert_eq!(log.check().unwrap(), Some(ExternalChange::Replaced));
        log = log.reopen().unwrap();
        log.append(b"two\n").unwrap();
        assert_eq!(fs::read(moved).unwrap(), b"one\n");
        assert_eq!(fs::read(log.path()).unwrap(), b"two\n");
    }

    #[test]
    fn a_file_put_in_its_place_is_appended_to() {
        let (directory, mut log) = log_file();
        fs::rename(log.path(), directory.path().join("CDR.log.1")).unwrap();
        fs::write(log.path(), b"theirs\n").unwrap();
        assert_eq!(log.check().unwrap(), Some(ExternalChange::Replaced));
        log = log.reopen().unwrap();
        log.append(b"ours\n").unwrap();
        assert_eq!(fs::read(log.path()).unwrap(), b"theirs\nours\n");
    }

    #[test]
    fn half_a_line_is_cut_back_to_the_last_whole_one_and_never_before_the_start() {
        let (_directory, mut log) = log_file();
        log.append(b"whole\nhalf").unwrap();
        assert_eq!(log.cut_to_line(0).unwrap(), 4);
        assert_eq!(log.cut_to_line(0).unwrap(), 0);
        log.append(&[b'x'; 10_000]).unwrap();
        assert_eq!(log.cut_to_line(6).unwrap(), 10_000);
        assert_eq!(fs::read(log.path()).unwrap(), b"whole\n");
    }
}
