//! The fast scan: the grammar of JSON checked on 64 bytes at once.
//!
//! # From bytes to bits
//!
//! A [`Vector`] turns a block of 64 bytes into [`Masks`]: one 64-bit word for each class of bytes, a bit for each byte,
//! bit 0 the first. Everything else is arithmetic on such words, in safe code, the same for every processor.
//!
//! A prefix XOR over the quotes that are not escaped tells what is inside a string. What is outside is a row of tokens:
//! brackets, colons, commas, whole strings, and *scalars*, which are runs of any other bytes. `follow(x)` are the places
//! just after tokens `x`, blanks skipped, which is a shift by one where there are no blanks; what falls off at the end of a
//! block is carried to the next.
//!
//! # The grammar as relations between neighbours
//!
//! Let a *value start* be an opening quote, the first byte of a scalar, `{` or `[`, and a *value end* a closing quote, the
//! last byte of a scalar, `}` or `]`. Then a row of tokens in which the brackets match is JSON if:
//!
//! 1. a value start follows an opening bracket, a comma or a colon;
//! 2. a comma follows a value end;
//! 3. a closing bracket follows a value end or an opening bracket;
//! 4. a colon follows a string, and that string does not follow a colon itself;
//! 5. inside an object, what follows an opening bracket or a comma is a string, and a colon follows it;
//! 6. inside an array, there are no colons.
//!
//! 1 to 4 hold or fail for a whole block at once. So do 5 and 6, once it is known which bytes of the block are directly
//! inside an object: that alone needs a walk, and only over the brackets ([`Nesting64`]). 4 and 5 need to know where the
//! strings end that do not follow a colon: adding the opening quotes of those to the mask of all strings makes each carry
//! ripple through its string and stop at the closing quote.
//!
//! # What is looked at one by one
//!
//! - Scalars with a byte that is not a digit: words, and numbers with a sign, a fraction or an exponent.
//! - Root keys of five bytes: is it `event`? Root keys with a backslash are left to the portable scan.
//! - Brackets.
//!
//! Escapes are masks again ([`Escapes`]), and are looked at in blocks that have a backslash.
//!
//! # Trust
//!
//! `None` means "ask the portable scan": a fault, or one of the rare bodies that are valid but not handled here (more than
//! 64 levels, an escaped root key). So only acceptance must be right here, and no fault needs a reason.

use super::escapes::Escapes;
use super::scan::Event;
use super::token;
use super::vector::{BLOCK_BYTES, Vector, Window};

/// The key that is looked for, quotes included.
const KEY: &[u8; 7] = b"\"event\"";

/// How far the closing quote of [`KEY`] is from its opening quote.
const KEY_SPAN: u32 = KEY.len() as u32 - 1;

/// Classes of the bytes of a block: bit `n` is byte `n`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Masks {
    /// `"`
    pub(super) quotes: u64,
    /// `\`
    pub(super) backslashes: u64,
    /// Below 0x20.
    pub(super) controls: u64,
    /// `{` and `[`
    pub(super) opens: u64,
    /// `}` and `]`
    pub(super) closes: u64,
    /// `:`
    pub(super) colons: u64,
    /// `,`
    pub(super) commas: u64,
    /// Space, 0x20.
    pub(super) spaces: u64,
    /// `0` to `9`
    pub(super) digits: u64,
    /// `0`
    pub(super) zeros: u64,
    /// 0x80 and above. Not shifted with the rest: only whether it is 0 counts.
    pub(super) non_ascii: u64,
}

/// The tokens of a block.
#[derive(Clone, Copy)]
struct Tokens {
    /// From each opening quote to before its closing quote.
    strings: u64,
    opening_quotes: u64,
    closing_quotes: u64,
    opens: u64,
    closes: u64,
    colons: u64,
    commas: u64,
    blanks: u64,
    /// All bytes of scalars.
    scalars: u64,
}

/// What a block says about the next: the places after its last token, at bit 0 of the next block.
#[derive(Clone, Copy, Default)]
struct Carries {
    after_open: u64,
    after_comma: u64,
    after_colon: u64,
    after_value: u64,
    after_key: u64,
    /// A string goes on that does not follow a colon.
    in_key: bool,
    /// All ones inside a string.
    in_string: u64,
    /// The last byte was part of a scalar.
    in_scalar: u64,
    /// The last byte was a `0` that started a scalar.
    after_leading_zero: u64,
    /// The last [`KEY_SPAN`] bits of the opening quotes of keys, at the low end.
    key_starts: u64,
}

/// The scan of one body.
pub(super) struct Grammar<'body> {
    /// From the root's `{` to its `}`, which have been checked to be there.
    root: &'body [u8],
    carries: Carries,
    escapes: Escapes,
    nesting: Nesting64,
    /// Scalars that start before are checked.
    scalars_end: usize,
    /// The opening quote of the key `event` of the root, once found.
    event_key: Option<usize>,
    non_ascii: u64,
    /// There are tabs, line feeds or carriage returns between tokens.
    has_control_blanks: bool,
}

impl<'body> Grammar<'body> {
    fn new(root: &'body [u8]) -> Self {
        // The root itself comes as the value after a colon.
        let carries = Carries { after_colon: 1, ..Carries::default() };
        Self {
            root,
            carries,
            escapes: Escapes::default(),
            nesting: Nesting64::default(),
            scalars_end: 0,
            event_key: None,
            non_ascii: 0,
            has_control_blanks: false,
        }
    }

    /// Takes the block that starts at `start`. False where the scan cannot go on.
    #[inline(always)]
    fn block<V: Vector>(&mut self, start: usize, window: Window<V>) -> bool {
        let masks = window.masks();
        self.non_ascii |= masks.non_ascii;

        let mut quotes = masks.quotes;
        let mut faults = 0;
        if masks.backslashes | self.escapes.pending() != 0 {
            let (escaped, escape_faults) = self.escapes.block(masks.backslashes, &window);
            quotes &= !escaped;
            faults |= escape_faults;
        }

        let strings = window.prefix_xor(quotes) ^ self.carries.in_string;
        self.carries.in_string = (strings.cast_signed() >> 63).cast_unsigned();
        faults |= masks.controls & strings;

        let outside = !(strings | quotes) & window.valid();
        let mut blanks = masks.spaces & outside;
        if masks.controls & outside != 0 {
            blanks |= window.control_blanks() & outside;
            self.has_control_blanks = true;
        }
        let (opens, closes) = (masks.opens & outside, masks.closes & outside);
        let (colons, commas) = (masks.colons & outside, masks.commas & outside);
        let tokens = Tokens {
            strings,
            opening_quotes: quotes & strings,
            closing_quotes: quotes & !strings,
            opens,
            closes,
            colons,
            commas,
            blanks,
            scalars: outside & !(opens | closes | colons | commas | blanks),
        };
        faults |= if blanks == 0 {
            self.relations::<false>(start, tokens, &masks)
        } else {
            self.relations::<true>(start, tokens, &masks)
        };
        faults == 0 && self.odd_scalars(start, tokens.scalars & !masks.digits)
    }

    /// The relations of the module's documentation; the bits where one does not hold.
    #[inline(always)]
    fn relations<const BLANKS: bool>(
        &mut self,
        start: usize,
        tokens: Tokens,
        masks: &Masks,
    ) -> u64 {
        let Tokens {
            strings,
            opening_quotes,
            closing_quotes,
            opens,
            closes,
            colons,
            commas,
            blanks,
            scalars,
        } = tokens;
        let carries = &mut self.carries;

        let after_open = follow::<BLANKS>(opens, blanks, &mut carries.after_open);
        let after_comma = follow::<BLANKS>(commas, blanks, &mut carries.after_comma);
        let after_colon = follow::<BLANKS>(colons, blanks, &mut carries.after_colon);
        let after_value =
            follow::<BLANKS>(closing_quotes | scalars | closes, blanks, &mut carries.after_value);

        // Strings that do not follow a colon: keys in an object, items in an array.
        let key_starts = opening_quotes & !after_colon;
        let (ripple, in_key) = strings.carrying_add(key_starts, carries.in_key);
        carries.in_key = in_key;
        let after_key = follow::<BLANKS>(ripple & !strings, blanks, &mut carries.after_key);

        let scalar_starts = scalars & !(scalars << 1 | carries.in_scalar);
        carries.in_scalar = scalars >> 63;
        let leading_zeros = scalar_starts & masks.zeros;
        let bad_digits = (leading_zeros << 1 | carries.after_leading_zero) & masks.digits & scalars;
        carries.after_leading_zero = leading_zeros >> 63;

        let others = scalar_starts | opens;
        let items = after_open | after_comma;
        let mut faults = bad_digits;
        faults |= (opening_quotes | others) & !(items | after_colon);
        faults |= commas & !after_value;
        faults |= closes & !(after_value | after_open);
        faults |= colons & !after_key;

        // In an array only: an item that is no string, and a string that no colon follows.
        let array_marks = items & others | after_key & !colons;
        let levels = self.nesting.block(start, opens | closes, self.root);
        faults |= array_marks & levels.in_object | colons & !levels.in_object;

        // Root keys as long as `event`.
        let candidates =
            (key_starts << KEY_SPAN | carries.key_starts) & closing_quotes & levels.in_root;
        carries.key_starts = key_starts >> (u64::BITS - KEY_SPAN);
        if candidates != 0 {
            faults |= self.find_event_key(start, candidates);
        }
        // A root key with an escape may be `event` once decoded.
        faults | masks.backslashes & strings & !ripple & levels.in_root
    }

    /// Looks whether one of the root's keys that end at `candidates` is `event`; all ones if that is one too many.
    #[inline(always)]
    fn find_event_key(&mut self, start: usize, mut candidates: u64) -> u64 {
        let mut faults = 0;
        while candidates != 0 {
            let key_end = start + candidates.trailing_zeros() as usize + 1;
            let key_start = key_end - KEY.len();
            if self.root.get(key_start..key_end) == Some(KEY)
                && self.event_key.replace(key_start).is_some()
            {
                faults = u64::MAX;
            }
            candidates &= candidates - 1;
        }
        faults
    }

    /// Checks the scalars that have a byte at `odd`, which is not a digit, one by one.
    #[inline(always)]
    fn odd_scalars(&mut self, start: usize, mut odd: u64) -> bool {
        while odd != 0 {
            let at = start + odd.trailing_zeros() as usize;
            if at >= self.scalars_end {
                let Some(end) = token::scalar_around(self.root, at) else { return false };
                self.scalars_end = end;
            }
            let checked = self.scalars_end - start;
            odd &= if checked < BLOCK_BYTES { u64::MAX << checked } else { 0 };
        }
        true
    }

    fn finish(self, root_start: usize) -> Option<Event> {
        let is_whole = self.nesting.is_one_root() && self.escapes.pending() == 0;
        let is_utf8 = self.non_ascii == 0 || simdutf8::basic::from_utf8(self.root).is_ok();
        let key_start = root_start + self.event_key.filter(|_| is_whole && is_utf8)?;
        Some(Event {
            root_start,
            root_end: root_start + self.root.len(),
            key_start,
            has_breaks: self.has_control_blanks,
        })
    }
}

/// Finds the event in `body`. `None` leaves it to the portable scan.
#[inline(always)]
pub(super) fn scan<V: Vector>(vector: V, body: &[u8]) -> Option<Event> {
    let root_start = token::blanks_end(body, 0);
    let root_end = token::blanks_start(body, body.len());
    let root = body.get(root_start..root_end)?;
    let [b'{', .., b'}'] = root else { return None };

    let mut grammar = Grammar::new(root);
    let (blocks, tail) = root.as_chunks::<BLOCK_BYTES>();
    let mut start = 0;
    for block in blocks {
        if !grammar.block(start, Window::whole(vector, block)) {
            return None;
        }
        start += BLOCK_BYTES;
    }
    if !tail.is_empty() && !grammar.block(start, Window::tail(vector, root, tail)) {
        return None;
    }
    grammar.finish(root_start)
}

/// The places just after `tokens`, blanks skipped. `carry` is bit 0 of it from the block before, then for the next.
///
/// With blanks: a place that is a blank is the start of a run of them, so that adding it to the run leaves the one bit just
/// after the run.
#[inline(always)]
fn follow<const BLANKS: bool>(tokens: u64, blanks: u64, carry: &mut u64) -> u64 {
    let after = tokens << 1 | *carry;
    *carry = tokens >> 63;
    if !BLANKS {
        return after;
    }
    let (past_blanks, overflow) = blanks.overflowing_add(after & blanks);
    *carry |= u64::from(overflow);
    (after | past_blanks) & !blanks
}

// ===== nesting =====

/// Which arrays and objects are open, 64 levels at most.
#[derive(Clone, Copy, Default)]
struct Nesting64 {
    /// Bit 0 is the innermost, set for an object.
    objects: u64,
    /// Wraps around below 0, which breaks it.
    depth: u32,
    /// How many brackets were met at depth 0. One is the root's.
    roots: u32,
    /// A bracket closed what was not its own, or there were too many levels.
    is_broken: bool,
}

/// Which bytes of a block are directly inside an object, and directly inside the root. An opening bracket is in what it is
/// opened in, a closing bracket in what it closes.
struct Levels {
    in_object: u64,
    in_root: u64,
}

impl Nesting64 {
    #[inline(always)]
    fn block(&mut self, start: usize, mut brackets: u64, root: &[u8]) -> Levels {
        let mut levels =
            Levels { in_object: ones_if(self.objects & 1 == 1), in_root: ones_if(self.depth == 1) };
        while brackets != 0 {
            let at = brackets.trailing_zeros();
            let rest = u64::MAX << at << 1;
            brackets &= rest;
            self.bracket(root.get(start + at as usize).copied().unwrap_or_default());
            levels.in_object = levels.in_object & !rest | ones_if(self.objects & 1 == 1) & rest;
            levels.in_root = levels.in_root & !rest | ones_if(self.depth == 1) & rest;
        }
        levels
    }

    /// Opens or closes by one of `{` (0x7B), `[` (0x5B), `}` (0x7D) and `]` (0x5D): bit 5 says object, bit 1 open.
    #[inline(always)]
    fn bracket(&mut self, byte: u8) {
        let is_object = u64::from(byte >> 5 & 1);
        self.roots += u32::from(self.depth == 0);
        if byte & 2 != 0 {
            self.is_broken |= self.depth == u64::BITS;
            self.objects = self.objects << 1 | is_object;
            self.depth = self.depth.wrapping_add(1);
        } else {
            self.is_broken |= self.depth == 0 || self.objects & 1 != is_object;
            self.objects >>= 1;
            self.depth = self.depth.wrapping_sub(1);
        }
    }

    /// Every bracket matched, and nothing was outside the one root.
    const fn is_one_root(self) -> bool {
        self.depth == 0 && self.roots == 1 && !self.is_broken
    }
}

#[inline(always)]
const fn ones_if(condition: bool) -> u64 {
    (condition as u64).wrapping_neg()
}
