//! Reads blocks out of messages.

use super::api::{self, Which};
use super::connection::Fault;
use super::message::{Assembly, Piece};
use super::{JetStream, Open, StreamAddress};
use crate::ship::destination::{Destination, Failure};
use crate::ship::header::{Block, Chain, Header, Stream};
use crate::ship::objects::decode;
use crate::ship::record::Record;
use crate::ship::watermark::Watermark;

/// Where the block after the one that was read last begins.
pub(super) struct Next {
    chain: Chain,
    seq: u64,
    message: u64,
}

impl Record for JetStream {
    fn nodes(&mut self, stream: Stream) -> Result<Vec<String>, Failure> {
        self.ask(|open, address| {
            let filter = address.chains(stream);
            let subjects = api::subjects(&open.connection, &address.stream, &filter)?;
            let nodes = subjects.iter().filter_map(|subject| address.node_of(subject, stream));
            Ok(nodes.collect())
        })
    }

    fn watermark(&mut self, chain: &Chain) -> Result<Option<Watermark>, Failure> {
        Destination::watermark(self, chain)
    }

    fn last_seq(&mut self, chain: &Chain) -> Result<u64, Failure> {
        Ok(self.tail(chain)?.map_or(0, |tail| tail.fields.seq))
    }

    fn header(&mut self, chain: &Chain, seq: u64) -> Result<Option<Header>, Failure> {
        Destination::header(self, chain, seq)
    }

    fn block(&mut self, chain: &Chain, seq: u64) -> Result<Option<Block>, Failure> {
        self.ask(|open, address| open.block(address, chain, seq))
    }
}

impl Open {
    /// The block of this number with its lines.
    fn block(
        &mut self,
        address: &StreamAddress,
        chain: &Chain,
        seq: u64,
    ) -> Result<Option<Block>, Fault> {
        let subject = address.subject(chain);
        let is_it = |next: &Next| next.chain == *chain && next.seq == seq;
        let first = match self.next.take().filter(is_it) {
            Some(next) => next.message,
            None => self.first_message(address, &subject, seq)?,
        };
        if let Some((block, message)) = self.whole_block(address, &subject, first, seq)? {
            self.next = Some(Next { chain: chain.clone(), seq: seq + 1, message: message + 1 });
            return Ok(Some(block));
        }
        let put_back = self.whole_block(address, &address.fills_subject(chain), 1, seq)?;
        Ok(put_back.map(|(block, _)| block))
    }

    /// The block of this number from a message of a subject on, and the last of its messages.
    fn whole_block(
        &self,
        address: &StreamAddress,
        subject: &str,
        first: u64,
        seq: u64,
    ) -> Result<Option<(Block, u64)>, Fault> {
        let (mut object, mut assembly, mut next) = (Vec::new(), Assembly::default(), first);
        loop {
            let which = Which::From { seq: next, subject };
            let Some(stored) = api::message(&self.connection, &address.stream, &which)? else {
                return Ok(None);
            };
            let piece = Piece::of(&stored).map_err(Fault::Setup)?;
            let found = piece.header.fields.seq;
            // What was put back is in any order.
            if found > seq && !address.is_of_fills(subject) {
                return Ok(None);
            }
            next = stored.seq + 1;
            if found != seq {
                continue;
            }
            if piece.index == 1 {
                object.clear();
            }
            object.extend(stored.payload()?);
            if let Some(header) = assembly.add(piece) {
                let unreadable = |fault: String| {
                    Fault::Setup(format!(
                        "cannot read message {} of {subject}: {fault}",
                        stored.seq
                    ))
                };
                let block = decode(&object).map_err(unreadable)?;
                if block.header != header {
                    return Err(unreadable("its body has another header".to_owned()));
                }
                return Ok(Some((block, stored.seq)));
            }
        }
    }
}
