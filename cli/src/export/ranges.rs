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
//!
//! Of a shipped record, the hash is that of its address, and in place of the file is the node. Its
//! ranges go from place to place of its chain (`chains.rs`), and the end has the id of its block:
//! `…-media-1-4294967296-38654705664.5f0c…-1of1.parquet`.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

/// A file of the CDR: the directory by its hash, and the name without `.zst` or `.gz`. Or a node of a
/// shipped record.
pub(super) type CdrFileKey = (u64, String);

/// The ranges of one file of the CDR.
#[derive(Clone, Debug, Default)]
pub(super) struct FileRanges {
    /// By their first byte.
    ranges: BTreeMap<u64, KnownRange>,
}

#[derive(Clone, Debug, Default)]
struct KnownRange {
    /// The byte after the last.
    end: u64,
    /// The last of its files is there.
    is_complete: bool,
    /// Of a shipped record: the id of the block in which it ends.
    id: Option<String>,
}

/// All that was exported.
#[derive(Debug, Default)]
pub(super) struct Ranges(BTreeMap<CdrFileKey, FileRanges>);

/// The name of a file of a range; `id` is that of the block in which it ends.
pub(super) fn name(
    key: &CdrFileKey,
    range: &Range<u64>,
    id: Option<&str>,
    number: usize,
    count: usize,
) -> String {
    let ((directory, file), Range { start, end }) = (key, range);
    let id = id.map(|id| format!(".{id}")).unwrap_or_default();
    format!("{directory:016x}-{file}-{start}-{end}{id}-{number}of{count}.parquet")
}

/// The file of the CDR, the first byte, and the rest of the range.
fn parse(name: &str) -> Option<(CdrFileKey, u64, KnownRange)> {
    let name = name.strip_suffix(".parquet")?;
    let (directory, rest) = name.split_at_checked(16)?;
    let directory = u64::from_str_radix(directory, 16).ok()?;
    let mut parts = rest.strip_prefix('-')?.rsplitn(4, '-');
    let (number, count) = parts.next()?.split_once("of")?;
    let end = parts.next()?;
    let (end, id) = end.split_once('.').map_or((end, None), |(end, id)| (end, Some(id)));
    let start = parts.next()?.parse().ok()?;
    let (end, id) = (end.parse().ok()?, id.map(ToOwned::to_owned));
    let range = KnownRange { end, is_complete: number == count, id };
    Some(((directory, parts.next()?.to_owned()), start, range))
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
        for (key, start, range) in names.filter_map(parse) {
            let known = ranges.0.entry(key).or_default().ranges.entry(start).or_default();
            known.is_complete |= range.is_complete;
            if range.end > known.end {
                (known.end, known.id) = (range.end, range.id);
            }
        }
        ranges
    }

    pub(super) fn of_file(&self, key: &CdrFileKey) -> FileRanges {
        self.0.get(key).cloned().unwrap_or_default()
    }
}

/// What is to be exported next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Gap {
    pub(super) start: u64,
    /// The byte at which it must end; `None` for the end of the file.
    pub(super) end: Option<u64>,
    /// Some of its files are there: it has to end exactly there.
    pub(super) is_begun: bool,
    /// Of a shipped record: the id of the block in which it has to end, if it was begun.
    pub(super) id: Option<String>,
    /// The same of the range that ends where this begins.
    pub(super) id_before: Option<String>,
}

impl FileRanges {
    /// The first gap at `from` or after it.
    pub(super) fn next_gap(&self, from: u64) -> Gap {
        let (mut start, mut id_before) = (from, None);
        while let Some(range) = self.ranges.get(&start) {
            let id = range.id.clone();
            if !range.is_complete {
                return Gap { start, end: Some(range.end), is_begun: true, id, id_before };
            }
            if range.end <= start {
                break;
            }
            (start, id_before) = (range.end, id);
        }
        let end = self.ranges.range(start + 1..).next().map(|(start, _)| *start);
        Gap { start, end, is_begun: false, id: None, id_before }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(of: &[(u64, u64, usize, usize)]) -> FileRanges {
        let key = (7, "CDR.2025-11-25_09-00-00.0001.log".to_owned());
        let names: Vec<_> = of
            .iter()
            .map(|(start, end, number, count)| name(&key, &(*start..*end), None, *number, *count))
            .collect();
        Ranges::of_names(names.iter().map(String::as_str)).of_file(&key)
    }

    fn next_gap(of: &FileRanges, from: u64) -> (u64, Option<u64>, bool) {
        let Gap { start, end, is_begun, .. } = of.next_gap(from);
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
            assert!(parse(name).is_none(), "{name}");
        }
    }

    #[test]
    fn ranges_of_a_chain_know_the_blocks_in_which_they_end() {
        let key = (7, "media-1.example".to_owned());
        let of = |range: Range<u64>, id: &str, number| name(&key, &range, Some(id), number, 2);
        let names = [of(1..10, "0a", 1), of(1..10, "0a", 2), of(10..20, "0b", 1)];
        let known = Ranges::of_names(names.iter().map(String::as_str)).of_file(&key);
        let (id, id_before) = (Some("0b".to_owned()), Some("0a".to_owned()));
        let begun = Gap { start: 10, end: Some(20), is_begun: true, id, id_before };
        assert_eq!(known.next_gap(1), begun);
        assert_eq!(known.next_gap(20).id_before, None);
    }
}
