//! The line of an event: which bytes of the body it keeps, and in which order.
//!
//! A line has five pieces, of which three are bytes of the body as they came:
//!
//! ```text
//! {  "sessionCreated"  :  {"timestamp":1538481330577  ,"sessionId":"ses_Jd8tUyvhXO"}  }  LF
//!    name                 root up to the cut          root after the cut
//! ```
//!
//! It is never longer than the body: it gains two braces, a colon and the LF, four bytes, and loses
//! the key `event` with its quotes and its colon, at least eight bytes.

use std::ops::Range;

use super::scan::Event;
use super::token;
use crate::vector::Copier;

/// Writes the line of `event` to the front of `line`, which is not shorter than `body`, and returns
/// its length.
#[inline(always)]
pub(super) fn write(copier: impl Copier, body: &[u8], event: &Event, line: &mut [u8]) -> usize {
    let Some(length) = write_pieces(copier, body, event, line) else {
        unreachable!("a line is not longer than its body, and the pieces of an event are in it")
    };
    length
}

/// `None` if `line` is too short, or `event` is not one of `body`.
#[inline(always)]
fn write_pieces(copier: impl Copier, body: &[u8], event: &Event, line: &mut [u8]) -> Option<usize> {
    let cut = cut(body, event)?;
    *line.get_mut(0)? = b'{';
    let name_end = put(copier, line, 1, body.get(event.name_start..event.name_end)?)?;
    *line.get_mut(name_end)? = b':';
    let root_start = name_end + 1;
    let root_end = put(copier, line, root_start, body.get(event.root_start..cut.start)?)?;
    let root_end = put(copier, line, root_end, body.get(cut.end..event.root_end)?)?;
    if event.has_newlines {
        replace_newlines(line.get_mut(root_start..root_end)?);
    }
    *line.get_mut(root_end..)?.first_chunk_mut()? = *b"}\n";
    Some(root_end + 2)
}

/// The part of the root object that the line does not keep.
#[inline(always)]
fn cut(body: &[u8], event: &Event) -> Option<Range<usize>> {
    let next = token::whitespace_end(body, event.name_end);
    let previous = token::whitespace_start(body, event.key_start).checked_sub(1)?;
    Some(match (body.get(previous)?, body.get(next)?) {
        // First or in the middle: up to the next key.
        (_, b',') => event.key_start..token::whitespace_end(body, next + 1),
        // Last: the comma before goes too.
        (b',', _) => previous..event.name_end,
        // The only member: nothing is left to keep the whitespace of.
        _ => event.root_start + 1..event.root_end - 1,
    })
}

/// Copies `piece` to `line` at `at` and returns the end of the copy.
#[inline(always)]
fn put(copier: impl Copier, line: &mut [u8], at: usize, piece: &[u8]) -> Option<usize> {
    let end = at + piece.len();
    copier.copy(piece, line.get_mut(at..end)?);
    Some(end)
}

/// Replaces every CR and LF by a space. In JSON they can only be between tokens: inside a string
/// they are escaped.
fn replace_newlines(json: &mut [u8]) {
    for byte in json {
        if matches!(byte, b'\r' | b'\n') {
            *byte = b' ';
        }
    }
}
