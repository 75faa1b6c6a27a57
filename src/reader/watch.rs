//! Watches the directory for changes, so that it need not be polled all the time.

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher, event::ModifyKind};

use crate::sync::lock;

/// How often the directory is checked without an event: events may be lost, and network file
/// systems have none.
pub(super) const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Waits for changes in a directory.
pub(super) struct Watch {
    heard: Arc<Heard>,
    /// When names were last checked.
    looked: Option<Instant>,
    /// `None` if the system offers no watch. The reader then only polls.
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
    /// Files were created, removed or renamed since names were last checked.
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
            // An error only says that events may be lost.
            listener.tell(event.map_or(EventKind::Any, |event| event.kind));
        })
        .and_then(|mut watcher| {
            watcher.watch(directory, RecursiveMode::NonRecursive)?;
            Ok(watcher)
        });
        Self { heard, looked: None, _watcher: watcher.ok() }
    }

    /// Whether it is time to check names. The caller must then check them.
    pub(super) fn names_are_due(&mut self) -> bool {
        let is_late = self.looked.is_none_or(|looked| looked.elapsed() >= POLL_INTERVAL);
        let has_news = std::mem::take(&mut self.heard.news().names);
        if is_late || has_news {
            self.looked = Some(Instant::now());
        }
        is_late || has_news
    }

    /// Waits for an event, or until it is time to check anyway, but not longer than `timeout`.
    pub(super) fn wait(&self, timeout: Duration) {
        let timeout = timeout.min(POLL_INTERVAL);
        let waited =
            self.heard.bell.wait_timeout_while(self.heard.news(), timeout, |news| !news.any);
        waited.unwrap_or_else(PoisonError::into_inner).0.any = false;
    }
}
