//! Collects what the manifest says of a file while the file is read once.

use memchr::{memchr_iter, memrchr};
use serde::Deserialize;

use super::hash::Hash;
use super::manifest::{SealedFile, plain_name};

/// A first or last line that is longer has no timestamp in the manifest. This is twice what an
/// appender accepts by default, and bounds the memory if another program wrote the file.
const LINE_BYTES_MAX: usize = 16 << 20;

/// Collects what the manifest says of a file: pass it the content, block by block.
///
/// ```
/// let mut measure = cdrlog::manifest::Measure::new();
/// measure.update(b"{\"a\":{\"timestamp\":1}}\n{\"b\":");
/// measure.update(b"{\"timestamp\":2}}\n");
/// let file = measure.finish("CDR.2026-11-23_13-07-28.log");
/// assert_eq!((file.lines, file.bytes), (2, 44));
/// assert_eq!((file.first_timestamp, file.last_timestamp), (Some(1), Some(2)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Measure {
    hasher: blake3::Hasher,
    lines: u64,
    bytes: u64,
    first: Option<LineText>,
    /// The last complete line.
    last: LineText,
    /// What follows the last line end.
    open: LineText,
}

impl Measure {
    /// The measure of an empty file.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the next bytes of the uncompressed content.
    pub fn update(&mut self, block: &[u8]) {
        self.hasher.update(block);
        self.bytes += block.len() as u64;
        let Some(end) = memrchr(b'\n', block) else {
            self.open.extend(block);
            return;
        };
        self.lines += memchr_iter(b'\n', block).count() as u64;
        let (lines, rest) = block.split_at(end + 1);
        self.note_lines(lines.strip_suffix(b"\n").unwrap_or(lines));
        self.open.clear();
        self.open.extend(rest);
    }

    /// `lines` ends at a line end; its first line may have started in an earlier block.
    fn note_lines(&mut self, lines: &[u8]) {
        if self.first.is_none() {
            let first_end = memchr::memchr(b'\n', lines).unwrap_or(lines.len());
            let mut first = self.open.clone();
            first.extend(lines.get(..first_end).unwrap_or_default());
            self.first = Some(first);
        }
        self.last.clear();
        match memrchr(b'\n', lines) {
            Some(before) => self.last.extend(lines.get(before + 1..).unwrap_or_default()),
            None => {
                std::mem::swap(&mut self.last, &mut self.open);
                self.last.extend(lines);
            }
        }
    }

    /// The entry, once all content was passed in. `name` is the name of the file; `.zst` or `.gz`
    /// at its end is dropped.
    #[must_use]
    pub fn finish(self, name: &str) -> SealedFile {
        SealedFile {
            name: plain_name(name).to_owned(),
            lines: self.lines,
            bytes: self.bytes,
            first_timestamp: self.first.as_ref().and_then(LineText::timestamp),
            last_timestamp: self.last.timestamp(),
            blake3: Hash::of_hasher(&self.hasher),
        }
    }
}

/// The text of one line, unless it is too long to be kept.
#[derive(Clone, Debug, Default)]
struct LineText {
    text: Vec<u8>,
    too_long: bool,
}

impl LineText {
    fn clear(&mut self) {
        self.text.clear();
        self.too_long = false;
    }

    fn extend(&mut self, part: &[u8]) {
        self.too_long |= self.text.len() + part.len() > LINE_BYTES_MAX;
        if !self.too_long {
            self.text.extend_from_slice(part);
        }
    }

    fn timestamp(&self) -> Option<i64> {
        if self.too_long { None } else { timestamp_of(&self.text) }
    }
}

/// The `timestamp` of a CDR line, a member of the object under the root key, or the `at` of a
/// reject record.
fn timestamp_of(line: &[u8]) -> Option<i64> {
    #[derive(Deserialize)]
    struct Event {
        timestamp: serde_json::Value,
    }
    #[derive(Deserialize)]
    struct Reject {
        at: i64,
        #[serde(rename = "reason")]
        _reason: String,
    }
    type Line = std::collections::BTreeMap<String, Event>;
    if let Ok(events) = serde_json::from_slice::<Line>(line) {
        let mut events = events.into_values();
        let only = events.next().filter(|_| events.next().is_none());
        return only.and_then(|event| event.timestamp.as_i64());
    }
    serde_json::from_slice::<Reject>(line).ok().map(|reject| reject.at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn measure(content: &[u8], block_bytes: usize) -> SealedFile {
        let mut measure = Measure::new();
        content.chunks(block_bytes).for_each(|block| measure.update(block));
        measure.finish("CDR.2026-11-23_13-07-28.log.zst")
    }

    #[test]
    fn a_file_is_measured_the_same_in_blocks_of_any_size() {
        let content = b"{\"a\":{\"timestamp\":1}}\n{\"b\":{\"x\":{\"timestamp\":9}}}\n\n\
                        {\"c\":{\"s\":1,\"timestamp\":3}}\n";
        let whole = measure(content, content.len());
        assert_eq!(whole.name, "CDR.2026-11-23_13-07-28.log");
        assert_eq!((whole.lines, whole.bytes), (4, content.len() as u64));
        assert_eq!((whole.first_timestamp, whole.last_timestamp), (Some(1), Some(3)));
        assert_eq!(whole.blake3.to_string(), blake3::hash(content).to_string());
        for block_bytes in 1..content.len() {
            assert_eq!(measure(content, block_bytes), whole, "{block_bytes}");
        }
    }

    #[test]
    fn what_has_no_timestamp_has_none_in_the_manifest() {
        for content in [
            &b""[..],
            b"\n",
            b"{\"a\":{}}\n",
            b"{\"a\":{\"timestamp\":\"1\"}}\n",
            b"{\"a\":{\"timestamp\":1.5}}\n",
            b"{\"a\":{\"timestamp\":1},\"b\":{\"timestamp\":1}}\n",
            b"not json\n",
            b"{\"a\":{\"timestamp\":1}}",
        ] {
            let file = measure(content, 7);
            assert_eq!((file.first_timestamp, file.last_timestamp), (None, None), "{content:?}");
        }
    }

    #[test]
    fn rejects_are_dated_by_the_time_at_which_they_were_rejected() {
        let file = measure(
            b"{\"reason\":\"event_missing\",\"offset\":14,\"at\":7,\"body\":\"{}\"}\n\
              {\"reason\":\"event_missing\",\"offset\":14,\"at\":8,\"body\":\"{}\"}\n",
            20,
        );
        assert_eq!((file.first_timestamp, file.last_timestamp), (Some(7), Some(8)));
    }

    #[test]
    fn a_line_too_long_to_be_kept_is_counted_and_hashed_all_the_same() {
        let mut content = b"{\"a\":{\"timestamp\":1,\"p\":\"".to_vec();
        content.resize(LINE_BYTES_MAX, b'p');
        content.extend_from_slice(b"\"}}\n{\"b\":{\"timestamp\":2}}\n");
        let file = measure(&content, 1 << 16);
        assert_eq!((file.lines, file.bytes), (2, content.len() as u64));
        assert_eq!((file.first_timestamp, file.last_timestamp), (None, Some(2)));
    }
}
