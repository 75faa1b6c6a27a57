//! Blocks as messages of a stream of NATS JetStream.
//!
//! A block is one message, or a few if it is large, in the subject of its chain. Each is stored only
//! if the last message of the subject is the expected one, by its number in the stream. So the tail is
//! the last block of the subject that is there with all of its messages.

mod address;
mod api;
mod check;
mod connection;
mod message;

use std::collections::HashMap;

use cdrlog::manifest::Hash;

use super::destination::{AfterRollback, Answer, Destination, Failure, Unfit};
use super::header::{Block, Chain, Header};
use super::objects::encode;
use api::Which;
use connection::{Connection, Fault};
use message::Piece;

pub(super) use address::StreamAddress;

/// A stream.
pub(super) struct JetStream {
    address: StreamAddress,
    open: Option<Open>,
}

/// What is known as long as a connection lasts.
struct Open {
    connection: Connection,
    /// The most bytes of a message, headers included.
    message_bytes: usize,
    last: HashMap<Chain, Last>,
    /// Where a search for older blocks is.
    search: Option<Search>,
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

/// The message before the block that was found last.
struct Search {
    chain: Chain,
    seq: u64,
    previous: u64,
}

impl JetStream {
    /// Nothing is sent yet.
    pub(super) const fn new(address: StreamAddress) -> Self {
        Self { address, open: None }
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
                match check::check(&connection, &self.address) {
                    Ok(message_bytes) => {
                        Open { connection, message_bytes, last: HashMap::new(), search: None }
                    }
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

    fn find_tail(&mut self, chain: &Chain) -> Result<Option<Header>, Fault> {
        let (subject, stream) = (self.address.subject(chain), self.address.stream.clone());
        let open = self.open()?;
        let read = |which: &Which<'_>| {
            let stored = api::message(&open.connection, &stream, which)?;
            let piece = |stored: api::Stored| {
                let piece = Piece::of(&stored).map_err(Fault::Setup)?;
                Ok::<_, Fault>((stored.seq, piece))
            };
            stored.map(piece).transpose()
        };
        let Some((message, piece)) = read(&Which::Last { subject: &subject })? else {
            open.last.insert(chain.clone(), Last { id: Hash::NONE, block: 0, message: 0 });
            return Ok(None);
        };
        let found = match piece {
            Piece { is_last: true, .. } => Some((message, piece)),
            // The block was given up.
            Piece { previous: 0, .. } => None,
            Piece { previous, .. } => {
                let before = read(&Which::Number(previous))?;
                Some(before.ok_or_else(|| {
                    Fault::Setup(format!("message {previous} of {subject} was removed"))
                })?)
            }
        };
        let last = match &found {
            Some((block, piece)) => Last { id: piece.header.id, block: *block, message },
            None => Last { id: Hash::NONE, block: 0, message },
        };
        open.last.insert(chain.clone(), last);
        Ok(found.map(|(_, piece)| piece.header))
    }

    /// The block of this number, on the way back from the one that was found last.
    fn find_header(&mut self, chain: &Chain, seq: u64) -> Result<Option<Header>, Fault> {
        let stream = self.address.stream.clone();
        let is_before = |search: &Search| search.chain == *chain && search.seq > seq;
        let begun = self.open()?.search.take().filter(is_before);
        let mut previous = match begun {
            Some(search) => search.previous,
            None => {
                self.find_tail(chain)?;
                self.open()?.last.get(chain).map_or(0, |last| last.block)
            }
        };
        let open = self.open()?;
        while previous > 0 {
            let Some(stored) = api::message(&open.connection, &stream, &Which::Number(previous))?
            else {
                return Ok(None);
            };
            let piece = Piece::of(&stored).map_err(Fault::Setup)?;
            if piece.previous >= previous || piece.header.fields.seq < seq {
                return Ok(None);
            }
            previous = piece.previous;
            if piece.header.fields.seq == seq {
                open.search = Some(Search { chain: chain.clone(), seq, previous });
                return Ok(Some(piece.header));
            }
        }
        Ok(None)
    }

    /// False if another block is the last one, or if that is not known.
    fn try_append(&mut self, expected: Hash, block: &Block) -> Result<bool, Fault> {
        let chain = block.header.chain();
        let (subject, stream) = (self.address.subject(&chain), self.address.stream.clone());
        let open = self.open()?;
        let Some(last) = open.last.remove(&chain).filter(|last| last.id == expected) else {
            return Ok(false);
        };
        open.search = None;
        let object =
            encode(block).map_err(|error| Fault::Lost(format!("cannot compress: {error}")))?;
        let pieces = message::pieces(object, &block.header, open.message_bytes);
        let count = pieces.len();
        let mut stored = last.message;
        for (index, piece) in pieces.into_iter().enumerate() {
            let part = (index + 1, count);
            let headers = message::headers(&block.header, part, last.block, &stream, stored);
            stored = match api::store(&open.connection, &stream, &subject, headers, piece) {
                Ok(stored) => stored,
                Err(fault) if fault.is_wrong_last() => return Ok(false),
                Err(fault) => return Err(fault),
            };
        }
        let last = Last { id: block.header.id, block: stored, message: stored };
        open.last.insert(chain, last);
        Ok(true)
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
        self.find_tail(chain).map_err(|fault| self.give_up(fault))
    }

    fn header(&mut self, chain: &Chain, seq: u64) -> Result<Option<Header>, Failure> {
        self.find_header(chain, seq).map_err(|fault| self.give_up(fault))
    }

    fn append(&mut self, expected: Option<&Header>, block: &Block) -> Answer {
        let expected = expected.map_or(Hash::NONE, |header| header.id);
        match self.try_append(expected, block) {
            Ok(true) => Answer::Appended,
            Ok(false) => Answer::Conflict,
            Err(fault) => Answer::Unknown(self.give_up(fault)),
        }
    }

    /// A server that does not sync loses the newest messages at a power loss.
    fn after_rollback(&self) -> AfterRollback {
        AfterRollback::Heal
    }
}
