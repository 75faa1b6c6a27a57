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
    chains: BTreeMap<String, ChainState>,
    births: BTreeMap<String, String>,
}

/// What it has of one node.
#[derive(Clone, Default)]
struct ChainState {
    /// By number, from 1. Some in the middle may be missing.
    blocks: BTreeMap<u64, Block>,
    watermark: Option<Watermark>,
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
    fn chain(&mut self, node: &str) -> &mut ChainState {
        self.chains.entry(node.to_owned()).or_default()
    }

    /// The last blocks of each node are lost.
    fn roll_back(&mut self, random: &mut Random) {
        for ChainState { blocks, .. } in self.chains.values_mut() {
            let kept = random.below(blocks.len() + 1);
            while blocks.len() > kept {
                blocks.pop_last();
            }
        }
    }
}

impl ChainState {
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

    /// A database puts a block back only before the last one; a bucket cannot tell.
    fn fill(&mut self, guard: Guard, block: &Block) -> bool {
        let seq = block.header.fields.seq;
        let last = self.blocks.last_key_value().map_or(0, |(last, _)| *last);
        let is_before_end = guard == Guard::Name || seq <= last;
        let is_free = self.blocks.get(&seq).is_none_or(|there| there.header == block.header);
        let fits = is_before_end && is_free;
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
    /// It says of every block that another one is there.
    pub(super) refuses: bool,
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
            refuses: false,
            guard: Guard::Tail,
            after_rollback: AfterRollback::Heal,
            random: Random(seed),
        }
    }

    /// What a new connection sees.
    pub(super) fn blocks(&self, node: &str) -> impl Iterator<Item = &Block> {
        self.state.chains.get(node).into_iter().flat_map(|chain| chain.blocks.values())
    }

    pub(super) fn watermark(&self, node: &str) -> Option<&Watermark> {
        self.state.chains.get(node)?.watermark.as_ref()
    }

    fn state(&mut self, connected_after: u64) -> &mut State {
        if connected_after == self.takeovers { &mut self.state } else { &mut self.old }
    }

    /// Something that was sent long ago arrives.
    pub(super) fn deliver_late(&mut self) {
        if !self.under_way.is_empty() {
            let index = self.random.below(self.under_way.len());
            let (expected, block) = self.under_way.swap_remove(index);
            self.state.chain(&block.header.fields.node.clone()).apply(self.guard, expected, block);
        }
    }

    /// It is restored from an older copy.
    pub(super) fn roll_back(&mut self) {
        self.state.roll_back(&mut self.random);
    }

    /// It is restored from a copy of when each node had so many blocks.
    pub(super) fn roll_back_to(&mut self, count: usize) {
        for ChainState { blocks, .. } in self.state.chains.values_mut() {
            while blocks.len() > count {
                blocks.pop_last();
            }
        }
    }

    /// This block is lost.
    pub(super) fn lose(&mut self, seq: u64) {
        for ChainState { blocks, .. } in self.state.chains.values_mut() {
            blocks.remove(&seq);
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
        for ChainState { blocks, .. } in self.state.chains.values_mut() {
            if let Some(before_last) = blocks.len().checked_sub(1).filter(|&count| count > 0) {
                let lost = blocks.keys().nth(self.random.below(before_last)).copied();
                blocks.remove(&lost.expect("there are so many"));
            }
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

    fn of_chain<T>(&self, chain: &Chain, ask: impl FnOnce(&mut ChainState) -> T) -> T {
        self.of_state(|state| ask(state.chain(&chain.node)))
    }
}

fn no_answer() -> Failure {
    Failure("connection lost".to_owned())
}

impl Destination for Memory {
    fn probe(&mut self, _: &str) -> Result<(), Unfit> {
        Ok(())
    }

    fn tail(&mut self, chain: &Chain) -> Result<Option<Header>, Failure> {
        if self.is_lost(6) {
            return Err(no_answer());
        }
        let guard = self.server.borrow().guard;
        Ok(self.of_chain(chain, |state| state.last(guard).map(|block| block.header.clone())))
    }

    fn header(&mut self, chain: &Chain, seq: u64) -> Result<Option<Header>, Failure> {
        Ok(self.of_chain(chain, |state| state.blocks.get(&seq).map(|block| block.header.clone())))
    }

    fn append(&mut self, expected: Option<&Header>, block: &Block) -> Answer {
        let expected = expected.map_or(Hash::NONE, |header| header.id);
        let mut server = self.server.borrow_mut();
        if server.refuses {
            return Answer::Conflict;
        }
        let luck = if server.has_faults { server.random.below(10) } else { 9 };
        let guard = server.guard;
        if matches!(luck, 2 | 3) {
            server.under_way.push((expected, block.clone()));
        }
        let node = &block.header.fields.node;
        let state = server.state(self.connected_after).chain(node);
        // Some servers say "conflict" of what they were too busy for.
        let fits = !matches!(luck, 0 | 2 | 4) && state.apply(guard, expected, block.clone());
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

    fn lacks(&mut self, chain: &Chain, blocks: &[Header]) -> Result<Vec<u64>, Failure> {
        if self.is_lost(6) {
            return Err(no_answer());
        }
        let is_there = |block: &Header| {
            let there = |state: &mut ChainState| state.blocks.get(&block.fields.seq).cloned();
            self.of_chain(chain, there).is_some_and(|there| there.header == *block)
        };
        let lacking = blocks.iter().filter(|block| !is_there(block));
        Ok(lacking.map(|block| block.fields.seq).collect())
    }

    fn fill(&mut self, block: &Block) -> Answer {
        if self.is_lost(6) {
            return Answer::Unknown(no_answer());
        }
        let guard = self.server.borrow().guard;
        let fits = self.of_chain(&block.header.chain(), |state| state.fill(guard, block));
        if self.is_lost(6) {
            return Answer::Unknown(no_answer());
        }
        if fits { Answer::Appended } else { Answer::Conflict }
    }

    fn watermark(&mut self, chain: &Chain) -> Result<Option<Watermark>, Failure> {
        if self.is_lost(6) {
            return Err(no_answer());
        }
        Ok(self.of_chain(chain, |state| state.watermark.clone()))
    }

    fn put_watermark(
        &mut self,
        chain: &Chain,
        expected: Option<&Watermark>,
        mark: &Watermark,
    ) -> Answer {
        let fits = self.of_chain(chain, |state| {
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
