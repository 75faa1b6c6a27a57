//! Escapes of a block, all at once: which bytes are escaped, and whether each escape is one.
//!
//! A `\u` is followed by four hexadecimal digits. `\uD800` to `\uDBFF` is a high surrogate, which is seen at its second
//! digit, `8` to `B` after a `D`; `\uDC00` to `\uDFFF` is a low one, `C` to `F`. Each low one must be six bytes after a high
//! one, and each high one six bytes before a low one: two masks that must be equal once one is shifted.

use super::vector::{Vector, Window};

/// How far the digits of one `\uXXXX` are from those of the next.
const ESCAPE_SPAN: u32 = 6;

/// Classes of bytes after a backslash.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct EscapeMasks {
    /// `"`, `\`, `/`, `b`, `f`, `n`, `r` and `t`.
    pub(super) simple: u64,
    /// `u`
    pub(super) unicode: u64,
}

/// Classes of hexadecimal digits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct HexMasks {
    /// `0` to `9`, `a` to `f`, `A` to `F`.
    pub(super) digits: u64,
    /// `d` and `D`.
    pub(super) d: u64,
    /// `8`, `9`, `a`, `b`, `A` and `B`.
    pub(super) eight_to_b: u64,
    /// `c` to `f`, `C` to `F`.
    pub(super) c_to_f: u64,
}

/// What the escapes of a block leave for the next.
#[derive(Clone, Copy, Default)]
pub(super) struct Escapes {
    /// Bit 0: the first byte of the next block is escaped.
    escaped: u64,
    /// The `u` of escapes, as in the block before.
    unicode: u64,
    /// `d` and `D`, as in the block before.
    d: u64,
    /// High surrogates, as in the block before.
    high: u64,
}

impl Escapes {
    /// Not 0 where an escape goes on in the next block: its last four digits, or the low surrogate that is due.
    #[inline(always)]
    pub(super) const fn pending(&self) -> u64 {
        self.escaped | self.unicode >> 60 | self.high >> (u64::BITS - ESCAPE_SPAN)
    }

    /// The escaped bytes of a block, and those where an escape is none.
    #[inline(always)]
    pub(super) fn block<V: Vector>(&mut self, backslashes: u64, window: &Window<V>) -> (u64, u64) {
        let escaped = self.escaped_bytes(backslashes);
        let masks = window.escapes();
        let unicode = masks.unicode & escaped;
        let mut faults = escaped & !(masks.simple | masks.unicode) & window.valid();
        if unicode | self.unicode >> 60 | self.high >> (u64::BITS - ESCAPE_SPAN) == 0 {
            self.unicode = 0;
            self.high = 0;
        } else {
            faults |= self.unicode_escapes(unicode, window.hex());
        }
        (escaped, faults)
    }

    /// The bytes after a backslash that is not escaped itself.
    ///
    /// In a run of backslashes every second one is escaped, and so is the byte after a run of odd length. Subtracting the
    /// run's start from a word in which all odd places are set makes that alternation: see simdjson's `json_escape_scanner`.
    #[inline(always)]
    const fn escaped_bytes(&mut self, backslashes: u64) -> u64 {
        const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
        let escaping = backslashes & !self.escaped;
        let after = escaping << 1;
        let alternating = (after | ODD).wrapping_sub(escaping) ^ ODD;
        let escaped = alternating ^ (backslashes | self.escaped);
        self.escaped = (alternating & backslashes) >> 63;
        escaped
    }

    #[inline(always)]
    const fn unicode_escapes(&mut self, unicode: u64, hex: HexMasks) -> u64 {
        let second = after::<2>(unicode, self.unicode);
        let digits = after::<1>(unicode, self.unicode)
            | second
            | after::<3>(unicode, self.unicode)
            | after::<4>(unicode, self.unicode);
        let surrogates = second & after::<1>(hex.d, self.d);
        let high = surrogates & hex.eight_to_b;
        let low = surrogates & hex.c_to_f;
        let faults = digits & !hex.digits | low ^ after::<ESCAPE_SPAN>(high, self.high);
        self.unicode = unicode;
        self.d = hex.d;
        self.high = high;
        faults
    }
}

/// `mask` moved up by `BYTES`, with the bits that the block before moved out.
#[inline(always)]
const fn after<const BYTES: u32>(mask: u64, before: u64) -> u64 {
    mask << BYTES | before >> (u64::BITS - BYTES)
}
