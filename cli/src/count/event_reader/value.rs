//! Times and sizes from the values of members.

use super::super::line::number;

/// The last millisecond of the year 9999. A later time is an error.
const MS_MAX: f64 = 253_402_300_799_999.0;

/// The time of an event of any family, if this member has it.
pub(super) fn time(key: &[u8], value: &[u8]) -> Option<i64> {
    match key {
        b"timestamp" | b"creationDate" => milliseconds(value),
        b"createdAt" => seconds(value),
        _ => None,
    }
}

pub(super) fn milliseconds(value: &[u8]) -> Option<i64> {
    let ms = number(value)?;
    // LiveKit writes 0 for "not yet".
    (1.0..=MS_MAX).contains(&ms).then_some(ms as i64)
}

/// Seconds, in milliseconds. Zero is a valid duration.
pub(super) fn seconds(value: &[u8]) -> Option<i64> {
    let ms = (number(value)? * 1000.0).round();
    (0.0..=MS_MAX).contains(&ms).then_some(ms as i64)
}

/// Nanoseconds, in milliseconds.
pub(super) fn nanoseconds(value: &[u8]) -> Option<i64> {
    let ms = number(value)? / 1e6;
    (1.0..=MS_MAX).contains(&ms).then_some(ms as i64)
}

/// A size; 0 if there is none.
pub(super) fn whole(value: &[u8]) -> u64 {
    number(value).map_or(0, |number| number as u64)
}
