//! Time marks: since when everything that was accepted is synced.
//!
//! Once a second, the time goes through the queue like a barrier of `sync`. Where it comes out,
//! everything accepted before it is journaled, and once that much is synced, it is noted in the
//! control file. Who ships the directory then knows that nothing from before that time is missing,
//! even while no event arrives.

use std::fmt;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::flush::Sinks;
use crate::journal::TimeMark;
use crate::pipeline::{Pipeline, Positions};
use crate::queue::Queue;

/// The time from one mark to the next.
const INTERVAL: Duration = Duration::from_secs(1);

/// When to try again if the queue is full.
const RETRY_INTERVAL: Duration = Duration::from_millis(20);

/// Asks for time marks, one after the other.
pub(crate) struct TimeMarks {
    queue: Queue,
    next_at: Instant,
    /// One is in the queue, or waits to be synced.
    is_under_way: bool,
    /// Came out of the queue, and is not synced yet.
    journaled: Option<TimeMark>,
    last_time_ms: u64,
}

impl fmt::Debug for TimeMarks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TimeMarks").field("journaled", &self.journaled).finish_non_exhaustive()
    }
}

impl TimeMarks {
    pub(crate) fn new(queue: Queue) -> Self {
        let next_at = Instant::now();
        Self { queue, next_at, is_under_way: false, journaled: None, last_time_ms: 0 }
    }

    /// When the next one is due; `None` while one is under way.
    pub(crate) fn next_at(&self) -> Option<Instant> {
        (!self.is_under_way).then_some(self.next_at)
    }

    /// Asks for the next one, if it is due.
    pub(crate) fn ask_if_due(&mut self, now: Instant) {
        if self.is_under_way || now < self.next_at {
            return;
        }
        // Before it is pushed: what is accepted from now on need not be before it. The clock may be
        // set back, the mark may not.
        let time = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last_time_ms = self.last_time_ms.max(time.as_millis() as u64);
        self.is_under_way = self.queue.push_time_mark(self.last_time_ms);
        self.next_at = now + if self.is_under_way { INTERVAL } else { RETRY_INTERVAL };
    }

    /// Notes the one that is under way, once it is synced.
    pub(crate) fn note_if_synced(&mut self, pipeline: &Pipeline, sinks: &mut Sinks) {
        self.journaled = pipeline.take_time_mark().or(self.journaled);
        let Some(mark) = self.journaled else { return };
        let [lines, rejects] = mark.positions;
        if sinks.has_synced(Positions { lines, rejects }) {
            sinks.set_time_mark(mark);
            self.journaled = None;
            self.is_under_way = false;
        }
    }
}
