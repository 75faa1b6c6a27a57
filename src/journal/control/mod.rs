//! The control file: one page that ties positions in the streams to offsets in files.
//!
//! ```text
//! offset  bytes
//!      0      8  magic "cdrlogC1"
//!      8      4  version, 2
//!     12      4  1 after a close that left nothing to do, else 0
//!     16      8  epoch: nanoseconds since 1970 of the opening; journal segments carry it too
//!     24     16  boot id of the kernel
//!     40      4  CRC32C of bytes 0..12 and 16..40
//!     44      4  segments of the ring of lines       (not in version 1: bytes 44..56 are zeros)
//!     48      4  segments of the ring of rejects
//!     52      4  CRC32C of bytes 16..24 and 44..52
//!     64     16  inbox: its id; zeros where there is none
//!     80      8         bytes of its directory's path, CRC32C of id, that number and path
//!     88      8         1 while accepted events may be in it, 2 where they could not be recovered
//!     96    416         the path
//!    512     16  lines:   position written, position synced
//!    528     16  rejects: position written, position synced
//!    544      8  1 once a sync of this opening failed
//!    576     64  time mark, slot 0
//!    640     64             slot 1
//!   1024    512  lines:   anchor, slot 0
//!   1536    512           anchor, slot 1
//!   2048    512  rejects: anchor, slot 0
//!   2560    512           anchor, slot 1
//! ```
//!
//! An *anchor* is (file name, length of the file, position in the stream) at one moment. From there
//! on offset and position move together, so the length of the file alone says what was written to
//! it, even after a write that was cut in the middle of a line. A new anchor goes to the slot that
//! is not in use, its checksum with it, so that a process killed between any two stores leaves the
//! old one or the new one.
//!
//! A *time mark* says that everything accepted before a time is in the streams before certain
//! positions, and synced. It changes like an anchor. Who ships the directory reads it.
//!
//! All segments that the file counts were made and synced before it: one that is missing or of
//! another epoch was taken away since. Version 1 does not count them; it is read, and never
//! written.

#![expect(clippy::indexing_slicing, reason = "offsets are constants inside a page of fixed size")]

mod layout;
mod state;

pub(crate) use layout::{Anchor, TimeMark, fresh_page, next_epoch};
pub(crate) use state::{ControlFault, ControlState, StreamState};

use self::layout::{
    CONTROL_BYTES, INBOX_ABANDONED, INBOX_IN_USE, OFFSET_INBOX_IN_USE, OFFSET_SYNC_FAILED, VERSION,
    counters_offset, encode_slot, encode_time_mark, slot_offset, time_mark_offset,
};
use super::Stream;
use super::mapping::Mapping;
use super::page::u64_at;
use crate::storage::{DiskError, DiskFile, DiskResult};

/// The control file of a running appender: its mapped page. Stored into by one thread at a time.
pub(crate) struct Control {
    mapping: Mapping,
    file: DiskFile,
    version: u32,
    generations: [u64; 2],
    time_mark_generation: u64,
}

impl Control {
    /// Maps a control file that holds a [`fresh_page`].
    pub(crate) fn map(file: DiskFile) -> DiskResult<Self> {
        Self::map_with(file, VERSION, [0; 2])
    }

    /// Maps the control file of the last opening, which says `state`, to finish what it says.
    pub(crate) fn map_again(file: DiskFile, state: &ControlState) -> DiskResult<Self> {
        let generations = Stream::ALL.map(|stream| state.stream(stream).generation);
        Self::map_with(file, state.version, generations)
    }

    fn map_with(file: DiskFile, version: u32, generations: [u64; 2]) -> DiskResult<Self> {
        let mapping = Mapping::of_file(&file, CONTROL_BYTES)?;
        // A recovery, which maps an old page, sets no time marks.
        Ok(Self { mapping, file, version, generations, time_mark_generation: 0 })
    }

    /// Moves the anchor of a stream.
    pub(crate) fn set_anchor(&mut self, stream: Stream, anchor: &Anchor) -> DiskResult<()> {
        // There is a next one: see `GENERATION_MAX`.
        let generation = self.generations[stream as usize] + 1;
        let slot = encode_slot(generation, anchor)
            .map_err(|error| DiskError::new("note a file in", self.file.path(), error))?;
        // The slot is stored word by word; it is not in use, and becomes so when its checksum fits.
        let offset = slot_offset(stream, (generation % 2) as usize);
        for (index, word) in slot.chunks_exact(8).enumerate() {
            self.mapping.store_u64(offset + index * 8, u64_at(word, 0));
        }
        self.generations[stream as usize] = generation;
        Ok(())
    }

    /// Makes the anchors survive a power loss.
    pub(crate) fn sync(&self) -> DiskResult<()> {
        let written = self.mapping.write_back();
        written.map_err(|error| DiskError::new("sync", self.file.path(), error))?;
        self.file.sync_data()
    }

    /// Everything of the stream before `position` is in the file.
    pub(crate) fn set_written(&self, stream: Stream, position: u64) {
        self.mapping.store_u64(counters_offset(stream), position);
    }

    /// Everything of the stream before `position` is on the disk.
    pub(crate) fn set_synced(&self, stream: Stream, position: u64) {
        self.mapping.store_u64(counters_offset(stream) + 8, position);
    }

    /// Everything that was accepted before the time of `mark` is synced.
    pub(crate) fn set_time_mark(&mut self, mark: TimeMark) {
        // One a second: it takes longer than the universe is old until there is no next one.
        let generation = self.time_mark_generation + 1;
        let offset = time_mark_offset((generation % 2) as usize);
        for (index, word) in encode_time_mark(generation, mark).chunks_exact(8).enumerate() {
            self.mapping.store_u64(offset + index * 8, u64_at(word, 0));
        }
        self.time_mark_generation = generation;
    }

    /// A sync failed: nothing is synced any more.
    pub(crate) fn set_sync_failed(&self) {
        self.mapping.store_u64(OFFSET_SYNC_FAILED, 1);
    }

    /// Whether accepted events may be in the inbox.
    pub(crate) fn set_inbox_in_use(&self, in_use: bool) {
        self.mapping.store_u64(OFFSET_INBOX_IN_USE, if in_use { INBOX_IN_USE } else { 0 });
    }

    /// Events in the inbox could not be recovered, and the next open goes on without them.
    pub(crate) fn set_inbox_abandoned(&self) {
        self.mapping.store_u64(OFFSET_INBOX_IN_USE, INBOX_ABANDONED);
    }

    /// The appender closed and left nothing to do.
    pub(crate) fn set_clean(&self) {
        self.mapping.store_u64(8, u64::from(self.version) | 1 << 32);
    }
}

#[cfg(test)]
mod tests {
    use super::layout::{EPOCH_MAX, SLOT_CHECKED_BYTES};
    use super::*;
    use crate::storage::Disk;

    fn control_file() -> (DiskFile, Control) {
        let path = tempfile::NamedTempFile::new().unwrap().into_temp_path();
        let file = Disk::default().open_or_create(&path).unwrap();
        file.write_all_at(&fresh_page(9, [3; 16], [4, 2], None), 0).unwrap();
        let control = Control::map(Disk::default().open_existing(&path).unwrap().unwrap()).unwrap();
        (file, control)
    }

    fn anchor(name: &str, position: u64) -> Anchor {
        Anchor { file_name: name.to_owned(), file_bytes: 11, position }
    }

    fn state(file: &DiskFile) -> ControlState {
        ControlState::read(file).unwrap().unwrap()
    }

    #[test]
    fn the_last_anchor_and_the_counters_are_read_back() {
        let (file, mut control) = control_file();
        assert_eq!(state(&file).stream(Stream::Lines).anchor, None);
        for position in 0..5 {
            control.set_anchor(Stream::Lines, &anchor("CDR.a.log", position)).unwrap();
        }
        control.set_anchor(Stream::Rejects, &anchor("rejected.a.jsonl", 77)).unwrap();
        control.set_written(Stream::Lines, 40);
        control.set_synced(Stream::Rejects, 30);
        let read = state(&file);
        assert_eq!((read.epoch, read.boot_id, read.clean), (9, [3; 16], false));
        assert_eq!(Stream::ALL.map(|stream| read.segment_count(stream)), [Some(4), Some(2)]);
        assert_eq!(read.stream(Stream::Lines).anchor, Some(anchor("CDR.a.log", 4)));
        assert_eq!(read.stream(Stream::Rejects).anchor, Some(anchor("rejected.a.jsonl", 77)));
        assert_eq!(
            (read.stream(Stream::Lines).written, read.stream(Stream::Rejects).synced),
            (40, 30)
        );
        control.set_clean();
        assert!(state(&file).clean);
    }

    #[test]
    fn a_time_mark_that_was_torn_anywhere_leaves_the_one_before() {
        let (file, mut control) = control_file();
        assert_eq!((state(&file).time_mark, state(&file).sync_failed), (None, false));
        let mark = |time_ms| TimeMark { time_ms, positions: [time_ms * 7, time_ms * 9] };
        for time_ms in 1..4 {
            control.set_time_mark(mark(time_ms));
            assert_eq!(state(&file).time_mark, Some(mark(time_ms)));
        }
        let slot = encode_time_mark(4, mark(4));
        for (index, word) in slot.chunks(8).enumerate() {
            assert_eq!(state(&file).time_mark, Some(mark(3)), "{index}");
            file.write_all_at(word, (time_mark_offset(0) + index * 8) as u64).unwrap();
        }
        assert_eq!(state(&file).time_mark, Some(mark(4)));
        control.set_sync_failed();
        assert!(state(&file).sync_failed);
    }

    #[test]
    fn a_move_of_the_anchor_that_was_cut_anywhere_leaves_the_old_one() {
        let (file, mut control) = control_file();
        control.set_anchor(Stream::Lines, &anchor("CDR.a.log", 1)).unwrap();
        control.set_anchor(Stream::Lines, &anchor("CDR.b.log", 2)).unwrap();
        let slot = encode_slot(3, &anchor("CDR.c.log", 3)).unwrap();
        let offset = slot_offset(Stream::Lines, 1) as u64;
        let last_word = SLOT_CHECKED_BYTES / 8;
        for word in 0..=last_word {
            file.write_all_at(&slot[word * 8..word * 8 + 8], offset + word as u64 * 8).unwrap();
            let name = state(&file).stream(Stream::Lines).anchor.clone().unwrap().file_name;
            assert_eq!(name, if word == last_word { "CDR.c.log" } else { "CDR.b.log" });
        }
    }

    #[test]
    fn a_damaged_control_file_is_told_from_a_sound_one() {
        let (file, mut control) = control_file();
        for slot in 0..2 {
            control.set_anchor(Stream::Lines, &anchor("CDR.a.log", slot)).unwrap();
        }
        for slot in 0..2 {
            assert!(state(&file).stream(Stream::Lines).anchor.is_some());
            file.write_all_at(b"?", slot_offset(Stream::Lines, slot) as u64 + 30).unwrap();
        }
        assert_eq!(ControlState::read(&file).unwrap().unwrap_err(), ControlFault::Anchor);
        file.write_all_at(b"?", 18).unwrap();
        assert_eq!(ControlState::read(&file).unwrap().unwrap_err(), ControlFault::Checksum);
        file.write_all_at(b"?", 0).unwrap();
        assert_eq!(ControlState::read(&file).unwrap().unwrap_err(), ControlFault::Magic);
        // Windows shortens no file that is mapped.
        drop(control);
        file.set_len(100).unwrap();
        assert_eq!(ControlState::read(&file).unwrap().unwrap_err(), ControlFault::Length);
    }

    #[test]
    fn an_epoch_is_the_time_and_always_later_than_the_last_one() {
        assert_eq!(next_epoch(100, 0), 100);
        assert_eq!(next_epoch(100, 100), 101);
        let of_a_wrong_clock = next_epoch(u128::MAX, 0);
        assert!(of_a_wrong_clock < EPOCH_MAX);
        assert_eq!(next_epoch(u128::MAX, of_a_wrong_clock), of_a_wrong_clock + 1);
    }

    #[test]
    fn a_name_that_does_not_fit_is_refused() {
        let (_file, mut control) = control_file();
        assert!(control.set_anchor(Stream::Lines, &anchor(&"n".repeat(229), 0)).is_err());
    }
}
