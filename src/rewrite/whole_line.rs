//! Tells a whole CDR line from a torn one.

use super::{Reason, Rewriter};

/// Whether `line`, its line feed included, is a line as the rewriter makes them: one JSON object on one line.
pub(crate) fn is_whole_line(line: &[u8]) -> bool {
    let Some(text) = line.strip_suffix(b"\n") else { return false };
    if !text.starts_with(b"{\"") || !text.ends_with(b"}") || text.contains(&0) {
        return false;
    }
    // Valid JSON with no root `event` is all that the scan can object to in a line of ours.
    let scanned = Rewriter::with_event_bytes_max(usize::MAX).rewrite(text, &mut Vec::new());
    matches!(scanned, Err(rejection) if matches!(rejection.reason, Reason::EventMissing | Reason::EventNotAString))
}
