//! Sessions whose records wait for something that is under way: see `records.rs`.

use super::record::End;
use super::sessions::Session;
use super::usage::SessionUsage;

/// All of them.
#[derive(Debug, Default)]
pub(super) struct WaitingSessions {
    all: Vec<Unsettled>,
    /// Nothing changes before this time unless one of them does.
    next: i64,
    /// One was added, or something of one has ended.
    has_changed: bool,
}

impl WaitingSessions {
    pub(super) fn push(&mut self, one: Unsettled) {
        self.all.push(one);
        self.has_changed = true;
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Unsettled> {
        self.all.iter()
    }

    /// The usage of the session that waits for the end of this activity.
    pub(super) fn usage_of(&mut self, activity: &[u8]) -> Option<&mut SessionUsage> {
        let waiting = self.all.iter_mut().filter_map(|one| one.session.usage.as_deref_mut());
        let found = waiting.into_iter().find(|usage| usage.has_open(activity));
        self.has_changed |= found.is_some();
        found
    }

    /// Removes those of which nothing more is under way, or for which nothing came for too long.
    pub(super) fn take_settled(&mut self, now: i64) -> Vec<Unsettled> {
        if !self.has_changed && now < self.next {
            return Vec::new();
        }
        let is_settled = |one: &mut Unsettled| {
            one.until < now || one.session.usage.as_ref().is_none_or(|usage| !usage.is_open())
        };
        let settled = self.all.extract_if(.., is_settled).collect();
        self.has_changed = false;
        self.next = self.all.iter().map(|one| one.until).min().unwrap_or(i64::MAX);
        settled
    }
}

/// A session that ended, of which a recording or an egress is still expected.
#[derive(Debug)]
pub(super) struct Unsettled {
    /// Nothing is waited for after this time.
    pub(super) until: i64,
    pub(super) end: End,
    pub(super) session: Session,
}
