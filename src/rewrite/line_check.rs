//! Checks lines that were written earlier.
//!
//! A line of ours is what the rewriter makes of its body, and the body can be rebuilt from the
//! line: its members, and the name of the event as the last one. So the rewriter itself, at its
//! speed, checks whether a line is right. Only if it says no, the line is examined byte by byte: it
//! may be right all the same, with whitespace between the tokens if another program wrote it, or
//! there is a fault to report.

use std::fmt;

use super::portable::first_fault_of_utf8;
use super::reason::{Reason, Rejection};
use super::rewriter::Rewriter;
use super::{scan, token};

/// What every record of a rejects file starts with.
const RECORD_START: &[u8] = b"{\"reason\":";

/// Checks lines of CDR and rejects files, at about two gigabytes per second.
///
/// It keeps a buffer for the next line, twice the length of the longest one.
///
/// ```
/// let mut check = cdrlog::LineCheck::new();
/// assert_eq!(check.line(b"{\"sessionCreated\":{\"timestamp\":1}}\n"), Ok(()));
/// let fault = check.line(b"{\"sessionCreated\":{\"timestamp\":01}}\n").unwrap_err();
/// assert_eq!((fault.reason.as_str(), fault.offset), ("invalid_number", 32));
/// ```
#[derive(Clone, Debug, Default)]
pub struct LineCheck {
    body: Vec<u8>,
    again: Vec<u8>,
}

/// Why a line is not one of a CDR or rejects file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum LineReason {
    /// The line is not valid: why, in the words of the rewriter.
    Json(Reason),
    /// A byte 0: a hole, as a power loss leaves it.
    Nul,
    /// It does not end in a line feed: it is torn, or not completely written yet.
    NoLineEnd,
    /// The root object has no member.
    NameMissing,
    /// The name of the event is empty.
    NameEmpty,
    /// The root object has more than one member.
    SeveralEvents,
    /// The value of the root's member is not an object.
    EventNotAnObject,
    /// In a rejects file: it does not start like a record.
    NotARecord,
}

/// What is wrong with a line, and at which byte of it, counted from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct LineFault {
    /// What is wrong.
    pub reason: LineReason,
    /// The first byte that is not allowed; the length of the line if something is missing at its
    /// end.
    pub offset: usize,
}

impl LineCheck {
    /// A new check, without a buffer yet.
    #[must_use]
    pub const fn new() -> Self {
        Self { body: Vec::new(), again: Vec::new() }
    }

    /// Checks a line of a CDR file, including its line feed: RFC 8259, UTF-8, one root member with
    /// a non-empty name, whose value is an object, nested at most 128 deep, and no escape of half a
    /// surrogate pair.
    ///
    /// # Errors
    ///
    /// The first fault.
    #[inline]
    pub fn line(&mut self, line: &[u8]) -> Result<(), LineFault> {
        if self.is_made_by_us(line) { Ok(()) } else { find_fault(line, scan_line) }
    }

    /// Checks a line of a rejects file, including its line feed: a JSON object as above that starts
    /// with the reason.
    ///
    /// # Errors
    ///
    /// The first fault.
    #[inline]
    pub fn record(&mut self, line: &[u8]) -> Result<(), LineFault> {
        if self.is_record_of_ours(line) { Ok(()) } else { find_fault(line, scan_record) }
    }

    /// Whether the rewriter makes `line`.
    pub(super) fn is_made_by_us(&mut self, line: &[u8]) -> bool {
        self.set_body(line).is_some() && self.rewritten() == Some(line)
    }

    /// Whether the rewriter accepts the members of `line`, which start like those of a record.
    pub(super) fn is_record_of_ours(&mut self, line: &[u8]) -> bool {
        let Some(members) = line.strip_suffix(b"}\n") else { return false };
        self.body.clear();
        self.body.extend_from_slice(members);
        self.body.extend_from_slice(b",\"event\":\"rejected\"}");
        line.starts_with(RECORD_START) && self.rewritten().is_some()
    }

    /// Builds the body of which `line` is the line. `None` if there is none.
    #[inline]
    fn set_body(&mut self, line: &[u8]) -> Option<()> {
        let name_end = token::string_end(line, 1).ok()?;
        let name = line.strip_prefix(b"{")?.get(..name_end - 1)?;
        let members = line.get(name_end..)?.strip_prefix(b":")?.strip_suffix(b"}}\n")?;
        self.body.clear();
        self.body.extend_from_slice(members);
        if members != b"{" {
            self.body.push(b',');
        }
        self.body.extend_from_slice(b"\"event\":");
        self.body.extend_from_slice(name);
        self.body.push(b'}');
        Some(())
    }

    /// The line of the body.
    #[inline]
    fn rewritten(&mut self) -> Option<&[u8]> {
        if self.again.len() < self.body.len() {
            self.again.resize(self.body.len(), 0);
        }
        let unlimited = Rewriter::with_event_bytes_max(usize::MAX);
        let length = unlimited.rewrite_into(&self.body, &mut self.again).ok()?;
        self.again.get(..length)
    }
}

/// The first fault of `line`, as `scan` finds it in the line without its line feed. No fault if the
/// line is valid but only another program would have written it so.
#[cold]
fn find_fault(line: &[u8], scan: impl Fn(&[u8]) -> Scanned) -> Result<(), LineFault> {
    let Some(text) = line.strip_suffix(b"\n") else {
        return Err(LineFault { reason: LineReason::NoLineEnd, offset: line.len() });
    };
    let scanned = scan(text).map_err(|fault| match text.get(fault.offset) {
        Some(0) => LineFault { reason: LineReason::Nul, ..fault },
        _ => fault,
    });
    let utf8_fault = first_fault_of_utf8(text).map(LineFault::from);
    match (scanned, utf8_fault) {
        (Err(fault), Some(utf8)) if utf8.offset <= fault.offset => Err(utf8),
        (Ok(()), Some(utf8)) => Err(utf8),
        (scanned, _) => scanned,
    }
}

type Scanned = Result<(), LineFault>;

/// Checks everything but UTF-8.
fn scan_line(text: &[u8]) -> Scanned {
    let name_start = token::whitespace_end(text, root_start(text)? + 1);
    match text.split_at(name_start).1 {
        [b'"', b'"', ..] => return fault(LineReason::NameEmpty, name_start),
        [b'"', ..] => {}
        [b'}', ..] => return fault(LineReason::NameMissing, name_start),
        _ => return unexpected(text, name_start),
    }
    let colon = token::whitespace_end(text, token::string_end(text, name_start)?);
    let event_start = token::whitespace_end(text, colon + 1);
    match (text.get(colon), text.get(event_start)) {
        (Some(b':'), Some(b'{')) => {}
        (Some(b':'), Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n')) => {
            return fault(LineReason::EventNotAnObject, event_start);
        }
        (Some(b':'), _) => return unexpected(text, event_start),
        _ => return unexpected(text, colon),
    }
    let end = token::whitespace_end(text, scan::object_end(text, event_start)?);
    match text.get(end) {
        Some(b'}') => nothing_after(text, end + 1),
        Some(b',') => fault(LineReason::SeveralEvents, end),
        _ => unexpected(text, end),
    }
}

fn scan_record(text: &[u8]) -> Scanned {
    let end = scan::object_end(text, root_start(text)?)?;
    nothing_after(text, end)?;
    if text.starts_with(RECORD_START) { Ok(()) } else { fault(LineReason::NotARecord, 0) }
}

/// Where the root's `{` is.
fn root_start(text: &[u8]) -> Result<usize, LineFault> {
    let start = token::whitespace_end(text, 0);
    match text.get(start) {
        Some(b'{') => Ok(start),
        Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
            Err(Rejection::new(Reason::NotAnObject, start).into())
        }
        Some(_) => Err(Rejection::new(Reason::UnexpectedByte, start).into()),
        None => Err(Rejection::new(Reason::Empty, start).into()),
    }
}

fn nothing_after(text: &[u8], end: usize) -> Scanned {
    let end = token::whitespace_end(text, end);
    if end == text.len() {
        return Ok(());
    }
    fault(LineReason::Json(Reason::TrailingBytes), end)
}

/// Something else should be at `at`.
fn unexpected(text: &[u8], at: usize) -> Scanned {
    if at < text.len() {
        fault(LineReason::Json(Reason::UnexpectedByte), at)
    } else {
        Err(token::unexpected_end(text).into())
    }
}

const fn fault(reason: LineReason, offset: usize) -> Scanned {
    Err(LineFault { reason, offset })
}

impl From<Rejection> for LineFault {
    fn from(rejection: Rejection) -> Self {
        Self { reason: LineReason::Json(rejection.reason), offset: rejection.offset }
    }
}

impl LineReason {
    /// The reason as one word. The words never change meaning.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Json(reason) => reason.as_str(),
            Self::Nul => "nul",
            Self::NoLineEnd => "no_line_end",
            Self::NameMissing => "name_missing",
            Self::NameEmpty => "name_empty",
            Self::SeveralEvents => "several_events",
            Self::EventNotAnObject => "event_not_an_object",
            Self::NotARecord => "not_a_record",
        }
    }
}

impl fmt::Display for LineReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Json(Reason::InvalidUtf8) => "a byte that is not UTF-8",
            Self::Json(reason) => return reason.fmt(f),
            Self::Nul => "a byte 0, as a power loss leaves it",
            Self::NoLineEnd => "no line feed ends it",
            Self::NameMissing => "the root object has no member",
            Self::NameEmpty => "the name of the event is empty",
            Self::SeveralEvents => "the root object has more than one member",
            Self::EventNotAnObject => "the value of the root's member is not an object",
            Self::NotARecord => "it does not begin as a record of a reject does",
        })
    }
}

impl fmt::Display for LineFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.reason, self.offset)
    }
}

impl std::error::Error for LineFault {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn expect(line: &str, word: &str, offset: usize) {
        let fault = LineCheck::new().line(line.as_bytes()).unwrap_err();
        assert_eq!((fault.reason.as_str(), fault.offset), (word, offset), "{line:?}");
    }

    #[test]
    fn every_fault_of_a_line_has_its_reason_and_byte() {
        expect("", "no_line_end", 0);
        expect("{\"x\":{}}", "no_line_end", 8);
        expect("\n", "empty", 0);
        expect("[]\n", "not_an_object", 0);
        expect("x\n", "unexpected_byte", 0);
        expect("{}\n", "name_missing", 1);
        expect("{x\n", "unexpected_byte", 1);
        expect("{\n", "unexpected_end", 1);
        expect("{\"\":{}}\n", "name_empty", 1);
        expect("{\"x\":1}\n", "event_not_an_object", 5);
        expect("{\"x\";{}}\n", "unexpected_byte", 4);
        expect("{\"x\"\n", "unexpected_end", 4);
        expect("{\"x\":\n", "unexpected_end", 5);
        expect("{\"x\":{\"a\":01}}\n", "invalid_number", 11);
        expect("{\"x\":{\"a\":1,}}\n", "unexpected_byte", 12);
        expect("{\"x\":{\"event\":\"y\",\"a\":}}\n", "unexpected_byte", 22);
        expect("{\"x\":{},\"y\":{}}\n", "several_events", 7);
        expect("{\"x\":{}}}\n", "trailing_bytes", 8);
        expect("{\"x\":{\"a\":\"\\ud800\"}}\n", "lone_surrogate", 11);
        expect("{\"x\":{\"a\":1}\n", "unexpected_end", 12);
        expect("{\"x\":{\0}}\n", "nul", 6);
        expect("\0\0\n", "nul", 0);
    }

    #[test]
    fn bytes_that_are_not_utf8_are_a_fault_where_nothing_comes_before() {
        let mut check = LineCheck::new();
        let fault = check.line(b"{\"x\":{\"a\":\"\xff\"}}\n").unwrap_err();
        assert_eq!((fault.reason.as_str(), fault.offset), ("invalid_utf8", 11));
        let fault = check.line(b"{\"x\":{1\"a\":\"\xff\"}}\n").unwrap_err();
        assert_eq!((fault.reason.as_str(), fault.offset), ("unexpected_byte", 6));
        assert!(check.line(b"{\"\xff\":{}}\n").is_err());
    }

    #[test]
    fn lines_that_only_an_external_program_writes_so_are_right_too() {
        for line in [
            "{\"x\":{}}\n",
            " { \"x\" : { \"a\" : 1 } } \r\n",
            "{\"event\":{\"event\":1,\"event\":\"\"}}\n",
            "{\"x\":{\"event\":\"y\"}}\n",
        ] {
            assert_eq!(LineCheck::new().line(line.as_bytes()), Ok(()), "{line}");
        }
    }

    #[test]
    fn an_event_may_be_nested_as_deep_as_a_body() {
        for (depth, word) in [(127, None), (128, Some("too_deep"))] {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            // Once for the fast check, and once for the slow one.
            for space in ["", " "] {
                let line = format!("{{\"x\":{space}{{\"a\":{open}{close}}}}}\n");
                let fault = LineCheck::new().line(line.as_bytes()).err();
                assert_eq!(fault.map(|fault| fault.reason.as_str()), word);
            }
        }
    }

    #[test]
    fn records_of_rejects_are_checked_by_their_own_rule() {
        let mut check = LineCheck::new();
        let record = b"{\"reason\":\"empty\",\"offset\":0,\"at\":1,\"body\":\"\"}\n";
        assert_eq!(check.record(record), Ok(()));
        for (line, word) in [
            (&b"{\"x\":{}}\n"[..], "not_a_record"),
            (&record[..record.len() - 1], "no_line_end"),
            (b"{\"reason\":\"empty\",}\n", "unexpected_byte"),
            (b"{\"reason\":\"empty\"\n", "unexpected_end"),
            (b"{\"reason\":\"\xff\"}\n", "invalid_utf8"),
        ] {
            assert_eq!(check.record(line).unwrap_err().reason.as_str(), word);
        }
    }

    /// The same verdict by another JSON parser.
    fn is_right(line: &[u8]) -> bool {
        let Some(text) = line.strip_suffix(b"\n").and_then(|text| std::str::from_utf8(text).ok())
        else {
            return false;
        };
        let Ok(serde_json::Value::Object(root)) = serde_json::from_str(text) else { return false };
        let mut members = root.iter();
        matches!((members.next(), members.next()), (Some((name, value)), None) if !name.is_empty() && value.is_object())
    }

    proptest! {
        #[test]
        fn a_line_that_was_damaged_is_judged_as_a_parser_does(at in 0_usize..70, byte in any::<u8>()) {
            let mut line = b"{\"sessionCreated\":{\"a\":[1.5e3,true,{\"b\":\"\\u00e9\xc3\xa9\"}],\"c\":null}}\n".to_vec();
            let at = at % line.len();
            line[at] = byte;
            // The parser accepts a key that occurs twice.
            prop_assume!(byte != b'\n' || at + 1 == line.len());
            prop_assert_eq!(LineCheck::new().line(&line).is_ok(), is_right(&line), "{:?}", String::from_utf8_lossy(&line));
        }
    }
}
