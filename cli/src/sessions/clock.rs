//! Local dates and times of milliseconds since 1970, quickly: most are of the same quarters of an hour
//! as those before.

use std::ops::Range;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ZonedDateTime};

/// Time zones change at whole quarters; one that does not is slow.
const QUARTER_MS: i64 = 15 * 60_000;

/// How many are kept: half a day.
const SPANS_MAX: usize = 48;

#[derive(Debug)]
pub(super) struct Clock {
    zone: TimeZone,
    /// The last ones, each at the place that its number gives it.
    spans: Vec<Option<Span>>,
}

/// A quarter of an hour on one date and with one offset; one millisecond, if the zone changes in the
/// quarter.
#[derive(Debug)]
struct Span {
    times: Range<i64>,
    /// Such as `2025-11-25`.
    date: String,
    /// The local time of its begin, in milliseconds since midnight.
    begin_ms: i64,
    /// Such as `+01:00`.
    offset: String,
}

/// A local time.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalTime<'a> {
    /// Such as `2025-11-25`.
    pub(super) date: &'a str,
    /// Milliseconds since midnight, as clocks show it.
    ms: i64,
    offset: &'a str,
}

impl Clock {
    pub(super) fn new(zone: TimeZone) -> Self {
        Self { zone, spans: (0..SPANS_MAX).map(|_| None).collect() }
    }

    /// `None` if it is not a time that has a date.
    pub(super) fn local(&mut self, at: i64) -> Option<LocalTime<'_>> {
        let place = at.div_euclid(QUARTER_MS).rem_euclid(SPANS_MAX as i64) as usize;
        let known = self.spans.get(place)?.as_ref();
        if !known.is_some_and(|span| span.times.contains(&at)) {
            let span = self.find(at)?;
            *self.spans.get_mut(place)? = Some(span);
        }
        let Span { times, date, begin_ms, offset } = self.spans.get(place)?.as_ref()?;
        Some(LocalTime { date, ms: begin_ms + (at - times.start), offset })
    }

    /// The local date of a time; `None` if it has none.
    pub(super) fn date(&mut self, at: i64) -> Option<&str> {
        self.local(at).map(|local| local.date)
    }

    fn zoned(&self, at: i64) -> Option<ZonedDateTime> {
        Some(Timestamp::from_millisecond(at).ok()?.to_zoned_datetime(self.zone.clone()))
    }

    fn find(&self, at: i64) -> Option<Span> {
        let begin = at.div_euclid(QUARTER_MS).checked_mul(QUARTER_MS)?;
        let end = begin.checked_add(QUARTER_MS)?;
        let quarter = self.zoned(begin).zip(self.zoned(end - 1));
        let is_one = |(first, last): &(ZonedDateTime, ZonedDateTime)| {
            (first.offset(), first.date()) == (last.offset(), last.date())
        };
        let (times, first) = match quarter.filter(is_one) {
            Some((first, _)) => (begin..end, first),
            None => (at..at.checked_add(1)?, self.zoned(at)?),
        };
        let time = first.time();
        let minutes = i64::from(time.hour()) * 60 + i64::from(time.minute());
        let begin_ms =
            (minutes * 60 + i64::from(time.second())) * 1000 + i64::from(time.millisecond());
        let date = first.strftime("%Y-%m-%d").to_string();
        Some(Span { times, date, begin_ms, offset: first.strftime("%:z").to_string() })
    }
}

impl LocalTime<'_> {
    /// Such as `2025-11-25 09:00:00`.
    pub(super) fn text(&self) -> String {
        let mut text = String::with_capacity(19);
        self.write(&mut text, ' ');
        text
    }

    /// RFC 3339, with milliseconds and the offset of the time zone.
    pub(super) fn rfc3339(&self) -> String {
        let mut text = String::with_capacity(29);
        self.write(&mut text, 'T');
        text.push('.');
        digits(&mut text, self.ms % 1000, 100);
        text.push_str(self.offset);
        text
    }

    fn write(&self, text: &mut String, between: char) {
        let seconds = self.ms / 1000;
        text.push_str(self.date);
        text.push(between);
        digits(text, seconds / 3600, 10);
        text.push(':');
        digits(text, seconds / 60 % 60, 10);
        text.push(':');
        digits(text, seconds % 60, 10);
    }
}

/// Appends a number with leading zeros, from the digit of this power of ten on.
fn digits(text: &mut String, number: i64, mut power: i64) {
    while power > 0 {
        text.push(char::from(b'0' + (number / power % 10) as u8));
        power /= 10;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_time_of_every_zone_is_that_of_the_calendar() {
        // The offset of Monrovia changed within a quarter.
        for zone in ["UTC", "Europe/Madrid", "Asia/Kathmandu", "Africa/Monrovia", "Pacific/Apia"] {
            let zone = TimeZone::get(zone).unwrap();
            let mut clock = Clock::new(zone.clone());
            let changes =
                [0, 63_593_070_000, 1_711_846_800_000, 1_729_990_800_000, 1_325_239_200_000];
            for change in changes {
                for step in -200..200 {
                    let at = change + step * 97_001;
                    let time = Timestamp::from_millisecond(at).unwrap();
                    let time = time.to_zoned_datetime(zone.clone());
                    let local = clock.local(at).unwrap();
                    let expected = time.strftime("%Y-%m-%dT%H:%M:%S%.3f%:z").to_string();
                    assert_eq!(local.rfc3339(), expected);
                    assert_eq!(local.text(), time.strftime("%Y-%m-%d %H:%M:%S").to_string());
                }
            }
            assert!(clock.local(i64::MAX).is_none() && clock.local(i64::MIN).is_none());
        }
    }
}
