//! The fast way from a body to its line: guess where `event` is, validate the grammar, confirm the
//! guess, write the line.
//!
//! Servers put `event` first or last, and each server always in the same place. Both places are
//! found by looking at one end of the body, without knowing what is a string there. That saves the
//! grammar a search: it only has to find a key of the root at the same place, and no other one that
//! may be `event`. A wrong guess only costs that search.

use super::compact;
use super::grammar::{self, Found, KEY};
use super::leftover::Refusal;
use super::line;
use super::scan::Event;
use super::token;
use crate::vector::{BLOCK_BYTES, Lookup, Task, Vector, Window, WorkOfWidth};

/// The key and its colon, and the opening quote of the name or the space before it.
const KEY_AND_QUOTE: &[u8; 9] = b"\"event\":\"";
const KEY_AND_SPACE: &[u8; 9] = b"\"event\": ";

/// The distance from the key's opening quote to that of the name, or to the space before it.
const NAME_OFFSET: usize = KEY_AND_QUOTE.len() - 1;

/// Writes the line of `body` to the front of `line`, which is not shorter than `body`, and returns
/// its length. `None` leaves the body to the portable scan.
pub(super) struct Rewrite<'body, 'line> {
    pub(super) body: &'body [u8],
    pub(super) line: &'line mut [u8],
}

impl Task for Rewrite<'_, '_> {
    type Output = Option<usize>;

    #[inline(always)]
    fn run<V: Vector>(self, vector: V) -> Option<usize> {
        rewrite(vector, self.body, self.line)
    }
}

#[inline(always)]
fn rewrite<V: Vector>(vector: V, body: &[u8], line: &mut [u8]) -> Option<usize> {
    let root_start = token::whitespace_end(body, 0);
    let root_end = token::whitespace_start(body, body.len());
    let root = body.get(root_start..root_end)?;
    let [b'{', text @ .., b'}'] = root else { return None };

    let guess = guess(vector, body, root_start, root_end);

    let text_start = root_start + 1;
    let guessed_key = guess.map(|event| event.key_start - text_start);
    let is_spaced = is_spaced(body, text, guess.as_ref());
    let Found { key_start, has_newlines } =
        vector.choose(FindEvent { text, guess: guessed_key, is_spaced })?;
    let key_start = text_start + key_start;
    if let Some(event) = guess
        && event.key_start == key_start
        && !has_newlines
    {
        return Some(line::write(vector, body, &event, line));
    }
    let name_start = token::event_name_start(body, key_start + KEY.len())?;
    let name_end = string_end(vector, body, name_start)?;
    let event = Event { root_start, root_end, key_start, name_start, name_end, has_newlines };
    Some(line::write(vector, body, &event, line))
}

/// Finds the only key `event` in `text`, which is what is between the braces of the root. `None`
/// leaves it to the portable scan.
struct FindEvent<'body> {
    text: &'body [u8],
    /// A place where [`KEY`] is, but perhaps no key.
    guess: Option<usize>,
    /// There is whitespace between tokens, for sure.
    is_spaced: bool,
}

impl WorkOfWidth for FindEvent<'_> {
    type Output = Option<Found>;

    #[inline(always)]
    fn narrow<V: Vector + Lookup>(self, vector: V) -> Option<Found> {
        let Self { text, guess, is_spaced } = self;
        if !is_spaced {
            match compact::find_event::<V, false>(vector, text, guess) {
                Ok(found) => return Some(found),
                Err(Refusal::Fault) => return None,
                Err(Refusal::Whitespace) => {}
            }
        }
        vector.run(FindSpaced { vector, text, guess })
    }

    #[inline(always)]
    fn wide<V: Vector>(self, vector: V) -> Option<Found> {
        grammar::find_event(vector, self.text, self.guess)
    }
}

/// [`FindEvent`] where there is whitespace between tokens.
struct FindSpaced<'body, V> {
    vector: V,
    text: &'body [u8],
    guess: Option<usize>,
}

impl<S: Vector + Lookup> Task for FindSpaced<'_, S> {
    type Output = Option<Found>;

    #[inline(always)]
    fn run<V: Vector>(self, _: V) -> Option<Found> {
        let Self { vector, text, guess } = self;
        // A first line end means one after every member.
        if !matches!(text, [b'\t' | b'\n' | b'\r', ..]) {
            match compact::find_event::<S, true>(vector, text, guess) {
                Ok(found) => return Some(found),
                Err(Refusal::Fault) => return None,
                Err(Refusal::Whitespace) => {}
            }
        }
        vector.run(grammar::ManyGroups { text, guess })
    }
}

/// The event of a body, if it is first or last and has a space after its colon at most, and if the body
/// is valid at all.
#[inline(always)]
fn guess<V: Vector>(vector: V, body: &[u8], root_start: usize, root_end: usize) -> Option<Event> {
    let first = root_start + 1;
    let (key_start, name_start, name_end) = if starts_with(body, first, KEY_AND_QUOTE) {
        let name_start = first + NAME_OFFSET;
        (first, name_start, string_end(vector, body, name_start)?)
    } else if starts_with(body, first, KEY_AND_SPACE) {
        let name_start = first + NAME_OFFSET + 1;
        if body.get(name_start) != Some(&b'"') {
            return None;
        }
        (first, name_start, string_end(vector, body, name_start)?)
    } else {
        // The last two quotes of the root are those of the name.
        let root = body.get(root_start..root_end)?;
        let quotes = Window::whole(vector, root.last_chunk()?).quotes();
        let closing = quotes.checked_ilog2()?;
        let opening = (quotes ^ 1 << closing).checked_ilog2()?;
        let block_start = root_end - BLOCK_BYTES;
        let name_start = block_start + opening as usize;
        let mut key_start = name_start.checked_sub(NAME_OFFSET)?;
        if !starts_with(body, key_start, KEY_AND_QUOTE) {
            key_start = key_start.checked_sub(1)?;
            if !starts_with(body, key_start, KEY_AND_SPACE) {
                return None;
            }
        }
        (key_start, name_start, block_start + closing as usize + 1)
    };
    // Not the empty name.
    (name_end > name_start + 2).then_some(Event {
        root_start,
        root_end,
        key_start,
        name_start,
        name_end,
        has_newlines: false,
    })
}

/// Whether there is whitespace between tokens for sure: at the start of `text`, or beside the guessed
/// event. Servers that write a space there write one after every comma (LiveKit's encoder, protojson, does
/// in some builds), so the body need not be tried as one without whitespace. If the guess is in a string,
/// this only costs time.
#[inline(always)]
fn is_spaced(body: &[u8], text: &[u8], guess: Option<&Event>) -> bool {
    if matches!(text, [b' ' | b'\t' | b'\n' | b'\r', ..]) {
        return true;
    }
    let Some(event) = guess else { return false };
    let before = event.key_start.checked_sub(1).and_then(|at| body.get(at));
    let after = body.get(event.name_end..event.name_end + 2);
    before == Some(&b' ') || after == Some(b", ")
}

#[inline(always)]
fn starts_with<const N: usize>(body: &[u8], start: usize, expected: &[u8; N]) -> bool {
    body.get(start..).and_then(<[u8]>::first_chunk) == Some(expected)
}

/// The end of the string whose opening quote is at `open`: usually within a block, and without
/// escapes.
#[inline(always)]
fn string_end<V: Vector>(vector: V, body: &[u8], open: usize) -> Option<usize> {
    if open + 1 >= body.len() {
        return None;
    }
    match Window::at(vector, body, open + 1).first_quote() {
        Some(quote) => Some(open + 1 + quote + 1),
        None => token::string_end(body, open).ok(),
    }
}
