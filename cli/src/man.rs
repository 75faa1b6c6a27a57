//! `cdrlog man`: manual pages from the same definitions as `--help`.

use std::error::Error;
use std::fs;
use std::io;
use std::iter;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_mangen::Man as Page;

use super::outcome::{Outcome, WrongUsage};
use super::print::print;

/// Print a manual page, or write all of them to a directory
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cdrlog man | man -l -
  cdrlog man append | man -l -
  cdrlog man --dir /usr/local/share/man/man1")]
pub(super) struct Man {
    /// Write the pages cdrlog.1, cdrlog-append.1 and so on to this directory, which is created if
    /// it does not exist
    #[arg(long, value_name = "DIR", conflicts_with = "command")]
    dir: Option<PathBuf>,

    /// The command whose page to print; without one, the page of the program
    #[arg(value_name = "COMMAND")]
    command: Option<String>,
}

impl Man {
    /// `program` is the command line to describe.
    pub(super) fn run(self, program: clap::Command) -> Result<Outcome, Box<dyn Error>> {
        let pages = pages(program)?;
        if let Some(directory) = &self.dir {
            return write_all(&pages, directory);
        }
        let wanted = match &self.command {
            Some(command) => format!("cdrlog-{command}.1"),
            None => "cdrlog.1".to_owned(),
        };
        let Some((_, page)) = pages.iter().find(|(name, _)| *name == wanted) else {
            let command = self.command.unwrap_or_default();
            let message = format!("there is no command {command}; `cdrlog --help` lists them");
            return Err(WrongUsage(message).into());
        };
        print(page)?;
        Ok(Outcome::Done)
    }
}

/// The page of the program and of each command, with the names of their files.
fn pages(program: clap::Command) -> Result<Vec<(String, Vec<u8>)>, io::Error> {
    let mut program = program.disable_help_subcommand(true);
    // Gives each command its full name, as in the pages.
    program.build();
    let commands: Vec<_> = program.get_subcommands().cloned().collect();
    iter::once(program).chain(commands).map(page).collect()
}

fn page(command: clap::Command) -> Result<(String, Vec<u8>), io::Error> {
    let page = Page::new(command).source(concat!("cdrlog ", env!("CARGO_PKG_VERSION")));
    let mut text = Vec::new();
    page.render(&mut text)?;
    Ok((page.get_filename(), keep_lines(&String::from_utf8_lossy(&text)).into_bytes()))
}

/// The end of `--help` has line breaks, which a page would remove.
fn keep_lines(page: &str) -> String {
    let Some((before, notes)) = page.split_once(".SH EXTRA\n") else { return page.to_owned() };
    let (notes, after) = notes.split_at(notes.find(".SH ").unwrap_or(notes.len()));
    format!("{before}.SH EXAMPLES AND NOTES\n.nf\n{notes}.fi\n{after}")
}

fn write_all(pages: &[(String, Vec<u8>)], directory: &Path) -> Result<Outcome, Box<dyn Error>> {
    fs::create_dir_all(directory)
        .map_err(|error| format!("cannot create {}: {error}", directory.display()))?;
    for (name, text) in pages {
        let path = directory.join(name);
        fs::write(&path, text)
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(Outcome::Done)
}
