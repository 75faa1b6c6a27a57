//! The fast scan without vectors: token by token, as the portable scan, but without telling where
//! and why a body is refused.
//!
//! `None` leaves the body to the portable scan: a fault, or more than 64 levels. So only acceptance
//! must be right here, and nothing has to be kept for a reason.

use super::line;
use super::scan::Event;
use super::token;
use crate::vector::Memcpy;

/// The walk through one body.
struct Walk<'body> {
    body: &'body [u8],
    /// The opening quote of the root's key `event`, once found.
    event_key: Option<usize>,
    /// The opening quote of its value, and just after its closing quote.
    event_name: (usize, usize),
    /// There is whitespace between tokens.
    has_whitespace: bool,
    /// The bits of all bytes in strings: elsewhere a byte of 0x80 and above is refused.
    bits: u64,
}

/// The highest bit of each byte.
const NON_ASCII: u64 = u64::from_le_bytes([0x80; 8]);

/// Writes the line of `body` to the front of `line`, which is not shorter than `body`, and returns
/// its length.
#[inline(never)]
pub(super) fn rewrite(body: &[u8], line: &mut [u8]) -> Option<usize> {
    let (event, is_ascii) = find_event(body)?;
    if !is_ascii {
        simdutf8::basic::from_utf8(body).ok()?;
    }
    Some(line::write(Memcpy, body, &event, line))
}

/// Finds the only event of `body`, and whether all of it is ASCII. UTF-8 is not checked here.
fn find_event(body: &[u8]) -> Option<(Event, bool)> {
    let root_start = token::whitespace_end(body, 0);
    if *body.get(root_start)? != b'{' {
        return None;
    }
    let mut walk =
        Walk { body, event_key: None, event_name: (0, 0), has_whitespace: false, bits: 0 };
    let root_end = walk.root(root_start)?;
    let is_all = token::whitespace_end(body, root_end) == body.len();
    let key_start = walk.event_key.filter(|_| is_all)?;
    let (name_start, name_end) = walk.event_name;
    let has_newlines = walk.has_whitespace;
    let event = Event { root_start, root_end, key_start, name_start, name_end, has_newlines };
    Some((event, walk.bits & NON_ASCII == 0))
}

impl Walk<'_> {
    /// The end of the root object, whose `{` is at `at`.
    fn root(&mut self, mut at: usize) -> Option<usize> {
        // The open arrays and objects: bit 0 is the innermost, set for an object.
        let mut objects = 1_u64;
        let mut depth = 1;
        let mut is_first = true;
        loop {
            // After an opening bracket or a comma.
            at = self.token_start(at + 1);
            let is_empty = is_first && matches!(self.body.get(at)?, b'}' | b']');
            if !is_empty {
                if objects & 1 == 1 {
                    at = self.key(at, depth == 1)?;
                }
                let first = *self.body.get(at)?;
                if let b'{' | b'[' = first {
                    if depth == u64::BITS {
                        return None;
                    }
                    objects = objects << 1 | u64::from(first == b'{');
                    depth += 1;
                    is_first = true;
                    continue;
                }
                at = self.scalar_end(first, at)?;
                at = self.token_start(at);
            }
            // After a value, or in an empty array or object.
            while let close @ (b'}' | b']') = *self.body.get(at)? {
                if objects & 1 != u64::from(close == b'}') {
                    return None;
                }
                objects >>= 1;
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
                at = self.token_start(at + 1);
            }
            if *self.body.get(at)? != b',' {
                return None;
            }
            is_first = false;
        }
    }

    /// Where the value starts of the key whose opening quote must be at `at`.
    #[inline]
    fn key(&mut self, at: usize, is_in_root: bool) -> Option<usize> {
        if *self.body.get(at)? != b'"' {
            return None;
        }
        let end = self.string_end(at)?;
        let colon = self.token_start(end);
        if *self.body.get(colon)? != b':' {
            return None;
        }
        let value = self.token_start(colon + 1);
        if is_in_root
            && let Some(b'e' | b'\\') = self.body.get(at + 1)
            && token::is_event_key(self.body.get(at + 1..end - 1)?)
        {
            if self.event_key.replace(at).is_some() {
                return None;
            }
            let name = token::event_name_start(self.body, end)?;
            self.event_name = (name, token::string_end(self.body, name).ok()?);
        }
        Some(value)
    }

    /// The end of the string, number or word at `at`, which starts with `first`.
    #[inline]
    fn scalar_end(&mut self, first: u8, at: usize) -> Option<usize> {
        match first {
            b'"' => self.string_end(at),
            b'-' | b'0'..=b'9' => token::number_end(self.body, at).ok(),
            _ => token::word_end(self.body, at).ok(),
        }
    }

    /// The first byte at or after `at` that is no whitespace: mostly the one at `at`.
    #[inline(always)]
    fn token_start(&mut self, at: usize) -> usize {
        match self.body.get(at) {
            Some(byte) if *byte > b' ' => at,
            _ => {
                self.has_whitespace = true;
                token::whitespace_end(self.body, at)
            }
        }
    }

    /// Where the string whose opening quote is at `open` ends: mostly within two words.
    #[inline(always)]
    fn string_end(&mut self, open: usize) -> Option<usize> {
        let end = token::plain_end_with(self.body, open + 1, &mut self.bits);
        if *self.body.get(end)? == b'"' { Some(end + 1) } else { self.long_string_end(open) }
    }

    /// The same of a string with escapes.
    fn long_string_end(&mut self, open: usize) -> Option<usize> {
        let end = token::string_end(self.body, open).ok()?;
        if !self.body.get(open..end)?.is_ascii() {
            self.bits |= NON_ASCII;
        }
        Some(end)
    }
}
