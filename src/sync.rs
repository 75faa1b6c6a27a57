//! Small helpers for what threads share.

use std::sync::{Mutex, MutexGuard, PoisonError};

/// Locks, even if a thread panicked while it held the lock: data behind our locks is stored as a
/// whole or not at all.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls a function when it is dropped: at the end of a thread, normal or by a panic, so that
/// nobody keeps waiting for that thread.
pub(crate) struct EndGuard<F: FnMut()>(F);

impl<F: FnMut()> EndGuard<F> {
    pub(crate) fn new(at_end: F) -> Self {
        Self(at_end)
    }
}

impl<F: FnMut()> Drop for EndGuard<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    #[test]
    fn a_lock_outlives_a_panic_and_a_guard_tells_of_it() {
        let shared = Arc::new(Mutex::new(1));
        let guarded = shared.clone();
        let thread = std::thread::spawn(move || {
            let _guard = EndGuard::new(|| *lock(&guarded) += 1);
            let _held = lock(&guarded);
            panic!("injected");
        });
        assert!(thread.join().is_err());
        assert_eq!(*lock(&shared), 2);
    }
}
