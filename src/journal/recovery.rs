//! What the next opening does after a process that did not close.
//!
//! The process was killed, the kernel lives on: every store of the process is in the page cache, so
//! the segments hold exactly what was committed, and the length of the file says how much of it was
//! written. The rest is appended, once both streams were found to be what they should be
//! (`remainder.rs`).
//!
//! The kernel died too (another boot id): pages may be missing or stale. What the last sync covered
//! is whole; after it, the file is kept up to the first line that is not whole, and what follows
//! goes to a `.torn` file. Of the journal, only what its frames vouch for is appended.
//!
//! Everything is read by `pread`: a bad sector is then an error and not a SIGBUS. Recovery may be
//! killed at any point and started again: before the file grows by anything that its length does
//! not explain, the anchor is moved.

use std::fmt;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use super::control::{Anchor, Control, ControlState, StreamState};
use super::remainder::{FileExtent, Remainder};
use super::segment::{SegmentHeader, Segments};
use super::state_dir::{JournalError, StateDir};
use super::{Stream, accepted, frames};
use crate::file::{CreatedFiles, LogFile, Stamp, boot_id};
use crate::inbox::{self, Found, LeftInbox};
use crate::rewrite;
use crate::storage::{Disk, DiskFile, DiskResult};

/// What an open had to repair, or would have to. The default value: nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recovery {
    /// Bytes of CDR lines that the last process had journaled or accepted, and that were appended.
    pub lines_bytes: u64,
    /// The same for records of rejected bodies.
    pub rejects_bytes: u64,
    /// Events that the last process had accepted but not journaled, recovered from its inbox. Their
    /// lines and records are part of the bytes above.
    pub inbox_events: u64,
    /// The inbox of the last process, if accepted events may have been lost with it, and the reason
    /// why nothing was recovered from it: it is gone, damaged, or belongs to another directory, of
    /// which this one is a copy. It is left as it is.
    pub unusable_inbox: Option<(PathBuf, &'static str)>,
    /// Inboxes that name this directory, that no process holds, and that no open will use, because
    /// the control file names none of them. They are left as they are, for a person to decide. Only
    /// [`Builder::plan_recovery`](crate::Builder::plan_recovery) and
    /// [`recover`](crate::Builder::recover) look for them, in `/dev/shm` and in the inbox directory
    /// of the builder.
    pub unclaimed_inboxes: Vec<PathBuf>,
    /// The files that lines and records were appended to.
    pub files: Vec<PathBuf>,
    /// Whether the machine went down, not only the process.
    pub power_loss: bool,
    /// Bytes that are not whole lines: cut from the end of a file after a power loss, or the rest
    /// of a record whose start another program removed.
    pub torn_bytes: u64,
    /// The files that keep those bytes.
    pub torn_files: Vec<PathBuf>,
    /// Files that another program truncated, removed or appended to, so that their length says
    /// nothing. Recovery used the last noted position instead, and wrote the line at that position,
    /// if any, again from its start.
    pub changed_by_others: Vec<PathBuf>,
}

impl Recovery {
    /// Whether there was nothing to repair.
    #[must_use]
    pub fn is_nothing(&self) -> bool {
        self.lines_bytes == 0
            && self.rejects_bytes == 0
            && self.torn_bytes == 0
            && self.inbox_events == 0
            && self.unusable_inbox.is_none()
            && self.changed_by_others.is_empty()
    }
}

impl fmt::Display for Recovery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cause = if self.power_loss { "machine went down" } else { "process ended" };
        write!(
            f,
            "the last {cause} without closing: {} bytes of lines and {} bytes of rejects were finished",
            self.lines_bytes, self.rejects_bytes
        )?;
        if self.inbox_events > 0 {
            write!(f, " ({} events came from the inbox)", self.inbox_events)?;
        }
        for path in &self.files {
            write!(f, ", in {}", path.display())?;
        }
        for path in &self.torn_files {
            write!(f, "; {} torn bytes are kept in {}", self.torn_bytes, path.display())?;
        }
        for path in &self.changed_by_others {
            write!(f, "; {} was changed by others", path.display())?;
        }
        if let Some((path, why)) = &self.unusable_inbox {
            write!(f, "; no events were taken from {}: {why}", path.display())?;
        }
        Ok(())
    }
}

/// Finishes what the last process left in the journal of `directory`. A file that is missing is
/// made again with the names of `stamp`.
pub(crate) fn recover(
    directory: &Path,
    state_dir: &StateDir,
    stamp: Stamp,
) -> Result<Recovery, JournalError> {
    let mut recovery = Recovery::default();
    let Some((file, state)) = state_dir.control()? else {
        return refuse_orphans(state_dir).map(|()| recovery);
    };
    if state.clean {
        refuse_later_segments(state_dir, &state)?;
        remove_empty_inbox(state_dir, &state)?;
        return Ok(recovery);
    }
    recovery.power_loss = state.boot_id != boot_id();
    state_dir.check_segments(&state)?;
    let control = Control::map_again(file, &state)?;
    let mut session = Session { directory, state_dir, stamp, state: &state, control, recovery };
    // All is looked at before anything is changed.
    let [lines, rejects] = Stream::ALL.map(|stream| session.segments(stream));
    let (lines, rejects) = (lines?, rejects?);
    if session.recovery.power_loss {
        session.finish_after_power_loss(Stream::Lines, &lines)?;
        session.finish_after_power_loss(Stream::Rejects, &rejects)?;
        session.control.set_clean();
    } else {
        let mut lines = Remainder::new(Stream::Lines, lines)?;
        let mut rejects = Remainder::new(Stream::Rejects, rejects)?;
        let inbox = session.find_inbox()?;
        if let Some(inbox) = &inbox {
            session.recovery.inbox_events = accepted::add(inbox, &mut lines, &mut rejects)?;
        }
        let lines = session.plan(lines)?;
        let rejects = session.plan(rejects)?;
        session.finish(lines)?;
        session.finish(rejects)?;
        // First this: an inbox beside a clean control file holds nothing that is missing.
        session.control.set_clean();
        if let Some(inbox) = inbox {
            inbox.remove()?;
        }
    }
    Ok(session.recovery)
}

/// Takes away what is left of an inbox whose appender closed, or never used it.
fn remove_empty_inbox(state_dir: &StateDir, state: &ControlState) -> DiskResult<()> {
    let Some(inbox) = &state.inbox else { return Ok(()) };
    inbox::remove_unread(state_dir.disk(), &inbox.name, state_dir.identity()?)
}

/// Segments that hold something without a control file to say where it belongs: not ours to throw
/// away.
fn refuse_orphans(state_dir: &StateDir) -> Result<(), JournalError> {
    for stream in Stream::ALL {
        if let Some((file, _)) = state_dir.segments(stream)?.into_iter().next() {
            let path = file.path().to_owned();
            let fault = "it holds lines, but the control file beside it is missing".to_owned();
            return Err(JournalError::Damaged { path, fault });
        }
    }
    Ok(())
}

/// Segments of a later opening than the control file, which says that nothing is left to do: it is
/// an earlier one that was put in the place of theirs.
fn refuse_later_segments(state_dir: &StateDir, state: &ControlState) -> Result<(), JournalError> {
    for stream in Stream::ALL {
        let segments = state_dir.segments(stream)?;
        if let Some((file, _)) = segments.iter().find(|(_, header)| header.epoch > state.epoch) {
            return Err(other_opening(file));
        }
    }
    Ok(())
}

fn other_opening(segment: &DiskFile) -> JournalError {
    let fault = "it holds lines of another opening than the control file beside it".to_owned();
    JournalError::Damaged { path: segment.path().to_owned(), fault }
}

struct Session<'a> {
    directory: &'a Path,
    state_dir: &'a StateDir,
    stamp: Stamp,
    state: &'a ControlState,
    control: Control,
    recovery: Recovery,
}

/// What is to be done about a stream of a killed process.
struct Plan {
    stream: Stream,
    remainder: Remainder,
    /// The file that the stream is anchored to; `None` where there is none.
    file: Option<LogFile>,
    extent: FileExtent,
    /// The positions of bytes that can be no line.
    torn: Range<u64>,
}

impl Session<'_> {
    /// The segments of the last opening, in the order of their positions.
    fn segments(&self, stream: Stream) -> Result<Segments, JournalError> {
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
    fn find_inbox(&mut self) -> Result<Option<LeftInbox>, JournalError> {
        let Some(inbox) = &self.state.inbox else { return Ok(None) };
        if !inbox.in_use {
            remove_empty_inbox(self.state_dir, self.state)?;
            return Ok(None);
        }
        match inbox::find(self.state_dir.disk(), &inbox.name, self.state_dir.identity()?)? {
            Found::Inbox(left) => Ok(Some(left)),
            Found::Unusable(why) => {
                self.recovery.unusable_inbox = Some((inbox.name.path(), why));
                Ok(None)
            }
        }
    }

    /// Looks at what was committed and not written; changes nothing.
    fn plan(&mut self, mut remainder: Remainder) -> Result<Plan, JournalError> {
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
    fn finish(&mut self, plan: Plan) -> Result<(), JournalError> {
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
    /// other: else it would be finished a day later only.
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

    fn note_finished(&mut self, stream: Stream, bytes: u64, path: &Path) {
        match stream {
            Stream::Lines => self.recovery.lines_bytes += bytes,
            Stream::Rejects => self.recovery.rejects_bytes += bytes,
        }
        self.recovery.files.push(path.to_owned());
    }

    /// The machine went down: keeps the whole lines of the file, what follows them beside it, and
    /// appends what the journal can vouch for.
    fn finish_after_power_loss(
        &mut self,
        stream: Stream,
        segments: &Segments,
    ) -> Result<(), JournalError> {
        let Some(anchor) = self.state.stream(stream).anchor.clone() else { return Ok(()) };
        let path = self.directory.join(&anchor.file_name);
        let Some(mut file) = LogFile::open(self.state_dir.disk(), &path)? else { return Ok(()) };
        let is_whole = match stream {
            Stream::Lines => rewrite::is_whole_line,
            Stream::Rejects => rewrite::is_whole_record,
        };
        self.cut_torn_tail(stream, &anchor, &mut file, is_whole)?;
        let Some(written) = file.bytes().checked_sub(anchor.file_bytes) else { return Ok(()) };
        let position = anchor.position.saturating_add(written);
        let lines = verified_lines(segments, position, is_whole)?;
        if !lines.is_empty() {
            let anchor = Anchor { file_name: anchor.file_name, file_bytes: file.bytes(), position };
            self.control.set_anchor(stream, &anchor)?;
            file.append_all(&lines)?;
            self.note_finished(stream, lines.len() as u64, &path);
        }
        file.sync()?;
        Ok(())
    }

    fn cut_torn_tail(
        &mut self,
        stream: Stream,
        anchor: &Anchor,
        file: &mut LogFile,
        is_whole: fn(&[u8]) -> bool,
    ) -> Result<(), JournalError> {
        let file_bytes = file.bytes();
        let synced = self.state.stream(stream).synced;
        let synced_bytes = anchor.file_bytes.saturating_add(synced.saturating_sub(anchor.position));
        let from = file.line_start(0, synced_bytes.min(file_bytes))?;
        let whole = whole_lines_end(file.disk_file(), from, file_bytes, is_whole)?;
        if whole < file_bytes {
            let mut torn = create_torn(self.state_dir.disk(), file.path())?;
            let copy = |bytes: &[u8]| torn.append_all(bytes);
            file.disk_file().for_each_block(whole..file_bytes, copy)?;
            self.note_torn(&torn, file_bytes - whole)?;
            file.shorten_by(file_bytes - whole)?;
        }
        Ok(())
    }

    /// Makes sure of what is kept in `torn`.
    fn note_torn(&mut self, torn: &LogFile, bytes: u64) -> DiskResult<()> {
        torn.sync()?;
        self.recovery.torn_bytes += bytes;
        self.recovery.torn_files.push(torn.path().to_owned());
        Ok(())
    }
}

/// The whole lines from `position` on, as far as frames without a gap vouch for them.
fn verified_lines(
    segments: &Segments,
    mut position: u64,
    is_whole: fn(&[u8]) -> bool,
) -> DiskResult<Vec<u8>> {
    let mut bytes = Vec::new();
    for (file, header) in segments {
        for (range, bytes_of_range) in frames::verified_ranges(file, header)? {
            if range.contains(&position) {
                let known = (position - range.start) as usize;
                bytes.extend_from_slice(bytes_of_range.get(known..).unwrap_or_default());
                position = range.end;
            }
        }
    }
    let whole = bytes.split_inclusive(|&byte| byte == b'\n').take_while(|line| is_whole(line));
    let whole_bytes = whole.map(<[u8]>::len).sum();
    bytes.truncate(whole_bytes);
    Ok(bytes)
}

/// The offset after the last whole line, looking from `from` on, which is after a whole line.
fn whole_lines_end(
    file: &DiskFile,
    from: u64,
    file_bytes: u64,
    is_whole: fn(&[u8]) -> bool,
) -> DiskResult<u64> {
    let mut whole = from;
    let mut torn = false;
    let mut line = Vec::new();
    file.for_each_block(from..file_bytes, |bytes| {
        for part in bytes.split_inclusive(|&byte| byte == b'\n') {
            line.extend_from_slice(part);
            if part.ends_with(b"\n") && !torn {
                torn = !is_whole(&line);
                whole += if torn { 0 } else { line.len() as u64 };
            }
            if part.ends_with(b"\n") || torn {
                line.clear();
            }
        }
        Ok(())
    })?;
    Ok(whole)
}

/// Creates a `.torn` file beside `path`.
fn create_torn(disk: &Disk, path: &Path) -> DiskResult<LogFile> {
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
