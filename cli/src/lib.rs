//! The program `cdrlog`, as a library for its own tests and fuzz targets: one module a command.
//!
//! Nothing here is for others to use. Who wants cdrlog in a program of their own takes the package
//! `cdrlog`.

#![deny(unsafe_code, missing_docs)]

mod append;
mod bodies;
mod completions;
mod file_options;
mod hangup;
mod man;
mod outcome;
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

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use outcome::say;

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
///
/// Data goes to standard output, everything else to standard error.
#[must_use]
pub fn run() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Append(append) => append.run(),
        #[cfg(feature = "serve")]
        Command::Serve(serve) => serve.run(),
        Command::Tail(tail) => tail.run(),
        Command::Stats(stats) => stats.run(),
        Command::Verify(verify) => verify.run(),
        Command::Recover(recover) => recover.run(),
        Command::Completions(completions) => completions.run(Arguments::command()),
        Command::Man(man) => man.run(Arguments::command()),
    };
    match outcome {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            say(&error);
            ExitCode::FAILURE
        }
    }
}
