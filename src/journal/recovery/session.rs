//! A recovery while it goes on: what it looks at, and what it notes for its report.

use std::io;
use std::path::Path;

use super::report::Recovery;
use crate::file::{FileStamp, LogFile};
use crate::inbox::{self, Found, LeftInbox};
use crate::journal::Stream;
use crate::journal::control::{Control, ControlState};
use crate::journal::segment::{SegmentHeader, Segments};
use crate::journal::state_dir::{JournalError, StateDir};
use crate::pins::Pins;
use crate::storage::{Disk, DiskFile, DiskResult};

/// What a recovery works with.
pub(super) struct Session<'a> {
    pub(super) directory: &'a Path,
    pub(super) state_dir: &'a StateDir,
    pub(super) stamp: FileStamp,
    pub(super) state: &'a ControlState,
    pub(super) control: Control,
    pub(super) pins: Pins,
    pub(super) recovery: Recovery,
}

impl Session<'_> {
    /// The segments of the last opening, in the order of their positions.
    pub(super) fn segments(&self, stream: Stream) -> Result<Segments, JournalError> {
        let mut segments = self.state_dir.segments(stream)?;
        let is_of_other =
            |(_, header): &&(DiskFile, SegmentHeader)| header.epoch != self.state.epoch;
        // Segments of the first format were not synced: a power loss may leave earlier ones.
        if !self.recovery.power_loss
            && let Some((file, _)) = segments.iter().find(is_of_other)
        {
            return Err(other_opening(file));
        }
        segments.retain(|(_, header)| header.epoch == self.state.epoch);
        Ok(segments)
    }

    /// The inbox of the last process, if there may be something in it.
    pub(super) fn find_inbox(&mut self) -> Result<Option<LeftInbox>, JournalError> {
        let Some(inbox) = &self.state.inbox else { return Ok(None) };
        if !inbox.in_use {
            remove_empty_inbox(self.state_dir, self.state)?;
            return Ok(None);
        }
        match inbox::find(self.state_dir.disk(), &inbox.name, self.state_dir.identity()?)? {
            Found::Inbox(left) => Ok(Some(left)),
            Found::Held => Err(JournalError::InboxHeld { directory: self.directory.to_owned() }),
            Found::Unusable(why) => {
                self.recovery.unusable_inbox = Some((inbox.name.path(), why));
                Ok(None)
            }
        }
    }

    /// Reports what was appended to a file.
    pub(super) fn note_finished(&mut self, stream: Stream, bytes: u64, path: &Path) {
        match stream {
            Stream::Lines => self.recovery.lines_bytes += bytes,
            Stream::Rejects => self.recovery.rejects_bytes += bytes,
        }
        self.recovery.files.push(path.to_owned());
    }

    /// Syncs what is kept in `torn`, and reports it.
    pub(super) fn note_torn(&mut self, torn: &LogFile, bytes: u64) -> DiskResult<()> {
        torn.sync()?;
        self.recovery.torn_bytes += bytes;
        self.recovery.torn_files.push(torn.path().to_owned());
        Ok(())
    }
}

/// Creates a `.torn` file beside `path`.
pub(super) fn create_torn(disk: &Disk, path: &Path) -> DiskResult<LogFile> {
    let mut number = 0;
    loop {
        let mut name = path.as_os_str().to_owned();
        name.push(if number == 0 { ".torn".to_owned() } else { format!(".torn.{number}") });
        match LogFile::create(disk, Path::new(&name)) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => number += 1,
            other => return other,
        }
    }
}

/// Removes what is left of an inbox whose appender closed, or never used it.
pub(super) fn remove_empty_inbox(state_dir: &StateDir, state: &ControlState) -> DiskResult<()> {
    let Some(inbox) = state.inbox.as_ref().filter(|inbox| !inbox.is_abandoned) else {
        return Ok(());
    };
    inbox::remove_unread(state_dir.disk(), &inbox.name, state_dir.identity()?);
    Ok(())
}

/// What is wrong with a segment that was not written by the opening of the control file.
pub(super) fn other_opening(segment: &DiskFile) -> JournalError {
    let fault = "it holds lines of another opening than the control file beside it".to_owned();
    JournalError::Damaged { path: segment.path().to_owned(), fault }
}
