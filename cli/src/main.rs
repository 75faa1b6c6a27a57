//! The program `cdrlog`: the library for the command line.
//!
//! Data goes to standard output, everything else to standard error. Exit codes: 0 all went well, 1
//! failed, 2 wrong usage, 3 finished but some events were rejected.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    cdrlog_cli::run()
}
