//! `cdrlog completions`: a script that completes the command line.

use std::error::Error;

use clap::Args;
use clap_complete::Shell;

use super::outcome::Outcome;
use super::print::print;

/// Print a shell completion script
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
    /// `program` is the command line to complete.
    pub(super) fn run(self, mut program: clap::Command) -> Result<Outcome, Box<dyn Error>> {
        // Into memory first: the generator panics if it cannot write.
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut program, "cdrlog", &mut script);
        print(&script)?;
        Ok(Outcome::Done)
    }
}
