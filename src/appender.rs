//! The appender: owns the threads of an open directory, and ends them.

use std::mem::ManuallyDrop;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bytes::Bytes;

use crate::engine::Undelivered;
use crate::error::{CloseError, FlushError, MaintenanceError, Undone};
use crate::file::{Identity, Lock};
use crate::inbox::Inbox;
use crate::journal::{Recovery, Stream};
use crate::pipeline::{FlushTarget, Pipeline};
use crate::producer::Producer;
use crate::queue::{Barrier, Message, Other, Queue, Refused};
use crate::shared_producer::SharedProducer;
use crate::stats::Stats;

/// How often a waiting `flush` checks whether the disk has failed or the threads are gone.
const REPLY_POLL: Duration = Duration::from_millis(10);

/// Appends events to the CDR of one directory.
///
/// Created by [`Appender::builder`]. Events come in through [`producer`](Self::producer)s. Three
/// threads work for it: one rewrites events into the journal, one writes the journal to the files,
/// and one, of low priority, maintains sealed files.
///
/// Dropping it does what [`close`](Self::close) does, but cannot report an error. The [table of
/// promises](crate#promises) says what survives what.
#[derive(Debug)]
#[must_use = "dropping an appender closes it"]
pub struct Appender {
    parts: Parts,
    /// The process that opened it. A forked child has a copy, which must not touch anything.
    process_id: u32,
}

/// What an appender consists of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) queue: Queue,
    pub(crate) pipeline: Arc<Pipeline>,
    /// `None` once they have ended.
    pub(crate) threads: Option<Threads>,
    pub(crate) recovery: Recovery,
    /// `None` if accepted events are in the memory of the process alone.
    pub(crate) inbox: Option<Inbox>,
    pub(crate) first_rejects_path: PathBuf,
    pub(crate) foreign_files: usize,
    /// The state directory; `None` if it was removed at once.
    pub(crate) journal_place: Option<Identity>,
}

#[derive(Debug)]
pub(crate) struct Threads {
    pub(crate) rewriter: JoinHandle<Vec<Undelivered>>,
    pub(crate) flusher: JoinHandle<Result<(), FlushError>>,
    pub(crate) maintenance: JoinHandle<()>,
    /// Released last.
    pub(crate) _lock: Arc<Lock>,
}

impl Appender {
    /// An appender whose threads run.
    pub(crate) fn new(parts: Parts) -> Self {
        Self { parts, process_id: std::process::id() }
    }

    /// A new producer. A producer may outlive the appender: after the close, it gives every event
    /// back.
    #[must_use]
    pub fn producer(&self) -> Producer {
        Producer::new(self.parts.queue.clone())
    }

    /// A new handle that all tasks of an async runtime can share.
    #[must_use]
    pub fn shared_producer(&self) -> SharedProducer {
        SharedProducer::new(self.parts.queue.clone())
    }

    /// Waits until everything sent before this call is *written*: in the files, visible to readers.
    ///
    /// # Errors
    ///
    /// [`FlushError::Write`] if a write failed while this waited; nothing is lost, and a later call
    /// may succeed. [`FlushError::Closed`] if the appender gave up or a thread has ended.
    pub fn flush(&self) -> Result<(), FlushError> {
        self.wait_for(FlushTarget::Written)
    }

    /// Waits until everything sent before this call is *synced*: an `fdatasync(2)` of the files
    /// returned after it was written.
    ///
    /// # Errors
    ///
    /// Those of [`flush`](Self::flush), and [`FlushError::Sync`] once any sync has failed.
    pub fn sync(&self) -> Result<(), FlushError> {
        if let Some(failure) = self.parts.pipeline.sync_failure() {
            return Err(failure);
        }
        self.wait_for(FlushTarget::Synced)
    }

    /// Starts a new CDR file and a new rejects file, after everything sent before this call. The
    /// previous files are complete, and synced unless the policy is
    /// [`SyncPolicy::Never`](crate::SyncPolicy::Never). A file that holds nothing yet is kept.
    ///
    /// # Errors
    ///
    /// Those of [`flush`](Self::flush), and [`FlushError::Sync`] if a sync of these files failed,
    /// or any earlier sync: the new files are started all the same.
    pub fn rotate(&self) -> Result<(), FlushError> {
        self.wait_for(FlushTarget::Rotated)
    }

    /// Waits until all due maintenance of sealed files is done: they have their lines in the
    /// manifest (feature `manifest`), are compressed (`Builder::compression`), and the oldest are
    /// removed ([`Builder::retention_age`](crate::Builder::retention_age),
    /// [`Builder::retention_bytes`](crate::Builder::retention_bytes)). Maintenance runs without
    /// this call; a short-lived process may want to wait for it. It may take minutes if there is
    /// much to compress. Nothing else waits for it.
    ///
    /// # Errors
    ///
    /// The first [`MaintenanceError`]; maintenance of all other files is done.
    pub fn wait_for_maintenance(&self) -> Result<(), MaintenanceError> {
        if self.is_in_child() {
            return Err(MaintenanceError::Closed);
        }
        let (waiting, answer) = crossbeam_channel::bounded(1);
        self.parts.pipeline.maintenance.ask(waiting);
        answer.recv().unwrap_or(Err(MaintenanceError::Closed))
    }

    fn wait_for(&self, target: FlushTarget) -> Result<(), FlushError> {
        let (reply, answer) = crossbeam_channel::bounded(1);
        let pipeline = &self.parts.pipeline;
        let failures_before = pipeline.write_failures();
        let write_failure =
            || pipeline.write_failure().filter(|_| pipeline.write_failures() > failures_before);
        if self.is_in_child() {
            return Err(FlushError::Closed);
        }
        let mut message = Message::other(Other::Barrier(Barrier { target, reply }));
        while let Err(refused) = self.parts.queue.try_push(message, |_| ()) {
            message = match refused {
                Refused::Closed(_) => return Err(FlushError::Closed),
                Refused::Full(message) => message,
            };
            if let Some(failure) = write_failure() {
                return Err(failure);
            }
            std::thread::sleep(REPLY_POLL);
        }
        self.parts.pipeline.rewriter_waker.wake();
        loop {
            match answer.recv_timeout(REPLY_POLL) {
                Ok(answer) => return answer,
                Err(crossbeam_channel::RecvTimeoutError::Disconnected) => {
                    return Err(FlushError::Closed);
                }
                // A full journal keeps the barrier in the queue, so the flusher may not know of it.
                Err(crossbeam_channel::RecvTimeoutError::Timeout) => {
                    if let Some(failure) = write_failure() {
                        return Err(failure);
                    }
                }
            }
        }
    }

    /// A snapshot of every counter. Costs a few loads; never waits.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.parts
            .pipeline
            .counters
            .snapshot(self.parts.queue.events_queued(), self.parts.queue.bytes_queued())
    }

    /// The failed write that is being retried now, if any: usually a full disk.
    #[must_use]
    pub fn write_failure(&self) -> Option<FlushError> {
        self.parts.pipeline.write_failure()
    }

    /// What this open had to repair after a process that did not close.
    #[must_use]
    pub const fn recovery(&self) -> &Recovery {
        &self.parts.recovery
    }

    /// The inbox: the file in which accepted events outlive the process. `None` if there is none,
    /// because of [`Builder::no_inbox`](crate::Builder::no_inbox) or because it could not be made;
    /// accepted events are then in the memory of the process alone.
    #[must_use]
    pub fn inbox_path(&self) -> Option<&Path> {
        self.parts.inbox.as_ref().map(Inbox::path)
    }

    /// The number of CDR and rejects files that were in the directory at the open and that no
    /// appender created there, such as those of OpenVidu's own server. They are left alone unless
    /// [`Builder::manage_foreign`](crate::Builder::manage_foreign) is set.
    #[must_use]
    pub const fn foreign_files(&self) -> usize {
        self.parts.foreign_files
    }

    /// The CDR file that lines are being written to.
    #[must_use]
    pub fn cdr_path(&self) -> PathBuf {
        self.parts
            .pipeline
            .open_files
            .place(Stream::Lines)
            .map(|place| place.file.to_path_buf())
            .unwrap_or_default()
    }

    /// The rejects file that was written to last, or will be written to first: it is created when
    /// the first body is rejected.
    #[must_use]
    pub fn rejects_path(&self) -> PathBuf {
        let place = self.parts.pipeline.open_files.place(Stream::Rejects);
        place
            .map_or_else(|| self.parts.first_rejects_path.clone(), |place| place.file.to_path_buf())
    }

    /// Accepts nothing more, writes and (unless the policy is
    /// [`SyncPolicy::Never`](crate::SyncPolicy::Never)) syncs everything that was accepted, and
    /// ends the threads.
    ///
    /// # Errors
    ///
    /// [`CloseError`], with the events that could be neither written nor journaled, if writes
    /// failed for [`Builder::close_timeout`](crate::Builder::close_timeout), a sync has failed, or
    /// a thread has ended. In a forked child it touches nothing, and its cause is
    /// [`FlushError::Closed`]. So it is in a callback of the appender, which runs on one of the threads;
    /// another thread does the rest then.
    pub fn close(mut self) -> Result<Stats, CloseError> {
        self.end(Fate::GivenBack)
    }

    /// Like [`close`](Self::close), but events that could not be journaled stay in the inbox, and the
    /// next open of the directory writes them. For a program that has told their senders that they
    /// are accepted, and ends.
    ///
    /// # Errors
    ///
    /// [`CloseError`], as for `close`. Its events are only those that are not in the inbox
    /// ([`Stats::events_unprotected`]); without an inbox they are all.
    pub fn close_keeping(mut self) -> Result<Stats, CloseError> {
        self.end(Fate::Kept)
    }

    fn end(&mut self, fate: Fate) -> Result<Stats, CloseError> {
        let Some(threads) = self.parts.threads.take() else { return Ok(self.stats()) };
        if self.is_in_child() {
            // The threads are the parent's; joining them here would wait for ever.
            std::mem::forget(threads);
            return Err(self.not_ended());
        }
        if threads.are_running_this() {
            self.end_elsewhere(threads);
            return Err(self.not_ended());
        }
        self.parts.pipeline.maintenance.stop();
        self.parts.queue.close();
        self.parts.pipeline.begin_closing();
        // A panic of a thread is a bug in cdrlog, and still no reason to take the server down.
        let events = threads.rewriter.join();
        let written = threads.flusher.join().unwrap_or(Err(FlushError::Closed));
        // No line depends on it, however it ended.
        let _ = threads.maintenance.join();
        let stats = self.stats();
        let rewriter_panicked = events.is_err();
        let undelivered = events.unwrap_or_default();
        let all_written =
            !rewriter_panicked && matches!(written, Ok(()) | Err(FlushError::Sync { .. }));
        if all_written && undelivered.is_empty() {
            self.remove_inbox();
        }
        match written {
            Ok(()) if !rewriter_panicked && undelivered.is_empty() => Ok(stats),
            written => {
                let place = self.parts.journal_place.as_ref();
                Err(CloseError::from(Undone {
                    cause: written.err().unwrap_or(FlushError::Closed),
                    sync_failure: self.parts.pipeline.sync_failure(),
                    journal_is_in_place: place.is_some_and(Identity::is_in_place),
                    stats,
                    events: self.give_back(undelivered, fate),
                }))
            }
        }
    }

    /// Whether this is the copy of an appender in a forked child, which has none of its threads.
    fn is_in_child(&self) -> bool {
        self.process_id != std::process::id()
    }

    /// Has another thread end it. A callback runs on a thread of the appender, which cannot wait for
    /// itself.
    fn end_elsewhere(&mut self, threads: Threads) {
        let parts = Parts {
            queue: self.parts.queue.clone(),
            pipeline: Arc::clone(&self.parts.pipeline),
            threads: Some(threads),
            recovery: Recovery::default(),
            inbox: self.parts.inbox.take(),
            first_rejects_path: std::mem::take(&mut self.parts.first_rejects_path),
            foreign_files: self.parts.foreign_files,
            journal_place: self.parts.journal_place.take(),
        };
        // If no thread can be started, it stays open: its threads go on, and the directory is theirs.
        let appender = ManuallyDrop::new(Self { parts, process_id: self.process_id });
        let end = move || drop(ManuallyDrop::into_inner(appender));
        let _ = thread::Builder::new().name("cdrlog-close".to_owned()).spawn(end);
    }

    /// What is told where the end cannot be waited for: all that was accepted is still with the threads,
    /// which are those of the parent in a forked child.
    fn not_ended(&self) -> CloseError {
        CloseError::from(Undone {
            cause: FlushError::Closed,
            sync_failure: None,
            journal_is_in_place: true,
            stats: self.stats(),
            events: Vec::new(),
        })
    }

    /// Everything that was accepted is in the files.
    fn remove_inbox(&mut self) {
        if let Some(inbox) = self.parts.inbox.take() {
            // If it stays, the next open removes it: the control file says that it is not used.
            let _ = inbox.remove();
        }
    }

    /// What was accepted and could not be journaled: the caller gets it back, or as much of it as is in
    /// the inbox is left to the next open.
    fn give_back(&self, undelivered: Vec<Undelivered>, fate: Fate) -> Vec<Bytes> {
        let inbox = self.parts.inbox.as_ref().filter(|_| !undelivered.is_empty());
        let keeps = inbox.is_some() && fate == Fate::Kept;
        if let Some(inbox) = inbox.filter(|_| !keeps) {
            inbox.set_void();
        }
        let pool = self.parts.queue.pool();
        let is_kept = |event: &Undelivered| keeps && matches!(event, Undelivered::Record(_));
        let given_back = undelivered.into_iter().filter(|event| !is_kept(event));
        given_back.map(|event| event.into_bytes(pool)).collect()
    }
}

impl Threads {
    /// Whether one of them runs this, in a callback.
    fn are_running_this(&self) -> bool {
        let this = thread::current().id();
        let Self { rewriter, flusher, maintenance, .. } = self;
        [rewriter.thread(), flusher.thread(), maintenance.thread()].iter().any(|it| it.id() == this)
    }
}

/// What becomes of events that could not be journaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// The caller of `close` gets them.
    GivenBack,
    /// They stay in the inbox, for the next open.
    Kept,
}

impl Drop for Appender {
    fn drop(&mut self) {
        // Call `close` to see the error.
        let _ = self.end(Fate::Kept);
    }
}

const _: fn() = || {
    fn is_send_and_sync<T: Send + Sync>() {}
    is_send_and_sync::<Appender>();
};
