//! What the threads of one appender share: wakers, counters, and the state of failures.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use crossbeam_channel::Sender;

use crate::ack::PendingAck;
use crate::error::FlushError;
use crate::journal::TimeMark;
use crate::notice::Listener;
use crate::open_files::OpenFiles;
use crate::sealed::{MaintenanceContext, MaintenanceRequests};
use crate::stats::Counters;
use crate::sync::lock;
use crate::waker::Waker;

/// A position in both streams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Positions {
    pub(crate) lines: u64,
    pub(crate) rejects: u64,
}

/// What a barrier waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlushTarget {
    Written,
    Synced,
    /// Written, and new files are started after it.
    Rotated,
}

/// Somebody waits until everything before `positions` has reached a target.
#[derive(Debug)]
pub(crate) struct FlushRequest {
    pub(crate) positions: Positions,
    pub(crate) target: FlushTarget,
    pub(crate) reply: Sender<Result<(), FlushError>>,
}

/// Shared by the appender, the rewriter thread and the flusher thread.
#[derive(Debug, Default)]
pub(crate) struct Pipeline {
    pub(crate) counters: Counters,
    /// The callback for notices. Called by the flusher and maintenance threads.
    pub(crate) listener: Listener,
    /// Wakes the rewriter thread.
    pub(crate) rewriter_waker: Waker,
    /// Wakes the flusher thread.
    pub(crate) flusher_waker: Waker,
    /// What has gathered for the flusher is to be written now.
    write_now: AtomicBool,
    /// What other threads request from the maintenance thread.
    pub(crate) maintenance: Arc<MaintenanceRequests>,
    pub(crate) open_files: Arc<OpenFiles>,
    requests: Mutex<Vec<FlushRequest>>,
    acks: Mutex<Vec<PendingAck>>,
    /// The time mark that came out of the queue last.
    time_mark: Mutex<Option<TimeMark>>,
    /// The rewriter thread has ended: the journal gets nothing more.
    rewriter_ended: AtomicBool,
    /// It ended by a panic.
    rewriter_panicked: AtomicBool,
    /// Close was called: the flusher gives up after the timeout of a close.
    closing: AtomicBool,
    /// The flusher gave up, or ended: a rewriter that waits for a free segment waits in vain.
    gave_up: AtomicBool,
    /// The last failed write, until one succeeds.
    write_failure: Mutex<Option<FlushError>>,
    /// Failed attempts to write since the open.
    write_failures: AtomicU64,
    /// The first failed sync, for good.
    sync_failure: OnceLock<FlushError>,
}

impl Pipeline {
    pub(crate) fn new(listener: Listener) -> Self {
        Self { listener, ..Self::default() }
    }

    /// What the maintenance thread has of all this.
    pub(crate) fn maintenance_context(&self) -> MaintenanceContext {
        MaintenanceContext {
            requests: self.maintenance.clone(),
            open_files: self.open_files.clone(),
            counters: self.counters.maintenance.clone(),
            listener: self.listener.clone(),
        }
    }

    /// Sends a request to the flusher. If it has ended, the request is dropped, which tells whoever
    /// waits for the reply.
    pub(crate) fn request(&self, request: FlushRequest) {
        let mut requests = lock(&self.requests);
        // Checked under the lock: a flusher that ends says so before it empties the list for the
        // last time.
        if !self.has_given_up() {
            requests.push(request);
        }
        drop(requests);
        self.flusher_waker.wake();
    }

    /// Lines have gathered for as long as they may: the flusher is to write them.
    pub(crate) fn ask_to_write(&self) {
        self.write_now.store(true, Ordering::SeqCst);
        self.flusher_waker.wake();
    }

    /// Whether this was requested since the last call.
    pub(crate) fn take_write_now(&self) -> bool {
        self.write_now.load(Ordering::Relaxed) && self.write_now.swap(false, Ordering::SeqCst)
    }

    pub(crate) fn take_requests(&self) -> Vec<FlushRequest> {
        std::mem::take(&mut *lock(&self.requests))
    }

    pub(crate) fn has_requests(&self) -> bool {
        !lock(&self.requests).is_empty() || !lock(&self.acks).is_empty()
    }

    /// Hands an acknowledgement to the flusher, before its line is published. If the flusher has
    /// ended, it is dropped, which tells whoever waits.
    pub(crate) fn add_ack(&self, ack: PendingAck) {
        let mut waiting = lock(&self.acks);
        if !self.has_given_up() {
            waiting.push(ack);
        }
    }

    pub(crate) fn take_acks(&self) -> Vec<PendingAck> {
        std::mem::take(&mut *lock(&self.acks))
    }

    /// Hands a time mark to the flusher.
    pub(crate) fn set_time_mark(&self, mark: TimeMark) {
        *lock(&self.time_mark) = Some(mark);
        self.flusher_waker.wake();
    }

    pub(crate) fn take_time_mark(&self) -> Option<TimeMark> {
        lock(&self.time_mark).take()
    }

    /// `in_order`: everything that was journaled is published.
    pub(crate) fn end_rewriter(&self, in_order: bool) {
        self.rewriter_panicked.store(!in_order, Ordering::SeqCst);
        self.rewriter_ended.store(true, Ordering::SeqCst);
        self.flusher_waker.wake();
    }

    pub(crate) fn rewriter_has_ended(&self) -> bool {
        self.rewriter_ended.load(Ordering::SeqCst)
    }

    /// The rewriter thread has panicked: the journal may hold lines that were never published.
    pub(crate) fn rewriter_has_panicked(&self) -> bool {
        self.rewriter_panicked.load(Ordering::SeqCst)
    }

    pub(crate) fn begin_closing(&self) {
        self.closing.store(true, Ordering::SeqCst);
        self.rewriter_waker.wake();
        self.flusher_waker.wake();
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.closing.load(Ordering::SeqCst)
    }

    pub(crate) fn give_up(&self) {
        self.gave_up.store(true, Ordering::SeqCst);
        self.rewriter_waker.wake();
    }

    pub(crate) fn has_given_up(&self) -> bool {
        self.gave_up.load(Ordering::SeqCst)
    }

    pub(crate) fn set_write_failure(&self, error: FlushError) {
        *lock(&self.write_failure) = Some(error);
        self.write_failures.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn clear_write_failure(&self) {
        *lock(&self.write_failure) = None;
    }

    /// The write that failed last, unless one has succeeded since.
    pub(crate) fn write_failure(&self) -> Option<FlushError> {
        lock(&self.write_failure).clone()
    }

    /// All failed attempts to write.
    pub(crate) fn write_failures(&self) -> u64 {
        self.write_failures.load(Ordering::SeqCst)
    }

    /// Keeps the first failed sync.
    pub(crate) fn latch_sync_failure(&self, error: FlushError) {
        let _ = self.sync_failure.set(error);
    }

    pub(crate) fn sync_failure(&self) -> Option<FlushError> {
        self.sync_failure.get().cloned()
    }
}
