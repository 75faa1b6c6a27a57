//! Where blocks go.

use std::fmt;

use cdrlog::manifest::Hash;

use super::header::{Block, Chain, Header};
use super::watermark::Watermark;

/// A destination could not be asked, or did not answer. Whoever asked tries again later.
#[derive(Clone, Debug)]
pub(crate) struct Failure(pub(crate) String);

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Failure {}

/// What became of an append.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The block is there for good, and is the last one.
    Appended,
    /// Another block is the last one, and nothing was appended.
    Conflict,
    /// It is not known. Only [`Destination::tail`] can tell.
    Unknown(Failure),
}

/// Whether a destination that lost blocks gets them again without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum AfterRollback {
    /// The same blocks are appended again.
    #[cfg_attr(
        not(any(test, feature = "nats", feature = "postgres")),
        expect(dead_code, reason = "archives ask")
    )]
    Heal,
    /// An operator must allow it: what looks empty may be the wrong place.
    Ask,
}

/// Why a destination is not used.
#[derive(Clone, Debug)]
pub(crate) enum Unfit {
    /// It does not keep what the protocol relies on, or is not set up: nothing is sent to it.
    Refused(String),
    /// It could not be asked; later it may.
    Failed(Failure),
}

impl From<Failure> for Unfit {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// A place that keeps the chain of each stream of each node, and appends to a chain only if its last
/// block is the expected one.
pub(crate) trait Destination {
    /// Checks that it keeps what the protocol relies on, before the first block. `writer` names this
    /// process.
    fn probe(&mut self, writer: &str) -> Result<(), Unfit>;

    /// The last block of a chain. After a hole in the chain nothing counts.
    fn tail(&mut self, chain: &Chain) -> Result<Option<Header>, Failure>;

    /// The block of this number.
    fn header(&mut self, chain: &Chain, seq: u64) -> Result<Option<Header>, Failure>;

    /// Appends a block if `expected` is the last one: `None` if there must not be one.
    fn append(&mut self, expected: Option<&Header>, block: &Block) -> Answer;

    /// What to do where the destination went back to an older state.
    fn after_rollback(&self) -> AfterRollback;

    /// Gives up the connection, and what is remembered of answers: what follows is asked anew. A
    /// server whose place another one took may go on answering on an old connection.
    fn reconnect(&mut self);

    /// The numbers of those of `blocks` that it does not have, or not whole.
    fn lacks(&mut self, chain: &Chain, blocks: &[Header]) -> Result<Vec<u64>, Failure>;

    /// Puts a block back that is missing before the last one.
    fn fill(&mut self, block: &Block) -> Answer;

    /// The watermark of a chain, if it ever got one.
    fn watermark(&mut self, chain: &Chain) -> Result<Option<Watermark>, Failure>;

    /// Replaces the watermark of a chain if it is the expected one.
    fn put_watermark(
        &mut self,
        chain: &Chain,
        expected: Option<&Watermark>,
        mark: &Watermark,
    ) -> Answer;

    /// Claims the files of a birth for a node, and says whose they are: the first claim stays.
    fn claim(&mut self, birth: Hash, node: &str) -> Result<String, Failure>;

    /// Gathers the blocks of each day that is over in one place, where a destination has reason to.
    /// `now` is in milliseconds since 1970. A call does one piece of work, and says what it was; `None` if there was
    /// nothing to do.
    fn compact(&mut self, _chain: &Chain, _now: i64) -> Result<Option<String>, Failure> {
        Ok(None)
    }
}
