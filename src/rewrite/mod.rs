//! The pure transformation: one webhook body in, one CDR line out.
//!
//! ```text
//! rewriter      the public interface: limits
//!   dispatch    the best implementation for this processor, chosen once
//!     fast      guesses where the event is, and confirms it
//!       grammar   validates 512 bytes at once (levels, escapes), on masks of crate::vector
//!     portable  validates byte by byte and finds the reason (scan, nesting)
//!       line    writes the line
//! ```

#[cfg(any(test, fuzzing))]
pub mod each;

mod dispatch;
mod escapes;
mod fast;
mod grammar;
mod levels;
mod line;
mod line_check;
mod nesting;
mod portable;
mod reason;
mod record;
mod rewriter;
mod scan;
#[cfg(test)]
mod tests;
mod token;
mod whole_line;

pub use dispatch::{Instructions, UnknownInstructions};
pub use line_check::{LineCheck, LineFault, LineReason};
pub use reason::{Reason, Rejection};
pub(crate) use record::RejectRecord;
pub use rewriter::{EVENT_BYTES_MAX_DEFAULT, Rewriter};
pub(crate) use whole_line::{is_whole_line, is_whole_record};
