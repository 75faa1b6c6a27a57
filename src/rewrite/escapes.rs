//! Escapes of a group, all at once: which bytes are escaped, and whether each escape is valid.
//!
//! A `\u` is followed by four hexadecimal digits. `\uD800` to `\uDBFF` is a high surrogate,
//! recognised at its second digit, `8` to `B` after a `D`; `\uDC00` to `\uDFFF` is a low one, `C`
//! to `F`. Each low one must be six bytes after a high one, and each high one six bytes before a
//! low one: two masks that must be equal once one is shifted.

use crate::vector::{EscapeClasses, Lookup, Mask, Vector};

/// The distance from the digits of one `\uXXXX` to those of the next.
const ESCAPE_SPAN: u32 = 6;

/// What the escapes of a group carry into the next: the bits that were shifted out, at the low end.
#[derive(Clone, Copy, Default)]
pub(super) struct Escapes {
    /// The first byte of the next group is escaped.
    escaped: u64,
    /// Where the first to the fourth digit after `\u` must be.
    digits: [u64; 4],
    /// `d` and `D`.
    d: u64,
    /// Where a low surrogate must be.
    low: u64,
}

impl Escapes {
    /// After a block whose escapes are of quotes only; bit 0 of `escaped` is the first byte of the
    /// next.
    #[inline(always)]
    pub(super) fn after(escaped: u64) -> Self {
        Self { escaped, ..Self::default() }
    }

    /// Not 0 if an escape continues in the next group: its digits, or the low surrogate that must
    /// follow.
    #[inline(always)]
    pub(super) const fn pending(&self) -> u64 {
        let [_, _, _, fourth] = self.digits;
        self.escaped | fourth | self.low
    }

    /// The escaped bytes of the block of `text` that starts at `start`, and those where an escape is
    /// invalid.
    #[inline(always)]
    pub(super) fn block<V: Vector + Lookup>(
        &mut self,
        vector: V,
        (backslashes, quotes): (u64, u64),
        text: &[u8],
        start: usize,
    ) -> (u64, u64) {
        let [_, _, _, fourth] = self.digits;
        if fourth | self.low == 0 {
            // Mostly it is JSON in a string, whose only escapes are of quotes and backslashes.
            let mut after = *self;
            let escaped = after.escaped_bytes(Mask::of_word(vector, backslashes)).word();
            if escaped & !(quotes | backslashes) == 0 {
                *self = after;
                return (escaped, 0);
            }
        }
        let (_, rest) = text.split_at(start);
        let classes = vector.escape_classes::<true>(rest);
        let (escaped, faults) = self.group(Mask::of_word(vector, backslashes), &classes);
        (escaped.word(), faults.word())
    }

    /// The escaped bytes of a group, and those where an escape is invalid.
    #[inline(always)]
    pub(super) fn group<V: Vector>(
        &mut self,
        backslashes: Mask<V>,
        classes: &EscapeClasses<V>,
    ) -> (Mask<V>, Mask<V>) {
        let escaped = self.escaped_bytes(backslashes);
        let unicode = classes.unicode & escaped;
        let [first, second, third, fourth] = &mut self.digits;
        let first = unicode.shifted::<1>(*first, first);
        let second = unicode.shifted::<2>(*second, second);
        let third = unicode.shifted::<3>(*third, third);
        let fourth = unicode.shifted::<4>(*fourth, fourth);
        let surrogates = second & classes.d.shifted::<1>(self.d, &mut self.d);
        let low = surrogates & classes.c_to_f;
        let due = (surrogates & classes.eight_to_b).shifted::<ESCAPE_SPAN>(self.low, &mut self.low);
        let faults = escaped & !(classes.simple | classes.unicode)
            | (first | second | third | fourth) & !classes.hex
            | low & !due
            | due & !low;
        (escaped, faults)
    }

    /// The bytes after a backslash that is not escaped itself.
    ///
    /// In a run of backslashes every second one is escaped, and so is the byte after a run of odd
    /// length. Subtracting the start of the run from a mask in which all odd bits are set gives
    /// that alternation: see simdjson's `json_escape_scanner`.
    #[inline(always)]
    fn escaped_bytes<V: Vector>(&mut self, backslashes: Mask<V>) -> Mask<V> {
        const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
        let odd = backslashes.splat(ODD);
        let first_escaped = backslashes.low(self.escaped);
        let escaping = backslashes & !first_escaped;
        let after = escaping.shifted::<1>(0, &mut 0);
        // a - b is a + !b + 1.
        let (difference, _) = (after | odd).carrying_add(!escaping, true);
        let alternating = difference ^ odd;
        (alternating & backslashes).shifted::<1>(0, &mut self.escaped);
        alternating ^ (backslashes | first_escaped)
    }
}
