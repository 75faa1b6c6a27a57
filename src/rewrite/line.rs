//! The line of an event: which bytes of the body it keeps, and in which order.
//!
//! A line is five pieces, of which three are bytes of the body as they came:
//!
//! ```text
//! {  "sessionCreated"  :  {"timestamp":1538481330577  ,"sessionId":"ses_Jd8tUyvhXO"}  }  LF
//!    name                 root up to the cut          root after the cut
//! ```
//!
//! It is never longer than the body: it gains two braces, a colon and the LF, four bytes, and loses the key `event` with
//! its quotes and its colon, eight bytes at least.

use std::ops::Range;

use super::scan::Event;
use super::token;

/// The pieces of one line, as ranges of the body.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pieces {
    /// The event's name, with its quotes.
    name: Range<usize>,
    /// The root object from its brace to the cut.
    before: Range<usize>,
    /// The root object from the cut to its brace.
    after: Range<usize>,
}

/// Writes the line of `event` to the front of `line` and gives its length; `None` if `line` is too short.
pub(super) fn write(body: &[u8], event: Event, line: &mut [u8]) -> Option<usize> {
    let pieces = pieces(body, event)?;
    let mut end = 0;
    for piece in [b"{", body.get(pieces.name)?, b":"] {
        end = put(line, end, piece)?;
    }
    let root_start = end;
    for piece in [body.get(pieces.before)?, body.get(pieces.after)?] {
        end = put(line, end, piece)?;
    }
    if event.has_breaks {
        blank_out_breaks(line.get_mut(root_start..end)?);
    }
    put(line, end, b"}\n")
}

/// Says which bytes of the body the line keeps. `None` never happens for an event that a scan has found.
fn pieces(body: &[u8], event: Event) -> Option<Pieces> {
    let Event { root_start, root_end, key_start, .. } = event;
    let key_end = token::string_end(body, key_start).ok()?;
    let name_start = token::blanks_end(body, token::blanks_end(body, key_end) + 1);
    if body.get(name_start) != Some(&b'"') {
        return None;
    }
    let name_end = token::string_end(body, name_start).ok()?;
    if name_end - name_start == 2 {
        return None;
    }

    let next = token::blanks_end(body, name_end);
    let previous = token::blanks_start(body, key_start).checked_sub(1)?;
    let cut = match (body.get(previous)?, body.get(next)?) {
        // First or in the middle: up to the next key.
        (_, b',') => key_start..token::blanks_end(body, next + 1),
        // Last: the comma before goes too.
        (b',', _) => previous..name_end,
        // The only member: nothing is left to keep the blanks of.
        _ => root_start + 1..root_end - 1,
    };
    Some(Pieces {
        name: name_start..name_end,
        before: root_start..cut.start,
        after: cut.end..root_end,
    })
}

/// Copies `piece` to `line` at `at` and gives where it ends there.
fn put(line: &mut [u8], at: usize, piece: &[u8]) -> Option<usize> {
    let end = at + piece.len();
    line.get_mut(at..end)?.copy_from_slice(piece);
    Some(end)
}

/// Makes every CR and LF a space. In JSON they can only stand between tokens: inside a string they are escaped.
fn blank_out_breaks(json: &mut [u8]) {
    for byte in json {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
}
