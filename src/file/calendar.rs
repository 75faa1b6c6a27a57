//! The current day, and the name of the next file.

use std::fmt;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

use super::name::FileStamp;
use crate::storage::Disk;
use crate::sync::lock;

/// A clock: the system's, except in tests.
#[derive(Clone, Default)]
pub(crate) struct Clock(Option<Arc<dyn Fn() -> Timestamp + Send + Sync>>);

impl Clock {
    #[cfg(test)]
    pub(crate) fn telling(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(now)))
    }

    fn now(&self) -> Timestamp {
        match &self.0 {
            Some(now) => now(),
            None => Timestamp::try_from(SystemTime::now()).unwrap_or_default(),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Names files by the local time at which they are created.
///
/// The last stamp is kept in memory, shared by all clones: listing a directory of a hundred
/// thousand files takes longer than a rotation may.
#[derive(Clone, Debug)]
pub(crate) struct FileNamer {
    pub(crate) disk: Disk,
    directory: PathBuf,
    time_zone: TimeZone,
    clock: Clock,
    last_stamp: Arc<Mutex<Option<FileStamp>>>,
}

impl FileNamer {
    pub(crate) fn new(disk: &Disk, directory: &Path, time_zone: TimeZone, clock: Clock) -> Self {
        let (disk, directory) = (disk.clone(), directory.to_owned());
        Self { disk, directory, time_zone, clock, last_stamp: Arc::default() }
    }

    /// The current time.
    pub(crate) fn now(&self) -> ZonedDateTime {
        self.clock.now().to_zoned_datetime(self.time_zone.clone())
    }

    /// Every later stamp comes after the one in `name`, if it has one.
    pub(crate) fn follow(&self, name: &str) {
        let Some(stamp) = FileStamp::of_name(name) else { return };
        let mut last = lock(&self.last_stamp);
        *last = Some(last.map_or(stamp, |last| last.latest(stamp)));
    }

    /// The stamp that a file created now would have.
    pub(crate) fn next_stamp(&self) -> FileStamp {
        let last = lock(&self.last_stamp);
        FileStamp::after(*last, self.now().datetime())
    }

    /// A new stamp, for files that are created now. No other files get it.
    pub(crate) fn take_stamp(&self) -> FileStamp {
        let mut last = lock(&self.last_stamp);
        let stamp = FileStamp::after(*last, self.now().datetime());
        *last = Some(stamp);
        stamp
    }

    /// The path of a file of that name.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    /// Whether now is outside `day`.
    ///
    /// Also true after the clock was set back over midnight: what is written now belongs to another
    /// day.
    pub(crate) fn is_another_day(&self, day: &Range<Timestamp>) -> bool {
        !day.contains(&self.clock.now())
    }

    /// The start and end of today. The time zone may make days of 23 and 25 hours.
    pub(crate) fn today(&self) -> Range<Timestamp> {
        let now = self.now();
        let begin = now.start_of_day();
        let end = now.tomorrow().and_then(|tomorrow| tomorrow.start_of_day());
        match (begin, end) {
            (Ok(begin), Ok(end)) => begin.timestamp()..end.timestamp(),
            // The last representable day.
            _ => Timestamp::MIN..Timestamp::MAX,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn calendar_at(now: &str) -> FileNamer {
        let now: Timestamp = now.parse().unwrap();
        let zone = TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap();
        let clock = Clock::telling(move || now);
        FileNamer::new(&Disk::default(), Path::new("/nowhere"), zone, clock)
    }

    #[test]
    fn a_day_lasts_from_one_local_midnight_to_the_next() {
        let day = calendar_at("2026-11-23T12:00:00Z").today();
        assert_eq!(day.start.to_string(), "2026-11-22T23:00:00Z");
        assert_eq!(day.end.to_string(), "2026-11-23T23:00:00Z");
        assert!(!calendar_at("2026-11-23T22:59:59Z").is_another_day(&day));
        assert!(calendar_at("2026-11-23T23:00:00Z").is_another_day(&day));
        assert!(calendar_at("2026-11-22T22:59:59Z").is_another_day(&day));
    }

    #[test]
    fn the_days_on_which_summer_time_begins_and_ends_are_whole_days() {
        for (noon, hours) in [("2026-03-29T12:00:00Z", 23), ("2026-10-25T12:00:00Z", 25)] {
            let day = calendar_at(noon).today();
            assert_eq!(day.end.duration_since(day.start).as_hours(), hours);
        }
    }
}
