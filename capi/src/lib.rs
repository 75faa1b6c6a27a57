//! The C interface of cdrlog. Its documentation is `include/cdrlog.h`, which cbindgen makes from
//! the comments here, and `docs/embedding.md`.
//!
//! ```text
//! boundary   a panic ends here; the arguments of C become references
//! handle     what a pointer of C stands for
//! failure    error code, message and errno, for the thread that called
//! all others functions of C, by what they are about
//! ```

#![warn(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stderr,
    clippy::print_stdout,
    clippy::unwrap_used
)]
#![deny(unsafe_code)]
#![expect(non_camel_case_types, reason = "the names of C")]

// In the order of the header.
mod version;

mod result;

mod failure;

mod notice;

mod options;

mod appender;

mod producer;

mod acks;

mod stats;

mod recovery;

mod close_report;

mod reader;

mod rewriter;

// Not in the header.
mod ack_counts;
mod boundary;
mod callback;
mod counters;
mod free_slots;
mod handle;
mod outcome;
mod panics;
mod signals;

#[cfg(test)]
mod tests;
