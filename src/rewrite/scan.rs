//! The portable scan: token by token, with the reason and the byte if a body is not an event.
//!
//! One pass over the bytes, no tree and no recursion: the open arrays and objects are bits of a
//! [`Nesting`], and what may come next is an [`Expected`]. The first byte that cannot be accepted
//! ends the scan, so a reason is always that of the first fault. UTF-8 is not checked here.

use std::ops::Range;

use super::nesting::{Container, Nesting};
use super::reason::{Reason, Rejection};
use super::token;

/// Where the parts of an event are that the line is made from. The body is valid and this is its
/// only event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Event {
    /// The root's `{`.
    pub(super) root_start: usize,
    /// Just after the root's `}`.
    pub(super) root_end: usize,
    /// The opening quote of the key `event`.
    pub(super) key_start: usize,
    /// The opening quote of its value.
    pub(super) name_start: usize,
    /// Just after the closing quote of its value.
    pub(super) name_end: usize,
    /// There may be CR or LF between its tokens.
    pub(super) has_newlines: bool,
}

/// What the grammar allows next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// After `{`.
    KeyOrEnd,
    /// After a comma in an object.
    Key,
    /// After `[`.
    ValueOrEnd,
    /// After a colon, and after a comma in an array.
    Value,
    /// After a value.
    CommaOrEnd,
}

/// Finds the event in `body`, or the first fault.
pub(super) fn scan(body: &[u8]) -> Result<Event, Rejection> {
    Scan::at(body, 0).root()
}

/// The end of the object whose `{` is at `start`, whatever its members are called.
pub(super) fn object_end(text: &[u8], start: usize) -> Result<usize, Rejection> {
    let mut scan = Scan { seeks_event: false, ..Scan::at(text, start) };
    let mut expected = scan.open(Container::Object)?;
    while scan.nesting.depth() > 0 {
        expected = scan.token(expected)?;
    }
    Ok(scan.at)
}

struct Scan<'body> {
    body: &'body [u8],
    /// Everything before this offset is accepted.
    at: usize,
    nesting: Nesting,
    /// A member `event` of the root counts.
    seeks_event: bool,
    /// The opening quote of the root's key `event`, once seen.
    event_key: Option<usize>,
    /// Its value, including the quotes.
    event_name: Range<usize>,
}

impl<'body> Scan<'body> {
    fn at(body: &'body [u8], at: usize) -> Self {
        let nesting = Nesting::default();
        Self { body, at, nesting, seeks_event: true, event_key: None, event_name: 0..0 }
    }

    fn root(mut self) -> Result<Event, Rejection> {
        let root_start = token::whitespace_end(self.body, 0);
        self.at = root_start;
        let mut expected = match self.body.get(root_start) {
            Some(b'{') => self.open(Container::Object)?,
            Some(b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                return Err(self.fault(Reason::NotAnObject));
            }
            Some(_) => return Err(self.fault(Reason::UnexpectedByte)),
            None => return Err(self.fault(Reason::Empty)),
        };
        while self.nesting.depth() > 0 {
            expected = self.token(expected)?;
        }
        let root_end = self.at;
        let Some(key_start) = self.event_key else {
            return Err(Rejection::new(Reason::EventMissing, root_end - 1));
        };
        self.at = token::whitespace_end(self.body, root_end);
        if self.at < self.body.len() {
            return Err(self.fault(Reason::TrailingBytes));
        }
        let Range { start: name_start, end: name_end } = self.event_name;
        Ok(Event { root_start, root_end, key_start, name_start, name_end, has_newlines: true })
    }

    /// Takes the next token, including whitespace before it; a key together with its colon.
    fn token(&mut self, expected: Expected) -> Result<Expected, Rejection> {
        use Expected::{CommaOrEnd, Key, KeyOrEnd, Value, ValueOrEnd};
        match (expected, self.next_byte()?) {
            (KeyOrEnd | Key, b'"') => self.key(),
            (Value | ValueOrEnd, b'"') => {
                self.at = token::string_end(self.body, self.at)?;
                Ok(CommaOrEnd)
            }
            (Value | ValueOrEnd, b'{') => self.open(Container::Object),
            (Value | ValueOrEnd, b'[') => self.open(Container::Array),
            (KeyOrEnd | CommaOrEnd, b'}') => self.close(Container::Object),
            (ValueOrEnd | CommaOrEnd, b']') => self.close(Container::Array),
            (CommaOrEnd, b',') => {
                self.at += 1;
                Ok(match self.nesting.innermost() {
                    Container::Object => Key,
                    Container::Array => Value,
                })
            }
            (Value | ValueOrEnd, b'-' | b'0'..=b'9') => {
                self.at = token::number_end(self.body, self.at)?;
                Ok(CommaOrEnd)
            }
            (Value | ValueOrEnd, b'+' | b'.') => Err(self.fault(Reason::InvalidNumber)),
            (Value | ValueOrEnd, b'A'..=b'Z' | b'a'..=b'z') => {
                self.at = token::word_end(self.body, self.at)?;
                Ok(CommaOrEnd)
            }
            _ => Err(self.fault(Reason::UnexpectedByte)),
        }
    }

    #[expect(clippy::indexing_slicing, reason = "a key outside the body is a bug of ours")]
    fn key(&mut self) -> Result<Expected, Rejection> {
        let key_start = self.at;
        self.at = token::string_end(self.body, key_start)?;
        let raw = &self.body[key_start + 1..self.at - 1];
        let is_event = self.seeks_event && self.nesting.depth() == 1 && token::is_event_key(raw);
        if is_event && self.event_key.replace(key_start).is_some() {
            return Err(Rejection::new(Reason::EventTwice, key_start));
        }
        if self.next_byte()? != b':' {
            return Err(self.fault(Reason::UnexpectedByte));
        }
        self.at += 1;
        if is_event {
            return self.event_value();
        }
        Ok(Expected::Value)
    }

    /// Takes the value of `event`: it must be a string, and not the empty one.
    fn event_value(&mut self) -> Result<Expected, Rejection> {
        match self.next_byte()? {
            b'"' if self.body.get(self.at + 1) == Some(&b'"') => {
                Err(self.fault(Reason::EventEmpty))
            }
            b'"' => {
                let name_start = self.at;
                self.at = token::string_end(self.body, name_start)?;
                self.event_name = name_start..self.at;
                Ok(Expected::CommaOrEnd)
            }
            b'{' | b'[' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                Err(self.fault(Reason::EventNotAString))
            }
            // The grammar rejects it for a reason of its own.
            _ => self.token(Expected::Value),
        }
    }

    fn open(&mut self, container: Container) -> Result<Expected, Rejection> {
        if !self.nesting.open(container) {
            return Err(self.fault(Reason::TooDeep));
        }
        self.at += 1;
        Ok(match container {
            Container::Object => Expected::KeyOrEnd,
            Container::Array => Expected::ValueOrEnd,
        })
    }

    fn close(&mut self, container: Container) -> Result<Expected, Rejection> {
        if !self.nesting.close(container) {
            return Err(self.fault(Reason::UnexpectedByte));
        }
        self.at += 1;
        Ok(Expected::CommaOrEnd)
    }

    /// Skips whitespace and returns the byte after it, which it does not skip.
    fn next_byte(&mut self) -> Result<u8, Rejection> {
        self.at = token::whitespace_end(self.body, self.at);
        self.body.get(self.at).copied().ok_or(token::unexpected_end(self.body))
    }

    const fn fault(&self, reason: Reason) -> Rejection {
        Rejection::new(reason, self.at)
    }
}
