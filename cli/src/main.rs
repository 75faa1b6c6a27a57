//! The program `cdrlog`: the library for the command line.
//!
//! Data goes to standard output, everything else to standard error. `cdrlog --help` lists the exit
//! codes.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    cdrlog_cli::run()
}
