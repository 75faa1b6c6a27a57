//! The file that a cursor reads.

use super::block::{SyncedBlock, SyncedPosition};
use super::directory::Directory;
use super::error::{CursorError, GoneReason};
use super::lines::Extent;
use super::progress::{LiveFile, Opening, Phase, Progress};
use super::source::{Seek, Source};

/// An open file, and how it stands to the file that its writer is anchored to.
#[derive(Debug)]
pub(super) struct Current {
    pub(super) source: Source,
    /// Everything before was returned.
    pub(super) offset: u64,
    /// How the file was anchored when it was last found to be the one that is being written.
    anchored: Option<(Opening, LiveFile)>,
}

/// What can be done with the file now.
pub(super) enum Access {
    Read(Extent),
    /// Nothing of it is synced yet.
    Wait,
    /// Another file has its name, and nothing was returned of this one.
    OpenAgain,
    /// Its writer found it truncated, and everything before had been returned: it begins anew.
    BeginAnew,
    /// Its writer found it truncated, or replaced its content.
    Gone(GoneReason),
}

/// What a read gave.
pub(super) enum Taken {
    Block(SyncedBlock),
    /// There is no whole line in what may be read.
    End,
    /// The directory has changed meanwhile: what was read may not be synced.
    Changed,
    /// The file was truncated, and its writer does not know yet.
    Held,
    Gone(GoneReason),
}

impl Current {
    pub(super) const fn new(source: Source, offset: u64) -> Self {
        Self { source, offset, anchored: None }
    }

    /// What may be read now.
    pub(super) fn access(
        &mut self,
        progress: &Progress,
        directory: &Directory,
    ) -> Result<Access, CursorError> {
        let live = match &progress.phase {
            Phase::Begun(live) if live.key == self.source.key && self.source.is_plain() => live,
            _ => {
                let extent = progress.extent_of(self.source.key);
                return Ok(extent.map_or(Access::Wait, Access::Read));
            }
        };
        let up_to = Access::Read(Extent::UpTo(live.synced_bytes()));
        let is_named = self.source.is_named(&directory.disk)?;
        match &self.anchored {
            // Also if it was moved away: its writer will notice that at its next write.
            Some((opening, _)) if *opening == progress.opening => {}
            // It was moved away, and its writer, which goes on in another file, has synced it.
            Some(_) if !is_named => return Ok(Access::Read(Extent::Whole)),
            None if !is_named => return Ok(Access::OpenAgain),
            Some(_) => {
                if let Some(reason) = self.source.change(self.offset)? {
                    let all_returned = self.stream_position() == Some(live.start_position());
                    return Ok(if all_returned { Access::BeginAnew } else { Access::Gone(reason) });
                }
            }
            None => {}
        }
        // What is synced grows, so the newest one.
        self.anchored = Some((progress.opening, live.clone()));
        Ok(up_to)
    }

    /// The position in the stream up to which lines were returned.
    fn stream_position(&self) -> Option<u64> {
        self.anchored.as_ref().and_then(|(_, live)| live.position_of(self.offset))
    }

    /// Knows the file by its first line. If lines of it were returned before it was closed, goes on
    /// after them. False if it has no line yet.
    pub(super) fn identify(
        &mut self,
        extent: Extent,
        returned: Option<&SyncedPosition>,
    ) -> Result<Result<bool, GoneReason>, CursorError> {
        let was_known = self.source.birth().is_some();
        if was_known || !self.source.identify(extent)? {
            return Ok(Ok(was_known));
        }
        let before = returned.filter(|returned| {
            returned.file == self.source.name && Some(returned.birth) == self.source.birth()
        });
        if let Some(before) = before {
            match self.source.seek(before.offset)? {
                Seek::LineStart | Seek::FileEnd => self.offset = before.offset,
                Seek::WithinLine => return Ok(Err(GoneReason::WithinLine)),
                Seek::BeyondEnd { bytes } => return Ok(Err(GoneReason::Shortened { bytes })),
            }
        }
        Ok(Ok(true))
    }

    /// Reads the next lines within `extent`, which `progress` allows.
    pub(super) fn take(
        &mut self,
        progress: &Progress,
        directory: &Directory,
        extent: Extent,
        limit_bytes: usize,
    ) -> Result<Taken, CursorError> {
        let lines = self.source.read(self.offset, extent, limit_bytes)?;
        if self.source.is_plain() {
            // What was read is synced only if the file was still the same after it was read. A file
            // before that of the writer stays over whatever happens.
            let is_lasting = matches!(&progress.phase, Phase::Begun(_)) && extent == Extent::Whole;
            if !is_lasting && directory.progress()?.opening != progress.opening {
                return Ok(Taken::Changed);
            }
            if let Some(reason) = self.source.change(self.offset)? {
                return Ok(match extent {
                    Extent::Whole => Taken::Gone(reason),
                    Extent::UpTo(_) => Taken::Held,
                });
            }
        }
        let Some(lines) = lines else { return Ok(Taken::End) };
        self.source.accept(&lines.bytes);
        let start = self.offset;
        self.offset += lines.bytes.len() as u64;
        let through_ms = self.mark_reached(progress, extent);
        Ok(Taken::Block(self.source.block(start, lines, through_ms)))
    }

    /// The time of the newest mark, if everything before it was returned.
    fn mark_reached(&self, progress: &Progress, extent: Extent) -> Option<u64> {
        let (time_ms, position) = progress.mark().filter(|_| extent != Extent::Whole)?;
        (self.stream_position()? >= position).then_some(time_ms)
    }
}
