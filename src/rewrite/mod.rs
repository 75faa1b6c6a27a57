//! The pure transformation: one webhook body in, one CDR line out.
//!
//! ```text
//! rewriter      the public interface: limits
//!   dispatch    the best implementation for this processor, chosen once
//!     fast      guesses where the event is, and confirms it
//!       compact   validates JSON without whitespace between tokens or with single spaces, on masks
//!                 of crate::vector that are as wide as a block (reading, neighbours, leftover,
//!                 levels, escapes)
//!       grammar   validates any JSON, on masks of any width (levels, escapes)
//!     walk      validates token by token, without vectors
//!     portable  validates byte by byte and finds the reason (scan, nesting)
//!       line    writes the line
//! ```

#[cfg(any(test, fuzzing))]
pub mod each;

mod compact;
mod dispatch;
mod escapes;
mod fast;
mod grammar;
mod leftover;
mod levels;
mod line;
mod line_check;
mod neighbours;
mod nesting;
mod portable;
mod reading;
mod reason;
mod record;
mod rewriter;
mod scan;
#[cfg(test)]
mod tests;
mod token;
mod walk;
mod whole_line;

pub use dispatch::{Instructions, UnknownInstructions};
pub use line_check::{LineCheck, LineFault, LineReason};
pub use reason::{Reason, Rejection};
pub(crate) use record::RejectRecord;
pub use rewriter::{EVENT_BYTES_MAX_DEFAULT, Rewriter};
pub(crate) use whole_line::{is_whole_line, is_whole_record};
