//! The classes of bytes in an escape by lookups, where a group is one block: fewer instructions than
//! to compare for each class.

use super::classes::EscapeClasses;
use super::lookup::{HalfTables, Lookup};
use super::mask::Mask;
use super::window::Window;

/// Sets of rows and columns, a bit for each.
const LETTER_ROWS: u16 = 1 << 4 | 1 << 6;
const DIGIT_ROW: u16 = 1 << 3;

/// What follows a backslash: bit 7 is `u`, the others are the escapes of one character.
const ESCAPED: HalfTables = HalfTables::new([
    (1 << 2, 1 << 0x2 | 1 << 0xF),            // `"` and `/`
    (1 << 5, 1 << 0xC),                       // `\`
    (1 << 6, 1 << 0x2 | 1 << 0x6 | 1 << 0xE), // `b`, `f` and `n`
    (1 << 7, 1 << 0x2 | 1 << 0x4),            // `r` and `t`
    (0, 0),
    (0, 0),
    (0, 0),
    (1 << 7, 1 << 0x5), // `u`
]);

/// Hexadecimal digits: each is in one of the first two classes.
const HEX: HalfTables = HalfTables::new([
    (DIGIT_ROW, 0x03FF),   // `0` to `9`
    (LETTER_ROWS, 0x007E), // `a` to `f`
    (DIGIT_ROW, 0x0300),   // `8` and `9`
    (LETTER_ROWS, 0x0006), // `a` and `b`
    (LETTER_ROWS, 0x0078), // `c` to `f`
    (0, 0),
    (0, 0),
    (LETTER_ROWS, 0x0010), // `d`
]);
const EIGHT_TO_B: u8 = 1 << 2 | 1 << 3;
const C_TO_F: u8 = 1 << 4;

/// The classes of escapes of the first block of `rest`.
#[inline(always)]
pub(super) fn escape_classes<V: Lookup>(vector: V, rest: &[u8]) -> EscapeClasses<V> {
    let window = Window::at(vector, rest, 0);
    let escaped = vector.lookup(window.block, &ESCAPED);
    let hex = vector.lookup(window.block, &HEX);
    let unicode = vector.non_ascii(escaped);
    EscapeClasses {
        simple: mask(&window, !(vector.equal(escaped, 0) | unicode)),
        unicode: mask(&window, unicode),
        hex: mask(&window, !vector.equal(hex, 0)),
        d: mask(&window, vector.non_ascii(hex)),
        eight_to_b: mask(&window, in_any(vector, hex, EIGHT_TO_B)),
        c_to_f: mask(&window, in_any(vector, hex, C_TO_F)),
    }
}

/// The bytes of `found` that are in one of `classes`. Not a closure, which would not be compiled for
/// the processor's instructions.
#[inline(always)]
fn in_any<V: Lookup>(vector: V, found: V::Block, classes: u8) -> u64 {
    !vector.equal(vector.both(found, vector.splat_byte(classes)), 0)
}

/// `bits` of the bytes that the window has of the body.
#[inline(always)]
fn mask<V: Lookup>(window: &Window<V>, bits: u64) -> Mask<V> {
    Mask::of_word(window.vector, bits >> window.skipped & window.valid)
}
