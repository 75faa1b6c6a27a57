//! Why a body is not an event.

use std::fmt;

/// Why a body was rejected.
///
/// The rejects file has the names that [`as_str`](Self::as_str) returns; they never change meaning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// Nothing but whitespace.
    Empty,
    /// More bytes than `event_bytes_max`.
    TooLarge,
    /// Not UTF-8.
    InvalidUtf8,
    /// The text is JSON so far, but its root is not an object.
    NotAnObject,
    /// A byte that the JSON grammar (RFC 8259) does not allow at that place.
    UnexpectedByte,
    /// The text ends before its root object does.
    UnexpectedEnd,
    /// Something other than whitespace follows the root object.
    TrailingBytes,
    /// A control character (below 0x20) inside a string, not escaped.
    ControlCharacter,
    /// A backslash that starts none of the escapes of RFC 8259.
    InvalidEscape,
    /// A `\u` escape of half a surrogate pair: not a character.
    LoneSurrogate,
    /// A number that the JSON grammar does not allow: `01`, `+1`, `.5`, `1.`, `1e`.
    InvalidNumber,
    /// A word other than `true`, `false` and `null`.
    InvalidLiteral,
    /// Arrays and objects nested deeper than 128.
    TooDeep,
    /// The root object has no member `event`.
    EventMissing,
    /// The root object has more than one member `event`.
    EventTwice,
    /// The value of `event` is not a string.
    EventNotAString,
    /// The value of `event` is the empty string.
    EventEmpty,
}

impl Reason {
    /// The reason as one word, as in the rejects file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooLarge => "too_large",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::NotAnObject => "not_an_object",
            Self::UnexpectedByte => "unexpected_byte",
            Self::UnexpectedEnd => "unexpected_end",
            Self::TrailingBytes => "trailing_bytes",
            Self::ControlCharacter => "control_character",
            Self::InvalidEscape => "invalid_escape",
            Self::LoneSurrogate => "lone_surrogate",
            Self::InvalidNumber => "invalid_number",
            Self::InvalidLiteral => "invalid_literal",
            Self::TooDeep => "too_deep",
            Self::EventMissing => "event_missing",
            Self::EventTwice => "event_twice",
            Self::EventNotAString => "event_not_a_string",
            Self::EventEmpty => "event_empty",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "there is nothing but whitespace",
            Self::TooLarge => "the body is larger than event_bytes_max",
            Self::InvalidUtf8 => "the body is not UTF-8",
            Self::NotAnObject => "the root is not an object",
            Self::UnexpectedByte => "a byte that JSON does not allow here",
            Self::UnexpectedEnd => "the text ends before its root object does",
            Self::TrailingBytes => "something follows the root object",
            Self::ControlCharacter => "a control character inside a string",
            Self::InvalidEscape => "a backslash that starts no escape",
            Self::LoneSurrogate => "an escape of half a surrogate pair",
            Self::InvalidNumber => "a number that JSON does not allow",
            Self::InvalidLiteral => "a word other than true, false and null",
            Self::TooDeep => "arrays and objects nested deeper than 128",
            Self::EventMissing => "the root object has no member \"event\"",
            Self::EventTwice => "the root object has more than one member \"event\"",
            Self::EventNotAString => "the value of \"event\" is not a string",
            Self::EventEmpty => "the value of \"event\" is the empty string",
        })
    }
}

/// A body that is not an event: why, and at which byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct Rejection {
    /// Why the body is not an event.
    pub reason: Reason,
    /// The offset in the body, in bytes from 0, of the first byte that could not be accepted; the
    /// length of the body if the text ends too early.
    pub offset: usize,
}

impl Rejection {
    pub(crate) const fn new(reason: Reason, offset: usize) -> Self {
        Self { reason, offset }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (byte {})", self.reason, self.offset)
    }
}

impl std::error::Error for Rejection {}
