//! Reads the command line and the environment, and says which of the two was wrong.

use std::env;
use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command, CommandFactory, Error, FromArgMatches};

use super::outcome::say;

/// What the program was called with. An error was not printed yet.
pub(super) fn parse<T: CommandFactory + FromArgMatches>(line: &[OsString]) -> Result<T, Error> {
    let mut command = without_empty_variables(T::command());
    command.build();
    let read = command.try_get_matches_from_mut(line).map_err(|mut error| {
        name_variable(&mut error, &command, line);
        error
    });
    let mut matches = read?;
    if let Some((name, of_command)) = matches.subcommand()
        && let Some(conflict) = conflict(of_command)
    {
        let command = command.find_subcommand(name).cloned();
        return Err(command.unwrap_or_default().error(ErrorKind::ArgumentConflict, conflict));
    }
    T::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// Prints an error, or what `--help` and `--version` ask for, which are errors too for clap.
pub(super) fn end_with(error: &Error) -> ExitCode {
    match error.print() {
        Err(failed)
            if error.exit_code() == 0 && failed.kind() != std::io::ErrorKind::BrokenPipe =>
        {
            say(format_args!("cannot write to standard output: {failed}"));
            ExitCode::FAILURE
        }
        _ => ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2)),
    }
}

/// An empty variable counts as one that is not set, as `${NAME:-}` of a compose file leaves it.
fn without_empty_variables(command: Command) -> Command {
    let is_empty = |argument: &Arg| {
        let value = argument.get_env().and_then(env::var_os);
        value.is_some_and(|value| value.is_empty())
    };
    command
        .mut_args(
            |argument| if is_empty(&argument) { argument.env(None::<&str>) } else { argument },
        )
        .mut_subcommands(without_empty_variables)
}

/// Names the variable where a value that is wrong came from the environment.
fn name_variable(error: &mut Error, command: &Command, line: &[OsString]) {
    let Some(ContextValue::String(argument)) = error.get(ContextKind::InvalidArg) else { return };
    let is_given = |long: &str| {
        let flag = format!("--{long}");
        line.iter().any(|word| {
            word.to_str().is_some_and(|word| {
                word.strip_prefix(&flag)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
            })
        })
    };
    let of_command =
        line.iter().filter_map(|word| word.to_str()).find_map(|word| command.find_subcommand(word));
    let variable = of_command.into_iter().flat_map(Command::get_arguments).find_map(|known| {
        let variable = known.get_env().filter(|variable| env::var_os(variable).is_some())?;
        let is_this = known.to_string() == *argument && !known.get_long().is_some_and(is_given);
        is_this.then(|| variable.to_string_lossy().into_owned())
    });
    if let Some(variable) = variable {
        let both = format!("{variable} (environment, for {argument})");
        error.insert(ContextKind::InvalidArg, ContextValue::String(both));
    }
}

/// Why `--dir` and the argument for the directory do not go together, where both were given.
fn conflict(matches: &ArgMatches) -> Option<impl Display + use<>> {
    let is_known = |id| matches.try_contains_id(id).unwrap_or_default();
    if !is_known("cdr_path") || !is_known("dir") {
        return None;
    }
    let places: Vec<&PathBuf> = matches.get_many("cdr_path")?.collect();
    let dir = matches.get_one::<PathBuf>("dir")?;
    let is_given = matches.value_source("dir") == Some(ValueSource::CommandLine);
    if !is_given || places.iter().all(|place| *place == dir) {
        return None;
    }
    let places: Vec<_> = places.iter().map(|place| place.display().to_string()).collect();
    Some(format!(
        "--dir {} and the argument {} name different places: give one of them",
        dir.display(),
        places.join(" ")
    ))
}

/// The command line of this process.
pub(super) fn of_process() -> Vec<OsString> {
    env::args_os().collect()
}

#[cfg(test)]
mod tests {
    use clap::{Args, Parser, Subcommand};

    use super::*;
    use crate::cdr_path::PathArgs;

    #[derive(Debug, Parser)]
    struct Program {
        #[command(subcommand)]
        command: Read,
    }

    #[derive(Debug, Subcommand)]
    enum Read {
        Read(ReadArguments),
    }

    #[derive(Debug, Args)]
    struct ReadArguments {
        #[command(flatten)]
        paths: PathArgs,
    }

    fn places(line: &[&str]) -> Result<Vec<PathBuf>, ErrorKind> {
        let line: Vec<OsString> = ["program", "read"].iter().chain(line).map(Into::into).collect();
        let Program { command: Read::Read(read) } =
            parse(&line).map_err(|error: Error| error.kind())?;
        Ok(read.paths.into_paths())
    }

    #[test]
    fn a_directory_is_an_argument_or_an_option_and_not_two_different_ones() {
        assert_eq!(places(&["a"]).unwrap(), [PathBuf::from("a")]);
        assert_eq!(places(&["--dir", "a"]).unwrap(), [PathBuf::from("a")]);
        assert_eq!(places(&["--dir", "a", "a"]).unwrap(), [PathBuf::from("a")]);
        assert_eq!(places(&["a", "b"]).unwrap(), [PathBuf::from("a"), "b".into()]);
        assert_eq!(places(&["--dir", "a", "b"]), Err(ErrorKind::ArgumentConflict));
        assert_eq!(places(&["--dir=a", "a", "b"]), Err(ErrorKind::ArgumentConflict));
    }
}
