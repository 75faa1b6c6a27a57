//! How a command ends.

use std::error::Error;
use std::fmt::{self, Display};
use std::io::Write;
use std::process::ExitCode;

/// The exit codes, for `--help` and the manual page. README.md and docs/operations.md list them for
/// each command.
pub(crate) const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  failure: something could not be read, written or used; or `verify` or `audit` has
     findings; or `stats --strict` met a line that is not an event. Standard error says what failed
  2  usage error: a wrong option, argument or variable; nothing was read or written
  3  `append` took all bodies, and rejected some of them
  4  `ship` waits for a recovery of the directory
  5  `ship` stopped: lines are missing here, or at the destination
  6  `ship` stopped: another writer has the name of this node, or another node shipped its files
  7  `ship` stopped: the node was retired
The --help of each command has the details.";

/// The command line asks for something that does not exist, which only the command itself can
/// detect.
#[derive(Debug)]
pub(crate) struct WrongUsage(pub(crate) String);

impl Display for WrongUsage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for WrongUsage {}

/// The exit code of a command that failed with this error.
pub(crate) fn code_of(error: &(dyn Error + 'static)) -> ExitCode {
    if error.is::<WrongUsage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
}

/// How a command ended, if it did not fail with its own message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Done,
    /// Completed, and some events were rejected.
    SomeRejected,
    /// Failed; the message was printed already.
    Failed,
    /// Everything that may be shipped is; more waits for a recovery of the directory.
    #[cfg(feature = "ship")]
    Waiting,
    /// Lines are missing, here or at a destination.
    #[cfg(feature = "ship")]
    LinesMissing,
    /// Another writer has the name of this node.
    #[cfg(feature = "ship")]
    OtherWriter,
    /// This node was retired.
    #[cfg(feature = "ship")]
    Retired,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Done => Self::SUCCESS,
            Outcome::SomeRejected => Self::from(3),
            Outcome::Failed => Self::FAILURE,
            #[cfg(feature = "ship")]
            Outcome::Waiting => Self::from(4),
            #[cfg(feature = "ship")]
            Outcome::LinesMissing => Self::from(5),
            #[cfg(feature = "ship")]
            Outcome::OtherWriter => Self::from(6),
            #[cfg(feature = "ship")]
            Outcome::Retired => Self::from(7),
        }
    }
}

/// Prints one sentence to standard error. If that is closed, there is nobody left to tell.
pub(crate) fn say(message: impl Display) {
    let _ = writeln!(std::io::stderr(), "cdrlog: {message}");
}
