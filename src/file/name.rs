//! Names of the files: `CDR.<date>_<time>.log` and `rejected.<date>_<time>.jsonl`, OpenVidu's own
//! pattern, followed by `.zst` or `.gz` if the file is compressed.

use std::fmt;

use jiff::ToSpan;
use jiff::civil::DateTime;

const CDR_PREFIX: &str = "CDR.";
const CDR_SUFFIX: &str = ".log";
const REJECTS_PREFIX: &str = "rejected.";
const REJECTS_SUFFIX: &str = ".jsonl";
const STAMP_FORMAT: &str = "%Y-%m-%d_%H-%M-%S";
const STAMP_BYTES: usize = "2026-11-23_13-07-28".len();
const ZSTD_SUFFIX: &str = ".zst";
const GZIP_SUFFIX: &str = ".gz";

/// The state directory in a CDR directory: the lock, the journal, the manifest of sealed files.
pub(crate) const STATE_DIR_NAME: &str = ".cdrlog";

/// A file that is created in the same second as an earlier one gets a number with this many digits,
/// padded with zeros so that names sort like numbers.
const NUMBER_DIGITS: usize = 4;
const NUMBER_MAX: u32 = 9999;

/// The last year. No name can follow its last second, so a file with this year in its name, which
/// no real file has, is ignored.
const YEAR_MAX: i16 = 9999;

/// The date and time in the name of a file, to the second, and its number, if it has one.
///
/// Names sort in the order in which the files were created: see [`after`](Self::after).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileStamp {
    time: DateTime,
    /// `CDR.<date>_<time>.<number>.log`. OpenVidu's own server numbers the files of a rotation so.
    number: Option<u32>,
}

impl FileStamp {
    /// The stamp of a file that is created at the local time `now`, after files whose last stamp is
    /// `last`.
    ///
    /// If the time is later than the last stamp, it is the time, without a number. Otherwise, after
    /// a quick rotation or a clock that was set back, it is the last stamp with the next number. A
    /// last stamp without a number is followed by number 1 of the next second, because `.0001.log`
    /// sorts before `.log`. So a stamp is at most a second ahead of the clock, plus one for each
    /// 9999 files that are created before the clock gets there.
    pub(crate) fn after(last: Option<Self>, now: DateTime) -> Self {
        let now =
            Self { time: now.with().subsec_nanosecond(0).build().unwrap_or(now), number: None };
        let Some(last) = last.filter(|last| now.time <= last.time) else { return now };
        match last.number {
            Some(number) if number < NUMBER_MAX => Self { number: Some(number + 1), ..last },
            _ => match last.time.checked_add(1.second()) {
                Ok(time) => Self { time, number: Some(1) },
                // Only if the clock shows the last second of all time.
                Err(_) => Self { number: Some(last.number.map_or(1, |number| number + 1)), ..last },
            },
        }
    }

    /// The stamp in a name that starts like that of a CDR or rejects file, whatever follows. `None`
    /// also for a stamp that no name can follow.
    ///
    /// Without a number if a file of that second may have none: its name sorts last.
    pub(crate) fn of_name(name: &str) -> Option<Self> {
        let stamp = match FileName::parse(name) {
            Some(name) => name.stamp,
            None => {
                let rest =
                    name.strip_prefix(CDR_PREFIX).or_else(|| name.strip_prefix(REJECTS_PREFIX))?;
                Self { time: time_of_text(rest.get(..STAMP_BYTES)?)?, number: None }
            }
        };
        (stamp.time.year() < YEAR_MAX).then_some(stamp)
    }

    /// The later one; in the same second, the one without a number.
    pub(crate) fn latest(self, other: Self) -> Self {
        let order = |stamp: &Self| (stamp.time, stamp.number.is_none(), stamp.number);
        if order(&other) > order(&self) { other } else { self }
    }

    /// The local time at which the file was created.
    #[cfg(feature = "reader")]
    pub(crate) fn begun(self) -> DateTime {
        self.time
    }

    /// The name of the CDR file.
    pub(crate) fn cdr_name(self) -> String {
        format!("{CDR_PREFIX}{self}{CDR_SUFFIX}")
    }

    /// The name of the rejects file.
    pub(crate) fn rejects_name(self) -> String {
        format!("{REJECTS_PREFIX}{self}{REJECTS_SUFFIX}")
    }
}

impl fmt::Display for FileStamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.time.strftime(STAMP_FORMAT))?;
        match self.number {
            Some(number) => write!(f, ".{number:0NUMBER_DIGITS$}"),
            None => Ok(()),
        }
    }
}

fn time_of_text(text: &str) -> Option<DateTime> {
    let time = DateTime::strptime(STAMP_FORMAT, text).ok()?;
    // The parser also accepts a sign and single digits.
    (time.strftime(STAMP_FORMAT).to_string() == text).then_some(time)
}

/// What a file of a CDR directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// CDR lines.
    Cdr,
    /// Records of rejects.
    Rejects,
}

/// The compression of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// Not compressed.
    Plain,
    /// zstd frames, `.zst`.
    Zstd,
    /// gzip members, `.gz`.
    Gzip,
}

impl Encoding {
    /// All of them, in the order of the search for a file: if two forms exist, one was just made
    /// from the other.
    #[cfg(any(feature = "reader", feature = "synced"))]
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Zstd, Self::Gzip];

    /// The suffix that it adds to the name of the plain file.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Zstd => ZSTD_SUFFIX,
            Self::Gzip => GZIP_SUFFIX,
        }
    }

    /// `name` without the suffix, and the encoding that the suffix stands for.
    pub(crate) fn of_name(name: &str) -> (&str, Self) {
        if let Some(plain) = name.strip_suffix(ZSTD_SUFFIX) {
            (plain, Self::Zstd)
        } else if let Some(plain) = name.strip_suffix(GZIP_SUFFIX) {
            (plain, Self::Gzip)
        } else {
            (name, Self::Plain)
        }
    }
}

/// The parsed name of a CDR or rejects file. Names sort in the order of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileName {
    pub(crate) kind: FileKind,
    pub(crate) stamp: FileStamp,
    pub(crate) encoding: Encoding,
}

impl FileName {
    /// The name of the file when it is not compressed.
    #[cfg(any(feature = "reader", feature = "synced"))]
    pub(crate) fn plain(self) -> Self {
        Self { encoding: Encoding::Plain, ..self }
    }

    /// `None` if it is not exactly such a name: the file is not ours.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (plain, encoding) = Encoding::of_name(name);
        let within = |prefix, suffix| plain.strip_prefix(prefix)?.strip_suffix(suffix);
        let (kind, middle): (_, &str) = match within(CDR_PREFIX, CDR_SUFFIX) {
            Some(middle) => (FileKind::Cdr, middle),
            None => (FileKind::Rejects, within(REJECTS_PREFIX, REJECTS_SUFFIX)?),
        };
        let time = time_of_text(middle.get(..STAMP_BYTES)?)?;
        let number = match middle.get(STAMP_BYTES..)? {
            "" => None,
            rest => {
                let digits = rest.strip_prefix('.')?;
                let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
                Some(digits.parse().ok().filter(|_| plain)?)
            }
        };
        Some(Self { kind, stamp: FileStamp { time, number }, encoding })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    /// Names of files that are created in this order, the first after `last`.
    fn names_after(last: Option<&str>, times: &[DateTime]) -> Vec<String> {
        let mut last = last.and_then(FileStamp::of_name);
        let mut next = |now: &DateTime| {
            let stamp = FileStamp::after(last, *now);
            last = Some(stamp);
            stamp.cdr_name()
        };
        times.iter().map(&mut next).collect()
    }

    #[test]
    fn the_name_is_the_one_that_openvidu_gives() {
        let stamp = FileStamp::after(None, date(2026, 11, 23).at(13, 7, 28, 999_999_999));
        assert_eq!(stamp.cdr_name(), "CDR.2026-11-23_13-07-28.log");
        assert_eq!(stamp.rejects_name(), "rejected.2026-11-23_13-07-28.jsonl");
    }

    #[test]
    fn files_of_one_second_and_after_the_clock_went_back_sort_after_the_ones_before() {
        let now = date(2026, 12, 31).at(23, 59, 59, 0);
        let later = now + 2.seconds();
        let names = names_after(None, &[now, now, now, now - 1.day(), later, later]);
        assert!(names.is_sorted_by(|one, other| one < other), "{names:?}");
        let expected = [
            "CDR.2026-12-31_23-59-59.log",
            "CDR.2027-01-01_00-00-00.0001.log",
            "CDR.2027-01-01_00-00-00.0002.log",
            "CDR.2027-01-01_00-00-00.0003.log",
            "CDR.2027-01-01_00-00-01.log",
            "CDR.2027-01-01_00-00-02.0001.log",
        ];
        assert_eq!(names, expected);
    }

    #[test]
    fn thirty_thousand_files_of_one_second_are_named_four_seconds_ahead_at_most() {
        let now = date(2026, 11, 23).at(13, 7, 28, 0);
        let names = names_after(None, &[now; 30_000]);
        assert!(names.is_sorted_by(|one, other| one < other));
        assert_eq!(names[29_999], "CDR.2026-11-23_13-07-32.0002.log");
    }

    #[test]
    fn a_number_is_followed_by_the_next_and_a_name_of_others_as_if_it_had_none() {
        let now = date(2026, 11, 23).at(13, 7, 28, 0);
        for (last, next) in [
            ("CDR.2026-11-23_13-07-28.0041.log", "CDR.2026-11-23_13-07-28.0042.log"),
            ("rejected.2026-11-23_13-07-29.9999.jsonl", "CDR.2026-11-23_13-07-30.0001.log"),
            ("CDR.2026-11-23_13-07-28.log.zst", "CDR.2026-11-23_13-07-29.0001.log"),
            ("CDR.2026-11-23_13-07-28.log.torn", "CDR.2026-11-23_13-07-29.0001.log"),
            ("CDR.2026-11-23_13-07-27.log", "CDR.2026-11-23_13-07-28.log"),
        ] {
            assert_eq!(names_after(Some(last), &[now]), [next], "{last}");
        }
        let of_name = |name| FileStamp::of_name(name).unwrap();
        let (plain, numbered) =
            (of_name("CDR.2026-11-23_13-07-28.log"), of_name("CDR.2026-11-23_13-07-28.0001.log"));
        assert_eq!((plain.latest(numbered), numbered.latest(plain)), (plain, plain));
    }

    #[test]
    fn a_name_of_the_last_year_is_not_followed() {
        let now = date(2026, 11, 23).at(13, 7, 28, 0);
        for last in ["CDR.9999-12-31_23-59-59.log", "CDR.9999-01-01_00-00-00.log"] {
            assert_eq!(names_after(Some(last), &[now]), ["CDR.2026-11-23_13-07-28.log"]);
        }
        // Even with such a clock each file gets a name of its own.
        let end = DateTime::MAX;
        let names = names_after(None, &[end, end, end]);
        assert!(names[0] != names[1] && names[1] != names[2], "{names:?}");
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
            assert_eq!(FileStamp::of_name(name), None, "{name}");
        }
        assert!(FileStamp::of_name("CDR.2026-11-23_13-07-28.1.log.zst").is_some());
    }

    #[test]
    fn names_are_taken_apart_and_sort_in_the_order_of_writing() {
        let names = [
            "CDR.2026-11-23_13-07-28.log",
            "CDR.2026-11-23_13-07-28.1.log.gz",
            "CDR.2026-11-23_13-07-28.10.log",
            "CDR.2026-11-23_13-07-29.log.zst",
        ];
        let parsed = names.map(|name| FileName::parse(name).unwrap());
        assert!(parsed.is_sorted(), "{parsed:?}");
        assert_eq!(parsed.map(|name| name.stamp.number), [None, Some(1), Some(10), None]);
        assert_eq!(parsed[3].encoding, Encoding::Zstd);
        let rejects = FileName::parse("rejected.2026-11-23_13-07-28.jsonl.gz").unwrap();
        assert_eq!((rejects.kind, rejects.encoding), (FileKind::Rejects, Encoding::Gzip));
    }

    #[test]
    fn what_only_looks_like_a_file_of_ours_is_not_one() {
        for name in [
            "CDR.log",
            "CDR.2026-11-23_13-07-28.log.1",
            "CDR.2026-11-23_13-07-28.log.zst.tmp",
            "CDR.2026-11-23_13-07-28.jsonl",
            "CDR.+2026-1-23_13-07-28.log",
            "CDR.2026-11-23_13-07-28/../../x.log",
            "CDR.2026-11-23_13-07-28.log/",
            "CDR.2026-11-23_13-07-28.log\0",
            "CDR.2026-11-23_13-07-2\u{e9}.log",
            "../CDR.2026-11-23_13-07-28.log",
            "..",
            "",
            "CDR.2026-11-23_13-07-28.+1.log",
            "CDR.2026-11-23_13-07-28.log.torn",
            "xCDR.2026-11-23_13-07-28.log",
            "rejected.2026-11-23_13-07-28.log",
        ] {
            assert_eq!(FileName::parse(name), None, "{name}");
        }
    }
}
