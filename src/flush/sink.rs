//! One stream on its way from the journal to its file.

use std::io;
use std::path::{Path, PathBuf};

use super::rotation::{Rotation, first_line_bytes};
use crate::ack::{Acks, FilePlace};
use crate::error::FlushError;
use crate::file::{ExternalChange, LogFile};
use crate::journal::{Anchor, Control, RingReader, Stream};
use crate::notice::Notice;
use crate::pipeline::Pipeline;
use crate::stats::FlusherCounters;
use crate::storage::DiskResult;

/// Moves whole lines from the reading end of a ring to a file, and maintains the anchor.
pub(crate) struct Sink {
    stream: Stream,
    end: RingReader,
    /// The path of the next file; `None` if that is decided only when it is created. A failed
    /// attempt is repeated with the same name, so that it leaves no empty files.
    path: Option<PathBuf>,
    /// The name of the previous file, which is sealed once the next one exists.
    sealing: Option<String>,
    rotation: Rotation,
    file: Option<LogFile>,
    /// Another program changed the file: it may end in half a line, and has no anchor yet.
    is_unsettled: bool,
    /// The position up to which the stream is synced.
    synced: u64,
    /// The first sync that failed: there is no other one after it.
    sync_failure: Option<FlushError>,
    /// The path of the file, for acknowledgements.
    place: Option<FilePlace>,
    /// The acknowledgements for lines of this stream.
    acks: Acks,
}

impl Sink {
    /// A sink of `stream`, whose first file is at `path`.
    pub(crate) fn new(stream: Stream, end: RingReader, path: PathBuf, rotation: Rotation) -> Self {
        Self {
            stream,
            end,
            path: Some(path),
            sealing: None,
            rotation,
            file: None,
            is_unsettled: false,
            synced: 0,
            sync_failure: None,
            place: None,
            acks: Acks::default(),
        }
    }

    /// Creates the file and anchors the stream to it.
    pub(crate) fn create_file(
        &mut self,
        control: &mut Control,
        pipeline: &Pipeline,
    ) -> DiskResult<()> {
        let path = match self.path.take() {
            Some(path) => path,
            None => self.rotation.next_path(),
        };
        pipeline.open_files.begin(self.stream, &path);
        let counters = &pipeline.counters.flusher;
        let file = match self.make_file(&path, counters) {
            Err(error) => {
                // If another program has a file of that name, the next attempt takes another name.
                let is_taken = error.source.kind() == io::ErrorKind::AlreadyExists;
                self.path = (!is_taken).then_some(path);
                return Err(error);
            }
            Ok(file) => file,
        };
        // Twice: the maintenance thread must know that the old file is ours before it sees that it
        // is not open any more, and must check again after that.
        if let Some(sealed) = &self.sealing {
            pipeline.maintenance.add_sealed(sealed.clone());
        }
        self.anchor_to(file, control, pipeline)?;
        self.rotation.begin_day();
        if let Some(sealed) = self.sealing.take() {
            pipeline.maintenance.add_sealed(sealed);
        }
        Ok(())
    }

    /// Adds the name to the list of our files, and creates the file. Both must survive a power loss
    /// before the first line does.
    fn make_file(&mut self, path: &Path, counters: &FlusherCounters) -> DiskResult<LogFile> {
        let name = self.rotation.created_files.write(path)?;
        self.keep_failure(name.sync(), counters);
        let file = LogFile::create_unsynced(&self.rotation.calendar.disk, path)?;
        self.keep_failure(file.sync_name(), counters);
        Ok(file)
    }

    /// Keeps a failed sync for good. It is not returned to code that would retry it, after the data
    /// is gone from the kernel's memory and there is no error any more.
    fn keep_failure(&mut self, synced: DiskResult<()>, counters: &FlusherCounters) {
        if let Err(error) = synced {
            counters.sync_errors.add_alone(1);
            self.sync_failure.get_or_insert(FlushError::sync(error));
        }
    }

    /// Continues with `file` at its end. The anchor is moved before the first byte is written.
    fn anchor_to(
        &mut self,
        file: LogFile,
        control: &mut Control,
        pipeline: &Pipeline,
    ) -> DiskResult<()> {
        let anchor = Anchor {
            file_name: file.name(),
            file_bytes: file.bytes(),
            position: self.end.position(),
        };
        control.set_anchor(self.stream, &anchor)?;
        // Before the first byte: after a power loss, recovery would not find the file of an anchor
        // that was lost.
        self.keep_failure(control.sync(), &pipeline.counters.flusher);
        let (path, position) = (file.path().into(), self.end.position());
        let place = FilePlace { file: path, file_bytes: file.bytes(), position };
        pipeline.open_files.set_place(self.stream, place.clone());
        self.place = Some(place);
        self.file = Some(file);
        self.is_unsettled = false;
        Ok(())
    }

    /// Writes everything that is pending. What was written before an error stays written.
    pub(crate) fn write(&mut self, control: &mut Control, pipeline: &Pipeline) -> DiskResult<()> {
        let counters = &pipeline.counters.flusher;
        let mut begun_anew = false;
        while self.end.has_pending() {
            self.settle_file(control, pipeline)?;
            self.end.write_frame();
            let share = self.share_of_file();
            if share == 0 && !begun_anew {
                begun_anew = true;
                self.rotate(control, pipeline)?;
                continue;
            }
            begun_anew = false;
            let pending = self.end.pending();
            let Some(file) = &mut self.file else { break };
            // A new file takes a line in any case, whatever the clock says.
            let share = if share == 0 { first_line_bytes(pending) } else { share };
            let written = file.append(pending.get(..share).unwrap_or_default())?;
            self.end.consume(written);
            control.set_written(self.stream, self.end.position());
            counters.writes.add_alone(1);
            self.count_written(counters, written as u64);
            // The rewriter hands an acknowledgement over before it publishes the line, so those of
            // all pending lines are here now.
            self.take_acks(pipeline);
            self.acks.note_written(self.end.position(), self.place.as_ref());
            // Release a segment that was read to its end at once: the rewriter may wait for it.
            self.end.pending();
            pipeline.rewriter_waker.wake_if_blocked();
        }
        Ok(())
    }

    /// How much of the pending bytes goes to the open file; 0 if it is time for another one. A line
    /// that was written in part is completed first.
    fn share_of_file(&mut self) -> usize {
        let file_bytes = self.file.as_ref().map_or(0, LogFile::bytes);
        let is_in_line = self.is_in_line();
        let pending = self.end.pending();
        if is_in_line {
            first_line_bytes(pending)
        } else if self.rotation.day_is_over() {
            0
        } else {
            self.rotation.share(file_bytes, pending)
        }
    }

    /// Starts a new file, with the next line at once or (rejects) when there is one. The old file
    /// is synced first: a later sync would only sync the new file. An old file that is empty is
    /// removed. Never called within a line, which would be split.
    pub(crate) fn rotate(&mut self, control: &mut Control, pipeline: &Pipeline) -> DiskResult<()> {
        // A failure is kept in `sync_failure`, where the flusher finds it.
        let _ = self.sync(control, &pipeline.counters.flusher);
        let old = self.file.as_ref().map(|file| (file.path().to_owned(), file.bytes()));
        self.sealing = self.file.as_ref().filter(|file| file.bytes() > 0).map(LogFile::name);
        match self.stream {
            Stream::Lines => self.create_file(control, pipeline)?,
            Stream::Rejects => self.file = None,
        }
        match old {
            Some((path, 0)) => self.rotation.calendar.disk.remove(&path),
            _ => {
                pipeline.counters.flusher.rotations.add_alone(1);
                Ok(())
            }
        }
    }

    /// Whether a line was written in part: its rest must follow in the same file.
    pub(crate) fn is_in_line(&self) -> bool {
        self.end.is_in_line()
    }

    /// Whether the open file holds anything.
    pub(crate) fn file_is_empty(&self) -> bool {
        self.file.as_ref().is_none_or(|file| file.bytes() == 0)
    }

    fn count_written(&self, counters: &FlusherCounters, bytes: u64) {
        match self.stream {
            Stream::Lines => counters.bytes_written.add_alone(bytes),
            Stream::Rejects => counters.rejects_bytes_written.add_alone(bytes),
        }
    }

    /// Makes sure that there is a file, and that it still has its name and our length.
    fn settle_file(&mut self, control: &mut Control, pipeline: &Pipeline) -> DiskResult<()> {
        let Some(file) = &mut self.file else { return self.create_file(control, pipeline) };
        if let Some(change) = file.check()? {
            pipeline.counters.flusher.files_changed_by_others.add_alone(1);
            let path = file.path().to_owned();
            pipeline.listener.tell(&Notice::ChangedByOthers(path));
            self.settle_with_others(change, control, pipeline)?;
        }
        if self.is_unsettled
            && let Some(mut file) = self.file.take()
        {
            // Our next line must be separate. Retried until it is, before any write.
            if let Err(error) = file.end_line() {
                self.file = Some(file);
                return Err(error);
            }
            self.anchor_to(file, control, pipeline)?;
        }
        Ok(())
    }

    /// Continues with the file as the other program left it. A line that was written in part is
    /// written again from its start: half a line in each of two files would be none.
    fn settle_with_others(
        &mut self,
        change: ExternalChange,
        control: &Control,
        pipeline: &Pipeline,
    ) -> DiskResult<()> {
        let Some(mut file) = self.file.take() else { return Ok(()) };
        let reopened = match change {
            ExternalChange::Resized => None,
            ExternalChange::Replaced => match file.reopen() {
                Ok(reopened) => Some(reopened),
                Err(error) => {
                    self.file = Some(file);
                    return Err(error);
                }
            },
        };
        let part = self.end.unfinished_line_bytes();
        self.end.rewind(part);
        control.set_written(self.stream, self.end.position());
        if let Some(reopened) = reopened {
            // The lines in the file that was moved must be as whole and as safe as those in a file
            // that we close ourselves. If shortening fails, half a line stays there and the whole
            // one follows in the next file; a failed sync is kept in `sync_failure`.
            let _ = file.shorten_by(part as u64);
            self.file = Some(file);
            let _ = self.sync(control, &pipeline.counters.flusher);
            file = reopened;
            self.keep_failure(file.sync_name(), &pipeline.counters.flusher);
        }
        self.file = Some(file);
        self.is_unsettled = true;
        Ok(())
    }

    /// Syncs what was written. This is the only place where lines are synced. After a failed sync,
    /// of the file or of its name, it is not retried, because a retry may succeed although the
    /// lines are gone.
    pub(crate) fn sync(
        &mut self,
        control: &Control,
        counters: &FlusherCounters,
    ) -> Result<(), FlushError> {
        if let Some(failure) = &self.sync_failure {
            self.acks.fail_syncs(failure);
            return Err(failure.clone());
        }
        let Some(file) = self.file.as_ref().filter(|_| self.is_unsynced()) else { return Ok(()) };
        counters.syncs.add_alone(1);
        self.keep_failure(file.sync(), counters);
        if let Some(failure) = &self.sync_failure {
            self.acks.fail_syncs(failure);
            return Err(failure.clone());
        }
        if self.stream == Stream::Lines {
            counters.bytes_synced.add_alone(self.end.position() - self.synced);
        }
        self.synced = self.end.position();
        control.set_synced(self.stream, self.synced);
        self.acks.note_synced(self.synced);
        Ok(())
    }

    /// The first sync that failed.
    pub(crate) fn sync_failure(&self) -> Option<&FlushError> {
        self.sync_failure.as_ref()
    }

    /// Writing was given up: takes back a line that was written in part, so that the file holds
    /// whole lines. Of a record in several segments, only what the journal still has is taken back;
    /// the next open completes it.
    pub(crate) fn cut_to_line(&mut self, control: &Control) -> DiskResult<()> {
        let part = self.end.unfinished_line_bytes() as u64;
        let Some(file) = &mut self.file else { return Ok(()) };
        if file.check()?.is_none() {
            file.shorten_by(part)?;
            control.set_written(self.stream, self.end.position() - part);
        }
        Ok(())
    }

    /// The acknowledgements for lines of this stream.
    pub(crate) fn acks(&mut self) -> &mut Acks {
        &mut self.acks
    }

    /// Takes over the new acknowledgements.
    pub(crate) fn take_acks(&mut self, pipeline: &Pipeline) {
        if self.stream == Stream::Lines {
            self.acks.add(pipeline.take_acks());
        }
    }

    /// Whether anything is pending.
    pub(crate) fn has_pending(&self) -> bool {
        self.end.has_pending()
    }

    /// Whether the pending bytes fill a segment: they need not wait for more.
    pub(crate) fn segment_is_full(&self) -> bool {
        self.end.segment_is_full()
    }

    /// Whether anything was written since the last sync.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.synced < self.end.position()
    }

    /// The position up to which the stream was written.
    pub(crate) fn written(&self) -> u64 {
        self.end.position()
    }

    /// The position up to which the stream was synced.
    pub(crate) fn synced(&self) -> u64 {
        self.synced
    }
}
