//! The classes of bytes in an escape by lookups, where a block is several registers: fewer
//! instructions than to compare for each class.

use super::bytes::ByteOps;
use super::classes::{Classify, EscapeClasses};
use super::lookup::{HalfTables, Lookup};
use super::mask::{Mask, MaskOps};
use super::registers::Registers;
use super::window::Window;

/// The rows of the letters in the table of ASCII, of both cases, and that of the digits.
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

impl<V: Registers + MaskOps<Mask = u64>> Classify for V {
    #[inline(always)]
    fn escape_classes<const MANY: bool>(self, rest: &[u8]) -> EscapeClasses<Self> {
        let window = Window::at(self, rest, 0);
        let escaped = self.lookup(window.block, &ESCAPED);
        let hex = self.lookup(window.block, &HEX);
        let unicode = self.non_ascii(escaped);
        EscapeClasses {
            simple: mask(&window, !(self.equal(escaped, 0) | unicode)),
            unicode: mask(&window, unicode),
            hex: mask(&window, !self.equal(hex, 0)),
            d: mask(&window, self.non_ascii(hex)),
            eight_to_b: mask(&window, in_any(self, hex, EIGHT_TO_B)),
            c_to_f: mask(&window, in_any(self, hex, C_TO_F)),
        }
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
