//! Times: which part of the input counts, and how it is divided.

use std::ops::Range;

use clap::ValueEnum;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

use crate::commands::tail::since;

/// How figures are divided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    /// A row for each day
    Day,
    /// A row for each hour
    Hour,
}

/// The milliseconds since 1970 that one row stands for.
pub(super) type Span = Range<i64>;

/// Divides time.
#[derive(Clone, Debug)]
pub(super) struct Divider {
    pub(super) by: Option<By>,
    pub(super) zone: TimeZone,
}

impl Divider {
    /// The day or hour that `at` is in; all of time where nothing is divided.
    ///
    /// Days and hours are those of the time zone: of 23 to 25 hours, and two of one name where
    /// clocks are set back.
    pub(super) fn span(&self, at: i64) -> Span {
        let all = i64::MIN..i64::MAX;
        let Some(by) = self.by else { return all };
        let Ok(time) = Timestamp::from_millisecond(at) else { return all };
        let time = time.to_zoned_datetime(self.zone.clone());
        let edges = match by {
            By::Day => {
                time.start_of_day().and_then(|begin| Ok((begin, time.tomorrow()?.start_of_day()?)))
            }
            By::Hour => hour_of(&time),
        };
        edges.map_or(all, |(begin, end)| {
            begin.timestamp().as_millisecond()..end.timestamp().as_millisecond()
        })
    }

    /// The local time of `at`.
    pub(super) fn local(&self, at: i64) -> Option<ZonedDateTime> {
        Some(Timestamp::from_millisecond(at).ok()?.to_zoned_datetime(self.zone.clone()))
    }
}

fn hour_of(time: &ZonedDateTime) -> Result<(ZonedDateTime, ZonedDateTime), jiff::Error> {
    let past = SignedDuration::from_mins(time.minute().into())
        + SignedDuration::from_secs(time.second().into())
        + SignedDuration::from_nanos(time.subsec_nanosecond().into());
    let begin = time.checked_sub(past)?;
    let end = begin.checked_add(SignedDuration::from_hours(1))?;
    Ok((begin, end))
}

/// Reads a time as `tail` does, or milliseconds since 1970 as they are in the events.
pub(super) fn parse_time(text: &str, zone: &TimeZone) -> Result<i64, String> {
    let now = Timestamp::now().to_zoned_datetime(zone.clone());
    parse_time_at(text, &now).ok_or_else(|| {
        format!(
            "{text} is neither a time (2026-11-23T13:07:28Z, 2026-11-23 13:07, 2026-11-23, milliseconds since 1970) nor a \
             span before now (90m, 24h, 7d)"
        )
    })
}

fn parse_time_at(text: &str, now: &ZonedDateTime) -> Option<i64> {
    // Of the milliseconds there are years that one could take for others; nobody means them.
    let ms = text.parse::<i64>().ok().filter(|_| text.len() > "20261123".len());
    ms.or_else(|| Some(since::parse_at(text.trim(), now)?.as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn madrid() -> TimeZone {
        TimeZone::get("Europe/Madrid").unwrap()
    }

    fn at(text: &str) -> i64 {
        text.parse::<Timestamp>().unwrap().as_millisecond()
    }

    fn span(by: By, text: &str) -> (String, i64) {
        let divider = Divider { by: Some(by), zone: madrid() };
        let span = divider.span(at(text));
        assert!(span.contains(&at(text)));
        let begin = divider.local(span.start).unwrap();
        (begin.strftime("%Y-%m-%dT%H:%M%:z").to_string(), (span.end - span.start) / 3_600_000)
    }

    #[test]
    fn days_and_hours_are_those_of_the_time_zone() {
        assert_eq!(span(By::Day, "2026-11-23T23:30:00Z"), ("2026-11-24T00:00+01:00".into(), 24));
        assert_eq!(span(By::Day, "2026-03-29T12:00:00Z"), ("2026-03-29T00:00+01:00".into(), 23));
        assert_eq!(span(By::Day, "2026-10-25T12:00:00Z"), ("2026-10-25T00:00+02:00".into(), 25));
        assert_eq!(
            span(By::Hour, "2026-11-23T23:59:59.999Z"),
            ("2026-11-24T00:00+01:00".into(), 1)
        );
        // The hour that comes twice.
        assert_eq!(span(By::Hour, "2026-10-25T00:30:00Z"), ("2026-10-25T02:00+02:00".into(), 1));
        assert_eq!(span(By::Hour, "2026-10-25T01:30:00Z"), ("2026-10-25T02:00+01:00".into(), 1));
    }

    #[test]
    fn every_time_is_in_a_span_also_where_there_are_no_days_any_more() {
        for ms in [i64::MIN, -1, 0, i64::MAX - 1] {
            for by in [None, Some(By::Day), Some(By::Hour)] {
                assert!(Divider { by, zone: madrid() }.span(ms).contains(&ms));
            }
        }
    }

    #[test]
    fn times_are_read_in_every_way_that_one_writes_them() {
        let now: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let now = now.to_zoned_datetime(madrid());
        let read = |text| parse_time_at(text, &now);
        assert_eq!(read("1763903248000"), Some(1_763_903_248_000));
        assert_eq!(read("2026-11-23"), Some(at("2026-11-22T23:00:00Z")));
        assert_eq!(read("2026-11-23T10:30"), Some(at("2026-11-23T09:30:00Z")));
        assert_eq!(read("2026-11-23 10:30:15"), Some(at("2026-11-23T09:30:15Z")));
        assert_eq!(read("2026-11-23T10:30:00Z"), Some(at("2026-11-23T10:30:00Z")));
        assert_eq!(read("90m"), Some(at("2026-11-23T10:30:00Z")));
        assert_eq!(read("7d"), Some(at("2026-11-16T12:00:00Z")));
        for text in ["", "yesterday", "d", "2026-13-01"] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
