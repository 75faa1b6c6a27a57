//! The protocol: one chain of one node at one destination, a step at a time.
//!
//! The destination is the only truth about what it has. A step is: find out what the last block
//! there is, if that is not known; cut the next block, and note it; append it if the last block is
//! still the expected one. A block is sent again until [`Destination::tail`] shows it or another
//! one. Whatever does not fit is told and stops the chain; nothing is guessed or overwritten.

use std::fmt;

use cdrlog::manifest::Hash;

use super::destination::{AfterRollback, Answer, Destination, Failure};
use super::header::{Block, Chain, Fields, Header, Kind, Missing, Position, VERSION};
use super::notes::{NoteStore, Notes};
use super::reconcile::{Tail, Unjudged, judge};
use super::source::{Cursor, Found, Held, Lines, Source, SourceError, are_those_of, start_of};

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
}

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

/// Why a chain does not go on before somebody did something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Another writer appended to this chain, or a file was changed.
    Foreign(String),
    /// Lines are missing here that the destination does not have.
    Gap(String),
    /// An archive has fewer blocks than it had.
    WentBack(String),
    /// An operator ended the node.
    Retired,
}

impl fmt::Display for Stop {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign(fault) => write!(
                f,
                "another writer has this node's name, or a file was changed: {fault}; \
                 give each copy of a machine a name of its own with --node"
            ),
            Self::Gap(fault) => write!(
                f,
                "lines are missing: {fault}; restore them, or go on without them with --accept-gap"
            ),
            Self::WentBack(fault) => write!(
                f,
                "the destination lost blocks: {fault}; if it is the right place, \
                 append them again with --accept-rollback"
            ),
            Self::Retired => {
                f.write_str("this node was retired; ship under another name with --node")
            }
        }
    }
}

impl std::error::Error for Stop {}

/// Ships one chain.
pub(crate) struct Shipper<S> {
    chain: Chain,
    writer: String,
    rules: Rules,
    notes: Notes<S>,
    /// How many of the noted blocks the destination has. `None` if that is not known.
    acknowledged: Option<usize>,
    /// The most that it was ever seen to have, by number.
    seq_seen: u64,
    /// How often the destination went back to an older state.
    pub(crate) rollbacks: u64,
    /// What an operator should be told.
    pub(crate) remarks: Vec<String>,
}

/// Why a step ends early.
enum End {
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
    pub(crate) const fn new(chain: Chain, writer: String, rules: Rules, notes: Notes<S>) -> Self {
        Self {
            chain,
            writer,
            rules,
            notes,
            acknowledged: None,
            seq_seen: 0,
            rollbacks: 0,
            remarks: Vec::new(),
        }
    }

    /// The last block that the destination is known to have.
    pub(crate) fn acknowledged(&self) -> Option<&Header> {
        self.acknowledged.and_then(|count| self.notes.headers().get(count.checked_sub(1)?))
    }

    /// The destination is asked again what it has before the next block is appended.
    pub(crate) fn look_again(&mut self) {
        self.acknowledged = None;
    }

    /// Does the next thing.
    pub(crate) fn step(
        &mut self,
        source: &mut dyn Source,
        destination: &mut dyn Destination,
        now: i64,
    ) -> Result<Step, Stop> {
        match self.try_step(source, destination, now) {
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
        self.release(count, source, now)?;
        let noted = self.notes.headers().get(count).cloned();
        let block = match noted {
            Some(header) => match self.rebuild(header, source, now)? {
                Some(block) => block,
                None => return Ok(Step::Again),
            },
            None => {
                let block = self.cut(source, now)?;
                self.notes.append(block.header.clone())?;
                block
            }
        };
        // What is sent again was held already, and nothing before it may be cut either.
        if count + 1 == self.notes.headers().len() {
            source.hold(&block.header)?;
        }
        Ok(self.send(destination, &block, count)?)
    }

    /// Files whose lines were acknowledged long enough ago need not be kept.
    fn release(&self, count: usize, source: &mut dyn Source, now: i64) -> Result<(), SourceError> {
        let acknowledged = self.notes.headers().get(..count).unwrap_or_default();
        let old = acknowledged.partition_point(|header| header.fields.cut <= now - self.rules.keep);
        match old.checked_sub(1).and_then(|last| acknowledged.get(last)) {
            Some(header) if header.fields.lines > 0 => source.release(&header.end()),
            _ => Ok(()),
        }
    }

    fn send(
        &mut self,
        destination: &mut dyn Destination,
        block: &Block,
        count: usize,
    ) -> Result<Step, std::io::Error> {
        let expected = count.checked_sub(1).and_then(|last| self.notes.headers().get(last));
        match destination.append(expected, block) {
            Answer::Appended => {
                self.seq_seen = self.seq_seen.max(block.header.fields.seq);
                let dropped = self.notes.prune(count + 1)?;
                self.acknowledged = Some(count + 1 - dropped);
                let Fields { lines, .. } = block.header.fields;
                Ok(Step::Shipped { lines, bytes: block.body.len() as u64 })
            }
            Answer::Conflict => {
                self.acknowledged = None;
                Ok(Step::Again)
            }
            Answer::Unknown(failure) => {
                self.acknowledged = None;
                Ok(Step::Retry(failure))
            }
        }
    }

    // ===== what the destination has =====

    /// How many of the noted blocks the destination has, after what it has more was noted too.
    fn find_tail(
        &mut self,
        source: &mut dyn Source,
        destination: &mut dyn Destination,
        now: i64,
    ) -> Result<usize, End> {
        let tail = destination.tail(&self.chain)?;
        let tail_seq = tail.as_ref().map_or(0, |tail| tail.fields.seq);
        let tail_file = tail.as_ref().map(|tail| tail.fields.file.clone()).unwrap_or_default();
        let noted = self.notes.headers();
        let count = match judge(tail, &self.chain, noted, source, destination)? {
            Tail::Noted { count } => count,
            Tail::Ours { keep, headers } => {
                let count = keep + headers.len();
                self.notes.replace_after(keep, headers)?;
                count
            }
            Tail::Foreign(fault) => {
                // What is only in the journal may be what was shipped.
                return Err(match source.waits_after(&tail_file)? {
                    Some(reason) => End::Step(Step::Waiting(reason)),
                    None => Stop::Foreign(fault).into(),
                });
            }
            Tail::Retired => return Err(Stop::Retired.into()),
        };
        // The last noted block may never have arrived. All before it did.
        let noted = self.notes.headers();
        let arrived = noted.len().checked_sub(2).and_then(|index| noted.get(index));
        let seq_seen = self.seq_seen.max(arrived.map_or(0, |header| header.fields.seq));
        if tail_seq < seq_seen {
            self.went_back(tail_seq, seq_seen, destination.after_rollback())?;
        }
        self.seq_seen = tail_seq;
        if count == 0 {
            self.begin_again(source, now)?;
        }
        Ok(count)
    }

    /// The destination has no block: the noted ones can be sent only if the first is among them.
    fn begin_again(&mut self, source: &mut dyn Source, now: i64) -> Result<(), End> {
        let first = self.notes.headers().first().map_or(1, |first| first.fields.seq);
        if first == 1 {
            return Ok(());
        }
        if !source.lacks_oldest()? {
            // Everything that was ever shipped is here: it is cut anew.
            return Ok(self.notes.replace_after(0, Vec::new())?);
        }
        let reason = format!(
            "the destination has no block, and the first {} are not noted here any more",
            first - 1
        );
        if !self.rules.accept_gap {
            return Err(Stop::Gap(reason).into());
        }
        let missing = Missing { file: None, offset: 0, reason, files: Vec::new() };
        self.acknowledged = Some(0);
        let gap = match source.next(None, 1)? {
            Found::Lines(Lines { start, .. }) => {
                let resume = Cursor { position: start, file_end: false };
                vec![self.gap_block(missing, resume, now).header]
            }
            _ => Vec::new(),
        };
        Ok(self.notes.replace_after(0, gap)?)
    }

    fn went_back(&mut self, to: u64, from: u64, after: AfterRollback) -> Result<(), Stop> {
        let fault = format!("it had {from} blocks of {}, and has {to} now", self.chain);
        if after == AfterRollback::Ask && !self.rules.accept_rollback {
            return Err(Stop::WentBack(fault));
        }
        self.rollbacks += 1;
        self.remarks.push(format!("the destination lost blocks, and gets them again: {fault}"));
        Ok(())
    }

    // ===== blocks =====

    /// A noted block with its lines. `None` if they are gone, and the note was given up.
    fn rebuild(
        &mut self,
        header: Header,
        source: &mut dyn Source,
        now: i64,
    ) -> Result<Option<Block>, End> {
        let Fields { kind, seq, file, start, end, .. } = &header.fields;
        if *kind != Kind::Lines {
            return Ok(Some(Block { header, body: Vec::new() }));
        }
        match source.find(&start_of(&header.fields), *end)? {
            Held::Bytes(body) if are_those_of(&header.fields, &body) => {
                Ok(Some(Block { header, body }))
            }
            Held::Bytes(_) => Err(Stop::Foreign(format!(
                "bytes {start} to {end} of {file} are not those of block {seq} any more"
            ))
            .into()),
            Held::Removed { .. } | Held::Other(_) if self.rules.accept_gap => {
                self.give_up_noted(source, now)?;
                Ok(None)
            }
            Held::Removed { .. } | Held::Other(_) => Err(Stop::Gap(format!(
                "block {seq} must be sent again, and bytes {start} to {end} of {file} are gone"
            ))
            .into()),
        }
    }

    /// Notes a gap in place of the noted blocks whose files are gone, and drops those after them: they
    /// are cut again.
    fn give_up_noted(&mut self, source: &mut dyn Source, now: i64) -> Result<(), End> {
        let count = self.acknowledged.unwrap_or_default();
        let noted = self.notes.headers().get(count..).unwrap_or_default();
        let Some(first) = noted.first() else { return Ok(()) };
        let mut last = first;
        for header in noted {
            if let Held::Bytes(_) = source.find(&start_of(&header.fields), header.fields.end)? {
                break;
            }
            last = header;
        }
        let missing = Missing {
            file: Some(first.fields.file.clone()),
            offset: first.fields.start,
            reason: format!("the lines of block {} are gone", first.fields.seq),
            files: Vec::new(),
        };
        let gap = self.gap_block(missing, Cursor::after(last), now);
        Ok(self.notes.replace_after(count, vec![gap.header])?)
    }

    /// The next block.
    fn cut(&self, source: &mut dyn Source, now: i64) -> Result<Block, End> {
        let cursor = self.acknowledged().map(Cursor::after);
        match source.next(cursor.as_ref(), self.rules.block_bytes)? {
            Found::Lines(lines) => Ok(self.lines_block(lines, now)),
            Found::Nothing { waits_for } => {
                Err(End::Step(waits_for.map_or(Step::Idle, Step::Waiting)))
            }
            Found::Changed(fault) => Err(Stop::Foreign(fault).into()),
            Found::Gap { missing, resume } if self.rules.accept_gap => {
                Ok(self.gap_block(missing, resume, now))
            }
            Found::Gap { missing, .. } => Err(Stop::Gap(text_of(&missing)).into()),
        }
    }

    fn lines_block(&self, lines: Lines, now: i64) -> Block {
        let Lines { start, bytes, file_end, through } = lines;
        let hash = Hash::of(&bytes);
        let torn = !bytes.ends_with(b"\n");
        let whole = memchr::memchr_iter(b'\n', &bytes).count() as u64;
        let next = self.next_fields(start.file, start.birth, now);
        let fields = Fields {
            kind: Kind::Lines,
            start: start.offset,
            end: start.offset + bytes.len() as u64,
            lines: whole + u64::from(torn),
            torn,
            file_end,
            local: hash,
            body: hash,
            through: through.max(next.through),
            ..next
        };
        Block { header: Header::new(fields), body: bytes }
    }

    fn gap_block(&self, missing: Missing, resume: Cursor, now: i64) -> Block {
        let Cursor { position: Position { file, birth, offset }, file_end } = resume;
        let fields = Fields {
            kind: Kind::Gap,
            start: offset,
            end: offset,
            file_end,
            missing: Some(missing),
            ..self.next_fields(file, birth, now)
        };
        Block { header: Header::new(fields), body: Vec::new() }
    }

    /// The members of the next block, without lines.
    fn next_fields(&self, file: String, birth: Hash, now: i64) -> Fields {
        let last = self.acknowledged();
        let nothing = Hash::of(b"");
        Fields {
            v: VERSION,
            node: self.chain.node.clone(),
            stream: self.chain.stream,
            seq: last.map_or(1, |last| last.fields.seq + 1),
            prev: last.map_or(Hash::NONE, |last| last.id),
            kind: Kind::Lines,
            file,
            birth,
            start: 0,
            end: 0,
            lines: 0,
            torn: false,
            file_end: false,
            local: nothing,
            body: nothing,
            writer: self.writer.clone(),
            cut: last.map_or(now, |last| now.max(last.fields.cut)),
            through: last.and_then(|last| last.fields.through),
            missing: None,
        }
    }
}

fn text_of(missing: &Missing) -> String {
    let Missing { file, offset, reason, .. } = missing;
    match file {
        Some(file) => format!("{file} from byte {offset} on: {reason}"),
        None => reason.clone(),
    }
}
