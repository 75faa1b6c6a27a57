//! Points in time as people write them.

use jiff::civil::{DateTime, Time};
use jiff::{Span, Timestamp, ZonedDateTime};

/// RFC 3339, a local date and time, or a span before now.
pub(super) fn parse(text: &str) -> Result<Timestamp, String> {
    parse_at(text.trim(), &ZonedDateTime::now()).ok_or_else(|| {
        "neither a time (2026-11-23T13:07:28Z, 2026-11-23 13:07, 13:07) nor a span (90m, 2h, '3 days')"
            .to_owned()
    })
}

/// The same, seen from `now` and its time zone.
pub(in crate::commands) fn parse_at(text: &str, now: &ZonedDateTime) -> Option<Timestamp> {
    if let Ok(timestamp) = text.parse::<Timestamp>() {
        return Some(timestamp);
    }
    let local = text.parse::<DateTime>().ok().or_else(|| {
        // Not the time of another day: `T13:07` and the like.
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
            ("2026-11-23 13:07", "2026-11-23T12:07:00Z"),
            ("2026-11-23", "2026-11-22T23:00:00Z"),
            ("13:07", "2026-11-23T12:07:00Z"),
            ("2h", "2026-11-23T10:07:28Z"),
            ("90m", "2026-11-23T10:37:28Z"),
            ("3 days", "2026-11-20T12:07:28Z"),
            ("1 hour 30 minutes ago", "2026-11-23T10:37:28Z"),
        ] {
            assert_eq!(parsed(text).as_deref(), Some(expected), "{text}");
        }
        for text in ["", "yesterday", "2026-13-01", "2", "-"] {
            assert_eq!(parsed(text), None, "{text}");
        }
    }
}
