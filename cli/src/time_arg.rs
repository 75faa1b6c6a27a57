//! Points in time as people write them.

use std::ops::Range;
use std::str::FromStr;

use jiff::civil::{DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, ZonedDateTime};

use crate::outcome::WrongUsage;

/// The forms of a time, for help and messages. A macro, for `concat!`.
macro_rules! times_help {
    () => {
        "A time is RFC 3339 (2026-11-23T13:07:28Z), a local date or time (2026-11-23, 2026-11-23 13:07, \
         13:07, yesterday), milliseconds since 1970, or a span before now (90m, 2h, '3 days')."
    };
}
pub(super) use times_help;

const NEITHER: &str = "neither a time (2026-11-23T13:07:28Z, 2026-11-23 13:07, 13:07, yesterday, \
     milliseconds since 1970) nor a span before now (90m, 2h, '3 days')";

/// Numbers with fewer digits are not milliseconds that anybody means, but may be years and days.
const MS_DIGITS_MIN: usize = "202611231".len();

/// A time on the command line: its meaning depends on the time zone.
#[derive(Clone, Debug)]
pub(super) struct TimeArg(String);

impl FromStr for TimeArg {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let when = Self(text.trim().to_owned());
        when.in_zone(&TimeZone::system()).map(|_| when)
    }
}

impl TimeArg {
    /// The time it stands for, now, in this zone.
    pub(super) fn in_zone(&self, zone: &TimeZone) -> Result<Timestamp, &'static str> {
        parse_at(&self.0, &Timestamp::now().to_zoned_datetime(zone.clone())).ok_or(NEITHER)
    }
}

/// What `--since` and `--until` stand for in this zone.
///
/// # Errors
///
/// One of them is not a time, or they are in the wrong order: everything that is asked for would be
/// missing, without a word.
pub(super) fn since_until(
    since: Option<&TimeArg>,
    until: Option<&TimeArg>,
    zone: &TimeZone,
) -> Result<(Option<Timestamp>, Option<Timestamp>), WrongUsage> {
    let time = |when: Option<&TimeArg>| {
        let time = when.map(|when| when.in_zone(zone)).transpose();
        time.map_err(|fault| WrongUsage(fault.to_owned()))
    };
    // Spans count from now: in this order, the same span twice is no mistake.
    let (since, until) = (time(since)?, time(until)?);
    match (since, until) {
        (Some(since), Some(until)) if since > until => Err(WrongUsage(format!(
            "--since is after --until: from {since} until {until} there is no time"
        ))),
        both => Ok(both),
    }
}

/// The milliseconds since 1970 from `since` on and before `until`.
pub(super) fn period_ms((since, until): (Option<Timestamp>, Option<Timestamp>)) -> Range<i64> {
    let ms = |time: Option<Timestamp>, otherwise| time.map_or(otherwise, Timestamp::as_millisecond);
    ms(since, i64::MIN)..ms(until, i64::MAX)
}

/// What a text stands for, seen from `now` and its time zone.
fn parse_at(text: &str, now: &ZonedDateTime) -> Option<Timestamp> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp);
    }
    if let Some(ms) = text.parse::<i64>().ok().filter(|_| text.len() >= MS_DIGITS_MIN) {
        return Timestamp::from_millisecond(ms).ok();
    }
    let day = match text {
        "today" => Some(now.clone()),
        "yesterday" => Some(now.yesterday().ok()?),
        _ => None,
    };
    if let Some(day) = day {
        return Some(day.start_of_day().ok()?.timestamp());
    }
    let local = text.parse::<DateTime>().ok().or_else(|| {
        // Not a time on another day: `T13:07` and the like.
        text.parse::<Time>().ok().map(|time| now.date().to_datetime(time))
    });
    if let Some(local) = local {
        return Some(local.to_zoned_datetime(now.time_zone().clone()).ok()?.timestamp());
    }
    let span = text.parse::<Span>().ok()?.abs();
    Some(now.checked_sub(span).ok()?.timestamp())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<String> {
        let now = "2026-11-23T13:07:28+01:00[+01:00]".parse::<ZonedDateTime>().unwrap();
        parse_at(text, &now).map(|timestamp| timestamp.to_string())
    }

    #[test]
    fn a_time_is_understood_as_people_write_it() {
        for (text, expected) in [
            ("2026-11-23T13:07:28Z", "2026-11-23T13:07:28Z"),
            ("2026-11-23T13:07:28.5-02:00", "2026-11-23T15:07:28.5Z"),
            ("2026-11-23 13:07:28", "2026-11-23T12:07:28Z"),
            ("2026-11-23T13:07", "2026-11-23T12:07:00Z"),
            ("2026-11-23 13:07", "2026-11-23T12:07:00Z"),
            ("2026-11-23", "2026-11-22T23:00:00Z"),
            ("13:07", "2026-11-23T12:07:00Z"),
            ("today", "2026-11-22T23:00:00Z"),
            ("yesterday", "2026-11-21T23:00:00Z"),
            ("1763903248000", "2025-11-23T13:07:28Z"),
            ("2h", "2026-11-23T10:07:28Z"),
            ("-2h", "2026-11-23T10:07:28Z"),
            ("90m", "2026-11-23T10:37:28Z"),
            ("7d", "2026-11-16T12:07:28Z"),
            ("3 days", "2026-11-20T12:07:28Z"),
            ("1 hour 30 minutes ago", "2026-11-23T10:37:28Z"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "last week", "2026-13-01", "2", "-", "d"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }

    #[test]
    fn a_local_time_is_that_of_the_zone_that_is_asked_for() {
        let when: TimeArg = " 2026-11-23 13:07 ".parse().unwrap();
        let zone = TimeZone::posix("EST5").unwrap();
        assert_eq!(when.in_zone(&TimeZone::UTC).unwrap().to_string(), "2026-11-23T13:07:00Z");
        assert_eq!(when.in_zone(&zone).unwrap().to_string(), "2026-11-23T18:07:00Z");
    }
}
