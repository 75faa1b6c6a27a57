//! Which bytes of which files of the CDR were exported, by the names of the files that have them.
//!
//! ```text
//! events/day=2025-11-25/0f3c…-CDR.2025-11-25_09-00-00.log-0-67108831-1of2.parquet
//!                       │     │                           │ │        └ which of its files
//!                       │     the file                    from, to
//!                       a hash of the path of the directory
//! ```
//!
//! A range has a file for each day of which it has events, made in the order of the days. It was
//! exported if the last one is there. If a run was killed between two of them, the next one makes
//! the rest of exactly this range: what it contains depends on nothing else.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// A file of the CDR: the directory by its hash, and the name without `.zst` or `.gz`.
pub(super) type CdrFileKey = (u64, String);

/// The ranges of one file of the CDR.
#[derive(Clone, Debug, Default)]
pub(super) struct FileRanges {
    /// By their first byte: the byte after the last, and whether the last of its files is there.
    ranges: BTreeMap<u64, (u64, bool)>,
}

/// All that was exported.
#[derive(Debug, Default)]
pub(super) struct Ranges(BTreeMap<CdrFileKey, FileRanges>);

/// The name of a file of a range.
pub(super) fn name(key: &CdrFileKey, range: &Range<u64>, number: usize, count: usize) -> String {
    let ((directory, file), Range { start, end }) = (key, range);
    format!("{directory:016x}-{file}-{start}-{end}-{number}of{count}.parquet")
}

fn parse(name: &str) -> Option<(CdrFileKey, Range<u64>, bool)> {
    let name = name.strip_suffix(".parquet")?;
    let (directory, rest) = name.split_at_checked(16)?;
    let directory = u64::from_str_radix(directory, 16).ok()?;
    let mut parts = rest.strip_prefix('-')?.rsplitn(4, '-');
    let (number, count) = parts.next()?.split_once("of")?;
    let end = parts.next()?.parse().ok()?;
    let start = parts.next()?.parse().ok()?;
    Some(((directory, parts.next()?.to_owned()), start..end, number == count))
}

/// The hash of the path of a directory (FNV-1a): the same in every version.
pub(super) fn hash_of(directory: &Path) -> u64 {
    use std::os::unix::ffi::OsStrExt;
    let bytes = directory.as_os_str().as_bytes().iter();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

impl Ranges {
    pub(super) fn of_names<'a>(names: impl Iterator<Item = &'a str>) -> Self {
        let mut ranges = Self::default();
        for (key, range, is_last) in names.filter_map(parse) {
            let of_file = ranges.0.entry(key).or_default();
            let (end, is_complete) = of_file.ranges.entry(range.start).or_insert((0, false));
            *end = (*end).max(range.end);
            *is_complete |= is_last;
        }
        ranges
    }

    pub(super) fn of_file(&self, key: &CdrFileKey) -> FileRanges {
        self.0.get(key).cloned().unwrap_or_default()
    }
}

/// What is to be exported next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) start: u64,
    /// The byte at which it must end; `None` for the end of the file.
    pub(super) end: Option<u64>,
    /// Some of its files are there: it has to end exactly there.
    pub(super) is_begun: bool,
}

impl FileRanges {
    /// The first gap at `from` or after it.
    pub(super) fn next_gap(&self, mut from: u64) -> Gap {
        loop {
            match self.ranges.get(&from) {
                Some((end, true)) if *end > from => from = *end,
                Some((end, false)) => {
                    return Gap { start: from, end: Some(*end), is_begun: true };
                }
                _ => break,
            }
        }
        let next = self.ranges.range(from + 1..).next();
        Gap { start: from, end: next.map(|(start, _)| *start), is_begun: false }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(of: &[(u64, u64, usize, usize)]) -> FileRanges {
        let key = (7, "CDR.2025-11-25_09-00-00.0001.log".to_owned());
        let names: Vec<_> = of
            .iter()
            .map(|(start, end, number, count)| name(&key, &(*start..*end), *number, *count))
            .collect();
        Ranges::of_names(names.iter().map(String::as_str)).of_file(&key)
    }

    fn next_gap(of: &FileRanges, from: u64) -> (u64, Option<u64>, bool) {
        let Gap { start, end, is_begun } = of.next_gap(from);
        (start, end, is_begun)
    }

    #[test]
    fn what_is_missing_is_what_no_complete_range_has() {
        assert_eq!(next_gap(&ranges(&[]), 0), (0, None, false));
        assert_eq!(next_gap(&ranges(&[(0, 10, 1, 1)]), 0), (10, None, false));
        assert_eq!(next_gap(&ranges(&[(0, 10, 1, 1), (10, 20, 2, 2)]), 0), (20, None, false));
        // One was removed.
        assert_eq!(next_gap(&ranges(&[(10, 20, 1, 1)]), 0), (0, Some(10), false));
        assert_eq!(next_gap(&ranges(&[(10, 20, 1, 1)]), 10), (20, None, false));
    }

    #[test]
    fn a_range_that_was_begun_is_made_again_with_the_same_end() {
        let killed = ranges(&[(0, 10, 1, 1), (10, 20, 1, 2)]);
        assert_eq!(next_gap(&killed, 0), (10, Some(20), true));
        let complete = ranges(&[(0, 10, 1, 1), (10, 20, 1, 2), (10, 20, 2, 2)]);
        assert_eq!(next_gap(&complete, 0), (20, None, false));
    }

    #[test]
    fn other_names_mean_nothing() {
        for name in ["notes.txt", "x.parquet", "0000000000000007-CDR.log-1-2-1of1.parquet.tmp"] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
