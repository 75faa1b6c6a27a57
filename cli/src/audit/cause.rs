//! Why an event is likely to be missing: what files and times suggest.

use std::fmt;
use std::ops::RangeInclusive;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::drops::Drop;
use crate::count::Source;

/// LiveKit reports a dropped event in the next one that gets through, at most this much later, in
/// milliseconds.
const TOLD_LATE_MS: i64 = 10 * 60_000;

/// How far the clock of a sender and the time of an event may differ from when it was posted, in
/// milliseconds.
const CLOCKS_APART_MS: i64 = 30_000;

/// A shorter time without events, in milliseconds, is not a sign that the process was down.
const DOWN_MS_MIN: i64 = 2_000;

/// The same if a new day began, with which a new file begins anyway.
const DOWN_MS_MIN_AT_MIDNIGHT: i64 = 60_000;

/// The likely reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Cause {
    /// It is from before the first event.
    BeforeRecord,
    /// It had no event for so long that it was given up.
    GivenUp,
    /// No event came, and a new file begins after that.
    Down { from: String, until: String },
    /// The sender says that it dropped events.
    Dropped { count: u64, at: String },
    /// The event may still be on its way.
    #[cfg(feature = "serve")]
    OnItsWay,
}

impl Cause {
    /// One word, for programs.
    pub(super) fn word(&self) -> &'static str {
        match self {
            Self::BeforeRecord => "before_record",
            Self::GivenUp => "given_up",
            Self::Down { .. } => "down",
            Self::Dropped { .. } => "dropped",
            #[cfg(feature = "serve")]
            Self::OnItsWay => "on_its_way",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeforeRecord => f.write_str("the record begins after it"),
            Self::GivenUp => f.write_str("it had no event for a day, and was given up"),
            Self::Down { from, until } => {
                write!(f, "cdrlog may have been down from {from} to {until}")
            }
            Self::Dropped { count, at } => {
                write!(f, "the sender dropped {count} events up to {at}")
            }
            #[cfg(feature = "serve")]
            Self::OnItsWay => f.write_str("its event may be on its way: run it again in a minute"),
        }
    }
}

/// A file, by the times of its first and last event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FileSpan {
    pub(super) source: Source,
    pub(super) first: i64,
    pub(super) last: i64,
}

/// No event came from `from` until `until`, when a new file began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Pause {
    source: Source,
    from: i64,
    until: i64,
}

/// What may explain that an event is missing.
#[derive(Debug)]
pub(super) struct Causes<'a> {
    zone: &'a TimeZone,
    pauses: Vec<Pause>,
    drops: &'a [Drop],
}

impl<'a> Causes<'a> {
    pub(super) fn new(mut files: Vec<FileSpan>, drops: &'a [Drop], zone: &'a TimeZone) -> Self {
        files.sort_by_key(|file| (file.source, file.first, file.last));
        let pauses = files.iter().zip(files.iter().skip(1)).filter_map(|(one, next)| {
            let is_same_day = day(one.last, zone) == day(next.first, zone);
            let min = if is_same_day { DOWN_MS_MIN } else { DOWN_MS_MIN_AT_MIDNIGHT };
            let is_pause = one.source == next.source && next.first.saturating_sub(one.last) >= min;
            let (source, from, until) = (one.source, one.last, next.first);
            is_pause.then_some(Pause { source, from, until })
        });
        Self { zone, pauses: pauses.collect(), drops }
    }

    /// Why an event of `source` that should have come in this time did not come.
    pub(super) fn of(&self, source: Source, time: RangeInclusive<i64>) -> Option<Cause> {
        let near = |pause: &&Pause| {
            pause.source == source
                && pause.from.saturating_sub(CLOCKS_APART_MS) <= *time.end()
                && pause.until.saturating_add(CLOCKS_APART_MS) >= *time.start()
        };
        // The longest one is the most likely.
        let pause = self.pauses.iter().filter(near).max_by_key(|pause| pause.until - pause.from);
        if let Some(pause) = pause {
            let (from, until) = (local(pause.from, self.zone), local(pause.until, self.zone));
            return Some(Cause::Down { from, until });
        }
        let told = *time.start()..=time.end().saturating_add(TOLD_LATE_MS);
        let drop = self.drops.iter().find(|drop| drop.source == source && told.contains(&drop.at));
        drop.map(|drop| Cause::Dropped { count: drop.count, at: local(drop.at, self.zone) })
    }
}

fn day(at: i64, zone: &TimeZone) -> Option<jiff::civil::Date> {
    Some(Timestamp::from_millisecond(at).ok()?.to_zoned_datetime(zone.clone()).date())
}

/// A time as people read it.
pub(super) fn local(at: i64, zone: &TimeZone) -> String {
    let time = Timestamp::from_millisecond(at).map(|time| time.to_zoned_datetime(zone.clone()));
    time.map_or_else(|_| at.to_string(), |time| time.strftime("%Y-%m-%d %H:%M:%S").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;

    #[test]
    fn a_new_file_after_a_pause_says_that_the_process_may_have_been_down() {
        let file = |source, first, last| FileSpan { source, first, last };
        let files = vec![
            file(0, 0, HOUR),
            file(0, HOUR + 1, 2 * HOUR),
            file(0, 2 * HOUR + 60_000, 24 * HOUR - 1),
            // A new day, and a new file with its first line.
            file(0, 24 * HOUR + 30_000, 25 * HOUR),
            file(1, 30 * HOUR, 31 * HOUR),
        ];
        let zone = TimeZone::UTC;
        let causes = Causes::new(files, &[], &zone);
        let word = |source, time| causes.of(source, time).map(|cause| cause.to_string());
        let down =
            "cdrlog may have been down from 1970-01-01 02:00:00 to 1970-01-01 02:01:00".to_owned();
        assert_eq!(word(0, 2 * HOUR + 5_000..=2 * HOUR + 5_000), Some(down.clone()));
        assert_eq!(word(0, HOUR..=3 * HOUR), Some(down));
        for time in [HOUR..=HOUR, 3 * HOUR..=26 * HOUR] {
            assert_eq!(word(0, time.clone()), None, "{time:?}");
        }
        assert_eq!(word(1, 2 * HOUR + 5_000..=2 * HOUR + 5_000), None);
    }

    #[test]
    fn a_sender_that_says_it_dropped_events_explains_those_before() {
        let drops = [Drop { source: 0, at: HOUR, count: 3, session: None }];
        let zone = TimeZone::UTC;
        let causes = Causes::new(Vec::new(), &drops, &zone);
        let word = |time| causes.of(0, time).map(|cause| cause.word());
        assert_eq!(word(HOUR - 60_000..=HOUR - 60_000), Some("dropped"));
        assert_eq!(word(0..=0), None);
        assert_eq!(word(HOUR + 1..=HOUR + 2), None);
    }
}
