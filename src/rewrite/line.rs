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

/// What is copied at once where there is room to copy too much.
const WIDE_BYTES: usize = 32;

/// From how many bytes on a call of the system's `memcpy` pays.
const LONG_BYTES: usize = 1024;

/// Writes the line of `event` to the front of `line` and gives its length; `None` if `line` is too short.
///
/// Bytes of `line` after that may be overwritten.
#[inline(always)]
pub(super) fn write(body: &[u8], event: &Event, line: &mut [u8]) -> Option<usize> {
    let cut = cut(body, event)?;
    *line.get_mut(0)? = b'{';
    let name_end = put(line, 1, body, event.name_start..event.name_end)?;
    *line.get_mut(name_end)? = b':';
    let root_start = name_end + 1;
    let root_end = put(line, root_start, body, event.root_start..cut.start)?;
    let root_end = put(line, root_end, body, cut.end..event.root_end)?;
    if event.has_breaks {
        blank_out_breaks(line.get_mut(root_start..root_end)?);
    }
    *line.get_mut(root_end..)?.first_chunk_mut()? = *b"}\n";
    Some(root_end + 2)
}

/// What of the root object the line does not keep.
#[inline(always)]
fn cut(body: &[u8], event: &Event) -> Option<Range<usize>> {
    let next = token::blanks_end(body, event.name_end);
    let previous = token::blanks_start(body, event.key_start).checked_sub(1)?;
    Some(match (body.get(previous)?, body.get(next)?) {
        // First or in the middle: up to the next key.
        (_, b',') => event.key_start..token::blanks_end(body, next + 1),
        // Last: the comma before goes too.
        (b',', _) => previous..event.name_end,
        // The only member: nothing is left to keep the blanks of.
        _ => event.root_start + 1..event.root_end - 1,
    })
}

/// Copies `piece` of `body` to `line` at `at` and gives where it ends there.
///
/// Most pieces are short, of any length: a loop over wide copies whose last one overlaps is never mispredicted where one
/// over exact lengths is.
#[inline(always)]
fn put(line: &mut [u8], at: usize, body: &[u8], piece: Range<usize>) -> Option<usize> {
    let end = at + piece.len();
    if piece.len() <= WIDE_BYTES
        && let Some(from) = body.get(piece.start..).and_then(<[u8]>::first_chunk::<WIDE_BYTES>)
        && let Some(to) = line.get_mut(at..).and_then(<[u8]>::first_chunk_mut)
    {
        *to = *from;
        return Some(end);
    }
    let from = body.get(piece)?;
    let to = line.get_mut(at..end)?;
    if from.len() < WIDE_BYTES || from.len() >= LONG_BYTES {
        to.copy_from_slice(from);
        return Some(end);
    }
    let last = *from.last_chunk::<WIDE_BYTES>()?;
    for (to, from) in to.as_chunks_mut::<WIDE_BYTES>().0.iter_mut().zip(from.as_chunks().0) {
        *to = *from;
    }
    *to.last_chunk_mut()? = last;
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
