//! Both streams on their way to their files, and the control file that records how far they are.

use super::sink::Sink;
use crate::ack::Acks;
use crate::error::FlushError;
use crate::journal::{Control, TimeMark};
use crate::pipeline::{FlushRequest, FlushTarget, Pipeline, Positions};
use crate::stats::FlusherCounters;
use crate::storage::DiskResult;

pub(crate) struct Sinks {
    lines: Sink,
    rejects: Sink,
    control: Control,
}

impl Sinks {
    pub(crate) const fn new(lines: Sink, rejects: Sink, control: Control) -> Self {
        Self { lines, rejects, control }
    }

    /// Whether anything is pending.
    pub(crate) fn has_pending(&self) -> bool {
        self.lines.has_pending() || self.rejects.has_pending()
    }

    /// Whether the pending bytes fill a segment: they need not wait for more.
    pub(crate) fn segment_is_full(&self) -> bool {
        self.lines.segment_is_full() || self.rejects.segment_is_full()
    }

    /// Whether anything was written since the last sync.
    pub(crate) fn is_unsynced(&self) -> bool {
        self.lines.is_unsynced() || self.rejects.is_unsynced()
    }

    /// The first sync that failed.
    pub(crate) fn sync_failure(&self) -> Option<&FlushError> {
        self.lines.sync_failure().or(self.rejects.sync_failure())
    }

    /// The acknowledgements for lines.
    pub(crate) fn acks(&mut self) -> &mut Acks {
        self.lines.acks()
    }

    /// Takes over the new acknowledgements.
    pub(crate) fn take_acks(&mut self, pipeline: &Pipeline) {
        self.lines.take_acks(pipeline);
    }

    /// Writes both streams as far as they are published. A failure of one does not keep the other
    /// from being written.
    pub(crate) fn write(&mut self, pipeline: &Pipeline) -> DiskResult<()> {
        let lines = self.lines.write(&mut self.control, pipeline);
        let rejects = self.rejects.write(&mut self.control, pipeline);
        lines.and(rejects)
    }

    /// Syncs both files. Failures stay here: see [`sync_failure`](Self::sync_failure).
    pub(crate) fn sync(&mut self, counters: &FlusherCounters) {
        let _ = self.lines.sync(&self.control, counters);
        let _ = self.rejects.sync(&self.control, counters);
    }

    /// Starts a new file in place of each that holds something.
    pub(crate) fn rotate(&mut self, pipeline: &Pipeline) -> Result<(), FlushError> {
        for sink in [&mut self.lines, &mut self.rejects] {
            if !sink.file_is_empty() {
                sink.rotate(&mut self.control, pipeline).map_err(FlushError::write)?;
            }
        }
        Ok(())
    }

    /// Writing was given up: takes back lines that were written in part. Shortening needs no space;
    /// if it fails all the same, the next open completes the line in place.
    pub(crate) fn cut_to_line(&mut self) {
        let _ = self.lines.cut_to_line(&self.control);
        let _ = self.rejects.cut_to_line(&self.control);
    }

    /// Everything that was accepted before the time of `mark` is synced.
    pub(crate) fn set_time_mark(&mut self, mark: TimeMark) {
        self.control.set_time_mark(mark);
    }

    /// A sync failed: nothing is synced any more.
    pub(crate) fn set_sync_failed(&self) {
        self.control.set_sync_failed();
    }

    /// Everything is written: no event is only in the inbox.
    pub(crate) fn set_inbox_unused(&self) {
        self.control.set_inbox_in_use(false);
    }

    /// Everything is written: the next open has nothing to do, unless a power loss may still tear
    /// what was not synced.
    pub(crate) fn set_clean_if_synced(&self) {
        if !self.is_unsynced() {
            self.control.set_clean();
        }
    }

    /// Whether a request can be fulfilled as far as writes go: a new file is not started in the
    /// middle of a line, even if everything requested is written.
    pub(crate) fn is_ready(&self, request: &FlushRequest) -> bool {
        let splits = request.target == FlushTarget::Rotated
            && (self.lines.is_in_line() || self.rejects.is_in_line());
        self.has_written(request.positions) && !splits
    }

    fn has_written(&self, positions: Positions) -> bool {
        self.lines.written() >= positions.lines && self.rejects.written() >= positions.rejects
    }

    /// Whether both streams are synced up to there.
    pub(crate) fn has_synced(&self, positions: Positions) -> bool {
        self.lines.synced() >= positions.lines && self.rejects.synced() >= positions.rejects
    }

    /// The answer to a request; `None` if it is not done yet. `write_failure` is set while writes
    /// fail; `rotated` is the outcome of starting new files, if it was time for that.
    pub(crate) fn answer(
        &self,
        request: &FlushRequest,
        write_failure: Option<&FlushError>,
        sync_failure: Option<&FlushError>,
        rotated: &Result<(), FlushError>,
    ) -> Option<Result<(), FlushError>> {
        let is_ready = self.is_ready(request);
        match (request.target, write_failure, sync_failure) {
            (_, Some(failure), _) if !is_ready => Some(Err(failure.clone())),
            (FlushTarget::Written, ..) if is_ready => Some(Ok(())),
            (FlushTarget::Rotated, _, None) if is_ready => Some(rotated.clone()),
            (FlushTarget::Rotated, _, Some(failure)) if is_ready => {
                Some(rotated.clone().and(Err(failure.clone())))
            }
            (FlushTarget::Synced, ..) if is_ready && self.has_synced(request.positions) => {
                Some(Ok(()))
            }
            (FlushTarget::Synced, _, Some(failure)) => Some(Err(failure.clone())),
            _ => None,
        }
    }
}
