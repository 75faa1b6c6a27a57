//! What other threads ask of the maintenance thread.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::error::MaintenanceError;
use crate::sync::lock;
use crate::waker::{Sleep, Waker};

/// A caller that waits for the end of the maintenance.
pub(crate) type Waiting = Sender<Result<(), MaintenanceError>>;

/// The flusher reports sealed files; the appender waits for all maintenance that is due, and ends
/// the thread.
#[derive(Debug, Default)]
pub(crate) struct MaintenanceRequests {
    waker: Waker,
    /// Names of files that were sealed because the next one was created.
    sealed: Mutex<Vec<String>>,
    waiting: Mutex<Vec<Waiting>>,
    stopping: AtomicBool,
    ended: AtomicBool,
}

impl MaintenanceRequests {
    /// The file gets no more lines.
    pub(crate) fn add_sealed(&self, name: String) {
        lock(&self.sealed).push(name);
        self.waker.wake();
    }

    /// Requests an answer once everything that is due now is done. If the maintenance thread has
    /// ended, the sender is dropped, which is an answer too.
    pub(crate) fn ask(&self, waiting: Waiting) {
        let mut all = lock(&self.waiting);
        // Looked up under the lock: a thread that ends says so before it empties the list.
        if !self.ended.load(Ordering::SeqCst) {
            all.push(waiting);
        }
        drop(all);
        self.waker.wake();
    }

    /// Makes the maintenance thread end as soon as it checks.
    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    pub(crate) fn take_sealed(&self) -> Vec<String> {
        std::mem::take(&mut *lock(&self.sealed))
    }

    pub(crate) fn take_waiting(&self) -> Vec<Waiting> {
        std::mem::take(&mut *lock(&self.waiting))
    }

    /// Registers the calling thread as the maintenance thread.
    pub(crate) fn attach(&self) {
        self.waker.attach();
    }

    /// Sleeps until there is a request, for at most `timeout`.
    pub(crate) fn sleep(&self, timeout: Duration) {
        let has_work = || {
            self.is_stopping() || !lock(&self.sealed).is_empty() || !lock(&self.waiting).is_empty()
        };
        self.waker.sleep(Sleep::Idle, timeout, has_work);
    }

    /// Nobody will read it any more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(self.take_waiting());
    }
}
