//! The fast scan: the grammar of JSON checked on 512 bytes at once.
//!
//! # From bytes to bits
//!
//! A [`Vector`] turns a group of 512 bytes into [`Classes`]: a [`Word`] of 512 bits for each class
//! of bytes, a bit for each byte, bit 0 the first. Everything else is arithmetic on such words, in
//! safe code, the same for every processor. Most events are one group: they are done without a
//! loop, and the few branches there are go the same way for most events.
//!
//! A prefix XOR over the quotes that are not escaped tells what is inside a string. What is outside
//! is a row of tokens: brackets, colons, commas, whole strings, and *scalars*, which are runs of
//! any other bytes. `follow(x)` are the places just after tokens `x`, blanks skipped, which is a
//! shift by one where there are no blanks; what falls off at the end of a group is carried to the
//! next.
//!
//! # The grammar as relations between neighbours
//!
//! Let a *value start* be an opening quote, the first byte of a scalar, `{` or `[`. Then a row of
//! tokens in which the brackets match, and whose first is the root's `{`, is JSON if:
//!
//! 1. a value start follows an opening bracket, a comma or a colon;
//! 2. a comma follows none of these, and so the end of a value;
//! 3. a closing bracket follows neither a comma nor a colon;
//! 4. a colon follows a string, and that string does not follow a colon itself;
//! 5. inside an object, what follows an opening bracket or a comma is a string, and a colon follows
//!    it;
//! 6. inside an array, there are no colons.
//!
//! 1 to 4 hold or fail for a whole group at once. So do 5 and 6, once it is known which bytes of
//! the group are directly inside an object: that alone may need a walk, and only over the brackets
//! ([`Nesting64`]). 4 and 5 need to know where the strings end that do not follow a colon: adding
//! the opening quotes of those to the mask of all strings makes each carry ripple through its
//! string and stop at the closing quote.
//!
//! # What is looked at one by one
//!
//! - Scalars with a byte that is not a digit, or with a leading zero: words, and numbers with more
//!   than an integer part.
//! - Root keys of five bytes: is it `event`? Root keys with a backslash are left to the portable
//!   scan.
//! - Brackets, where they are more than arrays of scalars or strings right in the root: those are a
//!   prefix XOR.
//!
//! Escapes are masks again ([`Escapes`]), and are looked at in groups that have a backslash.
//!
//! # Trust
//!
//! `None` means "ask the portable scan": a fault, or one of the rare bodies that are valid but not
//! handled here (more than 64 levels, an escaped root key). So only acceptance must be right here,
//! and no fault needs a reason.

use super::escapes::Escapes;
use super::nesting::Nesting64;
use super::token;
use super::vector::{GROUP_BYTES, Vector, Word};

/// The key that is looked for, quotes included.
pub(super) const KEY: &[u8; 7] = b"\"event\"";

/// How far the closing quote of [`KEY`] is from its opening quote.
const KEY_SPAN: u32 = KEY.len() as u32 - 1;

/// Classes of the bytes of a group: bit `n` is byte `n`. Where there are no bytes all are 0.
#[derive(Clone, Copy)]
pub(super) struct Classes<V: Vector> {
    /// There is a byte.
    pub(super) valid: Word<V>,
    /// `"`
    pub(super) quotes: Word<V>,
    /// `\`
    pub(super) backslashes: Word<V>,
    /// Below 0x20.
    pub(super) controls: Word<V>,
    /// Tab, line feed and carriage return.
    pub(super) control_blanks: Word<V>,
    /// Space, 0x20.
    pub(super) spaces: Word<V>,
    /// `{` and `[`
    pub(super) opens: Word<V>,
    /// `}` and `]`
    pub(super) closes: Word<V>,
    /// `{` and `}`
    pub(super) braces: Word<V>,
    /// `:`
    pub(super) colons: Word<V>,
    /// `,`
    pub(super) commas: Word<V>,
    /// `0` to `9`
    pub(super) digits: Word<V>,
    /// `0`
    pub(super) zeros: Word<V>,
}

/// The strings of a group.
#[derive(Clone, Copy)]
struct Strings<V: Vector> {
    /// The quotes that are not escaped.
    quotes: Word<V>,
    /// From each opening quote to before its closing quote.
    inside: Word<V>,
    /// What is no part of a string.
    outside: Word<V>,
}

/// What a group says about the next.
#[derive(Clone, Copy, Default)]
struct Carries {
    /// Bit 0: the next group starts just after one of these, blanks skipped.
    after_open_or_comma: u64,
    after_comma: u64,
    after_colon: u64,
    after_key: u64,
    /// A string goes on that does not follow a colon.
    in_key: bool,
    /// It starts inside a string.
    in_string: bool,
    /// Bit 0: the last byte was part of a scalar.
    in_scalar: u64,
    /// The last [`KEY_SPAN`] bits of the opening quotes of keys, at the low end.
    key_starts: u64,
}

/// The scan of one body.
struct Grammar<'body, V: Vector> {
    vector: V,
    /// What is between the braces of the root.
    text: &'body [u8],
    carries: Carries,
    escapes: Escapes,
    nesting: Nesting64,
    /// Scalars that start before are checked.
    scalars_end: usize,
    /// Where the key `event` is expected.
    guess: Option<usize>,
    /// The opening quote of the root's key `event`, once found.
    event_key: Option<usize>,
    /// A value or a colon must come next.
    is_due: bool,
    /// There are tabs, line feeds or carriage returns between tokens.
    has_control_blanks: bool,
}

/// What the grammar has found in a text.
pub(super) struct Found {
    /// The opening quote of the root's key `event`.
    pub(super) key_start: usize,
    /// There may be CR or LF between tokens.
    pub(super) has_breaks: bool,
}

/// Finds the only key `event` in `text`, which is what is between the braces of the root. `None`
/// leaves it to the portable scan.
///
/// `guess` is a place where [`KEY`] is, but perhaps no key.
#[inline(always)]
pub(super) fn find_event<V: Vector>(vector: V, text: &[u8], guess: Option<usize>) -> Option<Found> {
    if text.len() > GROUP_BYTES {
        return vector.find_event_in_groups(text, guess);
    }
    // Most events. Nothing is carried, and the compiler knows it.
    let mut grammar = Grammar::new(vector, text, guess);
    let (classes, is_ascii) = vector.classes::<false>(text);
    if !grammar.group::<false>(0, &classes) {
        return None;
    }
    grammar.found(is_ascii)
}

/// [`find_event`] for a text of any length.
#[inline(always)]
pub(super) fn find_event_in_groups<V: Vector>(
    vector: V,
    text: &[u8],
    guess: Option<usize>,
) -> Option<Found> {
    let mut grammar = Grammar::new(vector, text, guess);
    let mut is_ascii = true;
    let mut rest = text;
    while !rest.is_empty() {
        let (classes, group_is_ascii) = vector.classes::<true>(rest);
        is_ascii &= group_is_ascii;
        let start = text.len() - rest.len();
        rest = rest.get(GROUP_BYTES..).unwrap_or_default();
        if !grammar.group::<true>(start, &classes) {
            return None;
        }
    }
    grammar.found(is_ascii)
}

impl<'body, V: Vector> Grammar<'body, V> {
    #[inline(always)]
    fn new(vector: V, text: &'body [u8], guess: Option<usize>) -> Self {
        Self {
            vector,
            text,
            // Just after the root's `{`.
            carries: Carries { after_open_or_comma: 1, ..Carries::default() },
            escapes: Escapes::default(),
            nesting: Nesting64::in_root(),
            scalars_end: 0,
            guess,
            event_key: None,
            is_due: false,
            has_control_blanks: false,
        }
    }

    /// Takes the group that starts at `start`. False where the scan cannot go on.
    #[inline(always)]
    fn group<const MANY: bool>(&mut self, start: usize, classes: &Classes<V>) -> bool {
        let mut quotes = classes.quotes;
        let mut is_valid = true;
        if self.escapes.pending() != 0 || !classes.backslashes.is_zero() {
            let group = self.text.get(start..).unwrap_or_default();
            let (escaped, faults) =
                self.escapes.group(classes.backslashes, &self.vector.escape_classes::<MANY>(group));
            quotes = quotes & !escaped;
            is_valid = faults.is_zero();
        }
        let (inside, in_string) = quotes.prefix_xor(self.carries.in_string);
        self.carries.in_string = in_string;

        let outside = classes.valid & !(inside | quotes);
        let mut blanks = classes.spaces & outside;
        if !classes.controls.is_zero() {
            is_valid &= (classes.controls & inside).is_zero();
            blanks = blanks | classes.control_blanks & outside;
            self.has_control_blanks = true;
        }
        let strings = Strings { quotes, inside, outside };
        is_valid
            && if blanks.is_zero() {
                self.relations::<false>(start, classes, strings, blanks)
            } else {
                self.relations::<true>(start, classes, strings, blanks)
            }
    }

    /// The relations of the module's documentation. False where one does not hold.
    #[inline(always)]
    fn relations<const BLANKS: bool>(
        &mut self,
        start: usize,
        classes: &Classes<V>,
        strings: Strings<V>,
        blanks: Word<V>,
    ) -> bool {
        let Strings { quotes, inside, outside } = strings;
        let (opens, closes) = (classes.opens & outside, classes.closes & outside);
        let (colons, commas) = (classes.colons & outside, classes.commas & outside);
        let opening_quotes = quotes & inside;
        let before = self.carries;
        let mut next = Carries { in_string: before.in_string, ..Carries::default() };

        let items = follow::<BLANKS, V>(
            opens | commas,
            blanks,
            before.after_open_or_comma,
            &mut next.after_open_or_comma,
        );
        let after_comma =
            follow::<BLANKS, V>(commas, blanks, before.after_comma, &mut next.after_comma);
        let after_colon =
            follow::<BLANKS, V>(colons, blanks, before.after_colon, &mut next.after_colon);

        // Strings that do not follow a colon: keys in an object, items in an array.
        let key_starts = opening_quotes & !after_colon;
        let (ripple, in_key) = inside.carrying_add(key_starts, before.in_key);
        next.in_key = in_key;
        let after_key =
            follow::<BLANKS, V>(ripple & !inside, blanks, before.after_key, &mut next.after_key);

        let scalars = outside & !(opens | closes | colons | commas | blanks);
        let scalar_starts = scalars & !scalars.shifted::<1>(before.in_scalar, &mut next.in_scalar);
        let key_ends = key_starts.shifted::<KEY_SPAN>(before.key_starts, &mut next.key_starts)
            & quotes
            & !inside;

        if self.text.len() > start + GROUP_BYTES {
            self.carries = next;
        }
        // What is due just after the text is missing. In the last group that may be the first bit
        // of a next one.
        self.is_due = next.after_key | next.after_comma | next.after_colon != 0;

        let before_value = items | after_colon;
        let others = scalar_starts | opens;
        // An item that is no string, and a string that no colon follows: in an array only.
        let array_marks = items & others | after_key & !colons;
        let (in_object, in_root) = self.levels(start, opens, closes, classes.braces);
        let faults = (opening_quotes | others) & !before_value
            | commas & before_value
            | (closes | !classes.valid) & (after_comma | after_colon)
            | colons & !(after_key & in_object)
            | array_marks & in_object
            // A root key with an escape may be `event` once decoded.
            | classes.backslashes & inside & !ripple & in_root;

        let odd = scalars & !classes.digits | scalar_starts & classes.zeros;
        faults.is_zero()
            && self.find_event_key(start, key_ends & in_root)
            && self.odd_scalars(start, odd, scalar_starts)
    }

    /// Which bytes are directly inside an object, and directly inside the root.
    #[inline(always)]
    fn levels(
        &mut self,
        start: usize,
        opens: Word<V>,
        closes: Word<V>,
        braces: Word<V>,
    ) -> (Word<V>, Word<V>) {
        let brackets = opens | closes;
        if !V::HAS_WIDE_PREFIX_XOR && brackets.is_zero() {
            return (
                brackets.splat(self.nesting.levels.in_object),
                brackets.splat(self.nesting.levels.in_root),
            );
        }
        // Most brackets are arrays of the root, one after the other: from each opening bracket to
        // before its closing bracket, without a look at any of them. So are none.
        let (arrays, is_open) = brackets.prefix_xor(false);
        let others = brackets & braces | opens ^ brackets & arrays;
        if others.is_zero() & !is_open & self.nesting.is_in_root() {
            let in_root = !(arrays ^ brackets);
            return (in_root, in_root);
        }
        self.walk(start, brackets)
    }

    /// [`levels`](Self::levels) by a walk over the brackets.
    #[inline(always)]
    fn walk(&mut self, start: usize, brackets: Word<V>) -> (Word<V>, Word<V>) {
        let mut nesting = self.nesting;
        let mut in_object = brackets.splat(nesting.levels.in_object);
        let mut in_root = brackets.splat(nesting.levels.in_root);
        for (lane, brackets) in brackets.blocks() {
            let levels = nesting.block(start + lane * u64::BITS as usize, brackets, self.text);
            in_object = in_object.with_lanes_from(lane, levels.in_object, nesting.levels.in_object);
            in_root = in_root.with_lanes_from(lane, levels.in_root, nesting.levels.in_root);
        }
        self.nesting = nesting;
        (in_object, in_root)
    }

    /// Looks whether one of the root's keys that end at `key_ends` is `event`. False if that is one
    /// too many.
    #[inline(always)]
    fn find_event_key(&mut self, start: usize, key_ends: Word<V>) -> bool {
        // Mostly the guess is the only candidate: then it is the key.
        if let Some(guess) = self.guess
            && let Some(guessed_end) = (guess + KEY_SPAN as usize).checked_sub(start)
            && guessed_end < GROUP_BYTES
            && (key_ends ^ key_ends.one_bit(guessed_end)).is_zero()
        {
            return self.event_key.replace(guess).is_none();
        }
        for (lane, mut key_ends) in key_ends.blocks() {
            while key_ends != 0 {
                let bit = lane * u64::BITS as usize + key_ends.trailing_zeros() as usize;
                key_ends &= key_ends - 1;
                let key_end = start + bit + 1;
                let key_start = key_end - KEY.len();
                if self.text.get(key_start..key_end) == Some(KEY)
                    && self.event_key.replace(key_start).is_some()
                {
                    return false;
                }
            }
        }
        true
    }

    /// Checks the scalars that have a byte at `odd` one by one.
    #[inline(always)]
    fn odd_scalars(&mut self, start: usize, odd: Word<V>, scalar_starts: Word<V>) -> bool {
        if odd.is_zero() {
            return true;
        }
        let run_starts = odd & !odd.shifted::<1>(0, &mut 0);
        let scalar_starts = scalar_starts.lanes();
        for (lane, mut run_starts) in run_starts.blocks() {
            let scalar_starts = scalar_starts.0.get(lane).copied().unwrap_or_default();
            while run_starts != 0 {
                let bit = run_starts.trailing_zeros();
                let at = start + lane * u64::BITS as usize + bit as usize;
                run_starts &= run_starts - 1;
                if at < self.scalars_end {
                    continue;
                }
                let is_start = scalar_starts >> bit & 1 == 1;
                let common = if is_start { token::common_word_end(self.text, at) } else { None };
                let Some(end) = common.or_else(|| token::scalar_around(self.text, at)) else {
                    return false;
                };
                self.scalars_end = end;
            }
        }
        true
    }

    /// What has been found, if everything that was begun has ended.
    #[inline(always)]
    fn found(&self, is_ascii: bool) -> Option<Found> {
        let is_complete = self.nesting.is_in_root()
            && self.escapes.pending() == 0
            && !self.carries.in_string
            && !self.is_due
            && (is_ascii || simdutf8::basic::from_utf8(self.text).is_ok());
        let has_breaks = self.has_control_blanks;
        self.event_key.filter(|_| is_complete).map(|key_start| Found { key_start, has_breaks })
    }
}

/// The places just after `tokens`, blanks skipped. `carry` is bit 0 of it from the group before,
/// `next` that for the next.
///
/// With blanks: a place that is a blank is the start of a run of them, so that adding it to the run
/// leaves the one bit just after the run.
#[inline(always)]
fn follow<const BLANKS: bool, V: Vector>(
    tokens: Word<V>,
    blanks: Word<V>,
    carry: u64,
    next: &mut u64,
) -> Word<V> {
    let after = tokens.shifted::<1>(carry, next);
    if !BLANKS {
        return after;
    }
    let (past_blanks, overflow) = blanks.carrying_add(after & blanks, false);
    *next |= u64::from(overflow);
    (after | past_blanks) & !blanks
}
