//! The place of the inbox: a directory, or none.
//!
//! One option sets both. Two options, one on the command line and the other in the environment or
//! the file, would need a rule for which one counts.

use std::path::PathBuf;

use cdrlog::Builder;
use serde::Deserialize;

/// The word for no inbox. A directory of that name is `./none`.
const NONE: &str = "none";

#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "PathBuf")]
pub(super) enum InboxPlace {
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

impl InboxPlace {
    pub(super) fn apply(&self, builder: Builder) -> Builder {
        match self {
            Self::None => builder.no_inbox(),
            Self::Directory(directory) => builder.inbox_directory(directory),
        }
    }
}
