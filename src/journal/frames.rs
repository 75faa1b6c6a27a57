//! Frames: which bytes of a segment can be trusted after a power loss.
//!
//! The pages of a segment reach the disk in any order, each in the state it had when the kernel
//! wrote it, next to bytes of an earlier use of the segment. A *frame* is a range of the data area
//! and its checksum, noted in the header page before the range is written to the file. The checksum
//! starts with the epoch, the sequence number and the start of the segment, so that bytes and notes
//! of an earlier use do not match.
//!
//! The table has room for 496 frames. In a segment that is filled by more flushes than that, as in
//! a quiet server, the last frame grows.

use std::ops::Range;

use super::page::u64_at;
use super::segment::{HEADER_BYTES, Segment, SegmentHeader};
use crate::storage::{DiskFile, DiskResult};

/// The offset of the table in the header page.
pub(super) const FRAMES_OFFSET: usize = 128;
const FRAME_BYTES: usize = 8;
const FRAMES_MAX: usize = (HEADER_BYTES - FRAMES_OFFSET) / FRAME_BYTES;

/// Writes the frames of one segment, in order.
#[derive(Debug, Default)]
pub(super) struct FrameWriter {
    frames: usize,
    /// Frames cover the data area up to this offset.
    covered_bytes: usize,
    /// The checksum of the last frame.
    checksum: u32,
}

impl FrameWriter {
    /// The part of `0..end` that no frame covers yet.
    pub(super) fn uncovered(&self, end: usize) -> Range<usize> {
        self.covered_bytes.min(end)..end
    }

    /// Covers `bytes`, which follow the covered ones.
    pub(super) fn write(&mut self, segment: &Segment, seed: u32, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let begin = if self.frames < FRAMES_MAX { seed } else { self.checksum };
        self.frames = (self.frames + 1).min(FRAMES_MAX);
        self.checksum = crc32c::crc32c_append(begin, bytes);
        self.covered_bytes += bytes.len();
        // One store: the end in the lower half, the checksum in the upper.
        let frame = self.covered_bytes as u64 | u64::from(self.checksum) << 32;
        segment.set_frame(FRAMES_OFFSET + (self.frames - 1) * FRAME_BYTES, frame);
    }
}

/// The start of the checksum of each frame of a segment.
pub(super) fn seed(epoch: u64, sequence: u64, start: u64) -> u32 {
    let identity = [epoch, sequence, start].map(u64::to_le_bytes).concat();
    crc32c::crc32c(&identity)
}

/// The bytes of a segment that its frames cover, as ranges of positions in the stream.
pub(super) fn verified_ranges(
    file: &DiskFile,
    header: &SegmentHeader,
) -> DiskResult<Vec<(Range<u64>, Vec<u8>)>> {
    let mut page = [0_u8; HEADER_BYTES];
    file.read_exact_at(&mut page, 0)?;
    let data_bytes = file.bytes()?.saturating_sub(HEADER_BYTES as u64);
    let seed = seed(header.epoch, header.sequence, header.start);
    let mut ranges: Vec<(Range<u64>, Vec<u8>)> = Vec::new();
    let mut end = 0;
    for frame in 0..FRAMES_MAX {
        let note = u64_at(&page, FRAMES_OFFSET + frame * FRAME_BYTES);
        let (frame_end, checksum) = (note & u64::from(u32::MAX), (note >> 32) as u32);
        if frame_end <= end || frame_end > data_bytes {
            break;
        }
        let mut bytes = vec![0; (frame_end - end) as usize];
        file.read_exact_at(&mut bytes, HEADER_BYTES as u64 + end)?;
        if crc32c::crc32c_append(seed, &bytes) == checksum {
            let range = header.start + end..header.start + frame_end;
            match ranges.last_mut().filter(|(last, _)| last.end == range.start) {
                Some((last, held)) => {
                    last.end = range.end;
                    held.append(&mut bytes);
                }
                None => ranges.push((range, bytes)),
            }
        }
        end = frame_end;
    }
    Ok(ranges)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Disk;

    const DATA_BYTES: usize = 8192;

    fn segment() -> (DiskFile, Segment) {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let file = Disk::default().open_or_create(&path).unwrap();
        file.set_len((HEADER_BYTES + DATA_BYTES) as u64).unwrap();
        let segment = Segment::create(&file, 0, 7, DATA_BYTES).unwrap();
        (file, segment)
    }

    fn cover_all(file: &DiskFile, segment: &Segment, sequence: u64, start: u64, steps: &[usize]) {
        segment.begin(sequence, start);
        let mut frames = FrameWriter::default();
        let mut end = 0;
        for &step in steps {
            let bytes = vec![b'a' + (end % 26) as u8; step];
            file.write_all_at(&bytes, (HEADER_BYTES + end) as u64).unwrap();
            assert_eq!(frames.uncovered(end + step), end..end + step);
            frames.write(segment, seed(7, sequence, start), &bytes);
            end += step;
            segment.commit(end);
        }
    }

    fn ranges(file: &DiskFile) -> Vec<(u64, u64)> {
        let header = SegmentHeader::read(file).unwrap().unwrap().unwrap();
        let ranges = verified_ranges(file, &header).unwrap();
        ranges.into_iter().map(|(range, _)| (range.start, range.end)).collect()
    }

    #[test]
    fn covered_bytes_are_trusted_and_bytes_that_differ_are_not() {
        let (file, segment) = segment();
        cover_all(&file, &segment, 1, 1000, &[100, 50, 70]);
        assert_eq!(ranges(&file), [(1000, 1220)]);
        file.write_all_at(b"?", HEADER_BYTES as u64 + 120).unwrap();
        assert_eq!(ranges(&file), [(1000, 1100), (1150, 1220)]);
    }

    #[test]
    fn frames_of_an_earlier_use_are_not_trusted() {
        let (file, segment) = segment();
        cover_all(&file, &segment, 1, 0, &[100, 100, 100, 100]);
        cover_all(&file, &segment, 5, 400, &[50, 100]);
        assert_eq!(ranges(&file), [(400, 550)]);
    }

    #[test]
    fn more_flushes_than_the_table_has_room_for_are_trusted_too() {
        let (file, segment) = segment();
        cover_all(&file, &segment, 1, 0, &[3; FRAMES_MAX + 100]);
        assert_eq!(ranges(&file), [(0, 3 * (FRAMES_MAX as u64 + 100))]);
    }
}
