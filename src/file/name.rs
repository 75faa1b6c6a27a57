//! Names of the files: `CDR.<date>_<time>.log` and `rejected.<date>_<time>.jsonl`, OpenVidu's own
//! pattern; `.zst` or `.gz` behind it where the file is compressed.

use std::path::Path;

use jiff::ToSpan;
use jiff::civil::DateTime;

use super::disk::{Disk, DiskResult};

const CDR_PREFIX: &str = "CDR.";
const CDR_SUFFIX: &str = ".log";
const REJECTS_PREFIX: &str = "rejected.";
const REJECTS_SUFFIX: &str = ".jsonl";
const STAMP_FORMAT: &str = "%Y-%m-%d_%H-%M-%S";
const STAMP_BYTES: usize = "2026-11-23_13-07-28".len();
const ZSTD_SUFFIX: &str = ".zst";
const GZIP_SUFFIX: &str = ".gz";

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

    /// The stamp in a name that begins like that of a CDR or rejects file, whatever follows it.
    fn of_name(name: &str) -> Option<Self> {
        let rest = name.strip_prefix(CDR_PREFIX).or_else(|| name.strip_prefix(REJECTS_PREFIX))?;
        Self::of_text(rest.get(..STAMP_BYTES)?)
    }

    fn of_text(text: &str) -> Option<Self> {
        let stamp = DateTime::strptime(STAMP_FORMAT, text).ok()?;
        // It takes a sign and single digits too.
        (stamp.strftime(STAMP_FORMAT).to_string() == text).then_some(Self(stamp))
    }

    /// The local time at which the file was begun.
    #[cfg(feature = "reader")]
    pub(crate) fn begun(self) -> DateTime {
        self.0
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

/// What a file of a CDR directory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FileKind {
    /// CDR lines.
    Cdr,
    /// Records of rejects.
    Rejects,
}

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Encoding {
    /// Not at all.
    Plain,
    /// As zstd frames, `.zst`.
    Zstd,
    /// As gzip members, `.gz`.
    Gzip,
}

impl Encoding {
    /// All of them, in the order in which a file is looked for: where two are there, one was just
    /// made from the other.
    #[cfg(feature = "reader")]
    pub(crate) const ALL: [Self; 3] = [Self::Plain, Self::Zstd, Self::Gzip];

    /// What it puts behind the name of the plain file.
    pub(crate) const fn suffix(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Zstd => ZSTD_SUFFIX,
            Self::Gzip => GZIP_SUFFIX,
        }
    }

    /// What the end of `name` says, and the name without it.
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

/// The name of a CDR or rejects file, taken apart. They sort in the order of writing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FileName {
    pub(crate) kind: FileKind,
    pub(crate) stamp: Stamp,
    /// `CDR.<date>_<time>.1.log`: the number that OpenVidu's own server gives after a rotation.
    pub(crate) number: Option<u32>,
    pub(crate) encoding: Encoding,
}

impl FileName {
    /// `None` where it is not exactly such a name: the file is somebody else's.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let (plain, encoding) = Encoding::of_name(name);
        let within = |prefix, suffix| plain.strip_prefix(prefix)?.strip_suffix(suffix);
        let (kind, middle): (_, &str) = match within(CDR_PREFIX, CDR_SUFFIX) {
            Some(middle) => (FileKind::Cdr, middle),
            None => (FileKind::Rejects, within(REJECTS_PREFIX, REJECTS_SUFFIX)?),
        };
        let stamp = Stamp::of_text(middle.get(..STAMP_BYTES)?)?;
        let number = match middle.get(STAMP_BYTES..)? {
            "" => None,
            rest => {
                let digits = rest.strip_prefix('.')?;
                let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
                Some(digits.parse().ok().filter(|_| plain)?)
            }
        };
        Some(Self { kind, stamp, number, encoding })
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
        assert_eq!(parsed.map(|name| name.number), [None, Some(1), Some(10), None]);
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
