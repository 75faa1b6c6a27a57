//! The protocol: one chain of one node at one destination, a step at a time.
//!
//! The destination is the only truth about what it has. A step is: find out what the last block
//! there is, if that is not known (`tail.rs`); cut the next block (`cut.rs`), and note it; append it
//! if the last block is still the expected one. A block is sent again until [`Destination::tail`]
//! shows it or another one. Whatever does not fit is told and stops the chain; nothing is guessed or
//! overwritten.

use super::destination::{Answer, Destination, Failure};
use super::header::{Block, Chain, Fields, Header, Redaction};
use super::notes::{NoteStore, Notes};
use super::reconcile::Unjudged;
use super::showing::Release;
use super::source::{Source, SourceError};
pub(crate) use super::stop::Stop;
use super::watermark::Watermark;

/// What an operator allowed, and the size of blocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rules {
    /// The most lines of a block, in bytes; a longer line is a block of its own.
    pub(crate) block_bytes: usize,
    /// Lines that are missing are marked by a block, and shipping goes on after them.
    pub(crate) accept_gap: bool,
    /// Blocks that an archive lost are appended again.
    pub(crate) accept_rollback: bool,
    /// How long files are kept after their lines were acknowledged, in milliseconds.
    pub(crate) keep: i64,
    /// A chain that ends with a closed block is opened again, even without new lines.
    pub(crate) opens: bool,
    /// Once everything is acknowledged, and no writer has the directory, a closed block ends the chain.
    pub(crate) closes: bool,
    /// A chain whose files were shipped by another node begins after what that one shipped.
    pub(crate) new_node: bool,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            block_bytes: 16 << 20,
            accept_gap: false,
            accept_rollback: false,
            keep: 24 * 3600 * 1000,
            opens: false,
            closes: false,
            new_node: false,
        }
    }
}

/// After so many refusals in a row, it is asked again only after a pause. One is what usually happens where
/// an answer was lost, or another process ships too.
const CONFLICTS_MAX: u32 = 2;

/// What a step did.
#[derive(Debug)]
pub(crate) enum Step {
    /// A block was acknowledged.
    Shipped { lines: u64, bytes: u64 },
    /// Something changed; the next step goes on.
    Again,
    /// Everything that may be shipped is acknowledged.
    Idle,
    /// The same, but lines exist that may not be shipped yet.
    Waiting(String),
    /// It failed for now.
    Retry(Failure),
}

/// Ships one chain.
pub(crate) struct Shipper<S> {
    pub(super) chain: Chain,
    pub(super) writer: String,
    pub(super) rules: Rules,
    pub(super) notes: Notes<S>,
    /// How many of the noted blocks the destination has. `None` if that is not known.
    pub(super) acknowledged: Option<usize>,
    /// The most that it was ever seen to have, by number.
    pub(super) seq_seen: u64,
    /// How often the destination went back to an older state.
    pub(crate) rollbacks: u64,
    /// What an operator should be told.
    pub(crate) remarks: Vec<String>,
    /// Everything is acknowledged that the node took before this time.
    pub(super) idle_through: Option<i64>,
    /// The watermark that the destination was last seen to have, and whether it was ours.
    pub(super) mark: Option<Watermark>,
    pub(super) has_marked: bool,
    pub(super) release: Release,
    /// How often in a row a block was refused for the sake of another one.
    conflicts: u32,
    /// By what the lines are redacted now.
    pub(super) redaction: Option<Redaction>,
}

/// Why a step ends early.
pub(super) enum End {
    Stop(Stop),
    Step(Step),
}

impl From<Stop> for End {
    fn from(stop: Stop) -> Self {
        Self::Stop(stop)
    }
}

impl From<Failure> for End {
    fn from(failure: Failure) -> Self {
        Self::Step(Step::Retry(failure))
    }
}

impl From<SourceError> for End {
    fn from(error: SourceError) -> Self {
        Failure(error.to_string()).into()
    }
}

impl From<std::io::Error> for End {
    fn from(error: std::io::Error) -> Self {
        Failure(format!("cannot note a block: {error}")).into()
    }
}

impl From<Unjudged> for End {
    fn from(unjudged: Unjudged) -> Self {
        match unjudged {
            Unjudged::Destination(failure) => failure.into(),
            Unjudged::Source(error) => error.into(),
        }
    }
}

impl<S: NoteStore> Shipper<S> {
    pub(crate) fn new(chain: Chain, writer: String, rules: Rules, notes: Notes<S>) -> Self {
        Self {
            chain,
            writer,
            rules,
            notes,
            acknowledged: None,
            seq_seen: 0,
            rollbacks: 0,
            remarks: Vec::new(),
            idle_through: None,
            mark: None,
            has_marked: false,
            release: Release::default(),
            conflicts: 0,
            redaction: None,
        }
    }

    /// The last block that the destination is known to have.
    pub(crate) fn acknowledged(&self) -> Option<&Header> {
        self.acknowledged_headers().last()
    }

    /// The noted blocks that the destination is known to have.
    pub(super) fn acknowledged_headers(&self) -> &[Header] {
        self.notes.headers().get(..self.acknowledged.unwrap_or_default()).unwrap_or_default()
    }

    /// The bytes of the blocks that were cut, and that the destination was never seen to have. None
    /// before it was asked: it may have any of them.
    pub(crate) fn unacknowledged_bytes(&self) -> u64 {
        let is_open = |header: &&Header| self.seq_seen != 0 && header.fields.seq > self.seq_seen;
        let open = self.notes.headers().iter().rev().take_while(is_open);
        open.map(|header| header.fields.end - header.fields.start).sum()
    }

    /// The destination is asked again what it has before the next block is appended.
    pub(crate) fn look_again(&mut self) {
        self.acknowledged = None;
    }

    /// Does the next thing. `now` is in milliseconds since 1970.
    pub(crate) fn step(
        &mut self,
        source: &mut dyn Source,
        destination: &mut dyn Destination,
        now: i64,
    ) -> Result<Step, Stop> {
        self.idle_through = None;
        let lacked_room = self.notes.lacks_room();
        let step = self.try_step(source, destination, now);
        if self.notes.lacks_room() && !lacked_room {
            self.remarks.push(
                "the disk is full, so blocks are sent without a note of them in .cdrlog/ship until \
                 there is room"
                    .to_owned(),
            );
        }
        match step {
            // Only where files were looked at in this step: what waits for a recovery waits with a pause.
            Err(End::Step(Step::Idle | Step::Waiting(_)))
                if self.acknowledged.is_some() && self.release.is_under_way() =>
            {
                Ok(Step::Again)
            }
            Ok(step) | Err(End::Step(step)) => Ok(step),
            Err(End::Stop(stop)) => Err(stop),
        }
    }

    fn try_step(
        &mut self,
        source: &mut dyn Source,
        destination: &mut dyn Destination,
        now: i64,
    ) -> Result<Step, End> {
        let count = match self.acknowledged {
            Some(count) => count,
            None => self.find_tail(source, destination, now)?,
        };
        self.acknowledged = Some(count);
        self.release(source, destination, now)?;
        let noted = self.notes.headers().get(count).cloned();
        let block = match noted {
            Some(header) => match self.rebuild(header, source, now)? {
                Some(block) => block,
                None => return Ok(Step::Again),
            },
            None => {
                let block = self.cut(source, destination, now)?;
                self.notes.append(block.header.clone())?;
                block
            }
        };
        // What is sent again was held already, and nothing before it may be cut either.
        if count + 1 == self.notes.headers().len() {
            source.hold(&block.header)?;
        }
        Ok(self.send(destination, &block, count))
    }

    fn send(&mut self, destination: &mut dyn Destination, block: &Block, count: usize) -> Step {
        let expected = count.checked_sub(1).and_then(|last| self.notes.headers().get(last));
        match destination.append(expected, block) {
            Answer::Appended => {
                self.seq_seen = self.seq_seen.max(block.header.fields.seq);
                self.conflicts = 0;
                let dropped = self.notes.prune(count + 1).unwrap_or_else(|error| {
                    let chain = &self.chain;
                    self.remarks.push(format!("cannot drop old notes of {chain}: {error}"));
                    0
                });
                self.acknowledged = Some(count + 1 - dropped);
                let Fields { lines, .. } = block.header.fields;
                Step::Shipped { lines, bytes: block.body.len() as u64 }
            }
            Answer::Conflict => {
                self.acknowledged = None;
                self.conflicts += 1;
                if self.conflicts < CONFLICTS_MAX {
                    return Step::Again;
                }
                Step::Retry(Failure(format!(
                    "block {} of {} is refused, as if another one were there, and is not shown: look \
                     at the destination",
                    block.header.fields.seq, self.chain
                )))
            }
            Answer::Unknown(failure) => {
                self.acknowledged = None;
                Step::Retry(failure)
            }
        }
    }
}
