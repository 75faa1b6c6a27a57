//! The fast scan of any JSON: the grammar checked on a group of bytes at once, 512 with AVX-512, and
//! 64 with narrower vectors, which leave only bodies with whitespace between tokens to it
//! ([`compact`](super::compact)).
//!
//! # From bytes to bits
//!
//! A [`Vector`] turns a group of bytes into [`Classes`]: a [`Mask`] for each class of bytes, a bit for
//! each byte, bit 0 the first. Everything else is arithmetic on such masks, in safe code, the same
//! for every processor. With AVX-512 most events are one group: they are done without a loop, and
//! the few branches there are go the same way for most events.
//!
//! A prefix XOR over the quotes that are not escaped tells what is inside a string. What is outside
//! is a row of tokens: brackets, colons, commas, whole strings, and *scalars*, which are runs of
//! any other bytes. `follow(x)` are the places just after tokens `x`, whitespace skipped, which is a
//! shift by one where there is no whitespace; what falls off at the end of a group is carried to the
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
//! ([`levels`](super::levels)). 4 and 5 need to know where the strings end that do not follow a colon: adding
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
use super::levels::{Levels, Nesting64};
use super::token;
use crate::vector::{Classes, Mask, Task, Vector};

/// The key that is looked for, quotes included.
pub(super) const KEY: &[u8; 7] = b"\"event\"";

/// How far the closing quote of [`KEY`] is from its opening quote.
pub(super) const KEY_SPAN: u32 = KEY.len() as u32 - 1;

/// The strings of a group.
#[derive(Clone, Copy)]
struct Strings<V: Vector> {
    /// The quotes that are not escaped.
    quotes: Mask<V>,
    /// From each opening quote to before its closing quote.
    inside: Mask<V>,
    /// What is no part of a string.
    outside: Mask<V>,
}

/// What a group says about the next.
#[derive(Clone, Copy, Default)]
struct Carries {
    /// Bit 0: the next group starts just after one of these, whitespace skipped.
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
    has_control_whitespace: bool,
}

/// What the grammar has found in a text.
pub(super) struct Found {
    /// The opening quote of the root's key `event`.
    pub(super) key_start: usize,
    /// There may be CR or LF between tokens.
    pub(super) has_newlines: bool,
}

/// Finds the only key `event` in `text`, which is what is between the braces of the root. `None`
/// leaves it to the portable scan.
///
/// `guess` is a place where [`KEY`] is, but perhaps no key.
#[inline(always)]
pub(super) fn find_event<V: Vector>(vector: V, text: &[u8], guess: Option<usize>) -> Option<Found> {
    if text.len() > V::GROUP_BYTES {
        return vector.run(ManyGroups { text, guess });
    }
    // Most events. Nothing is carried, and the compiler knows it.
    let mut grammar = Grammar::new(vector, text, guess);
    let (classes, is_ascii) = vector.classes::<false>(text);
    if !grammar.group::<false>(0, &classes) {
        return None;
    }
    grammar.found(is_ascii)
}

/// [`find_event`] for a text of any length, in a function of its own.
pub(super) struct ManyGroups<'body> {
    pub(super) text: &'body [u8],
    pub(super) guess: Option<usize>,
}

impl Task for ManyGroups<'_> {
    type Output = Option<Found>;

    #[inline(always)]
    fn run<V: Vector>(self, vector: V) -> Option<Found> {
        let Self { text, guess } = self;
        let mut grammar = Grammar::new(vector, text, guess);
        let mut is_ascii = true;
        let mut start = 0;
        while start < text.len() {
            let (_, rest) = text.split_at(start);
            let (classes, group_is_ascii) = vector.classes::<true>(rest);
            is_ascii &= group_is_ascii;
            if !grammar.group::<true>(start, &classes) {
                return None;
            }
            start += V::GROUP_BYTES;
        }
        grammar.found(is_ascii)
    }
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
            has_control_whitespace: false,
        }
    }

    /// Takes the group that starts at `start`. False where the scan cannot go on.
    #[inline(always)]
    fn group<const MANY: bool>(&mut self, start: usize, classes: &Classes<V>) -> bool {
        let mut quotes = classes.quotes;
        let mut is_valid = true;
        if self.escapes.pending() != 0 || !classes.backslashes.is_zero() {
            let (_, group) = self.text.split_at(start);
            let (escaped, faults) =
                self.escapes.group(classes.backslashes, &self.vector.escape_classes::<MANY>(group));
            quotes = quotes & !escaped;
            is_valid = faults.is_zero();
        }
        let (inside, in_string) = quotes.prefix_xor(self.carries.in_string);
        self.carries.in_string = in_string;

        let outside = classes.valid & !(inside | quotes);
        let mut whitespace = classes.spaces & outside;
        if !classes.controls.is_zero() {
            is_valid &= (classes.controls & inside).is_zero();
            whitespace = whitespace | classes.control_whitespace & outside;
            self.has_control_whitespace = true;
        }
        let strings = Strings { quotes, inside, outside };
        is_valid
            && if whitespace.is_zero() {
                self.relations::<false>(start, classes, strings, whitespace)
            } else {
                self.relations::<true>(start, classes, strings, whitespace)
            }
    }

    /// The relations of the module's documentation. False where one does not hold.
    #[inline(always)]
    fn relations<const SPACED: bool>(
        &mut self,
        start: usize,
        classes: &Classes<V>,
        strings: Strings<V>,
        whitespace: Mask<V>,
    ) -> bool {
        let Strings { quotes, inside, outside } = strings;
        let (opens, closes) = (classes.opens & outside, classes.closes & outside);
        let (colons, commas) = (classes.colons & outside, classes.commas & outside);
        let opening_quotes = quotes & inside;
        let before = self.carries;
        let mut next = Carries { in_string: before.in_string, ..Carries::default() };

        let items = follow::<SPACED, V>(
            opens | commas,
            whitespace,
            before.after_open_or_comma,
            &mut next.after_open_or_comma,
        );
        let after_comma =
            follow::<SPACED, V>(commas, whitespace, before.after_comma, &mut next.after_comma);
        let after_colon =
            follow::<SPACED, V>(colons, whitespace, before.after_colon, &mut next.after_colon);

        // Strings that do not follow a colon: keys in an object, items in an array.
        let key_starts = opening_quotes & !after_colon;
        let (ripple, in_key) = inside.carrying_add(key_starts, before.in_key);
        next.in_key = in_key;
        let after_key = follow::<SPACED, V>(
            ripple & !inside,
            whitespace,
            before.after_key,
            &mut next.after_key,
        );

        let scalars = outside & !(opens | closes | colons | commas | whitespace);
        let scalar_starts = scalars & !scalars.shifted::<1>(before.in_scalar, &mut next.in_scalar);
        let key_ends = key_starts.shifted::<KEY_SPAN>(before.key_starts, &mut next.key_starts)
            & quotes
            & !inside;

        if self.text.len() > start + V::GROUP_BYTES {
            self.carries = next;
        }
        // What is due just after the text is missing. In the last group that may be the first bit
        // of a next one.
        self.is_due = next.after_key | next.after_comma | next.after_colon != 0;

        let before_value = items | after_colon;
        let other_starts = scalar_starts | opens;
        // An item that is no string, and a string that no colon follows: in an array only.
        let array_marks = items & other_starts | after_key & !colons;
        let Levels { in_object, in_root } =
            self.nesting.group(start, opens, closes, classes.braces, self.text);
        let faults = (opening_quotes | other_starts) & !before_value
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

    /// Looks whether one of the root's keys that end at `key_ends` is `event`. False if that is one
    /// too many.
    #[inline(always)]
    #[expect(clippy::indexing_slicing, reason = "a key outside the text is a bug of ours")]
    fn find_event_key(&mut self, start: usize, key_ends: Mask<V>) -> bool {
        // Mostly the guess is the only candidate: then it is the key.
        if let Some(guess) = self.guess
            && let Some(guessed_end) = (guess + KEY_SPAN as usize).checked_sub(start)
            && guessed_end < V::GROUP_BYTES
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
                if self.text[key_start..key_end] == *KEY
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
    fn odd_scalars(&mut self, start: usize, odd: Mask<V>, scalar_starts: Mask<V>) -> bool {
        if odd.is_zero() {
            return true;
        }
        let run_starts = odd & !odd.shifted::<1>(0, &mut 0);
        let scalar_starts = scalar_starts.lanes();
        for (lane, mut run_starts) in run_starts.blocks() {
            let scalar_starts = scalar_starts.get(lane);
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

    /// What has been found, if everything that was opened has ended.
    #[inline(always)]
    fn found(&self, is_ascii: bool) -> Option<Found> {
        let is_complete = self.nesting.is_in_root()
            && self.escapes.pending() == 0
            && !self.carries.in_string
            && !self.is_due
            && (is_ascii || simdutf8::basic::from_utf8(self.text).is_ok());
        let has_newlines = self.has_control_whitespace;
        self.event_key.filter(|_| is_complete).map(|key_start| Found { key_start, has_newlines })
    }
}

/// The places just after `tokens`, whitespace skipped. `carry` is bit 0 of it from the group before,
/// `next` that for the next.
///
/// With whitespace: a place that is whitespace is the start of a run of it, so that adding it to the
/// run leaves the one bit just after the run.
#[inline(always)]
fn follow<const SPACED: bool, V: Vector>(
    tokens: Mask<V>,
    whitespace: Mask<V>,
    carry: u64,
    next: &mut u64,
) -> Mask<V> {
    let after = tokens.shifted::<1>(carry, next);
    if !SPACED {
        return after;
    }
    let (past_whitespace, overflow) = whitespace.carrying_add(after & whitespace, false);
    *next |= u64::from(overflow);
    (after | past_whitespace) & !whitespace
}
