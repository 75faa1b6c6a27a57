//! Wakes a thread that sleeps, and costs next to nothing where it does not.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU8, Ordering};
use std::thread::Thread;
use std::time::Duration;

const AWAKE: u8 = 0;
const NAPPING: u8 = 1;
const IDLE: u8 = 2;

/// How deep a sleep is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sleep {
    /// There is work that can wait until the time is up: only [`Bell::ring`] ends it early.
    Nap,
    /// There is no work: [`Bell::ring_if_idle`] ends it too.
    Idle,
}

/// The bell of one thread.
///
/// Nobody is woken in vain twice: the one who rings takes the sleep off the bell, and only that one
/// pays for the call into the kernel.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    thread: OnceLock<Thread>,
    sleep: AtomicU8,
}

impl Bell {
    /// The calling thread is the one to be woken. Called once, before it sleeps.
    pub(crate) fn attach(&self) {
        let _ = self.thread.set(std::thread::current());
    }

    /// Sleeps for `timeout` at most, unless `has_work`, looked at after the sleep was announced,
    /// says not to.
    ///
    /// One who makes work and then rings is never missed: both do store, then load, in one total
    /// order (SeqCst), so either the ringer sees the announced sleep or the sleeper sees the
    /// work.
    pub(crate) fn sleep(&self, depth: Sleep, timeout: Duration, has_work: impl FnOnce() -> bool) {
        let announced = match depth {
            Sleep::Nap => NAPPING,
            Sleep::Idle => IDLE,
        };
        self.sleep.store(announced, Ordering::SeqCst);
        std::sync::atomic::fence(Ordering::SeqCst);
        if !has_work() {
            std::thread::park_timeout(timeout);
        }
        self.sleep.store(AWAKE, Ordering::SeqCst);
    }

    /// Ends any sleep.
    pub(crate) fn ring(&self) {
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.sleep.load(Ordering::SeqCst) != AWAKE
            && self.sleep.swap(AWAKE, Ordering::SeqCst) != AWAKE
        {
            self.unpark();
        }
    }

    /// Ends the sleep of a thread that has no work.
    pub(crate) fn ring_if_idle(&self) {
        std::sync::atomic::fence(Ordering::SeqCst);
        if self.sleep.load(Ordering::SeqCst) == IDLE
            && self.sleep.swap(AWAKE, Ordering::SeqCst) == IDLE
        {
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
    use std::sync::atomic::AtomicBool;
    use std::time::Instant;

    #[test]
    fn a_ring_ends_a_sleep_long_before_its_time() {
        let bell = Arc::new(Bell::default());
        let work = Arc::new(AtomicBool::new(false));
        let sleeper = std::thread::spawn({
            let (bell, work) = (bell.clone(), work.clone());
            move || {
                bell.attach();
                let begin = Instant::now();
                while !work.load(Ordering::SeqCst) {
                    bell.sleep(Sleep::Nap, Duration::from_secs(60), || work.load(Ordering::SeqCst));
                }
                begin.elapsed()
            }
        });
        work.store(true, Ordering::SeqCst);
        bell.ring();
        assert!(sleeper.join().unwrap() < Duration::from_secs(30));
    }

    #[test]
    fn who_has_work_does_not_go_to_sleep() {
        let bell = Bell::default();
        bell.attach();
        let begin = Instant::now();
        bell.sleep(Sleep::Idle, Duration::from_secs(60), || true);
        assert!(begin.elapsed() < Duration::from_secs(30));
    }
}
