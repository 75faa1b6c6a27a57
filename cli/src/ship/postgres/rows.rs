//! The lines of a block as rows of `cdr_event`, in the text form of COPY.
//!
//! No line may fail a block. What a column cannot hold is null there: `body` where jsonb cannot
//! hold it, `at` where the time is in no calendar, `line` where it is not UTF-8, and then `raw` has
//! the bytes.

use std::fmt::Write;

use cdrlog::reader::Event;

use crate::count::line::Parser;
use crate::ship::header::{Block, Fields, Stream};

/// The columns, in the order of [`rows`].
pub(super) const COLUMNS: &str = "node, stream, seq, line_number, file, birth, file_offset, cut, event, session, at, line, raw, body";

/// The last millisecond of the year 9999.
const TIME_MAX_MS: i64 = 253_402_300_799_999;

/// A longer name does not fit into an index.
const NAME_BYTES_MAX: usize = 1000;

/// Numbers with longer parts are not for jsonb, nor with exponents that large.
const DIGITS_MAX: usize = 1000;
const EXPONENT_MAX: u32 = 1000;

/// How much of a line goes into columns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    All,
    /// The server refused a value: only what cannot be refused.
    LineOnly,
    /// It refused a text too: bytes.
    RawOnly,
}

impl Detail {
    pub(super) const ALL: [Self; 3] = [Self::All, Self::LineOnly, Self::RawOnly];
}

/// The rows of a block.
pub(super) fn rows(block: &Block, detail: Detail) -> String {
    let Fields { node, stream, seq, file, birth, start, cut, .. } = &block.header.fields;
    let cut = cut_text(*cut);
    // The same in each row.
    let (chain, place) = (format!("{node}\t{stream}\t{seq}\t"), format!("\t{file}\t{birth}\t"));
    let mut rows = String::with_capacity(block.body.len() * 3);
    let mut offset = *start;
    for (index, line) in block.body.split_inclusive(|&byte| byte == b'\n').enumerate() {
        let text = line.strip_suffix(b"\n").unwrap_or(line);
        rows.push_str(&chain);
        write!(rows, "{}", index + 1).expect("a string takes everything");
        rows.push_str(&place);
        write!(rows, "{offset}\t{cut}").expect("a string takes everything");
        push_line(&mut rows, text, *stream, detail);
        rows.push('\n');
        offset += line.len() as u64;
    }
    rows
}

/// The time at which a block was cut, as the column has it.
pub(super) fn cut_text(cut: i64) -> String {
    time(cut).unwrap_or_else(|| "1970-01-01 00:00:00Z".to_owned())
}

fn push_line(rows: &mut String, line: &[u8], stream: Stream, detail: Detail) {
    let text = std::str::from_utf8(line).ok().filter(|text| !text.contains('\0'));
    let text = text.filter(|_| detail != Detail::RawOnly);
    let said = match (text, detail) {
        (Some(text), Detail::All) => Said::of_line(text, stream),
        _ => Said::default(),
    };
    push(rows, said.event.as_deref());
    push(rows, said.session.as_deref());
    push(rows, said.at.and_then(time).as_deref());
    push(rows, text);
    match text {
        Some(_) => push(rows, None),
        None => push_bytes(rows, line),
    }
    push(rows, said.body);
}

/// What the columns say about a line.
#[derive(Debug, Default, PartialEq)]
struct Said<'a> {
    event: Option<String>,
    session: Option<String>,
    /// In milliseconds since 1970.
    at: Option<i64>,
    body: Option<&'a str>,
}

impl<'a> Said<'a> {
    fn of_line(line: &'a str, stream: Stream) -> Self {
        match stream {
            Stream::Lines => {
                Self::of_event(line).or_else(|| Self::of_odd_event(line)).unwrap_or_default()
            }
            Stream::Rejects => Self::of_reject(line).unwrap_or_default(),
        }
    }

    fn of_event(line: &'a str) -> Option<Self> {
        let event = Event::from_line(line.as_bytes()).ok()?;
        // The object under the name: there is one member, and names hold no quote that is not escaped.
        let body = line.trim_end().strip_suffix('}').map(str::trim_end);
        let body = body.and_then(|text| text.get(object_at(text)?..));
        Some(Self {
            event: plain(event.name()),
            session: event.session_id().and_then(plain),
            at: event.timestamp_ms(),
            body: body.filter(|body| fits_jsonb(body)),
        })
    }

    /// Of a valid line whose numbers no float can hold.
    fn of_odd_event(line: &str) -> Option<Self> {
        let parsed = Parser::default().parse(line.as_bytes()).ok()?;
        Some(Self { event: plain(std::str::from_utf8(&parsed.name).ok()?), ..Self::default() })
    }

    fn of_reject(line: &'a str) -> Option<Self> {
        #[derive(serde::Deserialize)]
        struct Reject {
            at: Option<i64>,
        }
        let Reject { at } = serde_json::from_str(line).ok()?;
        Some(Self { at, body: Some(line).filter(|line| fits_jsonb(line)), ..Self::default() })
    }
}

/// A text that fits into a column and its index.
fn plain(text: &str) -> Option<String> {
    let fits = text.len() <= NAME_BYTES_MAX && !text.contains('\0');
    fits.then(|| text.to_owned())
}

/// Where the value of the first member begins.
fn object_at(line: &str) -> Option<usize> {
    let key = line.find('"')? + 1;
    let bytes = line.as_bytes();
    let mut at = key;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            break;
        }
        at += 2;
    }
    Some(at + line.get(at..)?.find('{')?)
}

/// Whether jsonb can hold a valid JSON text: it has no NUL, and no number of great length.
fn fits_jsonb(text: &str) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => match end_of_string(bytes, at) {
                Some(end) => at = end,
                None => return false,
            },
            b'-' | b'0'..=b'9' => {
                let rest = bytes.get(at..).unwrap_or_default();
                let is_part = |byte: &u8| byte.is_ascii_digit() || b"+-.eE".contains(byte);
                let length = rest.iter().position(|byte| !is_part(byte)).unwrap_or(rest.len());
                if !is_moderate(text.get(at..at + length).unwrap_or_default()) {
                    return false;
                }
                at += length;
            }
            _ => at += 1,
        }
    }
    true
}

fn is_moderate(number: &str) -> bool {
    let (digits, exponent) = number.split_once(['e', 'E']).unwrap_or((number, "0"));
    let exponent = exponent.trim_start_matches(['+', '-']).parse::<u32>();
    digits.len() <= DIGITS_MAX && exponent.is_ok_and(|exponent| exponent <= EXPONENT_MAX)
}

/// After the string that begins at `start`; `None` if it holds a NUL.
fn end_of_string(bytes: &[u8], start: usize) -> Option<usize> {
    let mut at = start + 1;
    loop {
        at += memchr::memchr2(b'"', b'\\', bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        if bytes.get(at..)?.starts_with(b"\\u0000") {
            return None;
        }
        at += 2;
    }
}

fn time(ms: i64) -> Option<String> {
    let is_usual = (0..=TIME_MAX_MS).contains(&ms);
    let at = is_usual.then(|| jiff::Timestamp::from_millisecond(ms).ok()).flatten()?;
    Some(at.to_string())
}

fn push(rows: &mut String, value: Option<&str>) {
    rows.push('\t');
    let Some(value) = value else { return rows.push_str("\\N") };
    let mut rest = value;
    while let Some(at) = special_at(rest.as_bytes()) {
        let (before, from) = rest.split_at(at);
        rows.push_str(before);
        rows.push_str(match from.as_bytes().first() {
            Some(b'\t') => "\\t",
            Some(b'\n') => "\\n",
            Some(b'\r') => "\\r",
            _ => "\\\\",
        });
        rest = from.get(1..).unwrap_or_default();
    }
    rows.push_str(rest);
}

/// The first byte that COPY reads as something else.
fn special_at(text: &[u8]) -> Option<usize> {
    let first = memchr::memchr2(b'\\', b'\t', text);
    let before = text.get(..first.unwrap_or(text.len())).unwrap_or_default();
    memchr::memchr2(b'\n', b'\r', before).or(first)
}

fn push_bytes(rows: &mut String, bytes: &[u8]) {
    rows.push_str("\t\\\\x");
    for byte in bytes {
        write!(rows, "{byte:02x}").expect("a string takes everything");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_taken_apart_into_columns() {
        let line = r#"{"sessionCreated":{"timestamp":1538481330577,"sessionId":"ses_A"}}"#;
        let said = Said::of_line(line, Stream::Lines);
        assert_eq!(said.event.as_deref(), Some("sessionCreated"));
        assert_eq!(said.session.as_deref(), Some("ses_A"));
        assert_eq!(said.at, Some(1_538_481_330_577));
        assert_eq!(said.body, Some(r#"{"timestamp":1538481330577,"sessionId":"ses_A"}"#));
        let odd = r#"{"a\"{b":{"x":{}}}"#;
        assert_eq!(Said::of_line(odd, Stream::Lines).body, Some(r#"{"x":{}}"#));
        assert_eq!(Said::of_line("no event", Stream::Lines), Said::default());
    }

    #[test]
    fn every_line_of_real_events_has_the_body_that_a_tree_has() {
        for line in include_str!("../../../../tests/data/cdr.jsonl").lines() {
            let tree: serde_json::Value = serde_json::from_str(line).unwrap();
            let (name, body) = tree.as_object().unwrap().iter().next().unwrap();
            let said = Said::of_line(line, Stream::Lines);
            assert_eq!(said.event.as_ref(), Some(name));
            let found: serde_json::Value = serde_json::from_str(said.body.unwrap()).unwrap();
            assert_eq!(found, *body);
        }
    }

    #[test]
    fn what_jsonb_cannot_hold_is_known_before() {
        for text in [r#"{"a":"\u0000"}"#, r#"{"\u0000":1}"#, r#"{"a":1e1001}"#, "[1e-99999999999]"]
        {
            assert!(!fits_jsonb(text), "{text}");
        }
        assert!(!fits_jsonb(&format!("[{}]", "9".repeat(1001))));
        for text in [r#"{"a":"\\u0000"}"#, r#"{"a":-1.5e3,"b":"1e9999 \u0001"}"#, "[]"] {
            assert!(fits_jsonb(text), "{text}");
        }
    }

    #[test]
    fn what_is_no_text_goes_as_bytes_and_separators_are_escaped() {
        let mut row = String::new();
        push_line(&mut row, b"a\xff", Stream::Lines, Detail::All);
        assert_eq!(row, "\t\\N\t\\N\t\\N\t\\N\t\\\\x61ff\t\\N");
        row.clear();
        push_line(&mut row, b"a\tb\\c\r", Stream::Lines, Detail::All);
        assert_eq!(row, "\t\\N\t\\N\t\\N\ta\\tb\\\\c\\r\t\\N\t\\N");
        row.clear();
        push_line(&mut row, b"{\"x\":{}}", Stream::Lines, Detail::RawOnly);
        assert_eq!(row, "\t\\N\t\\N\t\\N\t\\N\t\\\\x7b2278223a7b7d7d\t\\N");
    }

    #[test]
    fn times_of_no_calendar_are_null() {
        assert_eq!(time(1_538_481_330_577).as_deref(), Some("2018-10-02T11:55:30.577Z"));
        assert_eq!((time(-1), time(i64::MAX)), (None, None));
    }
}
