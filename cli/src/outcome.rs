//! How a command ends.

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

/// How a command ended, where it did not fail with a message of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Finished, and some events were rejected.
    SomeRejected,
    /// Failed; what there is to say was said.
    Failed,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::SomeRejected => Self::from(3),
            Outcome::Failed => Self::FAILURE,
        }
    }
}

/// One sentence on standard error. Where that is closed, there is nobody left to tell.
pub(crate) fn say(message: impl Display) {
    let _ = writeln!(std::io::stderr(), "cdrlog: {message}");
}
