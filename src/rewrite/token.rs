//! The tokens of RFC 8259, one at a time: where each ends, or why it is invalid.
//!
//! Each function takes the whole body and the offset at which its token starts, and returns the
//! offset just after it. None of them checks UTF-8: bytes of 0x80 and above are allowed in a string
//! here, and nowhere else.

use super::reason::{Reason, Rejection};

/// The decoded key that names the event.
const EVENT_KEY: &[u8; 5] = b"event";

/// The length of `\uXXXX` in bytes.
const UNICODE_ESCAPE_BYTES: usize = 6;

/// Whether `byte` is one of the four characters that are whitespace in JSON.
pub(super) const fn is_whitespace(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// Where the whitespace that starts at `at` ends.
pub(super) fn whitespace_end(body: &[u8], mut at: usize) -> usize {
    while body.get(at).is_some_and(|&byte| is_whitespace(byte)) {
        at += 1;
    }
    at
}

/// Where the whitespace that ends at `at` starts.
pub(super) fn whitespace_start(body: &[u8], mut at: usize) -> usize {
    while at > 0 && body.get(at - 1).is_some_and(|&byte| is_whitespace(byte)) {
        at -= 1;
    }
    at
}

/// The text ends where a token should continue or start.
pub(super) const fn unexpected_end(body: &[u8]) -> Rejection {
    Rejection::new(Reason::UnexpectedEnd, body.len())
}

// ===== strings =====

/// Where the string whose opening quote is at `open` ends.
pub(super) fn string_end(body: &[u8], open: usize) -> Result<usize, Rejection> {
    let mut at = open + 1;
    loop {
        match body.get(at) {
            Some(b'"') => return Ok(at + 1),
            // Often one escape follows the other.
            Some(b'\\') => at = escape_end(body, at)?,
            Some(0..b' ') => return Err(Rejection::new(Reason::ControlCharacter, at)),
            Some(_) => at = plain_end(body, at),
            None => return Err(unexpected_end(body)),
        }
    }
}

/// The first quote, backslash or control character at or after `at`; the end of the body if there
/// is none.
#[inline]
pub(super) fn plain_end(body: &[u8], at: usize) -> usize {
    plain_end_with(body, at, &mut 0)
}

/// The same, and the bits of all bytes before it in `bits`; there may be some of later bytes, too.
///
/// Sixteen bytes at a time, in two registers: most strings end within them, so that the branch goes
/// the same way for most.
#[inline]
pub(super) fn plain_end_with(body: &[u8], mut at: usize, bits: &mut u64) -> usize {
    while let Some(bytes) = body.get(at..).and_then(<[u8]>::first_chunk::<16>) {
        let (words, _) = bytes.as_chunks::<8>();
        let [low, high] = words else { unreachable!("sixteen bytes are two words") };
        let (low, high) = (u64::from_le_bytes(*low), u64::from_le_bytes(*high));
        *bits |= low | high;
        let (low, high) = (special_bytes(low), special_bytes(high));
        if low | high != 0 {
            let (special, skipped) = if low != 0 { (low, 0) } else { (high, 8) };
            return at + skipped + (special.trailing_zeros() / 8) as usize;
        }
        at += 16;
    }
    while let Some(&byte) = body.get(at)
        && byte != b'"'
        && byte != b'\\'
        && byte >= b' '
    {
        *bits |= u64::from(byte);
        at += 1;
    }
    at
}

/// Bit 7 of each byte of `word` that is a quote, a backslash or a control character.
///
/// `x - 0x01` has bit 7 set and `x` does not if `x` is 0 (and likewise `x - 0x20` if `x` is below
/// 0x20). A borrow can spoil bytes above one that matched, so only the lowest set bit can be
/// trusted, and only that one is used.
const fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const HIGH: u64 = u64::from_le_bytes([0x80; 8]);
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    // What is ASCII still is after either XOR, so that bit 7 of `word` serves for all three.
    let is_quote = quote.wrapping_sub(ONES);
    let is_backslash = backslash.wrapping_sub(ONES);
    let is_control = word.wrapping_sub(ONES * b' ' as u64);
    (is_quote | is_backslash | is_control) & !word & HIGH
}

/// Where the escape whose backslash is at `backslash` ends; a pair of surrogates counts as one
/// escape.
fn escape_end(body: &[u8], backslash: usize) -> Result<usize, Rejection> {
    match body.get(backslash + 1) {
        Some(b'u') => match code_unit(body, backslash)? {
            0xD800..=0xDBFF => low_surrogate_end(body, backslash),
            0xDC00..=0xDFFF => Err(Rejection::new(Reason::LoneSurrogate, backslash)),
            _ => Ok(backslash + UNICODE_ESCAPE_BYTES),
        },
        Some(&byte) if kind_in_escape(byte) & SIMPLE != 0 => Ok(backslash + 2),
        Some(_) => Err(Rejection::new(Reason::InvalidEscape, backslash)),
        None => Err(unexpected_end(body)),
    }
}

/// Where the low surrogate ends that must follow the high one whose backslash is at `high`.
fn low_surrogate_end(body: &[u8], high: usize) -> Result<usize, Rejection> {
    let low = high + UNICODE_ESCAPE_BYTES;
    let lone = Rejection::new(Reason::LoneSurrogate, high);
    match (body.get(low), body.get(low + 1)) {
        (None, _) | (Some(b'\\'), None) => Err(unexpected_end(body)),
        (Some(b'\\'), Some(b'u')) => match code_unit(body, low)? {
            0xDC00..=0xDFFF => Ok(low + UNICODE_ESCAPE_BYTES),
            _ => Err(lone),
        },
        _ => Err(lone),
    }
}

/// The four hexadecimal digits of the `\u` at `backslash`.
#[inline]
fn code_unit(body: &[u8], backslash: usize) -> Result<u32, Rejection> {
    let digits = body.get(backslash + 2..).unwrap_or_default();
    let invalid = Rejection::new(Reason::InvalidEscape, backslash);
    let Some(digits) = digits.first_chunk::<4>() else {
        let has_other = digits.iter().any(|&byte| kind_in_escape(byte) & NO_DIGIT != 0);
        return Err(if has_other { invalid } else { unexpected_end(body) });
    };
    let [a, b, c, d] = digits.map(kind_in_escape);
    if (a | b | c | d) & NO_DIGIT != 0 {
        return Err(invalid);
    }
    Ok([a, b, c, d].into_iter().fold(0, |unit, kind| unit << 4 | u32::from(kind & 0x0F)))
}

/// In [`kind_in_escape`]: follows a backslash, and the escape is complete.
const SIMPLE: u8 = 0x80;

/// In [`kind_in_escape`]: no hexadecimal digit.
const NO_DIGIT: u8 = 0x40;

/// What `byte` is in an escape: the two constants above, and the value of a hexadecimal digit.
#[inline(always)]
#[expect(clippy::indexing_slicing, reason = "there is an entry for each byte")]
const fn kind_in_escape(byte: u8) -> u8 {
    const KINDS: [u8; 256] = {
        let mut kinds = [NO_DIGIT; 256];
        let mut byte = 0;
        while byte < 128 {
            let character = byte as u8 as char;
            if let Some(digit) = character.to_digit(16) {
                kinds[byte] = digit as u8;
            }
            if matches!(byte as u8, b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') {
                kinds[byte] |= SIMPLE;
            }
            byte += 1;
        }
        kinds
    };
    KINDS[byte as usize]
}

/// Whether `raw`, a valid key without its quotes, is `event` once its escapes are decoded.
pub(super) fn is_event_key(mut raw: &[u8]) -> bool {
    for &expected in EVENT_KEY {
        raw = match raw {
            [byte, rest @ ..] if *byte == expected => rest,
            // None of the letters of `event` has an escape of two bytes.
            [b'\\', b'u', ..] if code_unit(raw, 0) == Ok(u32::from(expected)) => {
                raw.split_at(UNICODE_ESCAPE_BYTES).1
            }
            _ => return false,
        }
    }
    raw.is_empty()
}

/// The opening quote of the value of the key that ends at `key_end`; `None` if the value is not a
/// string, or is empty.
pub(super) fn event_name_start(body: &[u8], key_end: usize) -> Option<usize> {
    let start = whitespace_end(body, whitespace_end(body, key_end) + 1);
    match body.get(start..start + 2)? {
        [b'"', b'"'] => None,
        [b'"', _] => Some(start),
        _ => None,
    }
}

// ===== numbers and words =====

/// Where the number that starts at `start` ends, with a digit or a minus sign there.
pub(super) fn number_end(body: &[u8], start: usize) -> Result<usize, Rejection> {
    let integer = start + usize::from(body.get(start) == Some(&b'-'));
    if let Some([b'0', b'0'..=b'9']) = body.get(integer..integer + 2) {
        return Err(Rejection::new(Reason::InvalidNumber, integer + 1));
    }
    let mut at = digits_end(body, integer)?;
    if body.get(at) == Some(&b'.') {
        at = digits_end(body, at + 1)?;
    }
    if let Some(b'e' | b'E') = body.get(at) {
        at += 1 + usize::from(matches!(body.get(at + 1), Some(b'+' | b'-')));
        at = digits_end(body, at)?;
    }
    Ok(at)
}

/// Where the digits that start at `start` end; there must be at least one.
fn digits_end(body: &[u8], start: usize) -> Result<usize, Rejection> {
    let at = digits_run_end(body, start);
    match body.get(at) {
        _ if at > start => Ok(at),
        Some(_) => Err(Rejection::new(Reason::InvalidNumber, at)),
        None => Err(unexpected_end(body)),
    }
}

/// The first byte at or after `at` that is no digit.
#[inline]
fn digits_run_end(body: &[u8], mut at: usize) -> usize {
    while let Some(bytes) = body.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let others = non_digits(u64::from_le_bytes(*bytes));
        if others != 0 {
            return at + (others.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while body.get(at).is_some_and(u8::is_ascii_digit) {
        at += 1;
    }
    at
}

/// Not 0 in each byte of `word` that is no digit: the upper half of one is 3, and still is with 6
/// added. A carry can spoil bytes above one that is no digit, so only the lowest is to be trusted.
const fn non_digits(word: u64) -> u64 {
    const THREES: u64 = u64::from_le_bytes([0x30; 8]);
    const SIXES: u64 = u64::from_le_bytes([0x06; 8]);
    const UPPER: u64 = u64::from_le_bytes([0xF0; 8]);
    (word & UPPER ^ THREES) | (word.wrapping_add(SIXES) & UPPER ^ THREES)
}

/// Where the word that starts at `start` ends: `true`, `false` or `null`.
pub(super) fn word_end(body: &[u8], start: usize) -> Result<usize, Rejection> {
    let word: &[u8] = match body.get(start) {
        Some(b't') => b"true",
        Some(b'f') => b"false",
        Some(b'n') => b"null",
        _ => return Err(Rejection::new(Reason::InvalidLiteral, start)),
    };
    for (at, expected) in (start..).zip(word) {
        match body.get(at) {
            Some(byte) if byte == expected => {}
            Some(_) => return Err(Rejection::new(Reason::InvalidLiteral, at)),
            None => return Err(unexpected_end(body)),
        }
    }
    Ok(start + word.len())
}

/// Where the word that starts at `at` ends, by one load. `None` if that does not decide: near the
/// end of `body`, if there is no word, or if something follows that may not follow one.
#[inline(always)]
pub(super) fn common_word_end(body: &[u8], at: usize) -> Option<usize> {
    let [first @ .., fifth, sixth, _, _] = body.get(at..)?.first_chunk::<8>()?;
    let (bytes, next) = match first {
        b"true" | b"null" => (4, fifth),
        b"fals" if *fifth == b'e' => (5, sixth),
        _ => return None,
    };
    ends_scalar(*next).then_some(at + bytes)
}

/// Whether a scalar ends before `byte`.
const fn ends_scalar(byte: u8) -> bool {
    matches!(byte, b',' | b'}' | b']') || is_whitespace(byte)
}

/// Where the scalar that contains the byte at `at` ends, wherever it started; `None` if it is not a
/// scalar.
///
/// It must be complete: a comma, a closing bracket, whitespace or the end of `body` follows it.
pub(super) fn scalar_around(body: &[u8], at: usize) -> Option<usize> {
    let before = body.get(..at)?;
    let number_bytes = before
        .iter()
        .rev()
        .take_while(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E'));
    let start = at - number_bytes.count();
    let end = match body.get(start)? {
        b'-' | b'0'..=b'9' => number_end(body, start).ok()?,
        _ => word_end(body, start).ok()?,
    };
    body.get(end).is_none_or(|&byte| ends_scalar(byte)).then_some(end)
}
