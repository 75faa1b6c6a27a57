//! `cdrlog --version -v`: the version, and what events are rewritten with.

use std::error::Error;
use std::ffi::OsString;

use cdrlog::Instructions;
use clap::error::ErrorKind;

use super::outcome::{Outcome, WrongUsage};
use super::print::print;

/// Whether `line` asks for more than the version, which is what `error` is.
pub(super) fn is_verbose(error: &clap::Error, line: &[OsString]) -> bool {
    error.kind() == ErrorKind::DisplayVersion
        && line.iter().any(|word| word == "-v" || word == "--verbose")
}

/// Prints the version and the vector instructions.
pub(super) fn print_verbose() -> Result<Outcome, Box<dyn Error>> {
    let version = env!("CARGO_PKG_VERSION");
    let named = Instructions::named_by_variable();
    let named = named.map_err(|error| WrongUsage(error.to_string()))?;
    let in_use = named.unwrap_or_else(Instructions::in_use);
    let available: Vec<_> = Instructions::available().map(Instructions::name).collect();
    let available = available.join(", ");
    print(format!(
        "cdrlog {version}\nvector instructions: {in_use} (this processor has {available})\n"
    ))?;
    Ok(Outcome::Done)
}
