//! The local days of times, quickly: most events are of the same day as the one before.

use std::ops::Range;

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// The day of what has no time.
pub(super) const NO_DAY: &str = "1970-01-01";

#[derive(Clone, Debug)]
pub(super) struct Days {
    zone: TimeZone,
    /// The day of the last time, and its milliseconds since 1970.
    span: Range<i64>,
    day: String,
}

impl Days {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self { zone, span: 0..0, day: NO_DAY.to_owned() }
    }

    /// The day of a time in milliseconds since 1970, such as `2025-11-25`.
    pub(super) fn of(&mut self, at: i64) -> &str {
        if !self.span.contains(&at) {
            let day = self.find(at).unwrap_or((0..0, NO_DAY.to_owned()));
            (self.span, self.day) = day;
        }
        &self.day
    }

    fn find(&self, at: i64) -> Option<(Range<i64>, String)> {
        let time = Timestamp::from_millisecond(at).ok()?.to_zoned_datetime(self.zone.clone());
        let begin = time.start_of_day().ok()?;
        let end = time.tomorrow().ok()?.start_of_day().ok()?;
        let span = begin.timestamp().as_millisecond()..end.timestamp().as_millisecond();
        Some((span, time.strftime("%Y-%m-%d").to_string()))
    }
}
