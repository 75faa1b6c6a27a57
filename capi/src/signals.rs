//! Signals are for the threads of the embedder: those of the library block them.

#![expect(unsafe_code, reason = "signal masks have no safe functions")]

use std::mem::MaybeUninit;

use libc::sigset_t;

/// What a fault of the thread itself raises, and what profilers send to each thread: blocked, the
/// first would end the process without the embedder's handler.
const NOT_BLOCKED: [i32; 8] = [
    libc::SIGABRT,
    libc::SIGBUS,
    libc::SIGFPE,
    libc::SIGILL,
    libc::SIGPROF,
    libc::SIGSEGV,
    libc::SIGSYS,
    libc::SIGTRAP,
];

/// Gives back the mask of this thread when it is dropped.
struct Mask(sigset_t);

/// Runs `start`; threads that it starts get no signal of the embedder.
pub(crate) fn blocked<T>(start: impl FnOnce() -> T) -> T {
    let _mask = Mask::block();
    start()
}

impl Mask {
    /// `None` if the system refuses, which it does not for valid arguments.
    fn block() -> Option<Self> {
        let mut blocked = MaybeUninit::uninit();
        // SAFETY: fills the set.
        unsafe { libc::sigfillset(blocked.as_mut_ptr()) };
        // SAFETY: filled by the call before.
        let mut blocked = unsafe { blocked.assume_init() };
        for signal in NOT_BLOCKED {
            // SAFETY: a set, and a number of a signal.
            unsafe { libc::sigdelset(&raw mut blocked, signal) };
        }
        let mut before = MaybeUninit::uninit();
        // SAFETY: changes the mask of this thread alone, and fills the other set with what it was.
        let code = unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const blocked, before.as_mut_ptr())
        };
        // SAFETY: filled by the call that succeeded.
        (code == 0).then(|| Self(unsafe { before.assume_init() }))
    }
}

impl Drop for Mask {
    fn drop(&mut self) {
        // SAFETY: the mask that this thread had.
        unsafe {
            libc::pthread_sigmask(libc::SIG_SETMASK, &raw const self.0, std::ptr::null_mut())
        };
    }
}
