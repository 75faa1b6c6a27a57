//! The program `cdrlog`, as a library for its own tests and fuzz targets: one module per command.
//!
//! This is not a public interface. To use cdrlog in another program, depend on the package
//! `cdrlog`.

#![deny(unsafe_code, missing_docs)]

#[cfg(not(target_os = "linux"))]
compile_error!(
    "the program cdrlog runs on Linux only; the library `cdrlog` builds on macOS, the BSDs and Windows"
);

mod append;
mod audit;
mod bodies;
mod cdr_path;
mod command_line;
mod completions;
mod count;
#[cfg(feature = "serve")]
mod demo;
#[cfg(test)]
mod documents;
#[cfg(feature = "export")]
mod export;
mod file_options;
mod inbox_place;
mod input_remark;
mod json_output;
mod local_time;
mod man;
mod opening;
mod outcome;
mod places;
mod print;
mod progress;
mod recover;
#[cfg(feature = "serve")]
mod serve;
mod sessions;
#[cfg(feature = "ship")]
mod ship;
#[cfg(feature = "ship")]
mod shipped;
mod sighup;
mod stats;
mod summary;
mod tail;
mod time_arg;
#[cfg(any(feature = "nats", feature = "postgres", feature = "s3", feature = "serve"))]
mod trusted_roots;
mod units;
mod verify;
mod version;

/// Only for the fuzz targets.
#[cfg(all(fuzzing, feature = "serve"))]
#[doc(hidden)]
pub use serve::fuzzing;

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use outcome::say;

#[derive(Debug, Parser)]
#[command(name = "cdrlog", version, about, long_about = LONG_ABOUT, after_help = outcome::EXIT_CODES)]
#[command(args_conflicts_with_subcommands = true)]
struct Arguments {
    /// With --version: also the vector instructions that events are rewritten with.
    #[arg(short, long, requires = "version")]
    verbose: bool,
    #[command(subcommand)]
    command: Command,
}

const LONG_ABOUT: &str = "Turns webhook events of OpenVidu and LiveKit into OpenVidu CDR lines, and loses none.

A body {\"event\":\"sessionCreated\",\"timestamp\":1} becomes the line {\"sessionCreated\":{\"timestamp\":1}}.";

#[derive(Debug, Subcommand)]
enum Command {
    Append(append::Append),
    #[cfg(feature = "serve")]
    Serve(Box<serve::Serve>),
    #[cfg(feature = "ship")]
    Ship(Box<ship::Ship>),
    Tail(tail::Tail),
    Stats(stats::Stats),
    Sessions(sessions::Sessions),
    #[cfg(feature = "serve")]
    Ui(serve::Ui),
    #[cfg(feature = "serve")]
    Health(serve::HealthCheck),
    #[cfg(feature = "export")]
    Export(export::Export),
    Audit(Box<audit::Audit>),
    Verify(verify::Verify),
    Recover(recover::Recover),
    #[cfg(feature = "serve")]
    Demo(Box<demo::Demo>),
    Completions(completions::Completions),
    Man(man::Man),
}

/// Runs the program on its command line.
///
/// Data goes to standard output, everything else to standard error.
#[must_use]
pub fn run() -> ExitCode {
    let line = command_line::of_process();
    let arguments = match command_line::parse::<Arguments>(&line) {
        Ok(arguments) => arguments,
        Err(error) if version::is_verbose(&error, &line) => return end(version::print_verbose()),
        Err(error) => return command_line::end_with(&error),
    };
    if let Err(error) = cdrlog::Instructions::named_by_variable() {
        return end(Err(outcome::WrongUsage(error.to_string()).into()));
    }
    end(match arguments.command {
        Command::Append(append) => append.run(),
        #[cfg(feature = "serve")]
        Command::Serve(serve) => serve.run(),
        #[cfg(feature = "ship")]
        Command::Ship(ship) => ship.run(),
        Command::Tail(tail) => tail.run(),
        Command::Stats(stats) => stats.run(),
        Command::Sessions(sessions) => sessions.run(),
        #[cfg(feature = "serve")]
        Command::Ui(ui) => ui.run(),
        #[cfg(feature = "serve")]
        Command::Health(health) => health.run(),
        #[cfg(feature = "export")]
        Command::Export(export) => export.run(),
        Command::Audit(audit) => audit.run(),
        Command::Verify(verify) => verify.run(),
        Command::Recover(recover) => recover.run(),
        #[cfg(feature = "serve")]
        Command::Demo(demo) => demo.run(),
        Command::Completions(completions) => completions.run(Arguments::command()),
        Command::Man(man) => man.run(Arguments::command()),
    })
}

fn end(outcome: Result<outcome::Outcome, Box<dyn std::error::Error>>) -> ExitCode {
    match outcome {
        Ok(outcome) => outcome.into(),
        Err(error) => {
            say(&error);
            outcome::code_of(error.as_ref())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Without this, a line that the source breaks is broken again on a narrower terminal, and a
    /// word or two stand alone.
    #[test]
    fn a_paragraph_of_help_is_one_line_that_the_terminal_wraps() {
        let is_prose = |line: &str| line.starts_with(|first: char| !first.is_whitespace());
        for command in Arguments::command().get_subcommands() {
            let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            let lines: Vec<_> = help.lines().collect();
            for pair in lines.windows(2) {
                let ends = pair[0].ends_with(['.', ':']) || !is_prose(pair[0]);
                assert!(ends || !is_prose(pair[1]), "{}: {pair:?}", command.get_name());
            }
            let too_long = lines.iter().find(|line| !is_prose(line) && line.chars().count() > 100);
            assert_eq!(too_long, None, "{}", command.get_name());
        }
    }
}
