//! The steps that leave a trace: calls to the disk, and stores into the mapped headers of the
//! journal and into the words of the inbox.
//!
//! A process that dies before its N-th step, for every N there is, has died between any two things
//! that the next opening can see. Stores into lines are no steps: nobody looks at them before a
//! header says that they are there.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::storage::{Disk, FaultHook};

const NEVER: u64 = u64::MAX;

/// How many steps are left before the fatal one.
static LEFT: AtomicU64 = AtomicU64::new(NEVER);
/// The names of the threads whose steps count begin so.
static THREADS: std::sync::Mutex<&str> = std::sync::Mutex::new("");
static END: std::sync::Mutex<End> = std::sync::Mutex::new(End::Kill);
/// The rewriter thread stands still at its next step.
static REWRITER_IS_HELD: AtomicBool = AtomicBool::new(false);

/// What happens at the fatal step.
#[derive(Clone, Copy, Debug)]
pub(crate) enum End {
    /// The process is gone at once, as by `kill -9`.
    Kill,
    /// The thread panics.
    Panic,
    /// The thread stands still for good.
    Hold,
}

/// Lets this process, or a thread of it whose name begins with `threads`, end before step number
/// `step` from now on.
///
/// Counts for the whole process, so that only processes with one test may call it.
pub(crate) fn end_at(step: u64, threads: &'static str, end: End) {
    *THREADS.lock().unwrap() = threads;
    *END.lock().unwrap() = end;
    LEFT.store(step, Ordering::SeqCst);
}

/// Lets the rewriter thread stand still before its next step, for good.
pub(crate) fn hold_rewriter() {
    REWRITER_IS_HELD.store(true, Ordering::SeqCst);
}

fn stand_still() -> ! {
    loop {
        std::thread::park();
    }
}

/// Nothing more is fatal.
pub(crate) fn disarm() {
    LEFT.store(NEVER, Ordering::SeqCst);
}

/// Whether the fatal step was taken.
pub(crate) fn is_over() -> bool {
    LEFT.load(Ordering::SeqCst) == NEVER
}

/// Called before each step.
pub(crate) fn take() {
    if REWRITER_IS_HELD.load(Ordering::SeqCst)
        && std::thread::current().name() == Some("cdrlog-rewrite")
    {
        stand_still();
    }
    if LEFT.load(Ordering::Relaxed) == NEVER {
        return;
    }
    let threads = *THREADS.lock().unwrap();
    if !std::thread::current().name().unwrap_or_default().starts_with(threads) {
        return;
    }
    // From 0 it goes to `NEVER`: one step is fatal, and only one.
    if LEFT.fetch_sub(1, Ordering::SeqCst) == 0 {
        let end = *END.lock().unwrap();
        match end {
            End::Panic => panic!("injected"),
            End::Hold => stand_still(),
            End::Kill => {
                let this = rustix::process::getpid();
                rustix::process::kill_process(this, rustix::process::Signal::KILL).unwrap();
                std::thread::sleep(std::time::Duration::MAX);
            }
        }
    }
}

struct Steps;

impl FaultHook for Steps {
    fn before(&self, _action: &'static str, _path: &Path) -> io::Result<()> {
        take();
        Ok(())
    }
}

/// A disk whose calls are steps.
pub(crate) fn disk() -> Disk {
    Disk::with_hook(Arc::new(Steps))
}
