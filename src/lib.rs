//! cdrlog turns WebHook events into OpenVidu Call Detail Record lines.

#![deny(unsafe_code, missing_docs)]
#![cfg_attr(
    not(test),
    warn(
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::print_stderr,
        clippy::print_stdout,
        clippy::unwrap_used
    )
)]

mod appender;
mod bell;
mod builder;
mod error;
mod file;
mod flush;
mod journal;
mod pipeline;
mod producer;
mod queue;
mod rewrite;
mod stats;

pub use appender::Appender;
pub use builder::Builder;
pub use bytes::Bytes;
pub use error::{CloseError, FlushError, OpenError, SendError, TrySendError};
pub use flush::SyncPolicy;
pub use journal::Recovery;
pub use producer::Producer;
pub use rewrite::{EVENT_BYTES_MAX_DEFAULT, Reason, Rejection, Rewriter};
pub use stats::Stats;

/// The examples of the README, compiled as tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct ReadmeDoctests;
