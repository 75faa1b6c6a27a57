//! The pure rewriter: one body in, one line out.

#![expect(unsafe_code, reason = "functions of C")]

use std::ffi::{CStr, c_char};

use cdrlog_core::{Reason, Rewriter};

use crate::boundary::{boundary, buffer_too_small};
use crate::failure::Failure;
use crate::panics;
use crate::result::cdrlog_result::{self, *};

/// Rewrites a body as a CDR line with its line feed, without files, threads and state.
///
/// line has room for line_capacity_bytes, at least event_bytes: a line is never longer than its
/// body. The two must not overlap. event_bytes_max is the length above which a body is rejected,
/// usually 1 MiB. Stores the length of the line in *line_bytes, or 0.
///
/// CDRLOG_REJECTED: the body is not an event. *reason is then the reason as one word, as in the
/// rejects file, and *reject_offset the byte that could not be accepted, if these pointers are not
/// NULL; the string is never freed. The content of line is not specified then.
/// CDRLOG_BUFFER_TOO_SMALL: line is shorter than the body.
///
/// Threads: any number at the same time.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_rewrite(
    event: *const u8,
    event_bytes: usize,
    event_bytes_max: usize,
    line: *mut u8,
    line_capacity_bytes: usize,
    line_bytes: *mut usize,
    reason: *mut *const c_char,
    reject_offset: *mut usize,
) -> cdrlog_result {
    panics::silence();
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let mut line_bytes = arguments.place(line_bytes, c"line_bytes")?;
            line_bytes.set(0);
            let body = arguments.slice(event, event_bytes, c"event")?;
            if overlap(event, event_bytes, line, line_capacity_bytes) {
                return Err(Failure::fixed(CDRLOG_INVALID_ARGUMENT, c"event and line overlap"));
            }
            let line = arguments.buffer(line, line_capacity_bytes, c"line")?;
            let is_too_short = line.len() < body.len() && body.len() <= event_bytes_max;
            if is_too_short {
                return Err(buffer_too_small());
            }
            let rewriter = Rewriter::with_event_bytes_max(event_bytes_max);
            match rewriter.rewrite_into(body, line) {
                Ok(length) => line_bytes.set(length),
                Err(rejection) => {
                    if let Some(mut reason) = arguments.place_if_any(reason) {
                        reason.set(word(rejection.reason).as_ptr());
                    }
                    if let Some(mut offset) = arguments.place_if_any(reject_offset) {
                        offset.set(rejection.offset);
                    }
                    return Err(rejection.into());
                }
            }
            Ok(())
        })
    }
}

/// Whether two ranges of memory have a byte in common.
fn overlap(one: *const u8, one_bytes: usize, other: *const u8, other_bytes: usize) -> bool {
    let (one, other) = (one.addr(), other.addr());
    one < other.saturating_add(other_bytes) && other < one.saturating_add(one_bytes)
}

/// [`Reason::as_str`] as a string of C.
const fn word(reason: Reason) -> &'static CStr {
    match reason {
        Reason::Empty => c"empty",
        Reason::TooLarge => c"too_large",
        Reason::InvalidUtf8 => c"invalid_utf8",
        Reason::NotAnObject => c"not_an_object",
        Reason::UnexpectedByte => c"unexpected_byte",
        Reason::UnexpectedEnd => c"unexpected_end",
        Reason::TrailingBytes => c"trailing_bytes",
        Reason::ControlCharacter => c"control_character",
        Reason::InvalidEscape => c"invalid_escape",
        Reason::LoneSurrogate => c"lone_surrogate",
        Reason::InvalidNumber => c"invalid_number",
        Reason::InvalidLiteral => c"invalid_literal",
        Reason::TooDeep => c"too_deep",
        Reason::EventMissing => c"event_missing",
        Reason::EventTwice => c"event_twice",
        Reason::EventNotAString => c"event_not_a_string",
        Reason::EventEmpty => c"event_empty",
        // A reason that is newer than this function.
        _ => c"not_an_event",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_has_the_word_of_the_rejects_file() {
        let reasons = [
            Reason::Empty,
            Reason::TooLarge,
            Reason::InvalidUtf8,
            Reason::NotAnObject,
            Reason::UnexpectedByte,
            Reason::UnexpectedEnd,
            Reason::TrailingBytes,
            Reason::ControlCharacter,
            Reason::InvalidEscape,
            Reason::LoneSurrogate,
            Reason::InvalidNumber,
            Reason::InvalidLiteral,
            Reason::TooDeep,
            Reason::EventMissing,
            Reason::EventTwice,
            Reason::EventNotAString,
            Reason::EventEmpty,
        ];
        for reason in reasons {
            assert_eq!(word(reason).to_str(), Ok(reason.as_str()));
        }
    }
}
