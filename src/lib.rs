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

mod rewrite;

pub use rewrite::{EVENT_BYTES_MAX_DEFAULT, Reason, Rejection, Rewriter};

/// Every implementation of the rewriter on its own, for fuzz targets.
#[cfg(fuzzing)]
#[doc(hidden)]
pub use rewrite::each;
