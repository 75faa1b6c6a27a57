//! The state directory: its files, and how they are created.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::Stream;
use super::control::{self, Control, ControlFault, ControlState};
use super::ring::{RingReader, RingWriter, ring};
use super::segment::{HEADER_BYTES, HeaderFault, Segment, SegmentHeader, Segments};
use crate::file::STATE_DIR_NAME;
use crate::inbox::{FolderIdentity, InboxName};
use crate::storage::{Disk, DiskError, DiskFile, DiskResult, Metadata, check_owner};
use crate::system::boot_id;

/// The maximum number of segments in a ring: it bounds the search for those of an earlier open.
pub(crate) const SEGMENT_COUNT_MAX: usize = 64;

/// Rejects are rare, and their records may be split: a small ring is enough.
const REJECTS_SEGMENT_COUNT: usize = 2;
const REJECTS_SEGMENT_BYTES: usize = 256 << 10;

/// The shape of the ring of the lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JournalOptions {
    pub(crate) segment_count: usize,
    pub(crate) segment_bytes: usize,
}

impl JournalOptions {
    fn segment_counts(self) -> [u32; 2] {
        Stream::ALL.map(|stream| self.of(stream).segment_count as u32)
    }

    fn of(self, stream: Stream) -> Self {
        match stream {
            Stream::Lines => self,
            Stream::Rejects => {
                Self { segment_count: REJECTS_SEGMENT_COUNT, segment_bytes: REJECTS_SEGMENT_BYTES }
            }
        }
    }
}

/// Why a journal cannot be opened.
#[derive(Debug)]
pub(crate) enum JournalError {
    Disk(DiskError),
    /// A file of the journal is damaged; nothing was changed.
    Damaged {
        path: PathBuf,
        fault: String,
    },
    /// Another process has the inbox of `directory` still; nothing was changed.
    InboxHeld {
        directory: PathBuf,
    },
}

impl From<DiskError> for JournalError {
    fn from(error: DiskError) -> Self {
        Self::Disk(error)
    }
}

/// The open journal, its ends ready to be handed to their threads.
pub(crate) struct Journal {
    pub(crate) lines: (RingWriter, RingReader),
    pub(crate) rejects: (RingWriter, RingReader),
    pub(crate) control: Control,
}

/// The state directory: `.cdrlog` in the CDR directory.
#[derive(Clone, Debug)]
pub(crate) struct StateDir {
    path: PathBuf,
    disk: Disk,
}

impl StateDir {
    /// Creates the state directory in `directory` if it is missing.
    pub(crate) fn create(disk: &Disk, directory: &Path) -> DiskResult<Self> {
        let path = directory.join(STATE_DIR_NAME);
        disk.create_directory(&path)?;
        // `create_directory` accepts a link to a directory; we do not.
        Self::find(disk, directory)?.ok_or_else(|| {
            let error = io::ErrorKind::NotADirectory.into();
            DiskError::new("use as the state directory", &path, error)
        })
    }

    /// The state directory of `directory`, if there is one. It must be ours: its owner can replace
    /// the files in it at any time.
    pub(crate) fn find(disk: &Disk, directory: &Path) -> DiskResult<Option<Self>> {
        let path = directory.join(STATE_DIR_NAME);
        let Some(metadata) = disk.examine(&path)?.filter(Metadata::is_directory) else {
            return Ok(None);
        };
        check_owner(&metadata)
            .map_err(|error| DiskError::new("use as the state directory", &path, error))?;
        Ok(Some(Self { path, disk: disk.clone() }))
    }

    pub(crate) fn disk(&self) -> &Disk {
        &self.disk
    }

    /// The identity of the directory, whatever its name is.
    pub(crate) fn identity(&self) -> DiskResult<FolderIdentity> {
        let metadata = self.disk.examine(&self.path)?;
        let metadata = metadata
            .ok_or_else(|| DiskError::new("examine", &self.path, io::ErrorKind::NotFound.into()))?;
        Ok(FolderIdentity::of(&metadata))
    }

    pub(crate) fn control_path(&self) -> PathBuf {
        self.path.join("control")
    }

    fn segment_path(&self, stream: Stream, slot: usize) -> PathBuf {
        self.path.join(format!("{}{slot}", stream.file_prefix()))
    }

    /// The path of the inbox that the control file names, if any.
    pub(crate) fn inbox_path(&self) -> Result<Option<PathBuf>, JournalError> {
        let inbox = self.control()?.and_then(|(_, state)| state.inbox);
        Ok(inbox.map(|inbox| inbox.name.path()))
    }

    /// The control file of the last open, and what it says; `None` if there is none.
    pub(super) fn control(&self) -> Result<Option<(DiskFile, ControlState)>, JournalError> {
        let path = self.control_path();
        let Some(file) = self.disk.open_existing(&path)? else { return Ok(None) };
        match ControlState::read(&file)? {
            Ok(state) => Ok(Some((file, state))),
            Err(fault) => Err(JournalError::Damaged { path, fault: control_fault_text(fault) }),
        }
    }

    /// What the control file says now, while an appender may be at work, or what is wrong with it;
    /// `None` if there is none.
    #[cfg(feature = "synced")]
    pub(crate) fn settled_control(&self) -> DiskResult<Option<Result<ControlState, String>>> {
        let Some(file) = self.disk.open_reading(&self.control_path())? else { return Ok(None) };
        Ok(Some(ControlState::read_settled(&file)?.map_err(control_fault_text)))
    }

    /// The names of the files that the last open wrote to last.
    pub(crate) fn anchored_names(&self) -> Result<Vec<String>, JournalError> {
        let Some((_, state)) = self.control()? else { return Ok(Vec::new()) };
        let anchors = Stream::ALL.into_iter().filter_map(|stream| {
            state.stream(stream).anchor.as_ref().map(|anchor| anchor.file_name.clone())
        });
        Ok(anchors.collect())
    }

    /// The segments of a stream that hold anything, of any open, in the order of their positions.
    pub(super) fn segments(&self, stream: Stream) -> Result<Segments, JournalError> {
        let mut segments = Vec::new();
        for slot in 0..SEGMENT_COUNT_MAX {
            if let Some((file, Some(header))) = self.segment(stream, slot)?
                && header.committed > 0
            {
                segments.push((file, header));
            }
        }
        segments.sort_by_key(|(_, header)| header.start);
        Ok(segments)
    }

    /// Checks that all segments exist that the open described by `state` created. They were synced
    /// before its control file, so a power loss is no reason for one to be missing.
    pub(super) fn check_segments(&self, state: &ControlState) -> Result<(), JournalError> {
        for stream in Stream::ALL {
            for slot in 0..state.segment_count(stream).unwrap_or_default() {
                let found = self.segment(stream, slot)?;
                if let Some(fault) = segment_fault(found.as_ref(), slot, state.epoch)? {
                    let path = self.segment_path(stream, slot);
                    return Err(JournalError::Damaged { path, fault: fault.to_owned() });
                }
            }
        }
        Ok(())
    }

    /// The segment file of a slot and its header; `None` if there is no file.
    fn segment(&self, stream: Stream, slot: usize) -> Result<Option<SegmentFile>, JournalError> {
        let path = self.segment_path(stream, slot);
        let Some(file) = self.disk.open_reading(&path)? else { return Ok(None) };
        match SegmentHeader::read(&file)? {
            Ok(header) => Ok(Some((file, header))),
            Err(fault) => Err(JournalError::Damaged { path, fault: header_fault_text(fault) }),
        }
    }

    /// Creates the journal of a new open. What the state directory held must have been recovered.
    ///
    /// A kill or a power loss anywhere in here leaves either the old control file, which says that
    /// there is nothing to do, next to empty segments, or the new one next to all of its segments.
    pub(crate) fn create_journal(
        &self,
        options: JournalOptions,
        inbox: Option<&InboxName>,
    ) -> Result<Journal, JournalError> {
        let mut last_epoch = 0;
        if let Some((file, state)) = self.control()? {
            // That there is nothing to do may only be in memory yet.
            last_epoch = state.epoch;
            if state.clean {
                file.sync_data()?;
            } else {
                // All is done but what the inbox held, which could not be used.
                let control = Control::map_again(file, &state)?;
                control.set_inbox_abandoned();
                control.set_clean();
                control.sync()?;
            }
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
        let epoch = control::next_epoch(now, last_epoch);
        let lines = self.create_ring(Stream::Lines, options, epoch)?;
        let rejects = self.create_ring(Stream::Rejects, options, epoch)?;
        self.disk.sync_directory(&self.path)?;
        let page = control::fresh_page(epoch, boot_id(), options.segment_counts(), inbox);
        let control = Control::map(self.disk.replace(&self.control_path(), &page)?)?;
        Ok(Journal { lines, rejects, control })
    }

    fn create_ring(
        &self,
        stream: Stream,
        options: JournalOptions,
        epoch: u64,
    ) -> Result<(RingWriter, RingReader), JournalError> {
        let JournalOptions { segment_count, segment_bytes } = options.of(stream);
        let segments = (0..segment_count)
            .map(|slot| self.create_segment(stream, slot, epoch, segment_bytes))
            .collect::<DiskResult<Box<[_]>>>()?;
        for slot in segment_count..SEGMENT_COUNT_MAX {
            self.disk.remove(&self.segment_path(stream, slot))?;
        }
        Ok(ring(segments, segment_bytes, 0, 0))
    }

    fn create_segment(
        &self,
        stream: Stream,
        slot: usize,
        epoch: u64,
        segment_bytes: usize,
    ) -> DiskResult<Segment> {
        let file = self.disk.create_anew(&self.segment_path(stream, slot))?;
        file.allocate((HEADER_BYTES + segment_bytes) as u64)?;
        Segment::create(&file, slot as u32, epoch, segment_bytes)
    }
}

/// A file of a segment, and its header unless it is all zeros.
type SegmentFile = (DiskFile, Option<SegmentHeader>);

/// What is wrong with what was found in a slot, for an open of this epoch.
fn segment_fault(
    found: Option<&SegmentFile>,
    slot: usize,
    epoch: u64,
) -> DiskResult<Option<&'static str>> {
    let Some((file, header)) = found else { return Ok(Some("it is missing")) };
    let Some(header) = header else { return Ok(Some("it is empty, or its header is zeroed")) };
    Ok(if header.epoch != epoch {
        Some("it is not of the same opening as the control file beside it")
    } else if header.slot as usize != slot {
        Some("it is another segment, which was moved or copied here")
    } else if file.bytes()? != HEADER_BYTES as u64 + header.data_bytes {
        Some("it does not have the length that its header says")
    } else {
        None
    })
}

fn control_fault_text(fault: ControlFault) -> String {
    match fault {
        ControlFault::Length => "it has not the length of a control file".to_owned(),
        ControlFault::Magic => "it is not a control file of cdrlog".to_owned(),
        ControlFault::Version(version) => {
            format!("it is of format version {version}, which this cdrlog does not know")
        }
        ControlFault::Checksum => "its checksum does not fit".to_owned(),
        ControlFault::Epoch => "its epoch cannot be true".to_owned(),
        ControlFault::Anchor => "its anchors are damaged".to_owned(),
        ControlFault::Inbox => "the name of the inbox in it is damaged".to_owned(),
        #[cfg(feature = "synced")]
        ControlFault::Unsettled => "it changes faster than it can be read".to_owned(),
    }
}

fn header_fault_text(fault: HeaderFault) -> String {
    match fault {
        HeaderFault::Magic => "it is not a journal segment of cdrlog".to_owned(),
        HeaderFault::Version(version) => {
            format!("it is of format version {version}, which this cdrlog does not know")
        }
        HeaderFault::Checksum => "its checksum does not fit".to_owned(),
        HeaderFault::Length => "its counters cannot be true".to_owned(),
    }
}
