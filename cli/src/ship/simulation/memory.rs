//! A destination in memory that loses, delays and doubles what it is sent and what it answers.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use cdrlog::manifest::Hash;

use super::random::Random;
use crate::ship::destination::{AfterRollback, Answer, Destination, Failure, Unfit};
use crate::ship::header::{Block, Chain, Header};
use crate::ship::watermark::Watermark;

/// What a destination has.
#[derive(Clone, Default)]
struct State {
    /// By number, from 1. Some in the middle may be missing.
    blocks: BTreeMap<u64, Block>,
    watermark: Option<Watermark>,
    births: BTreeMap<String, String>,
}

/// What guards an append.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Guard {
    /// The last block must be the expected one, as in a database.
    Tail,
    /// There must be no block of that number, as in a bucket.
    Name,
}

impl State {
    fn last(&self, guard: Guard) -> Option<&Block> {
        match guard {
            Guard::Tail => self.blocks.last_key_value().map(|(_, block)| block),
            Guard::Name => {
                let is_next = |(number, (seq, _)): &(u64, (&u64, &Block))| *seq == number;
                let whole = (1..).zip(&self.blocks).take_while(is_next);
                whole.last().map(|(_, (_, block))| block)
            }
        }
    }

    fn apply(&mut self, guard: Guard, expected: Hash, block: Block) -> bool {
        let seq = block.header.fields.seq;
        let fits = match guard {
            Guard::Tail => self.last(guard).map_or(Hash::NONE, |last| last.header.id) == expected,
            Guard::Name => !self.blocks.contains_key(&seq),
        };
        if fits {
            assert_eq!(block.header.fields.prev, expected, "a block of another chain");
            self.blocks.insert(seq, block);
        }
        fits
    }

    fn fill(&mut self, block: &Block) -> bool {
        let seq = block.header.fields.seq;
        let fits = self.blocks.get(&seq).is_none_or(|there| there.header == block.header);
        if fits {
            self.blocks.insert(seq, block.clone());
        }
        fits
    }
}

/// What all connections to the destination share.
pub(super) struct Server {
    state: State,
    /// What connections see that were opened before another server took over.
    old: State,
    takeovers: u64,
    /// Sent, and perhaps to arrive later.
    under_way: Vec<(Hash, Block)>,
    pub(super) has_faults: bool,
    pub(super) guard: Guard,
    pub(super) after_rollback: AfterRollback,
    random: Random,
}

impl Server {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            state: State::default(),
            old: State::default(),
            takeovers: 0,
            under_way: Vec::new(),
            has_faults: true,
            guard: Guard::Tail,
            after_rollback: AfterRollback::Heal,
            random: Random(seed),
        }
    }

    /// What a new connection sees.
    pub(super) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.state.blocks.values()
    }

    pub(super) fn watermark(&self) -> Option<&Watermark> {
        self.state.watermark.as_ref()
    }

    fn state(&mut self, connected_after: u64) -> &mut State {
        if connected_after == self.takeovers { &mut self.state } else { &mut self.old }
    }

    /// Something that was sent long ago arrives.
    pub(super) fn deliver_late(&mut self) {
        if !self.under_way.is_empty() {
            let index = self.random.below(self.under_way.len());
            let (expected, block) = self.under_way.swap_remove(index);
            self.state.apply(self.guard, expected, block);
        }
    }

    /// It is restored from an older copy.
    pub(super) fn roll_back(&mut self) {
        let kept = self.random.below(self.state.blocks.len() + 1);
        while self.state.blocks.len() > kept {
            self.state.blocks.pop_last();
        }
    }

    /// Another server takes its place, which lacks the last blocks. This one goes on answering on the
    /// connections that it has.
    pub(super) fn take_over(&mut self) {
        self.old = self.state.clone();
        self.takeovers += 1;
        self.roll_back();
    }

    /// A block before the last one is lost.
    pub(super) fn lose_block(&mut self) {
        let count = self.state.blocks.len();
        if count >= 2 {
            let lost = self.state.blocks.keys().nth(self.random.below(count - 1)).copied();
            self.state.blocks.remove(&lost.expect("there are so many"));
        }
    }
}

/// A connection.
pub(super) struct Memory {
    server: Rc<RefCell<Server>>,
    connected_after: u64,
}

impl Memory {
    pub(super) fn connect(server: &Rc<RefCell<Server>>) -> Self {
        let connected_after = server.borrow().takeovers;
        Self { server: Rc::clone(server), connected_after }
    }

    /// Nothing is heard once in so many times, and the connection is lost.
    fn is_lost(&mut self, times: usize) -> bool {
        let mut server = self.server.borrow_mut();
        let is_lost = server.has_faults && server.random.once_in(times);
        drop(server);
        if is_lost {
            self.reconnect();
        }
        is_lost
    }

    fn of_state<T>(&self, ask: impl FnOnce(&mut State) -> T) -> T {
        ask(self.server.borrow_mut().state(self.connected_after))
    }
}

fn no_answer() -> Failure {
    Failure("connection lost".to_owned())
}

impl Destination for Memory {
    fn probe(&mut self, _: &str) -> Result<(), Unfit> {
        Ok(())
    }

    fn tail(&mut self, _: &Chain) -> Result<Option<Header>, Failure> {
        if self.is_lost(6) {
            return Err(no_answer());
        }
        let guard = self.server.borrow().guard;
        Ok(self.of_state(|state| state.last(guard).map(|block| block.header.clone())))
    }

    fn header(&mut self, _: &Chain, seq: u64) -> Result<Option<Header>, Failure> {
        Ok(self.of_state(|state| state.blocks.get(&seq).map(|block| block.header.clone())))
    }

    fn append(&mut self, expected: Option<&Header>, block: &Block) -> Answer {
        let expected = expected.map_or(Hash::NONE, |header| header.id);
        let mut server = self.server.borrow_mut();
        let luck = if server.has_faults { server.random.below(10) } else { 9 };
        let guard = server.guard;
        if matches!(luck, 2 | 3) {
            server.under_way.push((expected, block.clone()));
        }
        let state = server.state(self.connected_after);
        let fits = !matches!(luck, 0 | 2) && state.apply(guard, expected, block.clone());
        drop(server);
        match luck {
            0..=3 => {
                self.reconnect();
                Answer::Unknown(no_answer())
            }
            _ if fits => Answer::Appended,
            _ => Answer::Conflict,
        }
    }

    fn after_rollback(&self) -> AfterRollback {
        self.server.borrow().after_rollback
    }

    fn reconnect(&mut self) {
        self.connected_after = self.server.borrow().takeovers;
    }

    fn lacks(&mut self, _: &Chain, blocks: &[Header]) -> Result<Vec<u64>, Failure> {
        if self.is_lost(6) {
            return Err(no_answer());
        }
        let is_there = |state: &mut State, block: &Header| {
            state.blocks.get(&block.fields.seq).is_some_and(|there| there.header == *block)
        };
        let lacking = blocks.iter().filter(|block| !self.of_state(|state| is_there(state, block)));
        Ok(lacking.map(|block| block.fields.seq).collect())
    }

    fn fill(&mut self, block: &Block) -> Answer {
        if self.is_lost(6) {
            return Answer::Unknown(no_answer());
        }
        let fits = self.of_state(|state| state.fill(block));
        if self.is_lost(6) {
            return Answer::Unknown(no_answer());
        }
        if fits { Answer::Appended } else { Answer::Conflict }
    }

    fn watermark(&mut self, _: &Chain) -> Result<Option<Watermark>, Failure> {
        if self.is_lost(6) {
            return Err(no_answer());
        }
        Ok(self.of_state(|state| state.watermark.clone()))
    }

    fn put_watermark(
        &mut self,
        _: &Chain,
        expected: Option<&Watermark>,
        mark: &Watermark,
    ) -> Answer {
        let fits = self.of_state(|state| {
            let fits = state.watermark.as_ref() == expected;
            if fits {
                state.watermark = Some(mark.clone());
            }
            fits
        });
        if self.is_lost(4) {
            return Answer::Unknown(no_answer());
        }
        if fits { Answer::Appended } else { Answer::Conflict }
    }

    fn claim(&mut self, birth: Hash, node: &str) -> Result<String, Failure> {
        let claim = |state: &mut State| {
            state.births.entry(birth.to_string()).or_insert_with(|| node.to_owned()).clone()
        };
        let owner = self.of_state(claim);
        if self.is_lost(6) {
            return Err(no_answer());
        }
        Ok(owner)
    }
}
