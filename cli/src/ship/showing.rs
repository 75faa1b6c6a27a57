//! How far the showing of blocks has come, before files are given up.

use super::header::{Header, Position};

/// How far files are given up.
#[derive(Debug, Default)]
pub(super) struct Release {
    pub(super) showing: Option<Showing>,
    /// The last step gave a file up: there may be more.
    pub(super) has_given_up: bool,
    /// Nothing is begun before this time.
    pub(super) not_before: i64,
    /// If the last blocks are of a time to come: the last one of some time ago, and the one that was
    /// acknowledged for long enough then.
    seen: Option<Seen>,
    old: Option<Header>,
}

/// The last block that was acknowledged at a time, in milliseconds since 1970.
#[derive(Debug)]
struct Seen {
    last: Header,
    at: i64,
}

impl Release {
    /// Whether there is something to do even if nothing is to be shipped.
    pub(super) const fn is_under_way(&self) -> bool {
        self.showing.is_some() || self.has_given_up
    }

    /// The last block that this process saw acknowledged for as long as files are kept. `ahead` is the last
    /// one now, if it is of a time to come: the clock was ahead, and `cut` never goes back.
    pub(super) fn seen_long_ago(
        &mut self,
        ahead: Option<Header>,
        keep: i64,
        now: i64,
    ) -> Option<Header> {
        let Some(last) = ahead else {
            (self.seen, self.old) = (None, None);
            return None;
        };
        let age = |seen: &Seen| now.saturating_sub(seen.at);
        if !self.seen.as_ref().is_some_and(|seen| (0..keep).contains(&age(seen))) {
            let before = self.seen.replace(Seen { last, at: now });
            // Not if the clock was set back again.
            let before = before.filter(|seen| age(seen) >= 0);
            self.old = before.map(|seen| seen.last).or(self.old.take());
        }
        self.old.clone()
    }
}

/// The blocks of files that are to be given up, on a connection that was made for this.
#[derive(Debug)]
pub(super) struct Showing {
    /// What is before the file of this position is given up once all is shown.
    pub(super) until: Position,
    /// The newest block of all.
    pub(super) seq: u64,
    /// The last block that was shown, or need not be.
    pub(super) last: Header,
}
