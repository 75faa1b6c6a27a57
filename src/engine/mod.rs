//! The threads of an appender.

mod event_writer;
mod rewriter;
mod rhythm;

pub(crate) use rewriter::{Pace, RewriterThread, Undelivered};
