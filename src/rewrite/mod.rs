//! The pure transformation: one WebHook body in, one CDR line out.

#[cfg(any(test, fuzzing))]
pub mod each;
mod escapes;
mod fast;
mod grammar;
mod line;
mod line_check;
mod nesting;
mod reason;
mod record;
mod scan;
#[cfg(test)]
mod tests;
mod token;
mod vector;
mod whole_line;

pub use line_check::{LineCheck, LineFault, LineReason};
pub use reason::{Reason, Rejection};
pub(crate) use record::RejectRecord;
use vector::Choice;
pub(crate) use whole_line::{is_whole_line, is_whole_record};

/// The largest event by default, in bytes: 1 MiB.
pub const EVENT_BYTES_MAX_DEFAULT: usize = 1 << 20;

/// Rewrites WebHook bodies as CDR lines.
#[derive(Clone, Debug)]
pub struct Rewriter {
    event_bytes_max: usize,
}

impl Rewriter {
    /// A rewriter with the default limit, [`EVENT_BYTES_MAX_DEFAULT`].
    #[must_use]
    pub const fn new() -> Self {
        Self::with_event_bytes_max(EVENT_BYTES_MAX_DEFAULT)
    }

    /// A rewriter that rejects bodies of more than `event_bytes_max` bytes.
    #[must_use]
    pub const fn with_event_bytes_max(event_bytes_max: usize) -> Self {
        Self { event_bytes_max }
    }

    /// Appends the line of `body` to `lines` and gives its length, the line feed counted.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] where `body` is not an event; `lines` is then as it was.
    pub fn rewrite(&self, body: &[u8], lines: &mut Vec<u8>) -> Result<usize, Rejection> {
        let start = lines.len();
        lines.resize(start + body.len(), 0);
        let line = lines.get_mut(start..).unwrap_or_default();
        let result = self.rewrite_into(body, line);
        lines.truncate(start + result.unwrap_or(0));
        result
    }

    /// Writes the line of `body` to the front of `line` and gives its length, the line feed
    /// counted.
    ///
    /// A line is never longer than its body. A `line` shorter than `body` is answered with
    /// [`Reason::TooLarge`]. What `line` holds after an error is of no meaning.
    pub fn rewrite_into(&self, body: &[u8], line: &mut [u8]) -> Result<usize, Rejection> {
        if body.len() > self.event_bytes_max {
            return Err(Rejection::new(Reason::TooLarge, self.event_bytes_max));
        }
        if line.len() < body.len() {
            return Err(Rejection::new(Reason::TooLarge, line.len()));
        }
        rewrite_by(Choice::best(), body, line)
    }
}

/// Writes the line of `body` to the front of `line`, which is not shorter than `body`, and gives
/// its length.
#[inline]
fn rewrite_by(choice: Choice, body: &[u8], line: &mut [u8]) -> Result<usize, Rejection> {
    match choice.rewrite(body, line) {
        Some(length) => Ok(length),
        None => rewrite_portably(body, line),
    }
}

/// Writes the line of `body` with the portable scan, which knows the reason where it cannot.
#[cold]
#[inline(never)]
fn rewrite_portably(body: &[u8], line: &mut [u8]) -> Result<usize, Rejection> {
    let event = find_event(body)?;
    line::write(line::Memcpy, body, &event, line)
        .ok_or(Rejection::new(Reason::TooLarge, line.len()))
}

/// Finds the one event in `body`, or the first byte that cannot be accepted.
fn find_event(body: &[u8]) -> Result<scan::Event, Rejection> {
    let scanned = scan::scan(body);
    if simdutf8::basic::from_utf8(body).is_ok() { scanned } else { Err(first_fault(body, scanned)) }
}

/// The fault of a body that is not UTF-8, though a fault of the grammar may come before it.
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
fn first_fault_of_utf8(text: &[u8]) -> Option<Rejection> {
    let error = simdutf8::compat::from_utf8(text).err()?;
    Some(Rejection::new(Reason::InvalidUtf8, error.valid_up_to()))
}

impl Default for Rewriter {
    fn default() -> Self {
        Self::new()
    }
}
