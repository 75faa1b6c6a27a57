//! Which bytes may follow which, outside of strings and without whitespace between tokens.
//!
//! Each bit of the tables is a set of bytes before, and a set of bytes after each of them. Two bytes
//! may be neighbours if they have a bit in common.
//!
//! As the byte after, each set has exactly the bytes that it should. As the byte before, it may also
//! have bytes that no token of these tables has: they are after nothing, and so are odd themselves.

use crate::vector::HalfTables;

/// The bytes of a set: a bit for each high half, and a bit for each low half.
type Rectangle = (u16, u16);

/// The set of all bytes that have one of `high` as their high half and one of `low` as their low
/// half.
#[expect(clippy::indexing_slicing, reason = "evaluated when compiling")]
const fn rectangle(high: &[u8], low: &[u8]) -> Rectangle {
    let (mut rows, mut columns) = (0, 0);
    let mut at = 0;
    while at < high.len() {
        rows |= 1 << high[at];
        at += 1;
    }
    at = 0;
    while at < low.len() {
        columns |= 1 << low[at];
        at += 1;
    }
    (rows, columns)
}

const COMMA: Rectangle = rectangle(&[2], &[0xC]);
const COLON: Rectangle = rectangle(&[3], &[0xA]);
const QUOTE: Rectangle = rectangle(&[2], &[2]);
const DIGIT: Rectangle = rectangle(&[3], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
const ONE_TO_NINE: Rectangle = rectangle(&[3], &[1, 2, 3, 4, 5, 6, 7, 8, 9]);
const OPEN: Rectangle = rectangle(&[5, 7], &[0xB]);
const CLOSE: Rectangle = rectangle(&[5, 7], &[0xD]);
const BRACKET: Rectangle = rectangle(&[5, 7], &[0xB, 0xD]);

/// Quote, digits and closing brackets.
const VALUE_END: Rectangle = rectangle(&[2, 3, 5, 7], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xD]);
/// These and opening brackets.
const BEFORE_CLOSE: Rectangle = rectangle(&[2, 3, 5, 7], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0xB, 0xD]);
/// Comma, colon and opening brackets.
const BEFORE_QUOTE: Rectangle = rectangle(&[2, 3, 5, 7], &[0xA, 0xB, 0xC]);

/// The sets that a byte is in as the one before. The highest bit, which no two bytes need, tells
/// brackets.
pub(super) const BEFORE: HalfTables = HalfTables::new([
    VALUE_END,
    VALUE_END,
    BEFORE_CLOSE,
    BEFORE_QUOTE,
    COLON,
    DIGIT,
    COLON,
    BRACKET,
]);

/// The sets that a byte is in as the one after. The highest bit tells colons.
pub(super) const AFTER: HalfTables =
    HalfTables::new([COMMA, COLON, CLOSE, QUOTE, ONE_TO_NINE, DIGIT, OPEN, COLON]);

/// What a byte says beyond a space after it: not that a digit may follow, and no bracket.
pub(super) const ACROSS_SPACE: u8 = !(1 << 5 | 1 << 7);

#[cfg(test)]
mod tests {
    use super::{ACROSS_SPACE, AFTER, BEFORE};

    const TOKENS: &[u8] = b"\",:[]{}0123456789";

    fn may_follow(after: u8, before: u8) -> bool {
        match before {
            b'"' | b']' | b'}' => b",:]}".contains(&after),
            b'0'..=b'9' => after.is_ascii_digit() || b",:]}".contains(&after),
            b',' => after == b'"',
            b'[' | b'{' => b"\"]}:".contains(&after),
            b':' => matches!(after, b'"' | b'[' | b'{' | b'1'..=b'9'),
            _ => unreachable!("no byte of a token"),
        }
    }

    #[test]
    fn bytes_are_neighbours_as_in_json_without_whitespace() {
        for before in TOKENS.iter().copied() {
            for after in 0..=u8::MAX {
                let have_bit_in_common = BEFORE.of(before) & AFTER.of(after) != 0;
                let pair = (char::from(before), char::from(after));
                assert_eq!(have_bit_in_common, may_follow(after, before), "{pair:?}");
            }
        }
    }

    /// Except that a colon is no neighbour of an opening bracket: that is no JSON anyway.
    #[test]
    fn a_space_between_bytes_only_keeps_numbers_apart() {
        for before in TOKENS.iter().copied() {
            for after in 0..=u8::MAX {
                let may_follow = may_follow(after, before)
                    && !(before.is_ascii_digit() && after.is_ascii_digit())
                    && !(b"[{".contains(&before) && after == b':');
                let have_bit_in_common = BEFORE.of(before) & ACROSS_SPACE & AFTER.of(after) != 0;
                let pair = (char::from(before), char::from(after));
                assert_eq!(have_bit_in_common, may_follow, "{pair:?}");
            }
        }
    }

    #[test]
    fn a_byte_of_no_token_follows_nothing() {
        for byte in (0..=u8::MAX).filter(|byte| !TOKENS.contains(byte)) {
            assert_eq!(AFTER.of(byte), 0, "{:?}", char::from(byte));
        }
    }

    #[test]
    fn the_highest_bits_tell_brackets_and_colons() {
        for byte in 0..=u8::MAX {
            assert_eq!(BEFORE.of(byte) >> 7 == 1, b"[]{}".contains(&byte));
            assert_eq!(AFTER.of(byte) >> 7 == 1, byte == b':');
        }
    }
}
