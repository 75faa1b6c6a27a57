//! When a new file is created, and how much of the pending bytes still goes to the old one.

use std::ops::Range;
use std::path::PathBuf;

use jiff::Timestamp;

use crate::file::{CreatedFiles, FileNamer};
use crate::journal::Stream;

/// The rules of one stream, and the day of its file.
#[derive(Debug)]
pub(crate) struct Rotation {
    pub(crate) calendar: FileNamer,
    pub(crate) created_files: CreatedFiles,
    stream: Stream,
    /// The maximum length of a file.
    bytes_max: Option<u64>,
    /// Whether each day gets a file of its own.
    daily: bool,
    /// The start and end of the day on which the file was created.
    day: Range<Timestamp>,
    /// The same for the file whose path was chosen last.
    next_day: Option<Range<Timestamp>>,
}

impl Rotation {
    pub(crate) fn new(
        calendar: FileNamer,
        created_files: CreatedFiles,
        stream: Stream,
        bytes_max: Option<u64>,
        daily: bool,
    ) -> Self {
        let day = calendar.today();
        Self { calendar, created_files, stream, bytes_max, daily, day, next_day: None }
    }

    /// The path of the next file.
    pub(crate) fn next_path(&mut self) -> PathBuf {
        let stamp = self.calendar.take_stamp();
        self.next_day = Some(self.calendar.today());
        self.calendar.path(&match self.stream {
            Stream::Lines => stamp.cdr_name(),
            Stream::Rejects => stamp.rejects_name(),
        })
    }

    /// The next file exists, and its day has started. Not before: a day whose file could not be
    /// created at first would never get one.
    pub(crate) fn begin_day(&mut self) {
        if let Some(day) = self.next_day.take() {
            self.day = day;
        }
    }

    /// Whether the day of the file is over.
    pub(crate) fn day_is_over(&self) -> bool {
        self.daily && self.calendar.is_another_day(&self.day)
    }

    /// How much of `pending` goes to a file of `file_bytes` bytes: as many whole lines as fit; all
    /// of it if there is no limit. Only the first line if the file is empty. 0 means that a new
    /// file is needed.
    pub(crate) fn share(&self, file_bytes: u64, pending: &[u8]) -> usize {
        let Some(bytes_max) = self.bytes_max else { return pending.len() };
        let room = bytes_max.saturating_sub(file_bytes);
        if pending.len() as u64 <= room {
            return pending.len();
        }
        let fitting = pending.get(..room as usize).unwrap_or_default();
        match fitting.iter().rposition(|&byte| byte == b'\n') {
            Some(line_end) => line_end + 1,
            None if file_bytes == 0 => first_line_bytes(pending),
            None => 0,
        }
    }
}

/// The length of the first line, or of the part of it that is there.
pub(crate) fn first_line_bytes(pending: &[u8]) -> usize {
    let line_end = pending.iter().position(|&byte| byte == b'\n');
    line_end.map_or(pending.len(), |line_end| line_end + 1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::Clock;
    use crate::storage::Disk;
    use jiff::tz::TimeZone;
    use std::path::Path;

    fn rotation(bytes_max: u64) -> Rotation {
        let calendar =
            FileNamer::new(&Disk::default(), Path::new("/"), TimeZone::UTC, Clock::default());
        let created_files = CreatedFiles::new(&calendar.disk, Path::new("/"));
        Rotation::new(calendar, created_files, Stream::Lines, Some(bytes_max), true)
    }

    #[test]
    fn as_many_whole_lines_go_to_a_file_as_fit() {
        let pending = b"one\nthree\nx\n";
        let shares = [(0, 12), (1, 10), (2, 10), (3, 4), (8, 4), (9, 0), (12, 0), (50, 0)];
        for (file_bytes, share) in shares {
            assert_eq!(rotation(12).share(file_bytes, pending), share, "{file_bytes}");
        }
    }

    #[test]
    fn a_line_that_is_longer_than_a_file_may_be_gets_one_of_its_own() {
        assert_eq!(rotation(2).share(0, b"three\nx\n"), 6);
        assert_eq!(rotation(2).share(6, b"x\n"), 0);
    }
}
