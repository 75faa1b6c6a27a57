//! Blocks as messages of a stream of NATS JetStream.
//!
//! A block is one message, or a few if it is large, in the subject of its chain. Each is stored only
//! if the last message of the subject is the expected one, by its number in the stream. So the tail is
//! the last block of the subject that is there with all of its messages.
//!
//! ```text
//! <prefix>.<stream>.<node>          the blocks of a chain
//! <prefix>.fills.<stream>.<node>    blocks of it that were missing before the last one
//! <prefix>.births.<birth>           the node that ships the files of this birth
//! <prefix>-marks.<stream>.<node>    the watermark, in a stream that keeps the last one
//! ```

mod address;
mod api;
mod check;
mod connection;
mod marks;
mod message;
mod reading;
mod search;

use std::collections::HashMap;

use cdrlog::manifest::Hash;

use super::destination::{AfterRollback, Answer, Destination, Failure, Unfit};
use super::header::{Block, Chain, Header};
use super::objects::encode;
use super::watermark::Watermark;
use api::Which;
use connection::{Connection, Fault};
use message::Piece;
use reading::Next;

pub(super) use address::StreamAddress;

/// A stream.
pub(super) struct JetStream {
    address: StreamAddress,
    /// Nothing is stored: then the stream may be one that loses blocks, such as a mirror.
    is_reader: bool,
    open: Option<Open>,
}

/// What is known as long as a connection lasts.
struct Open {
    connection: Connection,
    /// The most bytes of a message, headers included.
    message_bytes: usize,
    last: HashMap<Chain, Last>,
    /// The block that was found last.
    found: Option<Found>,
    /// Where the block begins that is read next.
    next: Option<Next>,
    /// The watermarks as they were last seen, with their numbers.
    marks: HashMap<Chain, (Watermark, u64)>,
}

/// The end of a subject, in numbers of the stream.
#[derive(Clone, Copy, Debug)]
struct Last {
    /// The last block, and the last one of its messages; zeros if there is none.
    id: Hash,
    block: u64,
    /// The last message: later than that if a block after it is not complete.
    message: u64,
}

/// A block, and where the one before it is.
struct Found {
    chain: Chain,
    seq: u64,
    previous: u64,
}

impl JetStream {
    /// Nothing is sent yet.
    pub(super) const fn new(address: StreamAddress) -> Self {
        Self { address, is_reader: false, open: None }
    }

    /// To read what was shipped.
    pub(super) const fn reader(address: StreamAddress) -> Self {
        Self { address, is_reader: true, open: None }
    }

    /// Makes the stream unless it exists.
    pub(super) fn init(&mut self) -> Result<String, Failure> {
        let connection = Connection::open(&self.address)?;
        let is_new = check::init(&connection, &self.address);
        connection.close();
        let stream = &self.address.stream;
        Ok(match is_new? {
            true => {
                format!("the stream {stream} is made, for the subjects {}", self.address.subjects())
            }
            false => format!("the stream {stream} was there, and keeps what it must"),
        })
    }

    /// The connection, which is a new one if the last one was lost. Then nothing is known of any chain.
    fn open(&mut self) -> Result<&mut Open, Fault> {
        if self.open.as_ref().is_some_and(|open| !open.connection.is_open()) {
            self.close();
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => {
                let connection = Connection::open(&self.address)?;
                let checked = match self.is_reader {
                    true => Ok(connection.message_bytes_max()),
                    false => check::check(&connection, &self.address),
                };
                match checked {
                    Ok(message_bytes) => Open::new(connection, message_bytes),
                    Err(fault) => {
                        connection.close();
                        return Err(fault);
                    }
                }
            }
        };
        Ok(self.open.insert(open))
    }

    fn close(&mut self) {
        if let Some(open) = self.open.take() {
            open.connection.close();
        }
    }

    /// What was asked on the connection failed: what else is on its way must not arrive later.
    fn give_up(&mut self, fault: Fault) -> Failure {
        if !matches!(fault, Fault::Refused { .. }) {
            self.close();
        }
        fault.into()
    }

    /// Asks on the connection, which is given up unless there is an answer.
    fn ask<T>(
        &mut self,
        asking: impl FnOnce(&mut Open, &StreamAddress) -> Result<T, Fault>,
    ) -> Result<T, Failure> {
        let address = self.address.clone();
        let asked = self.open().and_then(|open| asking(open, &address));
        asked.map_err(|fault| self.give_up(fault))
    }
}

impl Open {
    fn new(connection: Connection, message_bytes: usize) -> Self {
        let (last, marks) = (HashMap::new(), HashMap::new());
        Self { connection, message_bytes, last, found: None, next: None, marks }
    }

    fn piece(&self, stream: &str, which: &Which<'_>) -> Result<Option<(u64, Piece)>, Fault> {
        let stored = api::message(&self.connection, stream, which)?;
        let piece = |stored: api::Stored| {
            Piece::of(&stored).map(|piece| (stored.seq, piece)).map_err(Fault::Setup)
        };
        stored.map(piece).transpose()
    }

    fn find_tail(
        &mut self,
        address: &StreamAddress,
        chain: &Chain,
    ) -> Result<Option<Header>, Fault> {
        let (subject, stream) = (address.subject(chain), &address.stream);
        let found = self.piece(stream, &Which::Last { subject: &subject })?;
        let message = found.as_ref().map_or(0, |(message, _)| *message);
        let found = match found {
            // The block was given up.
            Some((_, piece)) if !piece.is_last() => match piece.previous {
                0 => None,
                previous => {
                    let before = self.piece(stream, &Which::Number(previous))?;
                    Some(before.ok_or_else(|| {
                        Fault::Setup(format!("message {previous} of {subject} was removed"))
                    })?)
                }
            },
            found => found,
        };
        let (block, id) = found.as_ref().map_or((0, Hash::NONE), |it| (it.0, it.1.header.id));
        self.last.insert(chain.clone(), Last { id, block, message });
        Ok(found.map(|(_, piece)| piece.header))
    }

    /// False if another block is the last one, or if that is not known.
    fn append(
        &mut self,
        address: &StreamAddress,
        expected: Hash,
        block: &Block,
    ) -> Result<bool, Fault> {
        let chain = block.header.chain();
        let last = self.last.remove(&chain);
        let Some(last) = last.filter(|last| last.id == expected) else { return Ok(false) };
        let subject = address.subject(&chain);
        let Some(stored) = self.store(address, &subject, last.block, last.message, block)? else {
            return Ok(false);
        };
        let last = Last { id: block.header.id, block: stored, message: stored };
        self.last.insert(chain, last);
        Ok(true)
    }

    /// Stores the pieces of a block after the message `last`. The number of the last piece; `None` if
    /// another message is the last one.
    fn store(
        &self,
        address: &StreamAddress,
        subject: &str,
        previous: u64,
        last: u64,
        block: &Block,
    ) -> Result<Option<u64>, Fault> {
        let stream = &address.stream;
        let object =
            encode(block).map_err(|error| Fault::Lost(format!("cannot compress: {error}")))?;
        let pieces = message::pieces(object, &block.header, self.message_bytes);
        let count = pieces.len();
        let mut stored = last;
        for (index, piece) in pieces.into_iter().enumerate() {
            let part = (index + 1, count);
            let headers = message::headers(&block.header, part, previous, stream, stored);
            stored = match api::store(&self.connection, stream, subject, headers, piece) {
                Ok(stored) => stored,
                Err(fault) if fault.is_wrong_last() => return Ok(None),
                Err(fault) => return Err(fault),
            };
        }
        Ok(Some(stored))
    }
}

fn answer(stored: Result<bool, Failure>) -> Answer {
    match stored {
        Ok(true) => Answer::Appended,
        Ok(false) => Answer::Conflict,
        Err(failure) => Answer::Unknown(failure),
    }
}

impl Drop for JetStream {
    fn drop(&mut self) {
        self.close();
    }
}

impl Destination for JetStream {
    fn probe(&mut self, writer: &str) -> Result<(), Unfit> {
        let address = self.address.clone();
        let probed = self
            .open()
            .and_then(|open| check::compare_and_swap(&open.connection, &address, writer));
        probed.map_err(|fault| {
            let is_of_setup = matches!(fault, Fault::Setup(_));
            let failure = self.give_up(fault);
            if is_of_setup { Unfit::Refused(failure.0) } else { Unfit::Failed(failure) }
        })
    }

    fn tail(&mut self, chain: &Chain) -> Result<Option<Header>, Failure> {
        self.ask(|open, address| open.find_tail(address, chain))
    }

    fn header(&mut self, chain: &Chain, seq: u64) -> Result<Option<Header>, Failure> {
        self.ask(|open, address| open.header(address, chain, seq))
    }

    fn append(&mut self, expected: Option<&Header>, block: &Block) -> Answer {
        let expected = expected.map_or(Hash::NONE, |header| header.id);
        answer(self.ask(|open, address| open.append(address, expected, block)))
    }

    /// A server that does not sync loses the newest messages at a power loss.
    fn after_rollback(&self) -> AfterRollback {
        AfterRollback::Heal
    }

    fn reconnect(&mut self) {
        self.close();
    }

    fn lacks(&mut self, chain: &Chain, blocks: &[Header]) -> Result<Vec<u64>, Failure> {
        self.ask(|open, address| open.lacks(address, chain, blocks))
    }

    fn fill(&mut self, block: &Block) -> Answer {
        answer(self.ask(|open, address| open.fill(address, block)))
    }

    fn watermark(&mut self, chain: &Chain) -> Result<Option<Watermark>, Failure> {
        self.ask(|open, address| open.watermark(address, chain))
    }

    fn put_watermark(
        &mut self,
        chain: &Chain,
        expected: Option<&Watermark>,
        mark: &Watermark,
    ) -> Answer {
        answer(self.ask(|open, address| open.put_watermark(address, chain, expected, mark)))
    }

    fn claim(&mut self, birth: Hash, node: &str) -> Result<String, Failure> {
        self.ask(|open, address| open.claim(address, birth, node))
    }
}
