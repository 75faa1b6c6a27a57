//! Names of the files: `CDR.<date>_<time>.log` and `rejected.<date>_<time>.jsonl`, OpenVidu's own
//! pattern.

use std::path::Path;

use jiff::ToSpan;
use jiff::civil::DateTime;

use super::disk::{Disk, DiskResult};

const CDR_PREFIX: &str = "CDR.";
const CDR_SUFFIX: &str = ".log";
const REJECTS_PREFIX: &str = "rejected.";
const REJECTS_SUFFIX: &str = ".jsonl";
const STAMP_FORMAT: &str = "%Y-%m-%d_%H-%M-%S";

/// The date and time in the names of the files of one opening, to the second.
///
/// Names sort in the order in which the files were written: a stamp lies at least a second behind
/// every one that is in the directory already, also when two processes start in the same second and
/// when the clock was set back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stamp(DateTime);

impl Stamp {
    /// The stamp of an opening of `directory` at the local time `now`.
    pub(crate) fn next(disk: &Disk, directory: &Path, now: DateTime) -> DiskResult<Self> {
        let mut stamp = Self(now.with().subsec_nanosecond(0).build().unwrap_or(now));
        for name in disk.names(directory)? {
            if let Some(taken) = Self::of_name(&name)
                && taken >= stamp
            {
                stamp = Self(taken.0.checked_add(1.second()).unwrap_or(taken.0));
            }
        }
        Ok(stamp)
    }

    /// The stamp in the name of a CDR or rejects file, rotated and compressed ones included.
    fn of_name(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(CDR_PREFIX).or_else(|| name.strip_prefix(REJECTS_PREFIX))?;
        let stamp = rest.get(.."2026-11-23_13-07-28".len())?;
        DateTime::strptime(STAMP_FORMAT, stamp).ok().map(Self)
    }

    /// The name of the CDR file.
    pub(crate) fn cdr_name(self) -> String {
        format!("{CDR_PREFIX}{}{CDR_SUFFIX}", self.0.strftime(STAMP_FORMAT))
    }

    /// The name of the rejects file.
    pub(crate) fn rejects_name(self) -> String {
        format!("{REJECTS_PREFIX}{}{REJECTS_SUFFIX}", self.0.strftime(STAMP_FORMAT))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    #[test]
    fn the_name_is_the_one_that_openvidu_gives() {
        let directory = tempfile::tempdir().unwrap();
        let now = date(2026, 11, 23).at(13, 7, 28, 999_999_999);
        let stamp = Stamp::next(&Disk::default(), directory.path(), now).unwrap();
        assert_eq!(stamp.cdr_name(), "CDR.2026-11-23_13-07-28.log");
        assert_eq!(stamp.rejects_name(), "rejected.2026-11-23_13-07-28.jsonl");
    }

    #[test]
    fn openings_in_one_second_and_after_the_clock_went_back_sort_behind_the_ones_before() {
        let directory = tempfile::tempdir().unwrap();
        let now = date(2026, 12, 31).at(23, 59, 59, 0);
        let mut names = Vec::new();
        for now in [now, now, now, now - 1.day()] {
            let stamp = Stamp::next(&Disk::default(), directory.path(), now).unwrap();
            std::fs::write(directory.path().join(stamp.cdr_name()), b"").unwrap();
            names.push(stamp.cdr_name());
        }
        assert!(names.is_sorted_by(|one, other| one < other), "{names:?}");
        assert_eq!(names[1], "CDR.2027-01-01_00-00-00.log");
    }

    #[test]
    fn foreign_names_have_no_stamp() {
        for name in [
            "CDR.log",
            "CDR.2026-13-01_00-00-00.log",
            "CDR.2026-11-23",
            "x",
            "rejected.\u{e9}\u{e9}",
        ] {
            assert_eq!(Stamp::of_name(name), None, "{name}");
        }
        assert!(Stamp::of_name("CDR.2026-11-23_13-07-28.1.log.zst").is_some());
    }
}
