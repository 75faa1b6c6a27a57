//! The record of a rejected body in the rejects file:
//!
//! ```text
//! {"reason":"event_missing","offset":14,"at":1763903248000,"body":"{\"timestamp\":1}"}
//! ```
//!
//! `reason` is [`Reason::as_str`](super::Reason::as_str), `offset` is a byte of the body, `at` is
//! in milliseconds since 1970. The body is the last member, so that a record can be written in
//! parts and closed wherever it is cut. A body that is not UTF-8 is kept as base64, in
//! `body_base64`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

use super::reason::Rejection;

/// Bytes of a body in a part of a record: a multiple of three, so that the base64 of the parts can
/// be concatenated.
const PART_BYTES: usize = 12 << 10;

/// The maximum length of a record without its body.
const FRAME_BYTES_MAX: usize = 256;

/// The parts of a record; none is longer than about six times [`PART_BYTES`].
pub(crate) struct RejectRecord<'a> {
    body: Body<'a>,
    rejection: Rejection,
    at_ms: u128,
    step: Step,
}

enum Body<'a> {
    Text(&'a str),
    Bytes(&'a [u8]),
}

enum Step {
    Head,
    Rest,
    Done,
}

impl<'a> RejectRecord<'a> {
    /// The record of `body`, rejected at `at_ms` milliseconds since 1970.
    pub(crate) fn new(body: &'a [u8], rejection: Rejection, at_ms: u128) -> Self {
        let body = simdutf8::basic::from_utf8(body).map_or(Body::Bytes(body), Body::Text);
        Self { body, rejection, at_ms, step: Step::Head }
    }

    /// The maximum length of the record: six bytes for each byte of a text, the longest escape.
    pub(crate) fn bytes_max(&self) -> usize {
        let body_bytes_max = match self.body {
            Body::Text(text) => text.len().saturating_mul(6),
            Body::Bytes(bytes) => bytes.len().saturating_mul(2),
        };
        FRAME_BYTES_MAX.saturating_add(body_bytes_max)
    }

    fn head(&self) -> Vec<u8> {
        let Rejection { reason, offset, .. } = self.rejection;
        let member = match self.body {
            Body::Text(_) => "body",
            Body::Bytes(_) => "body_base64",
        };
        let at = self.at_ms;
        format!(r#"{{"reason":"{}","offset":{offset},"at":{at},"{member}":""#, reason.as_str())
            .into_bytes()
    }

    /// The next part of the body; `None` at its end.
    fn body_part(&mut self) -> Option<Vec<u8>> {
        match &mut self.body {
            Body::Text("") | Body::Bytes([]) => None,
            Body::Text(rest) => {
                let (now, later) = rest.split_at(boundary_before(rest, PART_BYTES));
                *rest = later;
                Some(escaped(now))
            }
            Body::Bytes(rest) => {
                let (now, later) = rest.split_at(rest.len().min(PART_BYTES));
                *rest = later;
                Some(BASE64_STANDARD.encode(now).into_bytes())
            }
        }
    }
}

/// The last place up to `bytes` that is between two characters. `str` has it since Rust 1.91.
fn boundary_before(text: &str, bytes: usize) -> usize {
    (0..=bytes.min(text.len())).rev().find(|&place| text.is_char_boundary(place)).unwrap_or(0)
}

impl Iterator for RejectRecord<'_> {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        match self.step {
            Step::Head => {
                self.step = Step::Rest;
                Some(self.head())
            }
            Step::Rest => self.body_part().or_else(|| {
                self.step = Step::Done;
                Some(b"\"}\n".to_vec())
            }),
            Step::Done => None,
        }
    }
}

/// `text` as it is written between the quotes of a JSON string.
#[expect(clippy::indexing_slicing, reason = "four bits are a digit")]
fn escaped(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut escaped = Vec::with_capacity(text.len() + text.len() / 8);
    for byte in text.bytes() {
        match byte {
            b'"' => escaped.extend_from_slice(b"\\\""),
            b'\\' => escaped.extend_from_slice(b"\\\\"),
            b'\n' => escaped.extend_from_slice(b"\\n"),
            b'\r' => escaped.extend_from_slice(b"\\r"),
            b'\t' => escaped.extend_from_slice(b"\\t"),
            0..0x20 => {
                escaped.extend_from_slice(b"\\u00");
                escaped.extend([byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]));
            }
            _ => escaped.push(byte),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::super::Reason;
    use super::*;
    use proptest::prelude::*;

    fn record(body: &[u8]) -> serde_json::Value {
        let bytes: Vec<u8> = RejectRecord::new(body, Rejection::new(Reason::UnexpectedByte, 7), 42)
            .flatten()
            .collect();
        assert_eq!(bytes.iter().filter(|&&byte| byte == b'\n').count(), 1);
        assert!(bytes.ends_with(b"}\n"));
        let rejection = Rejection::new(Reason::EventNotAString, usize::MAX);
        let longest = RejectRecord::new(body, rejection, u128::MAX);
        assert!(longest.bytes_max() >= longest.flatten().count());
        serde_json::from_slice(&bytes).unwrap()
    }

    fn body_of(record: &serde_json::Value) -> Vec<u8> {
        match record["body"].as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => BASE64_STANDARD.decode(record["body_base64"].as_str().unwrap()).unwrap(),
        }
    }

    #[test]
    fn a_record_says_what_where_and_when() {
        let record = record(b"{nonsense}");
        assert_eq!(record["reason"], "unexpected_byte");
        assert_eq!(record["offset"], 7);
        assert_eq!(record["at"], 42);
        assert_eq!(record["body"], "{nonsense}");
    }

    #[test]
    fn bodies_larger_than_a_part_come_back_whole() {
        let parts = if cfg!(miri) { 1 } else { 10 };
        for body in [
            "\u{e9}\"\\\n\u{1}x".repeat(2_000 * parts).into_bytes(),
            vec![0xff; 12_289 * parts],
            Vec::new(),
        ] {
            assert!(body_of(&record(&body)) == body);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig {
            cases: if cfg!(miri) { 4 } else { 256 },
            failure_persistence: None,
            ..ProptestConfig::default()
        })]

        #[test]
        fn any_body_comes_back_whole(body in prop::collection::vec(any::<u8>(), 0..200), text in ".{0,200}") {
            prop_assert_eq!(body_of(&record(&body)), body);
            prop_assert_eq!(body_of(&record(text.as_bytes())), text.into_bytes());
        }
    }
}
