//! The commands of the program, one module each.

mod append;
mod bodies;
mod completions;
mod file_options;
mod hangup;
mod man;
mod place;
mod print;
mod progress;
mod recover;
#[cfg(feature = "serve")]
mod serve;
mod stats;
mod summary;
mod tail;
mod verify;
mod when;

use std::fmt::Display;
use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// How a command ended, where it did not fail with a message of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Done,
    /// Finished, and some events were rejected.
    SomeRejected,
    /// Failed; what there is to say was said.
    Failed,
}

#[derive(Debug, Parser)]
#[command(name = "cdrlog", version, about, long_about = LONG_ABOUT, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

const LONG_ABOUT: &str = "Turns WebHook events of OpenVidu and LiveKit into OpenVidu CDR lines, and loses none.

A body {\"event\":\"sessionCreated\",\"timestamp\":1} becomes the line {\"sessionCreated\":{\"timestamp\":1}}.";

const EXIT_CODES: &str =
    "Exit codes: 0 all went well, 1 failed, 2 wrong usage, 3 some events were rejected";

#[derive(Debug, Subcommand)]
enum Command {
    Append(append::Append),
    #[cfg(feature = "serve")]
    Serve(Box<serve::Serve>),
    Tail(tail::Tail),
    Stats(stats::Stats),
    Verify(verify::Verify),
    Recover(recover::Recover),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Runs the program on its command line.
pub(crate) fn run() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Append(append) => append.run(),
        #[cfg(feature = "serve")]
        Command::Serve(serve) => serve.run(),
        Command::Tail(tail) => tail.run(),
        Command::Stats(stats) => stats.run(),
        Command::Verify(verify) => verify.run(),
        Command::Recover(recover) => recover.run(),
        Command::Completions(completions) => completions.run(),
        Command::Man(man) => man.run(),
    };
    match outcome {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::SomeRejected) => ExitCode::from(3),
        Ok(Outcome::Failed) => ExitCode::FAILURE,
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}

/// One sentence on standard error. Where that is closed, there is nobody left to tell.
fn say(message: impl Display) {
    let _ = writeln!(std::io::stderr(), "cdrlog: {message}");
}
