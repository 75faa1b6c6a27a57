//! After a power loss: pages may be missing, in any order.

use super::session::{Session, create_torn};
use crate::file::LogFile;
use crate::journal::control::Anchor;
use crate::journal::segment::Segments;
use crate::journal::state_dir::JournalError;
use crate::journal::{Stream, frames};
use crate::rewrite;
use crate::storage::{DiskFile, DiskResult};

impl Session<'_> {
    /// The machine went down: keeps the whole lines of the file, moves what follows them to a file
    /// beside it, and appends what the frames of the journal vouch for.
    pub(super) fn finish_after_power_loss(
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
        // The control file may be older than the last sync of the file, and what left the machine
        // must stay here, whatever it is.
        let floor = self.pins.floor(file.disk_file(), &anchor.file_name)?.min(file_bytes);
        let from = file.line_start(0, synced_bytes.min(file_bytes))?.max(floor);
        let whole = whole_lines_end(file.disk_file(), from, file_bytes, is_whole)?;
        assert!(whole >= floor, "recovery cuts before byte {floor} of {}", anchor.file_name);
        if whole < file_bytes {
            let mut torn = create_torn(self.state_dir.disk(), file.path())?;
            let copy = |bytes: &[u8]| torn.append_all(bytes);
            file.disk_file().for_each_block(whole..file_bytes, copy)?;
            self.note_torn(&torn, file_bytes - whole)?;
            file.shorten_by(file_bytes - whole)?;
        }
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
