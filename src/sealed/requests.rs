//! What other threads ask of the maintenance thread.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crossbeam_channel::Sender;

use crate::error::MaintenanceError;
use crate::sync::lock;
use crate::waker::{Sleep, Waker};

/// The one who waits for the end of the maintenance.
pub(crate) type Waiting = Sender<Result<(), MaintenanceError>>;

/// The flusher tells of files that are sealed, the appender waits for all that is due, and ends the
/// thread.
#[derive(Debug, Default)]
pub(crate) struct MaintenanceRequests {
    waker: Waker,
    /// Names of files that the next one was created for.
    sealed: Mutex<Vec<String>>,
    waiting: Mutex<Vec<Waiting>>,
    stopping: AtomicBool,
    ended: AtomicBool,
}

impl MaintenanceRequests {
    /// Nothing will be written to the file any more.
    pub(crate) fn add_sealed(&self, name: String) {
        lock(&self.sealed).push(name);
        self.waker.wake();
    }

    /// Asks for an answer once everything is done that is due now. Where the maintenance thread has
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

    /// Ends the maintenance thread at its next look.
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

    /// The calling thread is the maintenance thread.
    pub(crate) fn attach(&self) {
        self.waker.attach();
    }

    /// Sleeps until there is something, for `timeout` at most.
    pub(crate) fn sleep(&self, timeout: Duration) {
        let has_work = || {
            self.is_stopping() || !lock(&self.sealed).is_empty() || !lock(&self.waiting).is_empty()
        };
        self.waker.sleep(Sleep::Idle, timeout, has_work);
    }

    /// Nobody looks into it any more.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        drop(self.take_waiting());
    }
}
