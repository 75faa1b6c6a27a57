//! Parses a line of a CDR: the name of its event, and the members of its body.
//!
//! Lines are validated first, in full and at the speed of the rewriter ([`cdrlog::LineCheck`]), so
//! the grammar is known to hold here, and members are found by looking for quotes and brackets
//! alone. That is ten times as fast as building a tree for every line.

use std::borrow::Cow;

use cdrlog::{LineCheck, LineFault};
use memchr::memchr2;

/// Strings that are at most that long are searched here.
const SHORT_BYTES: usize = 32;

/// The line of an event.
#[derive(Debug, Default)]
pub(crate) struct Line<'a> {
    /// The name of the event, without quotes and escapes.
    pub(crate) name: Cow<'a, [u8]>,
    /// The object under it, and what follows.
    pub(crate) body: &'a [u8],
    /// All of it, without its line feed.
    pub(crate) text: &'a [u8],
}

impl<'a> Line<'a> {
    /// Takes a line apart that was parsed before. It is empty if it was not.
    pub(crate) fn of_parsed(line: &'a [u8]) -> Self {
        take_apart(line).unwrap_or_default()
    }
}

/// Parses lines; keeps its buffers from one to the next.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parser {
    check: LineCheck,
    ended: Vec<u8>,
}

impl Parser {
    /// Parses a line with or without its line feed.
    ///
    /// # Errors
    ///
    /// What is wrong with it.
    pub(crate) fn parse<'a>(&mut self, line: &'a [u8]) -> Result<Line<'a>, LineFault> {
        if line.ends_with(b"\n") {
            self.check.line(line)?;
        } else {
            self.ended.clear();
            self.ended.extend_from_slice(line);
            self.ended.push(b'\n');
            self.check.line(&self.ended)?;
        }
        Ok(Line::of_parsed(line))
    }
}

/// The one member of a validated line. What follows the object under it is left in the text.
fn take_apart(line: &[u8]) -> Option<Line<'_>> {
    let rest = skip_separators(skip_separators(line).strip_prefix(b"{")?);
    let (name, rest) = split_key(rest)?;
    let text = line.strip_suffix(b"\n").unwrap_or(line);
    Some(Line { name, body: skip_separators(rest), text })
}

/// The items of an array or the members of an object, in their order. The JSON is valid.
#[derive(Clone, Debug)]
pub(crate) struct Members<'a> {
    rest: &'a [u8],
}

impl<'a> Members<'a> {
    /// Empty if `value` is not an object.
    pub(crate) fn of_object(value: &'a [u8]) -> Self {
        Self { rest: value.strip_prefix(b"{").unwrap_or_default() }
    }
}

impl<'a> Iterator for Members<'a> {
    /// The key without its quotes, with its escapes decoded, and the value as it is in the line.
    type Item = (Cow<'a, [u8]>, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (key, rest) = split_key(skip_separators(self.rest))?;
        let rest = skip_separators(rest);
        let (value, rest) = rest.split_at_checked(value_bytes(rest)?)?;
        self.rest = rest;
        Some((key, value))
    }
}

/// The items of an array. The JSON is valid.
#[derive(Clone, Debug)]
pub(crate) struct Items<'a> {
    rest: &'a [u8],
}

impl<'a> Items<'a> {
    /// Empty if `value` is not an array.
    pub(crate) fn of_array(value: &'a [u8]) -> Self {
        Self { rest: value.strip_prefix(b"[").unwrap_or_default() }
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<Self::Item> {
        let rest = skip_separators(self.rest);
        if rest.first() == Some(&b']') {
            return None;
        }
        let (value, rest) = rest.split_at_checked(value_bytes(rest)?)?;
        self.rest = rest;
        Some(value)
    }
}

/// The decoded key at the start of `bytes`, and what follows it.
fn split_key(bytes: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let inner = bytes.strip_prefix(b"\"")?;
    let end = quote_or_escape(inner)?;
    if inner.get(end) == Some(&b'"') {
        // Nearly all keys: searched once, and there was no escape.
        let (key, rest) = inner.split_at_checked(end)?;
        return Some((Cow::Borrowed(key), rest.get(1..)?));
    }
    let (key, rest) = bytes.split_at_checked(string_bytes(bytes)?)?;
    Some((text(key)?, rest))
}

/// The decoded string; `None` if `value` is not a string.
pub(crate) fn text(value: &[u8]) -> Option<Cow<'_, [u8]>> {
    let inner = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    // There is no quote in it without an escape.
    if quote_or_escape(inner).is_some() {
        let text: String = serde_json::from_slice(value).ok()?;
        return Some(Cow::Owned(text.into_bytes()));
    }
    Some(Cow::Borrowed(inner))
}

/// A number, or a string that is one, as LiveKit writes its 64-bit integers. It is finite.
pub(crate) fn number(value: &[u8]) -> Option<f64> {
    let digits = value.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\""));
    let digits = digits.unwrap_or(value);
    if (1..=15).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit) {
        // Most numbers, exactly.
        let number = digits.iter().fold(0, |sum: u64, digit| sum * 10 + u64::from(digit - b'0'));
        return Some(number as f64);
    }
    let number: f64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    number.is_finite().then_some(number)
}

fn skip_separators(bytes: &[u8]) -> &[u8] {
    let is_separator = |byte: &u8| matches!(byte, b',' | b':' | b' ' | b'\t' | b'\r' | b'\n');
    let end = bytes.iter().position(|byte| !is_separator(byte)).unwrap_or(bytes.len());
    bytes.get(end..).unwrap_or_default()
}

/// The first quote or backslash. Nearly all strings are shorter than what a call of `memchr2` pays
/// for.
#[inline]
fn quote_or_escape(bytes: &[u8]) -> Option<usize> {
    const LOW: u64 = u64::from_ne_bytes([1; 8]);
    const HIGH: u64 = u64::from_ne_bytes([0x80; 8]);
    // The lowest byte that is set in the result is the first one of `word` that is `byte`.
    let find = |word: u64, byte: u8| {
        let difference = word ^ u64::from_ne_bytes([byte; 8]);
        difference.wrapping_sub(LOW) & !difference & HIGH
    };
    let mut at = 0;
    while at < SHORT_BYTES {
        let Some(word) = bytes.get(at..)?.first_chunk() else { break };
        let word = u64::from_le_bytes(*word);
        let found = find(word, b'"') | find(word, b'\\');
        if found != 0 {
            return Some(at + found.trailing_zeros() as usize / 8);
        }
        at += 8;
    }
    let rest = bytes.get(at..)?;
    let found = if rest.len() < 8 {
        rest.iter().position(|byte| matches!(byte, b'"' | b'\\'))
    } else {
        memchr2(b'"', b'\\', rest)
    };
    found.map(|found| at + found)
}

/// The length of the string at the start of `bytes`, including its quotes.
fn string_bytes(bytes: &[u8]) -> Option<usize> {
    if bytes.first() != Some(&b'"') {
        return None;
    }
    let mut at = 1;
    loop {
        at += quote_or_escape(bytes.get(at..)?)?;
        if bytes.get(at) == Some(&b'"') {
            return Some(at + 1);
        }
        at += 2;
    }
}

/// The length of the value at the start of `bytes`.
fn value_bytes(bytes: &[u8]) -> Option<usize> {
    match bytes.first()? {
        b'"' => string_bytes(bytes),
        b'{' | b'[' => nested_bytes(bytes),
        _ => {
            let is_end =
                |byte: &u8| matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n');
            bytes.iter().position(is_end)
        }
    }
}

/// The length of the object or array at the start of `bytes`.
fn nested_bytes(bytes: &[u8]) -> Option<usize> {
    let (mut at, mut depth) = (0, 0_usize);
    loop {
        match bytes.get(at)? {
            b'"' => {
                at += string_bytes(bytes.get(at..)?)?;
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' if depth == 1 => return Some(at + 1),
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<(String, String)> {
        let mut parser = Parser::default();
        let parsed = parser.parse(line.as_bytes()).ok()?;
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        Some((text(&parsed.name), text(parsed.body)))
    }

    #[test]
    fn every_line_of_real_events_is_taken_apart_and_its_members_are_those_of_a_tree() {
        let mut parser = Parser::default();
        for line in include_str!("../../../tests/data/cdr.jsonl").lines() {
            let parsed = parser.parse(line.as_bytes()).unwrap();
            let tree: serde_json::Value = serde_json::from_str(line).unwrap();
            let (name, body) = tree.as_object().unwrap().iter().next().unwrap();
            assert_eq!(parsed.name, name.as_bytes());
            compare(parsed.body, body);
        }
    }

    fn compare(value: &[u8], tree: &serde_json::Value) {
        match tree {
            serde_json::Value::Object(members) => {
                let found: Vec<_> = Members::of_object(value).collect();
                assert_eq!(found.len(), members.len());
                for ((key, value), (name, tree)) in found.iter().zip(members) {
                    assert_eq!(key.as_ref(), name.as_bytes());
                    compare(value, tree);
                }
            }
            serde_json::Value::Array(items) => {
                let found: Vec<_> = Items::of_array(value).collect();
                assert_eq!(found.len(), items.len());
                found.iter().zip(items).for_each(|(value, tree)| compare(value, tree));
            }
            tree => assert_eq!(&serde_json::from_slice::<serde_json::Value>(value).unwrap(), tree),
        }
    }

    #[test]
    fn names_and_keys_with_escapes_are_what_they_mean() {
        let (name, body) = parse(r#"{"a\"\u0062":{"\u0063":1}}"#).unwrap();
        assert_eq!(name, "a\"b");
        let keys: Vec<_> = Members::of_object(body.as_bytes()).map(|(key, _)| key).collect();
        assert_eq!(keys, [Cow::Borrowed(b"c")]);
        assert_eq!(text(br#""\u0065\n""#).unwrap().as_ref(), b"e\n");
    }

    #[test]
    fn strings_of_every_length_end_at_their_quote() {
        for length in 0..100 {
            for (at, special) in (0..=length).flat_map(|at| [(at, b'"'), (at, b'\\')]) {
                let mut bytes = vec![b'a'; length];
                // What differs from them in one bit, and is before them.
                bytes.iter_mut().step_by(3).for_each(|byte| *byte = special ^ 1);
                assert_eq!(quote_or_escape(&bytes), None);
                bytes.insert(at, special);
                bytes.push(b'"');
                assert_eq!(quote_or_escape(&bytes), Some(at), "{length}");
            }
        }
    }

    #[test]
    fn lines_with_blanks_of_another_writer_are_lines_too() {
        assert_eq!(parse(r#" { "a" : { "b" : [ 1 , 2 ] } } "#).unwrap().0, "a");
        assert_eq!(parse("{\"a\":{}}\r").unwrap().0, "a");
    }

    #[test]
    fn what_is_no_line_of_an_event_is_none() {
        for line in [
            "",
            "{}",
            "[]",
            "x",
            r#"{"a":1}"#,
            r#"{"a":{}"#,
            r#"{"a":{},"b":{}}"#,
            r#"{"":{}}"#,
            r#"{"a":{"b":1}}{"a":{}}"#,
            r#"{"a":{"b":}}"#,
            "{\"a\":{\"b\":\"\0\"}}",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn numbers_come_as_numbers_and_as_strings() {
        assert_eq!(number(b"8.6"), Some(8.6));
        assert_eq!(number(b"\"7340032\""), Some(7_340_032.0));
        for value in [&b"null"[..], b"\"\"", b"\"x\"", b"1e999", b"{}"] {
            assert_eq!(number(value), None);
        }
    }
}
