//! After a process that was killed: everything that it stored is there.

use std::ops::Range;
use std::path::PathBuf;

use super::session::{Session, create_torn};
use crate::file::{CreatedFiles, LogFile};
use crate::journal::Stream;
use crate::journal::control::{Anchor, StreamState};
use crate::journal::remainder::{FileExtent, Remainder};
use crate::journal::state_dir::JournalError;
use crate::storage::DiskResult;

/// What is to be done about a stream of a killed process.
pub(super) struct Plan {
    stream: Stream,
    remainder: Remainder,
    /// The file that the stream is anchored to; `None` where there is none.
    file: Option<LogFile>,
    extent: FileExtent,
    /// The positions of bytes that cannot be a line.
    torn: Range<u64>,
}

impl Session<'_> {
    /// Looks at what was committed and not written; changes nothing.
    pub(super) fn plan(&mut self, mut remainder: Remainder) -> Result<Plan, JournalError> {
        let stream = remainder.stream();
        let state = self.state.stream(stream);
        let file = self.anchored_file(state)?;
        let extent = remainder.held_by(file.as_ref(), state.anchor.as_ref(), state.written)?;
        let torn = remainder.check(extent)?.unwrap_or_default();
        if let Some(anchor) = state.anchor.as_ref().filter(|_| extent.changed) {
            self.recovery.changed_by_others.push(self.directory.join(&anchor.file_name));
        }
        Ok(Plan { stream, remainder, file, extent, torn })
    }

    /// The process was killed: appends what was committed and not written.
    pub(super) fn finish(&mut self, plan: Plan) -> Result<(), JournalError> {
        let Plan { stream, remainder, file, extent, torn } = plan;
        let state = self.state.stream(stream);
        let mut position = extent.position;
        if !torn.is_empty() {
            position = torn.end;
            let beside = match &state.anchor {
                Some(anchor) => self.directory.join(&anchor.file_name),
                None => self.fresh_path(stream),
            };
            let mut kept = create_torn(self.state_dir.disk(), &beside)?;
            remainder.for_each_block(torn.clone(), |bytes| kept.append_all(bytes))?;
            self.note_torn(&kept, torn.end - torn.start)?;
        }
        if position >= remainder.closed_end() {
            // After a power loss nobody would look at this file again: the anchor is in the next
            // one.
            return file.map_or(Ok(()), |file| Ok(file.sync()?));
        }
        let mut file = match file {
            Some(file) => file,
            None => self.create_file(stream)?,
        };
        if remainder.begins_line(position)? {
            file.end_line()?;
        }
        if extent.changed {
            self.control.set_written(stream, position);
        }
        let anchor = Anchor { file_name: file.name(), file_bytes: file.bytes(), position };
        self.control.set_anchor(stream, &anchor)?;
        let all = position..remainder.closed_end();
        let copied = remainder.for_each_block(all, |bytes| file.append_all(bytes));
        if copied.is_err() {
            // A full disk, most of the time: readers are left whole lines. What is cut is copied
            // again by the next opening; where shortening fails too, that one completes
            // the line in place.
            let _ = file.cut_to_line(anchor.file_bytes);
        }
        copied?;
        file.sync()?;
        self.note_finished(stream, remainder.accepted_end().saturating_sub(position), file.path());
        Ok(())
    }

    fn anchored_file(&self, state: &StreamState) -> DiskResult<Option<LogFile>> {
        match &state.anchor {
            Some(anchor) => {
                LogFile::open(self.state_dir.disk(), &self.directory.join(&anchor.file_name))
            }
            None => Ok(None),
        }
    }

    /// A file in place of one that is gone, or that was never made. It is noted as ours like any
    /// other; otherwise it would be sealed only a day later.
    fn create_file(&self, stream: Stream) -> DiskResult<LogFile> {
        let path = self.fresh_path(stream);
        CreatedFiles::new(self.state_dir.disk(), self.directory).add(&path)?;
        LogFile::create(self.state_dir.disk(), &path)
    }

    fn fresh_path(&self, stream: Stream) -> PathBuf {
        self.directory.join(match stream {
            Stream::Lines => self.stamp.cdr_name(),
            Stream::Rejects => self.stamp.rejects_name(),
        })
    }
}
