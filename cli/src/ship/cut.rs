//! Cuts the next block, or makes one again that was noted.

use cdrlog::manifest::Hash;

use super::destination::Destination;
use super::header::{Block, Fields, Header, Kind, Missing, Position, VERSION};
use super::notes::NoteStore;
use super::shipper::{End, Shipper, Step};
use super::source::{Cursor, Found, Held, Lines, Shipped, Source};
use super::stop::Stop;

impl<S: NoteStore> Shipper<S> {
    /// A noted block with its lines. `None` if they are gone, and the note was given up.
    pub(super) fn rebuild(
        &mut self,
        header: Header,
        source: &mut dyn Source,
        now: i64,
    ) -> Result<Option<Block>, End> {
        let Fields { kind, seq, file, start, end, .. } = &header.fields;
        if *kind != Kind::Lines {
            return Ok(Some(Block { header, body: Vec::new() }));
        }
        match source.find_block(&header.fields)? {
            Held::Bytes(bytes) => match source.shipped_as(&header.fields, bytes)? {
                Some(body) => Ok(Some(Block { header, body })),
                None => Err(Stop::Foreign(format!(
                    "bytes {start} to {end} of {file} are not those of block {seq} any more"
                ))
                .into()),
            },
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
            if let Held::Bytes(_) = source.find_block(&header.fields)? {
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
        let resume = Cursor { position: last.end(), file_end: last.fields.file_end };
        self.remarks.push(format!("lines are missing: {missing}"));
        let gap = self.gap_block(missing, resume, now);
        Ok(self.notes.replace_after(count, vec![gap.header])?)
    }

    /// The next block.
    pub(super) fn cut(
        &mut self,
        source: &mut dyn Source,
        destination: &mut dyn Destination,
        now: i64,
    ) -> Result<Block, End> {
        if let Some(block) = self.registration(source, destination, now)? {
            return Ok(block);
        }
        if let Some(last) = self.acknowledged() {
            source.check_key(&last.fields)?;
        }
        let cursor = self.acknowledged().and_then(Cursor::after);
        match source.next(cursor.as_ref(), self.rules.block_bytes)? {
            Found::Lines(lines) => {
                if lines.start.offset == 0 {
                    // Whoever finds this file on a copy of the machine is told. Another node may have
                    // claimed it, because it got the same events.
                    destination.claim(lines.start.birth, &self.chain.node)?;
                }
                Ok(self.lines_block(source, lines, now))
            }
            Found::Nothing { waits_for: Some(reason), .. } => Err(End::Step(Step::Waiting(reason))),
            Found::Nothing { waits_for: None, through, is_closed } => {
                self.nothing(through, is_closed, now)
            }
            Found::Changed(fault) => Err(Stop::Foreign(fault).into()),
            Found::Gap { missing, resume } if self.rules.accept_gap => {
                self.remarks.push(format!("lines are missing: {missing}"));
                Ok(self.gap_block(missing, resume, now))
            }
            Found::Gap { missing, .. } => Err(Stop::Gap(missing.to_string()).into()),
        }
    }

    /// Everything is acknowledged.
    fn nothing(&mut self, through: Option<i64>, is_closed: bool, now: i64) -> Result<Block, End> {
        self.idle_through = through;
        let has_ended = self.acknowledged().is_none_or(|last| last.fields.kind == Kind::Closed);
        if !self.rules.closes || has_ended {
            return Err(End::Step(Step::Idle));
        }
        if !is_closed {
            let reason = "a writer has the directory, so the node is not closed: end it first";
            return Err(End::Step(Step::Waiting(reason.to_owned())));
        }
        let next = self.empty_fields(self.acknowledged().and_then(Cursor::after), now);
        let through = through.max(next.through);
        let fields = Fields { kind: Kind::Closed, through, ..next };
        Ok(Block { header: Header::new(fields), body: Vec::new() })
    }

    fn lines_block(&self, source: &dyn Source, lines: Lines, now: i64) -> Block {
        let Lines { start, bytes, file_end, through } = lines;
        let end = start.offset + bytes.len() as u64;
        let torn = !bytes.ends_with(b"\n");
        let whole = memchr::memchr_iter(b'\n', &bytes).count() as u64;
        let Shipped { body, local, redaction } = source.shipped(bytes);
        let next = self.next_fields(start.file, start.birth, now);
        let fields = Fields {
            kind: Kind::Lines,
            start: start.offset,
            end,
            lines: whole + u64::from(torn),
            torn,
            file_end,
            local,
            body: if redaction.is_some() { Hash::of(&body) } else { local },
            through: through.max(next.through),
            redaction,
            ..next
        };
        Block { header: Header::new(fields), body }
    }

    pub(super) fn gap_block(&self, missing: Missing, resume: Cursor, now: i64) -> Block {
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

    /// The members of the next block, without lines, at a place.
    pub(super) fn empty_fields(&self, at: Option<Cursor>, now: i64) -> Fields {
        match at {
            Some(Cursor { position: Position { file, birth, offset }, file_end }) => Fields {
                start: offset,
                end: offset,
                file_end,
                ..self.next_fields(file, birth, now)
            },
            None => self.next_fields(String::new(), Hash::NONE, now),
        }
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
            origin: None,
            redaction: self.redaction.clone(),
        }
    }
}
