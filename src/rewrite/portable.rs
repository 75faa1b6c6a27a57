//! The portable way from a body to its line, or to the reason for rejecting it.

use super::line;
use super::reason::{Reason, Rejection};
use super::scan;
use crate::vector::Memcpy;

/// Writes the line of `body` to the front of `line`, which is not shorter than `body`, and returns
/// its length.
#[cold]
#[inline(never)]
pub(super) fn rewrite(body: &[u8], line: &mut [u8]) -> Result<usize, Rejection> {
    let event = find_event(body)?;
    Ok(line::write(Memcpy, body, &event, line))
}

/// Finds the one event in `body`, or the first byte that cannot be accepted.
fn find_event(body: &[u8]) -> Result<scan::Event, Rejection> {
    let scanned = scan::scan(body);
    if simdutf8::basic::from_utf8(body).is_ok() { scanned } else { Err(first_fault(body, scanned)) }
}

/// The fault of a body that is not UTF-8; a fault of the grammar may come before it.
#[cold]
fn first_fault(body: &[u8], scanned: Result<scan::Event, Rejection>) -> Rejection {
    let utf8 = first_fault_of_utf8(body).unwrap_or(Rejection::new(Reason::InvalidUtf8, body.len()));
    match scanned {
        Err(rejection) if rejection.offset < utf8.offset => rejection,
        _ => utf8,
    }
}

/// Where `text` stops being UTF-8.
#[cold]
pub(super) fn first_fault_of_utf8(text: &[u8]) -> Option<Rejection> {
    let error = simdutf8::compat::from_utf8(text).err()?;
    Some(Rejection::new(Reason::InvalidUtf8, error.valid_up_to()))
}
