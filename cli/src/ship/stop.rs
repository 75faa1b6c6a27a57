//! Why a chain stops.

use std::fmt;

/// Why a chain does not go on before somebody did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Another writer appended to this chain, or a file was changed.
    Foreign(String),
    /// The files of this directory were shipped by another node.
    Copied { owner: String, file: String },
    /// Lines are missing here that the destination does not have.
    Gap(String),
    /// An archive has fewer blocks than it had.
    WentBack(String),
    /// An operator ended the node.
    Retired,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(fault) => write!(
                f,
                "another writer has this node's name, or a file was changed: {fault}; \
                 in a copy of a machine, remove .cdrlog/node and .cdrlog/ship, and ship it with --new-node"
            ),
            Self::Copied { owner, file } => write!(
                f,
                "{file} was shipped by node {owner}: if this directory is that node's, ship it with \
                 --node {owner}; if it is a copy, ship it with --new-node, which begins after what \
                 {owner} shipped of the same files"
            ),
            Self::Gap(fault) => write!(
                f,
                "lines are missing: {fault}; restore them, or go on without them with --accept-gap"
            ),
            Self::WentBack(fault) => write!(
                f,
                "the destination lost blocks: {fault}; if it is the right place, \
                 append them again with --accept-rollback"
            ),
            Self::Retired => {
                f.write_str("this node was retired; ship under another name with --node")
            }
        }
    }
}

impl std::error::Error for Stop {}
