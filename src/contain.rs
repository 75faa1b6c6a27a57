//! The embedder's code that runs on our threads: callbacks, wakers, owners of buffers.

use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls `foreign`, code that we do not know, and catches its panic: it must not end a thread that
/// others wait for.
pub(crate) fn contain(foreign: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(foreign)) {
        // Dropping the payload would run foreign code again. The panic hook has already reported
        // it.
        std::mem::forget(payload);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct PanicsOnDrop;

    impl Drop for PanicsOnDrop {
        fn drop(&mut self) {
            panic!("injected");
        }
    }

    #[test]
    fn a_panic_ends_here_and_so_does_one_whose_payload_panics_when_dropped() {
        contain(|| panic!("injected"));
        contain(|| std::panic::panic_any(PanicsOnDrop));
        contain(|| drop(PanicsOnDrop));
    }
}
