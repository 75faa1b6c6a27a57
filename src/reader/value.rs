//! The values of an event.

use std::fmt;

use simd_json::prelude::{ValueAsScalar, Writable};
use simd_json::{OwnedValue, StaticNode};

/// A JSON value in an [`Event`](super::Event). `Display` prints it as JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Value<'event> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number.
    Number(Number),
    /// A string, with its escapes decoded.
    String(&'event str),
    /// An array.
    Array(Items<'event>),
    /// An object.
    Object(Members<'event>),
}

/// A JSON number: a 64-bit integer or a float. `Display` prints it as JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Number(StaticNode);

/// The values of an array.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Items<'event>(&'event [OwnedValue]);

/// The members of an object. If several members have the same key, the last one counts.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Members<'event>(&'event simd_json::owned::Object);

impl<'event> Value<'event> {
    pub(super) fn of(value: &'event OwnedValue) -> Self {
        match value {
            OwnedValue::Static(StaticNode::Null) => Self::Null,
            OwnedValue::Static(StaticNode::Bool(bool)) => Self::Bool(*bool),
            OwnedValue::Static(number) => Self::Number(Number(*number)),
            OwnedValue::String(text) => Self::String(text),
            OwnedValue::Array(items) => Self::Array(Items(items)),
            OwnedValue::Object(members) => Self::Object(Members(members)),
        }
    }

    /// The text of a string.
    #[must_use]
    pub const fn as_str(self) -> Option<&'event str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// An integer, if it fits.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        match self {
            Self::Number(number) => number.as_i64(),
            _ => None,
        }
    }

    /// A number, rounded to the nearest `f64`.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        match self {
            Self::Number(number) => number.as_f64(),
            _ => None,
        }
    }

    /// `true` or `false`.
    #[must_use]
    pub const fn as_bool(self) -> Option<bool> {
        match self {
            Self::Bool(bool) => Some(bool),
            _ => None,
        }
    }

    /// The value of a member of an object.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Self> {
        match self {
            Self::Object(members) => members.get(key),
            _ => None,
        }
    }
}

impl Number {
    /// The number, if it is an integer and fits.
    #[must_use]
    pub fn as_i64(self) -> Option<i64> {
        self.0.as_i64()
    }

    /// The number, if it is a non-negative integer and fits.
    #[must_use]
    pub fn as_u64(self) -> Option<u64> {
        self.0.as_u64()
    }

    /// The number, rounded to the nearest `f64`. An integer of more than 64 bits exists only in
    /// this form.
    #[must_use]
    pub fn as_f64(self) -> Option<f64> {
        self.0.cast_f64()
    }
}

impl<'event> Items<'event> {
    /// The number of values.
    #[must_use]
    pub const fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there are no values.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The value at `index`, from 0.
    #[must_use]
    pub fn get(self, index: usize) -> Option<Value<'event>> {
        self.0.get(index).map(Value::of)
    }

    /// The values, in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = Value<'event>> + use<'event> {
        self.0.iter().map(Value::of)
    }
}

impl<'event> Members<'event> {
    pub(super) const fn new(members: &'event simd_json::owned::Object) -> Self {
        Self(members)
    }

    /// The number of members.
    #[must_use]
    pub fn len(self) -> usize {
        self.0.len()
    }

    /// Whether there are no members.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The value of the member `key`.
    #[must_use]
    pub fn get(self, key: &str) -> Option<Value<'event>> {
        self.0.get(key).map(Value::of)
    }

    /// Keys and values; in the order of the line if there are at most 32.
    pub fn iter(self) -> impl Iterator<Item = (&'event str, Value<'event>)> + use<'event> {
        self.0.iter().map(|(key, value)| (key.as_str(), Value::of(value)))
    }
}

impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(bool) => bool.fmt(f),
            Self::Number(number) => number.fmt(f),
            Self::String(text) => write_text(f, text),
            Self::Array(items) => items.fmt(f),
            Self::Object(members) => members.fmt(f),
        }
    }
}

impl fmt::Display for Number {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&OwnedValue::Static(self.0).encode())
    }
}

impl fmt::Display for Items<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[")?;
        for (index, value) in self.iter().enumerate() {
            f.write_str(if index > 0 { "," } else { "" })?;
            value.fmt(f)?;
        }
        f.write_str("]")
    }
}

impl fmt::Display for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (index, (key, value)) in self.iter().enumerate() {
            f.write_str(if index > 0 { "," } else { "" })?;
            write_text(f, key)?;
            f.write_str(":")?;
            value.fmt(f)?;
        }
        f.write_str("}")
    }
}

/// `text` as a JSON string.
fn write_text(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str(&OwnedValue::from(text).encode())
}

#[cfg(test)]
mod tests {
    use super::super::Event;
    use super::*;

    const LINE: &str =
        r#"{"x":{"a":[1,-2,0.5,18446744073709551615],"b":{"k\"":null},"c":"\u00e9\n","d":true}}"#;

    #[test]
    fn values_are_what_the_line_says() {
        let event = Event::from_line(LINE.as_bytes()).unwrap();
        let Some(Value::Array(items)) = event.get("a") else { panic!("{event:?}") };
        let whole: Vec<_> = items.iter().map(Value::as_i64).collect();
        assert_eq!(whole, [Some(1), Some(-2), None, None]);
        assert_eq!((items.len(), items.is_empty(), items.get(4)), (4, false, None));
        assert_eq!(items.get(2).and_then(Value::as_f64), Some(0.5));
        let Some(Value::Number(large)) = items.get(3) else { panic!("{items:?}") };
        assert_eq!((large.as_u64(), large.as_f64()), (Some(u64::MAX), Some(u64::MAX as f64)));
        assert_eq!(event.get("b").and_then(|b| b.get("k\"")), Some(Value::Null));
        assert_eq!(event.get("c").and_then(Value::as_str), Some("\u{e9}\n"));
        assert_eq!(event.get("d").and_then(Value::as_bool), Some(true));
        assert_eq!(event.get("e"), None);
        assert_eq!(event.get("c").and_then(|c| c.get("x")), None);
    }

    #[test]
    fn values_are_printed_as_json_in_the_order_of_the_line() {
        let event = Event::from_line(LINE.as_bytes()).unwrap();
        let expected = LINE.strip_prefix(r#"{"x":"#).unwrap().strip_suffix('}').unwrap();
        assert_eq!(event.members().to_string(), expected.replace("\\u00e9", "\u{e9}"));
        let keys: Vec<_> = event.members().iter().map(|(key, _)| key).collect();
        assert_eq!(keys, ["a", "b", "c", "d"]);
        assert_eq!((event.members().len(), event.members().is_empty()), (4, false));
    }
}
