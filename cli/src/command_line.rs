//! Parses the command line and the environment, and says which of the two was wrong.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fmt::Display;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command, CommandFactory, Error, FromArgMatches};

use super::cdr_path;
use super::outcome::say;

/// What the program was called with. An error was not printed yet.
pub(super) fn parse<T: CommandFactory + FromArgMatches>(line: &[OsString]) -> Result<T, Error> {
    let mut command = with_variables_that_are_set(T::command());
    command.build();
    let read = command.try_get_matches_from_mut(line).map_err(|mut error| {
        name_variable(&mut error, &command, line);
        error
    });
    let mut matches = read?;
    if let Some((name, of_command)) = matches.subcommand() {
        if let Some(conflict) = conflict(of_command) {
            let command = command.find_subcommand(name).cloned();
            return Err(command.unwrap_or_default().error(ErrorKind::ArgumentConflict, conflict));
        }
        if takes_default_directory(of_command)
            && let Some(note) = cdr_path::empty_variable_note(cdr_path::DEFAULT.as_ref())
        {
            say(note);
        }
    }
    T::from_arg_matches_mut(&mut matches).map_err(|error| error.format(&mut command))
}

/// Prints an error, or the output of `--help` and `--version`, which are errors too for clap.
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

/// Renamed variables: the current name, and the earlier one, which applies if the current one is
/// not set.
const RENAMED_VARIABLES: [(&str, &str); 1] = [("CDRLOG_WRITE_RETRY_TIMEOUT", "CDRLOG_PATIENCE")];

/// Each argument with its variable. An empty variable counts as not set, as `${NAME:-}` in a
/// compose file leaves it.
fn with_variables_that_are_set(command: Command) -> Command {
    command
        .mut_args(|argument| match argument.get_env().map(OsStr::to_owned) {
            Some(name) if is_set(&name) => argument,
            Some(name) => {
                let renamed = RENAMED_VARIABLES.iter().find(|(today, _)| name == *today);
                let earlier = renamed.map(|(_, earlier)| *earlier);
                match earlier.filter(|earlier| is_set(earlier.as_ref())) {
                    Some(earlier) => argument.env(earlier),
                    // `--help` names it even if it is not set.
                    None if env::var_os(&name).is_none() => argument,
                    None => argument.env(None::<&str>),
                }
            }
            None => argument,
        })
        .mut_subcommands(with_variables_that_are_set)
}

fn is_set(variable: &OsStr) -> bool {
    env::var_os(variable).is_some_and(|value| !value.is_empty())
}

/// Names the variable if a wrong value came from the environment.
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
        let mut names = known.get_long_and_visible_aliases().into_iter().flatten();
        let mut earlier_names = known.get_all_aliases().into_iter().flatten();
        let is_given = names.any(is_given) || earlier_names.any(is_given);
        let is_this = known.to_string() == *argument && !is_given;
        is_this.then(|| variable.to_string_lossy().into_owned())
    });
    if let Some(variable) = variable {
        let both = format!("{variable} (environment, for {argument})");
        error.insert(ContextKind::InvalidArg, ContextValue::String(both));
    }
}

/// Why `--dir` and the argument for the directory are incompatible, if both were given.
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

/// Whether no directory was given. `serve` also has an options file, and checks that itself.
fn takes_default_directory(matches: &ArgMatches) -> bool {
    matches.try_contains_id("dir").unwrap_or_default()
        && matches.value_source("dir") == Some(ValueSource::DefaultValue)
        && !(matches.try_contains_id("cdr_path").unwrap_or_default()
            && matches.contains_id("cdr_path"))
}

/// The command line of this process.
pub(super) fn of_process() -> Vec<OsString> {
    env::args_os().collect()
}

#[cfg(test)]
mod tests {
    use clap::{Args, Parser, Subcommand};

    use super::*;
    use crate::places::PathArgs;

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
        Ok(read.paths.into_places().unwrap().paths)
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
