//! What the threads of one appender share: wakers, counters, and the state of failures.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::ack::{FilePlace, PendingAck};
use crate::error::FlushError;
use crate::journal::Stream;
use crate::notice::Listener;
use crate::sealed::Inbox;
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
pub(crate) struct Request {
    pub(crate) positions: Positions,
    pub(crate) goal: FlushTarget,
    pub(crate) reply: Sender<Result<(), FlushError>>,
}

/// Shared by the appender, the rewriter thread and the flusher thread.
#[derive(Debug, Default)]
pub(crate) struct Pipeline {
    pub(crate) counters: Counters,
    /// The callback for notices. Called by the flusher thread.
    pub(crate) listener: Listener,
    /// Wakes the rewriter thread.
    pub(crate) rewriter_waker: Waker,
    /// Wakes the flusher thread.
    pub(crate) flusher_waker: Waker,
    /// What has gathered for the flusher is to be written now.
    write_now: AtomicBool,
    /// What other threads have for the maintenance thread.
    pub(crate) maintenance: Inbox,
    requests: Mutex<Vec<Request>>,
    acks: Mutex<Vec<PendingAck>>,
    /// By stream: the file that is written to now, or was written to last.
    places: Mutex<[Option<FilePlace>; 2]>,
    /// By stream: the file that is being created.
    begun: Mutex<[Option<Arc<Path>>; 2]>,
    /// The rewriter thread has ended: the journal gets nothing more.
    rewriter_ended: AtomicBool,
    /// It ended by a panic.
    rewriter_panicked: AtomicBool,
    /// Close was called: the flusher gives up after the timeout of a close.
    closing: AtomicBool,
    /// The flusher gave up, or ended: a rewriter that waits for a free segment waits in vain.
    gave_up: AtomicBool,
    /// The last failed write, until one succeeds.
    trouble: Mutex<Option<FlushError>>,
    /// Failed attempts to write since the open.
    troubles: AtomicU64,
    /// The first failed sync, for good.
    sync_failure: OnceLock<FlushError>,
}

impl Pipeline {
    pub(crate) fn new(listener: Listener) -> Self {
        Self { listener, ..Self::default() }
    }

    /// Sends a request to the flusher. If it has ended, the request is dropped, which tells whoever
    /// waits for the reply.
    pub(crate) fn request(&self, request: Request) {
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

    pub(crate) fn take_requests(&self) -> Vec<Request> {
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

    pub(crate) fn set_place(&self, stream: Stream, place: FilePlace) {
        let [lines, rejects] = &mut *lock(&self.places);
        *match stream {
            Stream::Lines => lines,
            Stream::Rejects => rejects,
        } = Some(place);
    }

    pub(crate) fn place(&self, stream: Stream) -> Option<FilePlace> {
        let [lines, rejects] = &*lock(&self.places);
        match stream {
            Stream::Lines => lines,
            Stream::Rejects => rejects,
        }
        .clone()
    }

    /// Called before the file is created.
    pub(crate) fn begin_file(&self, stream: Stream, path: &Path) {
        let [lines, rejects] = &mut *lock(&self.begun);
        *match stream {
            Stream::Lines => lines,
            Stream::Rejects => rejects,
        } = Some(path.into());
    }

    /// The files that are being written, or will be. Every other file that was seen in the
    /// directory before this call is sealed, as far as this appender wrote it.
    pub(crate) fn open_paths(&self) -> Vec<PathBuf> {
        // In the order in which they are set: a file that moves from the one to the other is in
        // both.
        let begun = lock(&self.begun).clone();
        let places = lock(&self.places).clone();
        let places = places.into_iter().flatten().map(|place| place.file);
        begun.into_iter().flatten().chain(places).map(|path| path.to_path_buf()).collect()
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

    pub(crate) fn set_trouble(&self, error: FlushError) {
        *lock(&self.trouble) = Some(error);
        self.troubles.fetch_add(1, Ordering::SeqCst);
    }

    pub(crate) fn clear_trouble(&self) {
        *lock(&self.trouble) = None;
    }

    /// The last failed write, if none has succeeded since.
    pub(crate) fn trouble(&self) -> Option<FlushError> {
        lock(&self.trouble).clone()
    }

    /// All failed attempts to write.
    pub(crate) fn troubles(&self) -> u64 {
        self.troubles.load(Ordering::SeqCst)
    }

    /// Keeps the first failed sync.
    pub(crate) fn latch_sync_failure(&self, error: FlushError) {
        let _ = self.sync_failure.set(error);
    }

    pub(crate) fn sync_failure(&self) -> Option<FlushError> {
        self.sync_failure.get().cloned()
    }
}

/// How long to wait before the next attempt on a disk that fails or stalls: it doubles with each
/// attempt.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Backoff {
    pause: Duration,
}

impl Backoff {
    const PAUSE_MIN: Duration = Duration::from_millis(5);
    const PAUSE_MAX: Duration = Duration::from_secs(1);

    pub(crate) const fn new() -> Self {
        Self { pause: Self::PAUSE_MIN }
    }

    pub(crate) fn next_pause(&mut self) -> Duration {
        let pause = self.pause;
        self.pause = (pause * 2).min(Self::PAUSE_MAX);
        pause
    }
}
