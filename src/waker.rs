//! Wakes a sleeping thread, and costs next to nothing if it is awake.

use std::sync::OnceLock;
use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::loom::sync::atomic::{AtomicBool, AtomicU8, Ordering, fence};
use crate::loom::thread::{Thread, current, park_timeout};

const AWAKE: u8 = 0;
const NAPPING: u8 = 1;
const IDLE: u8 = 2;
const BLOCKED: u8 = 3;

/// How deep a sleep is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// There is work that can wait until the time is up: only [`Waker::wake`] ends the sleep early.
    Nap,
    /// There is no work: [`Waker::wake_if_idle`] ends it too.
    Idle,
    /// There is work that cannot continue: [`Waker::wake_if_blocked`] ends the sleep too.
    Blocked,
}

/// Wakes one thread.
///
/// Nobody is woken twice in vain: the caller that wakes the thread clears the sleep, and only that
/// caller pays for the system call.
#[derive(Debug, Default)]
pub(crate) struct Waker {
    thread: OnceLock<Thread>,
    /// Every sender reads it.
    sleep: CachePadded<AtomicU8>,
    /// Somebody woke the thread while it was awake: its next sleep returns at once.
    is_urgent: AtomicBool,
}

impl Waker {
    /// Makes the calling thread the one to be woken. Called once, before it sleeps.
    pub(crate) fn attach(&self) {
        let _ = self.thread.set(current());
    }

    /// Sleeps for at most `timeout`, unless it was woken since the last sleep or `has_work`,
    /// checked after the sleep was announced, says not to.
    ///
    /// A caller that creates work and then wakes is never missed: both sides store, then load, in
    /// one total order (SeqCst), so either the caller sees the announced sleep or the sleeper sees
    /// the work.
    pub(crate) fn sleep(&self, depth: Sleep, timeout: Duration, has_work: impl FnOnce() -> bool) {
        let announced = match depth {
            Sleep::Nap => NAPPING,
            Sleep::Idle => IDLE,
            Sleep::Blocked => BLOCKED,
        };
        self.sleep.store(announced, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if !self.is_urgent.swap(false, Ordering::SeqCst) && !has_work() {
            park_timeout(timeout);
            // Not stored: whoever woke the thread created work before, which is visible from here
            // on.
            self.is_urgent.swap(false, Ordering::SeqCst);
        }
        self.sleep.store(AWAKE, Ordering::SeqCst);
    }

    /// Ends any sleep; if the thread is awake, its next one.
    pub(crate) fn wake(&self) {
        self.is_urgent.store(true, Ordering::SeqCst);
        fence(Ordering::SeqCst);
        if self.sleep.load(Ordering::SeqCst) != AWAKE
            && self.sleep.swap(AWAKE, Ordering::SeqCst) != AWAKE
        {
            self.unpark();
        }
    }

    /// Ends the sleep of a thread that has no work. The work was announced by a SeqCst operation
    /// before, and the sleeper checks for it by another.
    #[inline]
    pub(crate) fn wake_if_idle(&self) {
        // loom takes a SeqCst operation for one that acquires and releases: this is the total order
        // that all of them have.
        #[cfg(loom)]
        fence(Ordering::SeqCst);
        if self.sleep.load(Ordering::SeqCst) == IDLE {
            self.end_sleep(IDLE);
        }
    }

    /// Ends the sleep of a thread that cannot continue.
    pub(crate) fn wake_if_blocked(&self) {
        fence(Ordering::SeqCst);
        if self.sleep.load(Ordering::SeqCst) == BLOCKED {
            self.end_sleep(BLOCKED);
        }
    }

    /// Whether the thread sleeps because it has no work.
    pub(crate) fn is_idle(&self) -> bool {
        fence(Ordering::SeqCst);
        self.sleep.load(Ordering::SeqCst) == IDLE
    }

    #[cold]
    fn end_sleep(&self, depth: u8) {
        if self.sleep.compare_exchange(depth, AWAKE, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            self.unpark();
        }
    }

    fn unpark(&self) {
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::time::Instant;

    const LONG: Duration = Duration::from_secs(60);

    /// A thread sleeps once; returns whether that ended long before its time.
    fn ends_early(depth: Sleep, wake: impl FnOnce(&Waker)) -> bool {
        let waker = Arc::new(Waker::default());
        let sleeper = std::thread::spawn({
            let waker = waker.clone();
            move || {
                waker.attach();
                let begin = Instant::now();
                waker.sleep(depth, LONG, || false);
                begin.elapsed() < LONG / 2
            }
        });
        while waker.sleep.load(Ordering::SeqCst) == AWAKE {
            std::thread::yield_now();
        }
        wake(&waker);
        sleeper.join().unwrap()
    }

    #[test]
    fn a_sleep_is_ended_by_those_who_may_end_it() {
        for depth in [Sleep::Nap, Sleep::Idle, Sleep::Blocked] {
            assert!(ends_early(depth, Waker::wake), "{depth:?}");
        }
        assert!(ends_early(Sleep::Idle, Waker::wake_if_idle));
        assert!(ends_early(Sleep::Blocked, Waker::wake_if_blocked));
    }

    #[test]
    fn a_sleep_is_not_ended_by_others() {
        for depth in [NAPPING, BLOCKED] {
            let waker = Waker::default();
            waker.sleep.store(depth, Ordering::SeqCst);
            waker.wake_if_idle();
            assert_eq!(waker.sleep.load(Ordering::SeqCst), depth);
        }
    }

    #[test]
    fn who_was_woken_while_awake_or_has_work_does_not_go_to_sleep() {
        let waker = Waker::default();
        waker.attach();
        let begin = Instant::now();
        waker.sleep(Sleep::Idle, LONG, || true);
        waker.wake();
        waker.sleep(Sleep::Nap, LONG, || false);
        assert!(begin.elapsed() < LONG / 2);
    }
}
