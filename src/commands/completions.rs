//! `cdrlog completions`: a script that completes the command line.

use std::error::Error;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::print::print;
use super::{Arguments, Outcome};

/// Print a script that completes cdrlog's command line in a shell
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cdrlog completions bash > /etc/bash_completion.d/cdrlog
  cdrlog completions zsh > ~/.zfunc/_cdrlog
  cdrlog completions fish > ~/.config/fish/completions/cdrlog.fish")]
pub(super) struct Completions {
    /// The shell
    shell: Shell,
}

impl Completions {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        // Into memory first: the generator panics where it cannot write.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut Arguments::command(), "cdrlog", &mut script);
        print(&script)?;
        Ok(Outcome::Done)
    }
}
