//! Finds blocks that are not the last one, and puts back those that are missing.
//!
//! The blocks of a subject are in order, so the first of a row is found by halving the stream. What is
//! there is read, and not only looked up: a message is the smallest thing that can be asked for.

use std::collections::HashSet;

use cdrlog::manifest::Hash;

use super::address::StreamAddress;
use super::api::Which;
use super::connection::Fault;
use super::message::Assembly;
use super::{Found, Open};
use crate::ship::header::{Block, Chain, Header};

impl Open {
    /// The block of this number.
    pub(super) fn header(
        &mut self,
        address: &StreamAddress,
        chain: &Chain,
        seq: u64,
    ) -> Result<Option<Header>, Fault> {
        // Usually it is the one before that of the last call.
        let after = self.found.take().filter(|it| it.chain == *chain && it.seq == seq + 1);
        if let Some(previous) = after.map(|found| found.previous).filter(|&it| it > 0)
            && let Some((_, piece)) = self.piece(&address.stream, &Which::Number(previous))?
            && piece.header.fields.seq == seq
        {
            self.found = Some(Found { chain: chain.clone(), seq, previous: piece.previous });
            return Ok(Some(piece.header));
        }
        let blocks = self.blocks(address, chain, seq, seq)?;
        Ok(blocks.into_iter().next())
    }

    /// The whole blocks with these numbers, those that were put back at the end.
    fn blocks(
        &mut self,
        address: &StreamAddress,
        chain: &Chain,
        first: u64,
        last: u64,
    ) -> Result<Vec<Header>, Fault> {
        let subject = address.subject(chain);
        let mut blocks = Vec::new();
        let mut assembly = Assembly::default();
        let mut next = self.first_message(address, &subject, first)?;
        while let Some((message, piece)) =
            self.piece(&address.stream, &Which::From { seq: next, subject: &subject })?
        {
            let (seq, previous) = (piece.header.fields.seq, piece.previous);
            if seq > last {
                break;
            }
            if let Some(block) = assembly.add(piece) {
                self.found = Some(Found { chain: chain.clone(), seq, previous });
                blocks.push(block);
            }
            next = message + 1;
        }
        if blocks.len() as u64 <= last - first {
            let fills = self.fills(address, chain)?;
            let is_asked = |block: &Header| (first..=last).contains(&block.fields.seq);
            blocks.extend(fills.into_iter().filter(is_asked));
        }
        Ok(blocks)
    }

    /// From which message on the blocks from `seq` on are.
    pub(super) fn first_message(
        &self,
        address: &StreamAddress,
        subject: &str,
        seq: u64,
    ) -> Result<u64, Fault> {
        let last = self.piece(&address.stream, &Which::Last { subject })?;
        // The blocks before `low` are older, and those from `high` on are not.
        let (mut low, mut high) = (1, last.map_or(1, |(message, _)| message));
        while low < high {
            let middle = low + (high - low) / 2;
            let which = Which::From { seq: middle, subject };
            match self.piece(&address.stream, &which)? {
                Some((message, piece)) if piece.header.fields.seq < seq => low = message + 1,
                _ => high = middle,
            }
        }
        Ok(low)
    }

    /// All blocks that were put back.
    fn fills(&self, address: &StreamAddress, chain: &Chain) -> Result<Vec<Header>, Fault> {
        let subject = address.fills_subject(chain);
        let mut fills = Vec::new();
        let mut assembly = Assembly::default();
        let mut next = 1;
        while let Some((message, piece)) =
            self.piece(&address.stream, &Which::From { seq: next, subject: &subject })?
        {
            fills.extend(assembly.add(piece));
            next = message + 1;
        }
        Ok(fills)
    }

    /// The numbers of those of `blocks` that are not there with all their pieces.
    pub(super) fn lacks(
        &mut self,
        address: &StreamAddress,
        chain: &Chain,
        blocks: &[Header],
    ) -> Result<Vec<u64>, Fault> {
        let seqs = || blocks.iter().map(|block| block.fields.seq);
        let (Some(first), Some(last)) = (seqs().min(), seqs().max()) else {
            return Ok(Vec::new());
        };
        let there = self.blocks(address, chain, first, last)?;
        let there: HashSet<Hash> = there.into_iter().map(|block| block.id).collect();
        let lacking = blocks.iter().filter(|block| !there.contains(&block.id));
        Ok(lacking.map(|block| block.fields.seq).collect())
    }

    /// Puts a block back. False if another one has its number, or the chain ends before it.
    pub(super) fn fill(&mut self, address: &StreamAddress, block: &Block) -> Result<bool, Fault> {
        let (chain, seq) = (block.header.chain(), block.header.fields.seq);
        let tail = self.find_tail(address, &chain)?;
        if tail.is_none_or(|tail| tail.fields.seq < seq) {
            return Ok(false);
        }
        if let Some(there) = self.blocks(address, &chain, seq, seq)?.into_iter().next() {
            return Ok(there.id == block.header.id);
        }
        let subject = address.fills_subject(&chain);
        let last = self.piece(&address.stream, &Which::Last { subject: &subject })?;
        let last = last.map_or(0, |(message, _)| message);
        Ok(self.store(address, &subject, 0, last, block)?.is_some())
    }
}
