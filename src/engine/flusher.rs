//! The flusher thread: writes what the journal holds to the files, and syncs them.
//!
//! It is idle until there is something to write, then lets more gather until a segment is full or
//! the time is up, and writes whole lines. Requests for a sync gather too: see
//! `flush/group_commit.rs`. A failed write is retried, with growing pauses; nothing is lost,
//! because segments are not released until they are written. A failed sync is never retried.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::time_marks::TimeMarks;
use crate::error::FlushError;
use crate::file::{Identity, Lock};
use crate::flush::{FailingWrites, GroupCommit, Schedule, Sinks};
use crate::notice::Notice;
use crate::pipeline::{FlushRequest, FlushTarget, Pipeline};
use crate::storage::DiskResult;
use crate::sync::EndGuard;
use crate::waker::Sleep;

/// A long time: how long an idle flusher sleeps unless it is woken.
const IDLE_MAX: Duration = Duration::from_secs(3600);

/// The minimum time between two checks that the inbox is still there.
const INBOX_CHECK_INTERVAL: Duration = Duration::from_secs(1);

pub(crate) struct FlusherThread {
    sinks: Sinks,
    schedule: Schedule,
    pipeline: Arc<Pipeline>,
    lock: Arc<Lock>,
    /// `None` if there is no inbox, or if another program removed it, which was reported.
    inbox: Option<Identity>,
    inbox_checked_at: Instant,
    requests: Vec<FlushRequest>,
    /// When the oldest pending bytes were first seen.
    gathering_since: Option<Instant>,
    last_sync: Instant,
    /// The requests for a sync.
    group_commit: GroupCommit,
    failing: Option<FailingWrites>,
    /// The failed sync was reported to the listener.
    sync_failure_told: bool,
    /// `None` if there are to be no time marks.
    time_marks: Option<TimeMarks>,
}

impl FlusherThread {
    pub(crate) fn new(
        sinks: Sinks,
        schedule: Schedule,
        pipeline: Arc<Pipeline>,
        lock: Arc<Lock>,
        inbox: Option<Identity>,
        time_marks: Option<TimeMarks>,
    ) -> Self {
        let last_sync = Instant::now();
        Self {
            sinks,
            schedule,
            pipeline,
            lock,
            inbox,
            inbox_checked_at: last_sync,
            requests: Vec::new(),
            gathering_since: None,
            last_sync,
            group_commit: GroupCommit::default(),
            failing: None,
            sync_failure_told: false,
            time_marks,
        }
    }

    /// Runs until the rewriter has ended and everything is written and synced, or until a timeout
    /// of failing writes is over.
    pub(crate) fn run(mut self, close_queue: Box<dyn Fn() + Send>) -> Result<(), FlushError> {
        self.pipeline.flusher_waker.attach();
        let pipeline = self.pipeline.clone();
        // Closes the queue if the thread ends early, so that nobody waits for it.
        let _guard = EndGuard::new(|| {
            // First of all, so that whoever learns of the end finds the queue closed.
            close_queue();
            pipeline.give_up();
            drop(pipeline.take_requests());
            drop(pipeline.take_acks());
        });
        loop {
            // Read before anything is taken or written: what the rewriter did before it ended is
            // then handled below.
            let last_round = self.pipeline.rewriter_has_ended();
            self.requests.append(&mut self.pipeline.take_requests());
            self.sinks.take_acks(&self.pipeline);
            let now = Instant::now();
            let group_is_due = self.group_due_at(now).is_some_and(|due| due <= now);
            let asked_to_write = self.pipeline.take_write_now();
            let at_once = last_round || group_is_due || asked_to_write;
            let write_is_due = self.write_is_due(now, at_once);
            let written = !write_is_due || self.write();
            self.sync_if_due(last_round, group_is_due);
            self.mark_time(now);
            self.answer_requests();
            if !written && self.retry_timeout_is_over() {
                return self.give_up();
            }
            if last_round && !self.sinks.has_pending() {
                return self.finish();
            }
            self.rest();
        }
    }

    fn group_due_at(&mut self, now: Instant) -> Option<Instant> {
        self.group_commit.due_at(self.sinks.acks().sync_waiters(), now)
    }

    /// Whether to write now. `at_once`: yes, if there is anything.
    fn write_is_due(&mut self, now: Instant, at_once: bool) -> bool {
        if !self.sinks.has_pending() {
            self.gathering_since = None;
            return false;
        }
        let since = *self.gathering_since.get_or_insert(now);
        if let Some(failing) = &self.failing {
            let asked = !self.requests.is_empty()
                || (self.pipeline.is_closing() && !failing.has_failed_while_closing());
            return asked || now >= failing.retry_at();
        }
        at_once
            || !self.requests.is_empty()
            || self.sinks.acks().want_write()
            || now - since >= self.schedule.gather
            || self.sinks.segment_is_full()
            || self.schedule.sync_policy.writes_at_once()
    }

    /// Writes both streams as far as they are published; `false` if that failed.
    fn write(&mut self) -> bool {
        self.gathering_since = None;
        self.check_inbox();
        let writes_before = self.pipeline.counters.flusher.writes.get();
        let written = self.check_lock().and_then(|()| self.sinks.write(&self.pipeline));
        let has_progressed = self.pipeline.counters.flusher.writes.get() > writes_before;
        match written {
            Ok(()) => {
                if let Some(failing) = self.failing.take() {
                    self.pipeline.clear_write_failure();
                    let failed_for = failing.elapsed();
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

    /// Checks that the directory is still the locked one, before anything is written to it by name.
    fn check_lock(&self) -> DiskResult<()> {
        if let Some(path) = self.lock.check()? {
            self.pipeline.listener.tell(&Notice::LockReplaced(path));
        }
        Ok(())
    }

    /// Reports an inbox that another program removed, while somebody can still repair it.
    fn check_inbox(&mut self) {
        if self.inbox_checked_at.elapsed() < INBOX_CHECK_INTERVAL {
            return;
        }
        self.inbox_checked_at = Instant::now();
        if let Some(inbox) = self.inbox.take_if(|inbox| inbox.is_gone()) {
            self.pipeline.listener.tell(&Notice::InboxRemoved(inbox.into_path()));
        }
    }

    /// `has_progressed`: something was written before the write that failed.
    fn note_failure(&mut self, error: FlushError, has_progressed: bool) {
        // Not the time at which the attempt started: a single long attempt would exhaust a timeout.
        let now = Instant::now();
        self.pipeline.counters.flusher.write_errors.add_alone(1);
        self.pipeline.set_write_failure(error.clone());
        if self.failing.is_none() {
            self.pipeline.listener.tell(&Notice::WritesFail(error.clone()));
        }
        let begin = || FailingWrites::begin(error.clone(), now);
        let failing = self.failing.get_or_insert_with(begin);
        failing.note(error, now, has_progressed, self.pipeline.is_closing());
    }

    fn retry_timeout_is_over(&self) -> bool {
        self.failing.as_ref().is_some_and(|failing| failing.retry_timeout_is_over(&self.schedule))
    }

    /// Syncs if the policy, a request, the group commit or the end requires it.
    fn sync_if_due(&mut self, last_round: bool, group_is_due: bool) {
        let by_policy = self.schedule.sync_policy.sync_is_due(self.last_sync, last_round);
        let by_request = self.requests.iter().any(|request| request.target == FlushTarget::Synced);
        let by_group = (group_is_due || last_round) && self.sinks.acks().written_sync_waiters() > 0;
        if self.sinks.is_unsynced() && (by_policy || by_request || by_group) {
            self.sync();
        }
        self.latch_sync_failure();
    }

    /// Keeps the first failed sync, of lines, of a file's name, of an anchor or of the list of our
    /// files, where everybody finds it.
    fn latch_sync_failure(&mut self) {
        if let Some(failure) = self.sinks.sync_failure() {
            self.pipeline.latch_sync_failure(failure.clone());
            if !std::mem::replace(&mut self.sync_failure_told, true) {
                self.sinks.set_sync_failed();
                self.pipeline.listener.tell(&Notice::SyncFailed(failure.clone()));
            }
        }
    }

    /// Notes the time up to which everything is synced, and asks for the next one.
    fn mark_time(&mut self, now: Instant) {
        if let Some(time_marks) = &mut self.time_marks {
            time_marks.note_if_synced(&self.pipeline, &mut self.sinks);
            time_marks.ask_if_due(now);
        }
    }

    fn sync(&mut self) {
        let begin = Instant::now();
        let answered = self.sinks.acks().written_sync_waiters();
        // Failures stay with the sinks, where `latch_sync_failure` finds them.
        self.sinks.sync(&self.pipeline.counters.flusher);
        self.last_sync = Instant::now();
        self.sinks.take_acks(&self.pipeline);
        let waiting = self.sinks.acks().sync_waiters();
        self.group_commit.note_sync(answered, waiting, self.last_sync - begin);
    }

    /// Starts new files if that was requested and everything before the request is written.
    fn rotate_if_asked(&mut self) -> Result<(), FlushError> {
        let is_due = |request: &FlushRequest| {
            request.target == FlushTarget::Rotated && self.sinks.is_ready(request)
        };
        if self.requests.iter().any(is_due) { self.sinks.rotate(&self.pipeline) } else { Ok(()) }
    }

    /// Answers the requests that are done by now, or that cannot be done.
    fn answer_requests(&mut self) {
        let rotated = self.rotate_if_asked();
        self.latch_sync_failure();
        let write_failure = self.failing.as_ref().map(FailingWrites::error);
        let sync_failure = self.pipeline.sync_failure();
        let sinks = &self.sinks;
        self.requests.retain(|request| {
            let answer = sinks.answer(request, write_failure, sync_failure.as_ref(), &rotated);
            let Some(answer) = answer else { return true };
            // The other side may have stopped waiting.
            let _ = request.reply.send(answer);
            false
        });
    }

    /// Sleeps until something is due.
    fn rest(&mut self) {
        let now = Instant::now();
        let mut until = now + IDLE_MAX;
        let has_pending = self.sinks.has_pending();
        if let Some(failing) = &self.failing {
            until = until.min(failing.retry_at());
        } else if has_pending {
            // Including what was journaled since the last check, during a sync or a rotation.
            let since = *self.gathering_since.get_or_insert(now);
            until = until.min(since + self.schedule.gather);
        }
        // An acknowledgement may arrive before its line: the rewriter wakes us for that, too.
        let has_waiters = has_pending || self.sinks.acks().written_sync_waiters() > 0;
        if self.failing.is_none()
            && has_waiters
            && let Some(due) = self.group_due_at(now)
        {
            // Do not let each of them wake us, which would take the processor from those that
            // arrive. The sleep is short, so nobody else needs to wake us either.
            if due > now && !self.pipeline.has_requests() && !self.has_full_segment() {
                std::thread::sleep(due - now);
            }
            return;
        }
        if let Some(due) = self.schedule.sync_policy.next_sync(self.last_sync)
            && self.sinks.is_unsynced()
            && self.pipeline.sync_failure().is_none()
        {
            until = until.min(due);
        }
        // Nothing comes out of the queue any more once the rewriter has ended.
        if let Some(due) = self.time_marks.as_ref().and_then(TimeMarks::next_at)
            && !self.pipeline.rewriter_has_ended()
        {
            until = until.min(due);
        }
        let (pipeline, sinks) = (&self.pipeline, &self.sinks);
        let ended = || pipeline.rewriter_has_ended() && self.failing.is_none();
        let timeout = until.saturating_duration_since(now);
        if has_pending {
            let has_work = || pipeline.has_requests() || ended() || self.has_full_segment();
            pipeline.flusher_waker.sleep(Sleep::Nap, timeout, has_work);
        } else {
            let has_work = || pipeline.has_requests() || ended() || sinks.has_pending();
            pipeline.flusher_waker.sleep(Sleep::Idle, timeout, has_work);
        }
    }

    /// Whether a full segment may be written now: not while writes fail.
    fn has_full_segment(&self) -> bool {
        self.failing.is_none() && self.sinks.segment_is_full()
    }

    /// Everything is written. The next open has nothing to do, unless a sync failed, or the
    /// rewriter panicked: only that open finds what it had journaled and not published.
    fn finish(self) -> Result<(), FlushError> {
        if self.pipeline.rewriter_has_panicked() {
            return Err(FlushError::Closed);
        }
        self.sinks.set_inbox_unused();
        match self.pipeline.sync_failure() {
            None => {
                self.sinks.set_clean_if_synced();
                Ok(())
            }
            Some(failure) => Err(failure),
        }
    }

    /// A timeout was over while writes failed. What is in the journal stays there for the next
    /// open.
    fn give_up(mut self) -> Result<(), FlushError> {
        let failing = self.failing.take();
        let failure = failing.map_or(FlushError::Closed, |failing| failing.error().clone());
        for request in self.requests.drain(..) {
            let _ = request.reply.send(Err(failure.clone()));
        }
        self.sinks.take_acks(&self.pipeline);
        self.sinks.acks().fail_all(&failure);
        self.sinks.cut_to_line();
        self.sync();
        // The error of `close` says so too: what is in the file may not be safe either.
        self.latch_sync_failure();
        self.pipeline.listener.tell(&Notice::GaveUp(failure.clone()));
        Err(failure)
    }
}
