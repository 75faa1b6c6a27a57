//! Hears of changes in the directory, so that they need not be looked for all the time.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::ModifyKind};

use crate::sync::lock;

/// How often the directory is looked at though nothing was heard of it: events may be missed, and
/// file systems of a network have none.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Waits for changes in a directory.
pub(super) struct Watch {
    heard: Arc<Heard>,
    /// When names were last looked at.
    looked: Option<Instant>,
    /// `None` where the system has no watch for us. Then looking from time to time has to do.
    _watcher: Option<RecommendedWatcher>,
}

#[derive(Default)]
struct Heard {
    news: Mutex<News>,
    bell: Condvar,
}

#[derive(Clone, Copy, Default)]
struct News {
    /// Something has changed since the last wait.
    any: bool,
    /// Files have come, gone or been renamed since names were last looked at.
    names: bool,
}

impl Heard {
    fn news(&self) -> MutexGuard<'_, News> {
        lock(&self.news)
    }

    fn tell(&self, kind: EventKind) {
        if matches!(kind, EventKind::Access(_)) {
            return;
        }
        let mut news = self.news();
        news.any = true;
        news.names |= !matches!(kind, EventKind::Modify(ModifyKind::Data(_)));
        self.bell.notify_all();
    }
}

impl Watch {
    /// Watches `directory`.
    pub(super) fn new(directory: &Path) -> Self {
        let heard = Arc::new(Heard::default());
        let listener = Arc::clone(&heard);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            // Of an error nothing is known but that events may be missing.
            listener.tell(event.map_or(EventKind::Any, |event| event.kind));
        })
        .and_then(|mut watcher| {
            watcher.watch(directory, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        Self { heard, looked: None, _watcher: watcher.ok() }
    }

    /// Whether it is time to look at names. The caller looks if so.
    pub(super) fn names_are_due(&mut self) -> bool {
        let is_late = self.looked.is_none_or(|looked| looked.elapsed() >= POLL_INTERVAL);
        let has_news = std::mem::take(&mut self.heard.news().names);
        if is_late || has_news {
            self.looked = Some(Instant::now());
        }
        is_late || has_news
    }

    /// Waits until something was heard, or until it is time to look all the same, but not longer
    /// than `timeout`.
    pub(super) fn wait(&self, timeout: Duration) {
        let timeout = timeout.min(POLL_INTERVAL);
        let waited =
            self.heard.bell.wait_timeout_while(self.heard.news(), timeout, |news| !news.any);
        waited.unwrap_or_else(PoisonError::into_inner).0.any = false;
    }
}
