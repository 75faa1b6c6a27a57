//! One segment of the journal: a pre-allocated file of a header page and a data area.
//!
//! ```text
//! offset  bytes
//!      0      8  magic "cdrlogJ1"
//!      8      4  version, 1
//!     12      4  slot in the ring
//!     16      8  epoch: the open of the appender that wrote the segment (control/)
//!     24      8  data area, in bytes
//!     32      4  CRC32C of bytes 0..32
//!     64      8  sequence number of the segment
//!     72      8  position of its first byte in the stream
//!     80      8  committed: bytes of the data area in use, whole lines
//!    128   3968  frames: what can be trusted after a power loss (frames.rs)
//!   4096      -  data area
//! ```
//!
//! All numbers are little-endian. Bytes 64..88 change while the appender runs; each is one aligned
//! store.

use super::mapping::Mapping;
use super::page::{u32_at, u64_at};
use crate::storage::{DiskFile, DiskResult};

/// The header takes a page, so that the data area starts on one.
pub(crate) const HEADER_BYTES: usize = 4096;

/// No stream gets this far: from here on, sums of positions and lengths cannot overflow.
const POSITION_MAX: u64 = 1 << 62;

const MAGIC: [u8; 8] = *b"cdrlogJ1";
const VERSION: u32 = 1;
const CHECKED_BYTES: usize = 32;
const OFFSET_SEQUENCE: usize = 64;
const OFFSET_START: usize = 72;
const OFFSET_COMMITTED: usize = 80;

/// A mapped segment.
pub(crate) struct Segment {
    mapping: Mapping,
    epoch: u64,
}

impl Segment {
    /// Writes a fresh header to `file`, syncs it, and maps the file. The file must hold
    /// `HEADER_BYTES + data_bytes` allocated bytes.
    pub(crate) fn create(
        file: &DiskFile,
        slot: u32,
        epoch: u64,
        data_bytes: usize,
    ) -> DiskResult<Self> {
        let mut page = [0_u8; HEADER_BYTES];
        page[..CHECKED_BYTES].copy_from_slice(&fixed_header(slot, epoch, data_bytes));
        let checksum = crc32c::crc32c(&page[..CHECKED_BYTES]);
        page[CHECKED_BYTES..CHECKED_BYTES + 4].copy_from_slice(&checksum.to_le_bytes());
        file.write_all_at(&page, 0)?;
        // Before it is mapped, which makes all of its pages dirty.
        file.sync_all()?;
        Ok(Self { mapping: Mapping::of_file(file, HEADER_BYTES + data_bytes)?, epoch })
    }

    #[cfg(test)]
    pub(crate) fn plain(data_bytes: usize) -> Self {
        Self { mapping: Mapping::plain(HEADER_BYTES + data_bytes), epoch: 0 }
    }

    /// Makes the segment empty, as number `sequence` of the stream, starting at `position`.
    ///
    /// A process killed between any two of these stores leaves an empty segment.
    pub(crate) fn begin(&self, sequence: u64, position: u64) {
        self.mapping.store_u64(OFFSET_COMMITTED, 0);
        self.mapping.store_u64(OFFSET_START, position);
        self.mapping.store_u64(OFFSET_SEQUENCE, sequence);
    }

    /// Commits the first `bytes` of the data area: they survive this process from now on.
    pub(crate) fn commit(&self, bytes: usize) {
        self.mapping.store_u64(OFFSET_COMMITTED, bytes as u64);
    }

    /// Stores a frame at `offset` of the header page.
    pub(super) fn set_frame(&self, offset: usize, frame: u64) {
        self.mapping.store_u64(offset, frame);
    }

    /// The open that the segment belongs to.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch
    }

    pub(crate) fn mapping(&self) -> &Mapping {
        &self.mapping
    }
}

fn fixed_header(slot: u32, epoch: u64, data_bytes: usize) -> [u8; CHECKED_BYTES] {
    let mut header = [0_u8; CHECKED_BYTES];
    header[..8].copy_from_slice(&MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&slot.to_le_bytes());
    header[16..24].copy_from_slice(&epoch.to_le_bytes());
    header[24..32].copy_from_slice(&(data_bytes as u64).to_le_bytes());
    header
}

/// The header of a segment file, as read by the next open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub(crate) slot: u32,
    pub(crate) epoch: u64,
    /// The length of the data area.
    pub(crate) data_bytes: u64,
    pub(crate) sequence: u64,
    /// The position of the first byte of the data area.
    pub(crate) start: u64,
    /// Bytes of the data area that were committed.
    pub(crate) committed: u64,
}

/// Segments that hold anything, in the order of their positions.
pub(super) type Segments = Vec<(DiskFile, SegmentHeader)>;

/// Why a segment file cannot be trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    Magic,
    Version(u32),
    Checksum,
    /// It says that more is committed than its data area, or the file, can hold; or it starts
    /// further on than any stream gets.
    Length,
}

impl SegmentHeader {
    /// Reads the header of a segment file by `pread`, never through a mapping, so that a bad sector
    /// is an error.
    ///
    /// A file of zeros, as a killed creation leaves it, is `Ok(None)`.
    pub(crate) fn read(file: &DiskFile) -> DiskResult<Result<Option<Self>, HeaderFault>> {
        let mut page = [0_u8; 128];
        let file_bytes = file.bytes()?;
        if file_bytes < HEADER_BYTES as u64 {
            return Ok(Ok(None));
        }
        file.read_exact_at(&mut page, 0)?;
        Ok(Self::decode(&page, file_bytes))
    }

    fn decode(page: &[u8; 128], file_bytes: u64) -> Result<Option<Self>, HeaderFault> {
        if page.iter().all(|&byte| byte == 0) {
            return Ok(None);
        }
        if page[..8] != MAGIC {
            return Err(HeaderFault::Magic);
        }
        if crc32c::crc32c(&page[..CHECKED_BYTES]) != u32_at(page, CHECKED_BYTES) {
            return Err(HeaderFault::Checksum);
        }
        if u32_at(page, 8) != VERSION {
            return Err(HeaderFault::Version(u32_at(page, 8)));
        }
        let header = Self {
            slot: u32_at(page, 12),
            data_bytes: u64_at(page, 24),
            epoch: u64_at(page, 16),
            sequence: u64_at(page, OFFSET_SEQUENCE),
            start: u64_at(page, OFFSET_START),
            committed: u64_at(page, OFFSET_COMMITTED),
        };
        let held = header.data_bytes.min(file_bytes - HEADER_BYTES as u64);
        if header.committed > held || header.start > POSITION_MAX {
            return Err(HeaderFault::Length);
        }
        Ok(Some(header))
    }

    /// The position after the last committed byte.
    pub(crate) fn end(&self) -> u64 {
        self.start + self.committed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::Disk;

    fn header_of(file: &DiskFile) -> Option<SegmentHeader> {
        SegmentHeader::read(file).unwrap().unwrap()
    }

    fn segment_file(data_bytes: usize) -> DiskFile {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let file = Disk::default().open_or_create(&path).unwrap();
        file.set_len((HEADER_BYTES + data_bytes) as u64).unwrap();
        file
    }

    #[test]
    fn what_was_committed_is_read_back_from_the_file() {
        let file = segment_file(4096);
        let segment = Segment::create(&file, 1, 7, 4096).unwrap();
        segment.begin(5, 1000);
        segment.commit(42);
        let header = header_of(&file).unwrap();
        let data_bytes = 4096;
        let place = (header.slot, header.sequence, header.start, header.committed);
        assert_eq!((header.epoch, header.data_bytes, place), (7, data_bytes, (1, 5, 1000, 42)));
        assert_eq!(header.end(), 1042);
        segment.begin(9, 2000);
        assert_eq!(header_of(&file).unwrap().committed, 0);
    }

    #[test]
    fn a_file_of_zeros_holds_nothing_and_is_no_fault() {
        let empty = segment_file(0);
        empty.set_len(0).unwrap();
        assert_eq!(header_of(&segment_file(4096)), None);
        assert_eq!(header_of(&empty), None);
    }

    #[test]
    fn a_damaged_header_is_told_from_a_sound_one() {
        let file = segment_file(4096);
        let segment = Segment::create(&file, 0, 7, 4096).unwrap();
        segment.begin(0, 0);
        segment.commit(5000);
        assert_eq!(SegmentHeader::read(&file).unwrap(), Err(HeaderFault::Length));
        segment.begin(0, u64::MAX - 300);
        segment.commit(10);
        assert_eq!(SegmentHeader::read(&file).unwrap(), Err(HeaderFault::Length));
        segment.begin(0, 0);
        segment.commit(10);
        file.write_all_at(b"?", 17).unwrap();
        assert_eq!(SegmentHeader::read(&file).unwrap(), Err(HeaderFault::Checksum));
        file.write_all_at(b"?", 0).unwrap();
        assert_eq!(SegmentHeader::read(&file).unwrap(), Err(HeaderFault::Magic));
    }
}
