//! A disk some of whose calls fail.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::storage::FaultHook;

/// Lets calls number `first` and up fail, `count` of them.
pub(super) struct Failing {
    pub(super) calls: AtomicU64,
    pub(super) first: u64,
    pub(super) count: u64,
    /// Calls for which this is not so are neither counted nor fail.
    concerns: fn() -> bool,
}

impl Failing {
    pub(super) fn from(first: u64, count: u64) -> Arc<Self> {
        Self::of(|| true, first, count)
    }

    /// Only of the calls that are made where `concerns` holds.
    pub(super) fn of(concerns: fn() -> bool, first: u64, count: u64) -> Arc<Self> {
        Arc::new(Self { calls: AtomicU64::new(0), first, count, concerns })
    }
}

impl FaultHook for Failing {
    fn before(&self, action: &'static str, path: &Path) -> io::Result<()> {
        if !(self.concerns)() {
            return Ok(());
        }
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        if call >= self.first && call - self.first < self.count {
            return Err(io::Error::other(format!("injected at {action} {}", path.display())));
        }
        Ok(())
    }
}
