//! Sizes and durations on the command line, in the environment and in a file.

use std::fmt;
use std::marker::PhantomData;
use std::str::FromStr;
use std::time::Duration;

use jiff::{Span, SpanRelativeTo};
use serde::de::{Deserialize, Deserializer, Error, Visitor};

/// The forms of a size or duration, for help and messages. A macro, for `concat!`.
macro_rules! units_help {
    () => {
        "A SIZE is a number of bytes, or a number with a unit: K, M, G, T (also KiB, MiB, GiB, TiB) are \
         powers of 1024, and KB, MB, GB, TB are powers of 1000. A DURATION is a number with a unit: \
         500ms, 10s, 5m, 2h, 3d, or several of them: 1h30m."
    };
}
pub(crate) use units_help;

/// The maximum of [`Seconds`], in days: 100 years. A clock may not be able to represent much later
/// times.
const SECONDS_DAYS_MAX: u64 = 36_525;
/// The maximum of [`Days`]: ages are only compared, so this is what every earlier version accepted.
const DAYS_MAX: u64 = u32::MAX as u64;
const SECONDS_A_DAY: u64 = 86_400;

/// A number of bytes: `1048576`, `10M`, `1GiB`, `20GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Size(pub(crate) u64);

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        let malformed = || {
            format!(
                "{} is not a size; write a whole number of bytes, or one with a unit such as 64K, \
                 10M, 1GiB (powers of 1024) or 20GB (powers of 1000)",
                quoted(text)
            )
        };
        let factor = bytes_of_unit(unit.trim_start()).ok_or_else(malformed)?;
        if number.is_empty() {
            return Err(malformed());
        }
        let bytes = number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor));
        bytes.map(Self).ok_or_else(|| {
            format!("{} is too large; a size is at most {} bytes", quoted(text), u64::MAX)
        })
    }
}

fn bytes_of_unit(unit: &str) -> Option<u64> {
    let unit = unit.to_ascii_lowercase();
    let power = |prefix: char| "kmgt".find(prefix).map(|index| index as u32 + 1);
    let mut rest = unit.chars();
    match rest.next() {
        None => Some(1),
        Some('b') if rest.as_str().is_empty() => Some(1),
        Some(prefix) => match rest.as_str() {
            "" | "ib" => Some(1024_u64.pow(power(prefix)?)),
            "b" => Some(1000_u64.pow(power(prefix)?)),
            _ => None,
        },
    }
}

/// A duration; a bare number means seconds: `10`, `0.5`, `500ms`, `5m`, `2d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seconds(pub(crate) Duration);

impl FromStr for Seconds {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        duration(text, 1, "seconds", SECONDS_DAYS_MAX).map(Self)
    }
}

/// A duration; a bare number means days: `30`, `36h`, `2w`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Days(pub(crate) Duration);

impl FromStr for Days {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        duration(text, SECONDS_A_DAY, "days", DAYS_MAX).map(Self)
    }
}

/// `text` with its own units, or a number of units of `unit_seconds`.
fn duration(text: &str, unit_seconds: u64, unit: &str, days_max: u64) -> Result<Duration, String> {
    let text = text.trim();
    let malformed = || {
        format!(
            "{} is not a duration; write a number of {unit}, or one with a unit such as 500ms, \
             10s, 5m, 2h or 3d",
            quoted(text)
        )
    };
    let is_number = text.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && text.chars().all(|c| c.is_ascii_digit() || matches!(c, '.' | 'e' | 'E' | '+' | '-'));
    let duration = if is_number {
        let seconds = text.parse::<f64>().map_err(|_| malformed())? * unit_seconds as f64;
        Duration::try_from_secs_f64(seconds).ok()
    } else {
        let span = text.parse::<Span>().map_err(|_| malformed())?;
        if span.is_negative() {
            return Err(malformed());
        }
        // Months and years have no fixed length.
        let fixed = span.to_duration(SpanRelativeTo::days_are_24_hours());
        Some(fixed.ok().and_then(|fixed| fixed.try_into().ok()).ok_or_else(malformed)?)
    };
    let longest = Duration::from_secs(days_max * SECONDS_A_DAY);
    duration
        .filter(|duration| *duration <= longest)
        .ok_or_else(|| format!("{} is too long; the most is {days_max} days", quoted(text)))
}

/// The given text, shortened for a message.
fn quoted(text: &str) -> String {
    const CHARS_MAX: usize = 40;
    match text.char_indices().nth(CHARS_MAX) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}...", text.get(..end).unwrap_or_default()),
    }
}

/// Reads a value of a file: a number, or a string with a unit.
struct NumberOrText<T>(PhantomData<T>);

impl<T: FromStr<Err = String>> Visitor<'_> for NumberOrText<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number, or a string of a number with a unit")
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }
}

macro_rules! deserialize_number_or_text {
    ($($unit:ty),*) => {$(
        impl<'de> Deserialize<'de> for $unit {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(NumberOrText(PhantomData))
            }
        }
    )*};
}

deserialize_number_or_text!(Size, Seconds, Days);

#[cfg(test)]
mod tests {
    use serde::de::IntoDeserializer;
    use serde::de::value::Error as ValueError;

    use super::*;

    fn size(text: &str) -> Result<u64, String> {
        text.parse::<Size>().map(|size| size.0)
    }

    fn seconds(text: &str) -> Result<f64, String> {
        text.parse::<Seconds>().map(|seconds| seconds.0.as_secs_f64())
    }

    fn days(text: &str) -> Result<f64, String> {
        text.parse::<Days>().map(|days| days.0.as_secs_f64() / SECONDS_A_DAY as f64)
    }

    #[test]
    fn a_size_is_a_number_of_bytes_or_a_number_with_a_unit() {
        for (text, expected) in [
            ("0", 0),
            ("1048576", 1 << 20),
            ("7B", 7),
            ("64K", 64 << 10),
            ("64k", 64 << 10),
            ("10M", 10 << 20),
            ("10 MiB", 10 << 20),
            ("10mib", 10 << 20),
            ("1G", 1 << 30),
            ("1GiB", 1 << 30),
            ("2T", 2 << 40),
            ("1KB", 1000),
            ("20GB", 20_000_000_000),
            ("3TB", 3_000_000_000_000),
            (" 5M ", 5 << 20),
            ("18446744073709551615", u64::MAX),
        ] {
            assert_eq!(size(text), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused_with_how_to_write_one() {
        for text in ["", " ", "M", "many", "-1", "+1", "1.5G", "10X", "10Mi", "10MM", "1e3", "0x10"]
        {
            let message = size(text).unwrap_err();
            assert!(message.contains("is not a size; write a whole number of bytes"), "{message}");
        }
        for text in ["18446744073709551616", "16777216T", &"9".repeat(500)] {
            let message = size(text).unwrap_err();
            assert!(message.contains("is too large") && message.len() < 150, "{message}");
        }
    }

    #[test]
    fn a_bare_number_keeps_the_unit_of_its_option() {
        assert_eq!(seconds("10"), Ok(10.0));
        assert_eq!(seconds("0.5"), Ok(0.5));
        assert_eq!(seconds("1e3"), Ok(1000.0));
        assert_eq!(seconds("0"), Ok(0.0));
        assert_eq!(days("30"), Ok(30.0));
        assert_eq!(days("0"), Ok(0.0));
    }

    #[test]
    fn a_duration_with_a_unit_is_the_same_whatever_the_option() {
        for (text, expected) in [
            ("500ms", 0.5),
            ("10s", 10.0),
            ("5m", 300.0),
            ("5 min", 300.0),
            ("2h", 7200.0),
            ("2d", 172_800.0),
            ("1w", 604_800.0),
            ("1h30m", 5400.0),
            ("3 days", 259_200.0),
        ] {
            assert_eq!(seconds(text), Ok(expected), "{text}");
            assert_eq!(days(text).map(|days| days * SECONDS_A_DAY as f64), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_duration_is_refused_with_how_to_write_one() {
        for text in ["", "-1", "-5m", "soon", "s", "inf", "NaN", "1month", "1y", "5m ago", "1e"] {
            let message = seconds(text).unwrap_err();
            assert!(message.contains("is not a duration; write a number of seconds"), "{message}");
        }
        assert_eq!(days("4294967295"), Ok(f64::from(u32::MAX)));
        assert!(days("4294967296").unwrap_err().contains("is too long"));
        assert!(days("x").unwrap_err().contains("write a number of days"));
        for text in ["1e300", "36526d", "3200000000"] {
            assert!(seconds(text).unwrap_err().contains("is too long"), "{text}");
        }
    }

    fn read<T: for<'de> Deserialize<'de>, V>(value: V) -> Result<T, String>
    where
        V: for<'de> IntoDeserializer<'de, ValueError>,
    {
        T::deserialize(value.into_deserializer()).map_err(|error| error.to_string())
    }

    #[test]
    fn a_file_gives_numbers_and_strings() {
        assert_eq!(read(1000_i64), Ok(Size(1000)));
        assert_eq!(read("1K"), Ok(Size(1024)));
        assert_eq!(read(0.5), Ok(Seconds(Duration::from_millis(500))));
        assert_eq!(read("5m"), Ok(Seconds(Duration::from_secs(300))));
        assert_eq!(read(7_u64), Ok(Days(Duration::from_secs(7 * SECONDS_A_DAY))));
        assert!(read::<Size, _>(-1_i64).unwrap_err().contains("is not a size"));
        assert!(read::<Size, _>(1.5).unwrap_err().contains("is not a size"));
        assert!(read::<Seconds, _>(f64::NAN).unwrap_err().contains("is not a duration"));
        assert!(read::<Days, _>(true).unwrap_err().contains("expected a number, or a string"));
    }
}
