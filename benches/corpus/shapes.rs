//! What an event may look like, and events that do.

use super::{Position, events, large_event, large_structured_event, nested_events};

const PLAIN: &[&str] =
    &["message ", "slide ", "12345 ", "the quick brown fox ", "{'a':[1,2]} ", "x"];
const ESCAPES: &[&str] = &["\\\"", "\\n", "\\\\", "\\u00e9", "\\ud83d\\ude00", "\\/", "a"];
const NON_ASCII: &[&str] =
    &["\u{e9}", "\u{20ac}", "\u{1f600}", "\u{65e5}\u{672c}\u{8a9e}", "n", " "];

/// A shape by its name in the tables, with its events.
pub type Shape = (&'static str, Vec<Vec<u8>>);

/// All shapes. The last two are the whole corpus.
pub fn shapes() -> Vec<Shape> {
    let last = events(Position::Last);
    let nested = nested_events();
    vec![
        ("plain", only(&last, is_plain)),
        ("array", only(&last, |event| is_plain(&event.replace('[', "")) && event.contains('['))),
        ("json-in-string", only(&last, |event| event.contains('\\'))),
        ("true-false", only(&last, has_words)),
        ("nonascii", only(&last, |event| !event.is_ascii())),
        ("spaced", spaced(&last, ",:")),
        ("nested-spaced", spaced(&nested, ",")),
        ("nested", nested),
        ("large-1KB", vec![large_structured_event(1_000)]),
        ("large-100KB", vec![large_structured_event(100_000)]),
        ("large-1MB", vec![large_structured_event(1_000_000)]),
        ("plain-100KB", vec![large_event(100_000, PLAIN)]),
        ("escapes-100KB", vec![large_event(100_000, ESCAPES)]),
        ("nonascii-100KB", vec![large_event(100_000, NON_ASCII)]),
        ("event-first", events(Position::First)),
        ("event-last", last),
    ]
}

/// The events of which something is known.
fn only(events: &[Vec<u8>], is_in: fn(&str) -> bool) -> Vec<Vec<u8>> {
    let is_in = |event: &&Vec<u8>| is_in(std::str::from_utf8(event).expect("UTF-8"));
    events.iter().filter(is_in).cloned().collect()
}

fn has_words(event: &str) -> bool {
    event.contains(":true") || event.contains(":false")
}

fn is_plain(event: &str) -> bool {
    event.is_ascii() && !event.contains(['[', '\\']) && !has_words(event)
}

/// The events with a space after each of `separators`: after commas, as LiveKit's encoder writes them
/// in some builds, or after commas and colons, as Python does.
fn spaced(events: &[Vec<u8>], separators: &str) -> Vec<Vec<u8>> {
    let spaced_event = |event: &Vec<u8>| {
        let mut spaced = Vec::with_capacity(event.len() * 5 / 4);
        let (mut is_in_string, mut is_escaped) = (false, false);
        for &byte in event {
            spaced.push(byte);
            if byte == b'"' && !is_escaped {
                is_in_string = !is_in_string;
            }
            is_escaped = byte == b'\\' && !is_escaped;
            if !is_in_string && separators.as_bytes().contains(&byte) {
                spaced.push(b' ');
            }
        }
        spaced
    };
    events.iter().map(spaced_event).collect()
}
