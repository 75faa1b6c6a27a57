//! Times: which part of the input counts, and how it is split into rows.

use std::ops::Range;

use clap::ValueEnum;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ZonedDateTime};

/// How figures are split.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum By {
    /// A row for each day
    Day,
    /// A row for each hour
    Hour,
}

/// The milliseconds since 1970 that one row covers.
pub(super) type Span = Range<i64>;

/// Splits time.
#[derive(Clone, Debug)]
pub(super) struct Divider {
    pub(super) by: Option<By>,
    pub(super) zone: TimeZone,
}

impl Divider {
    /// The day or hour that contains `at`; all of time without `--by`.
    ///
    /// Days and hours are those of the time zone: days have 23 to 25 hours, and an hour occurs
    /// twice when clocks are set back.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn madrid() -> TimeZone {
        TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").unwrap()
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
        // The hour that occurs twice.
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
}
