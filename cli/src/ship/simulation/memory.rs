//! A destination in memory that loses, delays and doubles what it is sent and what it answers.

use std::cell::RefCell;
use std::rc::Rc;

use cdrlog::manifest::Hash;

use super::random::Random;
use crate::ship::destination::{AfterRollback, Answer, Destination, Failure, Unfit};
use crate::ship::header::{Block, Chain, Header};

/// What all connections to the destination share.
pub(super) struct Server {
    pub(super) blocks: Vec<Block>,
    /// Sent, and perhaps to arrive later.
    under_way: Vec<(Hash, Block)>,
    pub(super) has_faults: bool,
    pub(super) after_rollback: AfterRollback,
    random: Random,
}

impl Server {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            blocks: Vec::new(),
            under_way: Vec::new(),
            has_faults: true,
            after_rollback: AfterRollback::Heal,
            random: Random(seed),
        }
    }

    fn last_id(&self) -> Hash {
        self.blocks.last().map_or(Hash::NONE, |block| block.header.id)
    }

    /// The compare-and-swap.
    fn apply(&mut self, expected: Hash, block: Block) -> bool {
        let fits = self.last_id() == expected;
        if fits {
            assert_eq!(block.header.fields.seq, self.blocks.len() as u64 + 1);
            assert_eq!(block.header.fields.prev, expected);
            self.blocks.push(block);
        }
        fits
    }

    /// Something that was sent long ago arrives.
    pub(super) fn deliver_late(&mut self) {
        if !self.under_way.is_empty() {
            let index = self.random.below(self.under_way.len());
            let (expected, block) = self.under_way.swap_remove(index);
            self.apply(expected, block);
        }
    }

    /// It is restored from an older copy.
    pub(super) fn roll_back(&mut self) {
        let kept = self.random.below(self.blocks.len() + 1);
        self.blocks.truncate(kept);
    }
}

/// A connection.
pub(super) struct Memory(pub(super) Rc<RefCell<Server>>);

impl Destination for Memory {
    fn probe(&mut self, _: &str) -> Result<(), Unfit> {
        Ok(())
    }

    fn tail(&mut self, _: &Chain) -> Result<Option<Header>, Failure> {
        let mut server = self.0.borrow_mut();
        if server.has_faults && server.random.once_in(6) {
            return Err(Failure("no answer".to_owned()));
        }
        Ok(server.blocks.last().map(|block| block.header.clone()))
    }

    fn header(&mut self, _: &Chain, seq: u64) -> Result<Option<Header>, Failure> {
        let server = self.0.borrow();
        let index = usize::try_from(seq - 1).unwrap();
        Ok(server.blocks.get(index).map(|block| block.header.clone()))
    }

    fn append(&mut self, expected: Option<&Header>, block: &Block) -> Answer {
        let mut server = self.0.borrow_mut();
        let expected = expected.map_or(Hash::NONE, |header| header.id);
        let block = block.clone();
        let lost = || Answer::Unknown(Failure("connection lost".to_owned()));
        match if server.has_faults { server.random.below(10) } else { 9 } {
            0 => lost(),
            1 => {
                server.apply(expected, block);
                lost()
            }
            2 => {
                server.under_way.push((expected, block));
                lost()
            }
            3 => {
                server.under_way.push((expected, block.clone()));
                server.apply(expected, block);
                lost()
            }
            _ if server.apply(expected, block) => Answer::Appended,
            _ => Answer::Conflict,
        }
    }

    fn after_rollback(&self) -> AfterRollback {
        self.0.borrow().after_rollback
    }
}
