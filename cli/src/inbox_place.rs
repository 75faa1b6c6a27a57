//! The place of the inbox: a directory, or none.
//!
//! One option sets both. Two options, one on the command line and the other in the environment or
//! the file, would need a rule for which one counts.

use std::path::PathBuf;

use cdrlog::Builder;
use clap::builder::{PathBufValueParser, TypedValueParser};
use clap::{Args, ValueHint};
use serde::Deserialize;

/// The word for no inbox. A directory of that name is `./none`.
const NONE: &str = "none";

/// The option `--inbox-directory`. Where it is not given, the default of the library holds.
#[derive(Clone, Debug, Default, Args, Deserialize)]
#[serde(default)]
pub(super) struct InboxOption {
    /// The directory for the inbox, a file in which accepted events survive kill -9; it must be on
    /// a tmpfs; "none" turns the inbox off [default: /dev/shm]
    #[arg(
        long,
        value_name = "DIR|none",
        value_hint = ValueHint::DirPath,
        env = "CDRLOG_INBOX_DIRECTORY",
        value_parser = PathBufValueParser::new().try_map(InboxPlace::try_from)
    )]
    inbox_directory: Option<InboxPlace>,
}

impl InboxOption {
    pub(super) fn apply(&self, builder: Builder) -> Builder {
        match &self.inbox_directory {
            None => builder,
            Some(InboxPlace::None) => builder.no_inbox(),
            Some(InboxPlace::Directory(directory)) => builder.inbox_directory(directory),
        }
    }

    /// This option, or that of `file` where it is not given.
    #[cfg(feature = "serve")]
    pub(super) fn or(self, file: Self) -> Self {
        Self { inbox_directory: self.inbox_directory.or(file.inbox_directory) }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PathBuf")]
enum InboxPlace {
    None,
    Directory(PathBuf),
}

impl TryFrom<PathBuf> for InboxPlace {
    type Error = &'static str;

    fn try_from(path: PathBuf) -> Result<Self, Self::Error> {
        match path.to_str() {
            Some("") => Err("it is empty; leave it out, or name a directory or none"),
            Some(NONE) => Ok(Self::None),
            _ => Ok(Self::Directory(path)),
        }
    }
}
