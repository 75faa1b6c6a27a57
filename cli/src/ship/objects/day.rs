//! The blocks of a day as one object.
//!
//! ```text
//! offset  bytes
//!      0      4  0x184D2A5D, little-endian: a skippable frame of zstd
//!      4      4  length of the index, little-endian
//!      8         the index, a JSON object
//!                the objects of the blocks, one after the other, as they were
//! ```
//!
//! So `zstd -dc` prints the lines of all blocks, every block keeps its header, and one that is
//! wanted is found by the index and fetched without the rest.

use std::ops::Range;

use cdrlog::manifest::Hash;
use serde::{Deserialize, Serialize};

use crate::ship::header::{Chain, Stream};

const MAGIC: u32 = 0x184D_2A5D;

/// The length of magic and length.
const FRAME_BYTES: usize = 8;

pub(super) const VERSION: u32 = 1;

/// How many blocks an object holds at most, so that its index is read with one request.
pub(super) const BLOCKS_MAX: usize = 2000;

/// The longest index, in bytes.
pub(super) const INDEX_BYTES_MAX: usize = 64 << 10;

/// The index. Day objects of a chain are numbered from 1 without a hole, and are a chain themselves.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct DayFields {
    pub(super) v: u32,
    pub(super) node: String,
    pub(super) stream: Stream,
    pub(super) number: u64,
    /// The id of the day object before, or zeros: the BLAKE3 hash of its index.
    pub(super) prev: Hash,
    /// The number of the first block, and the id of the block before it.
    pub(super) first: u64,
    pub(super) before: Hash,
    /// The id of the last block.
    pub(super) last_id: Hash,
    /// For each block the length of its object, and when it was cut.
    pub(super) blocks: Vec<(u64, i64)>,
}

/// An index that was read or written.
#[derive(Clone, Debug)]
pub(super) struct Day {
    pub(super) fields: DayFields,
    pub(super) id: Hash,
    /// The frame with the index.
    pub(super) frame: Vec<u8>,
}

impl Day {
    pub(super) fn new(fields: DayFields) -> Self {
        let text = serde_json::to_string(&fields).expect("strings and numbers are always JSON");
        assert!(text.len() <= INDEX_BYTES_MAX, "an index has at most {BLOCKS_MAX} blocks");
        let mut frame = Vec::with_capacity(FRAME_BYTES + text.len());
        frame.extend_from_slice(&MAGIC.to_le_bytes());
        frame.extend_from_slice(&(text.len() as u32).to_le_bytes());
        frame.extend_from_slice(text.as_bytes());
        Self { fields, id: Hash::of(text.as_bytes()), frame }
    }

    /// Reads the index of an object that begins with these bytes.
    pub(super) fn parse(object: &[u8]) -> Result<Self, String> {
        let not_one = || "it does not begin with the index of a day".to_owned();
        let (magic, rest) = object.split_first_chunk::<4>().ok_or_else(not_one)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or_else(not_one)?;
        if u32::from_le_bytes(*magic) != MAGIC {
            return Err(not_one());
        }
        let length = u32::from_le_bytes(*length) as usize;
        let text = rest.get(..length).ok_or_else(not_one)?;
        let fields: DayFields = serde_json::from_slice(text)
            .map_err(|error| format!("it does not begin with the index of a day: {error}"))?;
        if fields.v != VERSION {
            return Err(format!(
                "its index is of version {}, and this program reads version {VERSION}",
                fields.v
            ));
        }
        if fields.first == 0 || fields.blocks.is_empty() {
            return Err("the index of the day has impossible numbers".to_owned());
        }
        let frame = object.get(..FRAME_BYTES + length).unwrap_or_default().to_vec();
        Ok(Self { fields, id: Hash::of(text), frame })
    }

    /// Whether it is the day object of this number of the chain.
    pub(super) fn is_of(&self, chain: &Chain, number: u64) -> bool {
        let DayFields { node, stream, number: told, .. } = &self.fields;
        (node, *stream, *told) == (&chain.node, chain.stream, number)
    }

    /// The number of its last block.
    pub(super) fn last(&self) -> u64 {
        self.fields.first + self.fields.blocks.len() as u64 - 1
    }

    /// The length of the whole object.
    pub(super) fn object_bytes(&self) -> u64 {
        let blocks: u64 = self.fields.blocks.iter().map(|(bytes, _)| bytes).sum();
        self.frame.len() as u64 + blocks
    }

    /// Where the object of a block is; `None` if it holds no such block.
    pub(super) fn range_of(&self, seq: u64) -> Option<Range<u64>> {
        let index = usize::try_from(seq.checked_sub(self.fields.first)?).ok()?;
        let (bytes, _) = self.fields.blocks.get(index)?;
        let before: u64 = self.fields.blocks.iter().take(index).map(|(bytes, _)| bytes).sum();
        let start = self.frame.len() as u64 + before;
        Some(start..start + bytes)
    }

    /// The number of its first block that was cut at `cut` or later; the number after its last one if
    /// there is none.
    pub(super) fn first_cut_since(&self, cut: i64) -> u64 {
        let earlier = self.fields.blocks.partition_point(|(_, at)| *at < cut);
        self.fields.first + earlier as u64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(blocks: Vec<(u64, i64)>) -> Day {
        Day::new(DayFields {
            v: VERSION,
            node: "n".to_owned(),
            stream: Stream::Lines,
            number: 1,
            prev: Hash::NONE,
            first: 5,
            before: Hash::of(b"4"),
            last_id: Hash::of(b"7"),
            blocks,
        })
    }

    #[test]
    fn an_index_says_where_each_block_is_and_when_it_was_cut() {
        let day = day(vec![(10, 100), (20, 100), (30, 300)]);
        let read = Day::parse(&[day.frame.as_slice(), b"rest"].concat()).unwrap();
        assert_eq!((read.id, &read.fields, read.last()), (day.id, &day.fields, 7));
        let start = day.frame.len() as u64;
        assert_eq!(read.range_of(5), Some(start..start + 10));
        assert_eq!(read.range_of(7), Some(start + 30..start + 60));
        assert_eq!((read.range_of(4), read.range_of(8)), (None, None));
        assert_eq!(read.object_bytes(), start + 60);
        let firsts = [0, 100, 101, 300, 301].map(|cut| read.first_cut_since(cut));
        assert_eq!(firsts, [5, 5, 7, 7, 8]);
    }

    #[test]
    fn the_longest_index_fits_into_what_is_read_of_it() {
        let mut fields = day(Vec::new()).fields;
        fields.node = "n".repeat(100);
        fields.blocks = vec![(64 << 20, i64::from(u32::MAX) * 1000); BLOCKS_MAX];
        assert!(Day::new(fields).frame.len() <= INDEX_BYTES_MAX);
    }

    #[test]
    fn what_is_no_day_is_refused() {
        let object = day(vec![(1, 1)]).frame;
        for wrong in [&object[..7], &object[..50], b"", &object[1..]] {
            assert!(Day::parse(wrong).unwrap_err().contains("does not begin with the index"));
        }
        assert!(Day::parse(&day(Vec::new()).frame).unwrap_err().contains("impossible"));
        let later = DayFields { v: 2, ..day(vec![(1, 1)]).fields };
        assert!(Day::parse(&Day::new(later).frame).unwrap_err().contains("version 2"));
    }
}
