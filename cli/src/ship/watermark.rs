//! Up to which time an idle chain is complete.
//!
//! A chain without news gets no blocks, so its last `through` grows old. Once a minute its shipper
//! says how far it is complete now, in one place of each chain that is replaced. A reader takes it
//! before the blocks, and believes it once it has read the chain up to the block that it names.

use cdrlog::manifest::Hash;
use serde::{Deserialize, Serialize};

/// All that the node took before `through` is in the chain up to the block `seq`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub(crate) struct Watermark {
    /// The number and the id of the last block.
    pub(crate) seq: u64,
    pub(crate) id: Hash,
    /// In milliseconds since 1970.
    pub(crate) through: i64,
    /// A random id of the process that says so.
    pub(crate) writer: String,
}

impl Watermark {
    /// What a destination keeps.
    pub(crate) fn text(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers are always JSON")
    }

    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        serde_json::from_str(text).map_err(|error| format!("it is not a watermark: {error}"))
    }
}
