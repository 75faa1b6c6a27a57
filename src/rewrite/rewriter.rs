//! The public interface: bodies in, lines out.

use super::dispatch::{Implementation, Instructions};
use super::reason::{Reason, Rejection};

/// The largest event by default, in bytes: 1 MiB.
pub const EVENT_BYTES_MAX_DEFAULT: usize = 1 << 20;

/// Rewrites webhook bodies as CDR lines. It has no files, no threads and no state but its limit.
#[derive(Clone, Debug)]
pub struct Rewriter {
    event_bytes_max: usize,
    /// `None` for those in use.
    instructions: Option<Instructions>,
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
        Self { event_bytes_max, instructions: None }
    }

    /// The same rewriter with `instructions` instead of those [in use](Instructions::in_use): for
    /// benches and tests.
    #[must_use]
    pub const fn with_instructions(self, instructions: Instructions) -> Self {
        Self { instructions: Some(instructions), ..self }
    }

    /// Appends the line of `body` to `lines` and returns its length in bytes, including the line
    /// feed.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] if `body` is not an event; `lines` is then unchanged.
    pub fn rewrite(&self, body: &[u8], lines: &mut Vec<u8>) -> Result<usize, Rejection> {
        let start = lines.len();
        lines.resize(start + body.len(), 0);
        let (_, line) = lines.split_at_mut(start);
        let result = self.rewrite_into(body, line);
        lines.truncate(start + result.unwrap_or(0));
        result
    }

    /// Writes the line of `body` to the front of `line` and returns its length in bytes, including
    /// the line feed.
    ///
    /// A line is never longer than its body. After an error the content of `line` is unspecified.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] if `body` is not an event, and one with [`Reason::TooLarge`] if `line` is
    /// shorter than `body`.
    pub fn rewrite_into(&self, body: &[u8], line: &mut [u8]) -> Result<usize, Rejection> {
        if body.len() > self.event_bytes_max {
            return Err(Rejection::new(Reason::TooLarge, self.event_bytes_max));
        }
        if line.len() < body.len() {
            return Err(Rejection::new(Reason::TooLarge, line.len()));
        }
        let implementation =
            self.instructions.map_or_else(Implementation::best, Instructions::implementation);
        implementation.rewrite(body, line)
    }
}

impl Default for Rewriter {
    fn default() -> Self {
        Self::new()
    }
}
