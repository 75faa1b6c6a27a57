//! The flusher thread: writes what the journal holds to the files, and syncs them.
//!
//! It is idle until there is something to write, then lets it gather until a segment is full or the
//! time is up, and writes whole lines. Those who wait for a sync gather too: see `group.rs`. A
//! write that fails is tried again, later and later; nothing is lost, because the segments are not
//! given back until they are written. A sync that fails is never tried again.

mod group;
mod policy;
mod rotation;
mod sink;

pub use policy::SyncPolicy;
pub(crate) use rotation::Rotation;
pub(crate) use sink::Sink;

use std::sync::Arc;
use std::time::{Duration, Instant};

use self::group::Group;
use crate::error::FlushError;
use crate::file::{Identity, Lock};
use crate::journal::Control;
use crate::notice::Notice;
use crate::pipeline::{Backoff, FlushTarget, Pipeline, Request};
use crate::storage::DiskResult;
use crate::sync::EndGuard;
use crate::waker::Sleep;

/// A long time: how long a flusher without anything to do sleeps until it is rung.
const IDLE_MAX: Duration = Duration::from_secs(3600);

/// How often, at most, the flusher looks whether the inbox is still there.
const INBOX_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// When the flusher does what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Schedule {
    /// How long lines may gather that were journaled while the flusher was not idle.
    pub(crate) gather: Duration,
    pub(crate) sync_policy: SyncPolicy,
    /// How long writes may fail before the appender gives up; `None` is for ever.
    pub(crate) write_retry_timeout: Option<Duration>,
    /// The same from the moment of a close.
    pub(crate) close_timeout: Duration,
}

pub(crate) struct Flusher {
    lines: Sink,
    rejects: Sink,
    control: Control,
    schedule: Schedule,
    pipeline: Arc<Pipeline>,
    lock: Arc<Lock>,
    /// `None` where there is no inbox, or others removed it, which was told.
    inbox: Option<Identity>,
    inbox_checked_at: Instant,
    requests: Vec<Request>,
    /// When the oldest of what waits to be written was first seen.
    gathering_since: Option<Instant>,
    last_sync: Instant,
    /// Those who wait for a sync.
    group: Group,
    failing: Option<Failing>,
    /// The failed sync was told to the listener.
    sync_failure_told: bool,
}

impl Request {
    fn is_written(&self, lines: &Sink, rejects: &Sink) -> bool {
        lines.written() >= self.positions.lines && rejects.written() >= self.positions.rejects
    }

    /// Whether what was asked for can be done as far as writes go: a new file is not created in the
    /// middle of a line, though what is asked for is written.
    fn is_ready(&self, lines: &Sink, rejects: &Sink) -> bool {
        let splits =
            self.goal == FlushTarget::Rotated && (lines.is_in_line() || rejects.is_in_line());
        self.is_written(lines, rejects) && !splits
    }

    fn is_synced(&self, lines: &Sink, rejects: &Sink) -> bool {
        lines.synced() >= self.positions.lines && rejects.synced() >= self.positions.rejects
    }
}

/// Writes fail.
struct Failing {
    /// When the first try failed.
    since: Instant,
    /// When the first try failed since which nothing was written.
    stuck_since: Instant,
    /// When the last one did.
    failed_at: Instant,
    retry_at: Instant,
    backoff: Backoff,
    error: FlushError,
    /// Whether the appender was being closed at the last try, and since when, or since when nothing
    /// was written.
    closing_since: Option<Instant>,
}

impl Flusher {
    pub(crate) fn new(
        lines: Sink,
        rejects: Sink,
        control: Control,
        schedule: Schedule,
        pipeline: Arc<Pipeline>,
        lock: Arc<Lock>,
        inbox: Option<Identity>,
    ) -> Self {
        let last_sync = Instant::now();
        Self {
            lines,
            rejects,
            control,
            schedule,
            pipeline,
            lock,
            inbox,
            inbox_checked_at: last_sync,
            requests: Vec::new(),
            gathering_since: None,
            last_sync,
            group: Group::default(),
            failing: None,
            sync_failure_told: false,
        }
    }

    /// Runs until the rewriter has ended and everything is written and synced, or patience ended.
    pub(crate) fn run(mut self, close_queue: Box<dyn Fn() + Send>) -> Result<(), FlushError> {
        self.pipeline.flusher_waker.attach();
        let pipeline = self.pipeline.clone();
        // Ends the appender where the thread ends before its time, so that nobody waits for it.
        let _guard = EndGuard::new(|| {
            // First of all, so that whoever hears of the end finds the queue closed.
            close_queue();
            pipeline.give_up();
            drop(pipeline.take_requests());
            drop(pipeline.take_acks());
        });
        loop {
            // Looked up before anything is taken or written: what the rewriter did before it ended
            // is then done below.
            let last_round = self.pipeline.rewriter_has_ended();
            self.requests.append(&mut self.pipeline.take_requests());
            self.lines.take_acks(&self.pipeline);
            let now = Instant::now();
            let group_is_due = self.group_due_at(now).is_some_and(|due| due <= now);
            let asked_to_write = self.pipeline.take_write_now();
            let at_once = last_round || group_is_due || asked_to_write;
            let write_is_due = self.write_is_due(now, at_once);
            let written = !write_is_due || self.write();
            self.sync_if_due(last_round, group_is_due);
            self.answer_requests();
            if !written && self.retry_timeout_is_over() {
                return self.give_up();
            }
            if last_round && !self.has_pending() {
                return self.finish();
            }
            self.rest();
        }
    }

    fn has_pending(&self) -> bool {
        self.lines.has_pending() || self.rejects.has_pending()
    }

    fn group_due_at(&mut self, now: Instant) -> Option<Instant> {
        self.group.due_at(self.lines.acks().sync_waiters(), now)
    }

    /// `at_once`: whatever there is shall be written now.
    fn write_is_due(&mut self, now: Instant, at_once: bool) -> bool {
        if !self.has_pending() {
            self.gathering_since = None;
            return false;
        }
        let since = *self.gathering_since.get_or_insert(now);
        if let Some(failing) = &self.failing {
            let asked = !self.requests.is_empty()
                || (self.pipeline.is_closing() && failing.closing_since.is_none());
            return asked || now >= failing.retry_at;
        }
        at_once
            || !self.requests.is_empty()
            || self.lines.acks().want_write()
            || now - since >= self.schedule.gather
            || self.lines.segment_is_full()
            || self.rejects.segment_is_full()
            || self.schedule.sync_policy == SyncPolicy::Always
    }

    /// Writes both streams as far as they are published; `false` where that failed.
    fn write(&mut self) -> bool {
        self.gathering_since = None;
        self.check_inbox();
        let writes_before = self.pipeline.counters.flusher.writes.get();
        let written = self.check_lock().and_then(|()| {
            let lines = self.lines.write(&mut self.control, &self.pipeline);
            let rejects = self.rejects.write(&mut self.control, &self.pipeline);
            lines.and(rejects)
        });
        let has_progressed = self.pipeline.counters.flusher.writes.get() > writes_before;
        match written {
            Ok(()) => {
                if let Some(failing) = self.failing.take() {
                    self.pipeline.clear_trouble();
                    let failed_for = failing.since.elapsed();
                    self.pipeline.listener.tell(&Notice::WritesGoOn { failed_for });
                }
                true
            }
            Err(error) => {
                self.note_failure(FlushError::write(error), has_progressed);
                false
            }
        }
    }

    /// Makes sure that the directory is still the one that is locked, before anything is written to
    /// it by its name.
    fn check_lock(&self) -> DiskResult<()> {
        if let Some(path) = self.lock.check()? {
            self.pipeline.listener.tell(&Notice::LockReplaced(path));
        }
        Ok(())
    }

    /// Tells of an inbox that others removed, while somebody can still mend it.
    fn check_inbox(&mut self) {
        if self.inbox_checked_at.elapsed() < INBOX_CHECK_INTERVAL {
            return;
        }
        self.inbox_checked_at = Instant::now();
        if let Some(inbox) = self.inbox.take_if(|inbox| inbox.is_gone()) {
            self.pipeline.listener.tell(&Notice::InboxRemoved(inbox.into_path()));
        }
    }

    /// `has_progressed`: something was written before the write that failed. Patience starts again
    /// then: a disk that is slow to be freed is not one that stays full.
    fn note_failure(&mut self, error: FlushError, has_progressed: bool) {
        // Not when the try began: one that took long would end the patience by itself.
        let now = Instant::now();
        self.pipeline.counters.flusher.write_errors.add_alone(1);
        self.pipeline.set_trouble(error.clone());
        if self.failing.is_none() {
            self.pipeline.listener.tell(&Notice::WritesFail(error.clone()));
        }
        let begin = || Failing {
            since: now,
            stuck_since: now,
            failed_at: now,
            retry_at: now,
            backoff: Backoff::new(),
            error: error.clone(),
            closing_since: None,
        };
        let failing = self.failing.get_or_insert_with(begin);
        failing.failed_at = now;
        if has_progressed {
            failing.stuck_since = now;
            failing.backoff = Backoff::new();
            failing.closing_since = None;
        }
        failing.retry_at = now + failing.backoff.next_pause();
        failing.error = error;
        if self.pipeline.is_closing() && failing.closing_since.is_none() {
            failing.closing_since = Some(now);
        }
    }

    /// Whether writes have failed for too long, from the first failure to the last without anything
    /// written in between: there is more than one try to every patience but none, and one at its
    /// end.
    fn retry_timeout_is_over(&self) -> bool {
        let Some(failing) = &self.failing else { return false };
        let longer_than = |since: Instant, patience: Duration| {
            failing.failed_at.saturating_duration_since(since) >= patience
        };
        let Schedule { write_retry_timeout, close_timeout, .. } = self.schedule;
        write_retry_timeout.is_some_and(|patience| longer_than(failing.stuck_since, patience))
            || failing.closing_since.is_some_and(|since| longer_than(since, close_timeout))
    }

    /// Syncs where the policy, a request, the group of those who wait or the end says so.
    fn sync_if_due(&mut self, last_round: bool, group_is_due: bool) {
        let unsynced = self.lines.is_unsynced() || self.rejects.is_unsynced();
        let by_policy = match self.schedule.sync_policy {
            SyncPolicy::Never => false,
            SyncPolicy::Always => true,
            SyncPolicy::Interval(interval) => last_round || self.last_sync.elapsed() >= interval,
        };
        let by_request = self.requests.iter().any(|request| request.goal == FlushTarget::Synced);
        let by_group = (group_is_due || last_round) && self.lines.acks().written_sync_waiters() > 0;
        if unsynced && (by_policy || by_request || by_group) {
            self.sync();
        }
        self.latch_sync_failure();
    }

    /// Keeps the first failed sync, be it of lines, of a file's name, of an anchor or of the list
    /// of our files, where everybody finds it.
    fn latch_sync_failure(&mut self) {
        if let Some(failure) = self.lines.sync_failure().or(self.rejects.sync_failure()) {
            self.pipeline.latch_sync_failure(failure.clone());
            if !std::mem::replace(&mut self.sync_failure_told, true) {
                self.pipeline.listener.tell(&Notice::SyncFailed(failure.clone()));
            }
        }
    }

    fn sync(&mut self) {
        let begin = Instant::now();
        let answered = self.lines.acks().written_sync_waiters();
        let counters = &self.pipeline.counters.flusher;
        // Failures stay with the sinks, where `latch_sync_failure` finds them.
        let _ = self.lines.sync(&self.control, counters);
        let _ = self.rejects.sync(&self.control, counters);
        self.last_sync = Instant::now();
        self.lines.take_acks(&self.pipeline);
        let waiting = self.lines.acks().sync_waiters();
        self.group.note_sync(answered, waiting, self.last_sync - begin);
    }

    /// Begins new files where somebody asked for that and what was to be before them is written.
    fn rotate_if_asked(&mut self) -> Result<(), FlushError> {
        let (lines, rejects) = (&self.lines, &self.rejects);
        let due = |request: &Request| {
            request.goal == FlushTarget::Rotated && request.is_ready(lines, rejects)
        };
        if !self.requests.iter().any(due) {
            return Ok(());
        }
        for sink in [&mut self.lines, &mut self.rejects] {
            if !sink.file_is_empty() {
                sink.rotate(&mut self.control, &self.pipeline).map_err(FlushError::write)?;
            }
        }
        Ok(())
    }

    /// Answers those who wait for what is done by now, or cannot be done.
    fn answer_requests(&mut self) {
        let rotated = self.rotate_if_asked();
        self.latch_sync_failure();
        let failing = self.failing.as_ref().map(|failing| &failing.error);
        let sync_failure = self.pipeline.sync_failure();
        let (lines, rejects) = (&self.lines, &self.rejects);
        self.requests.retain(|request| {
            let written = request.is_ready(lines, rejects);
            let answer = match (request.goal, failing, &sync_failure) {
                (_, Some(failure), _) if !written => Err(failure.clone()),
                (FlushTarget::Written, ..) if written => Ok(()),
                (FlushTarget::Rotated, _, None) if written => rotated.clone(),
                (FlushTarget::Rotated, _, Some(failure)) if written => {
                    rotated.clone().and(Err(failure.clone()))
                }
                (FlushTarget::Synced, ..) if written && request.is_synced(lines, rejects) => Ok(()),
                (FlushTarget::Synced, _, Some(failure)) => Err(failure.clone()),
                _ => return true,
            };
            // The other side may have stopped waiting.
            let _ = request.reply.send(answer);
            false
        });
    }

    /// Sleeps until something is due.
    fn rest(&mut self) {
        let now = Instant::now();
        let mut until = now + IDLE_MAX;
        let has_pending = self.has_pending();
        if let Some(failing) = &self.failing {
            until = until.min(failing.retry_at);
        } else if has_pending {
            // Also what was journaled since the last look, during a sync or a rotation.
            let since = *self.gathering_since.get_or_insert(now);
            until = until.min(since + self.schedule.gather);
        }
        // An acknowledgement may be here before its line is: the rewriter rings when that is, too.
        let has_waiters = has_pending || self.lines.acks().written_sync_waiters() > 0;
        if self.failing.is_none()
            && has_waiters
            && let Some(due) = self.group_due_at(now)
        {
            // Not to be woken by each of them, which would take the processor from those who come.
            // It is short, so that others need not ring either.
            if due > now && !self.pipeline.has_requests() && !self.has_full_segment() {
                std::thread::sleep(due - now);
            }
            return;
        }
        if let SyncPolicy::Interval(interval) = self.schedule.sync_policy
            && (self.lines.is_unsynced() || self.rejects.is_unsynced())
            && self.pipeline.sync_failure().is_none()
        {
            until = until.min(self.last_sync + interval);
        }
        let pipeline = &self.pipeline;
        let ended = || pipeline.rewriter_has_ended() && self.failing.is_none();
        let timeout = until.saturating_duration_since(now);
        if has_pending {
            let has_work = || pipeline.has_requests() || ended() || self.has_full_segment();
            pipeline.flusher_waker.sleep(Sleep::Nap, timeout, has_work);
        } else {
            let has_work = || pipeline.has_requests() || ended() || self.has_pending();
            pipeline.flusher_waker.sleep(Sleep::Idle, timeout, has_work);
        }
    }

    /// Whether a segment is full that may be written now: not while writes fail.
    fn has_full_segment(&self) -> bool {
        self.failing.is_none() && (self.lines.segment_is_full() || self.rejects.segment_is_full())
    }

    /// Everything is written. The next opening has nothing to do, unless a sync failed, or the
    /// rewriter panicked: what it had journaled and not published is found by that opening
    /// only.
    fn finish(self) -> Result<(), FlushError> {
        match self.pipeline.sync_failure() {
            _ if self.pipeline.rewriter_has_panicked() => Err(FlushError::Closed),
            None => {
                self.control.set_inbox_in_use(false);
                // Without a sync, a power loss may still tear what is written.
                if !self.lines.is_unsynced() && !self.rejects.is_unsynced() {
                    self.control.set_clean();
                }
                Ok(())
            }
            Some(failure) => {
                self.control.set_inbox_in_use(false);
                Err(failure)
            }
        }
    }

    /// Patience ended while writes failed. What is in the journal stays there for the next opening.
    fn give_up(mut self) -> Result<(), FlushError> {
        let failure = self.failing.take().map_or(FlushError::Closed, |failing| failing.error);
        for request in self.requests.drain(..) {
            let _ = request.reply.send(Err(failure.clone()));
        }
        self.lines.take_acks(&self.pipeline);
        self.lines.acks().fail_all(&failure);
        // Shortening needs no space. Where it fails all the same, the next opening completes the
        // line in place.
        let _ = self.lines.cut_to_line(&self.control);
        let _ = self.rejects.cut_to_line(&self.control);
        self.sync();
        // It is told by the error of `close` too: what is in the file may not be safe either.
        self.latch_sync_failure();
        self.pipeline.listener.tell(&Notice::GaveUp(failure.clone()));
        Err(failure)
    }
}
