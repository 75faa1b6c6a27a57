//! The lines of a directory, and what of them is shipped.

use std::collections::HashMap;

use cdrlog::manifest::Hash;

use super::Redactor;
use crate::ship::header::{Fields, Header, Missing, Position, Redaction, Stream};
use crate::ship::source::{Cursor, Found, Held, Lines, Shipped, Source, SourceError};

/// A source whose lines are redacted, if there are rules. What it is asked and what it says has the
/// births of files as headers show them.
pub(crate) struct RedactedSource<S> {
    pub(crate) source: S,
    stream: Stream,
    redactor: Option<Redactor>,
    /// The births of files, as they are.
    births: HashMap<String, Hash>,
}

impl<S: Source> RedactedSource<S> {
    pub(crate) fn new(source: S, stream: Stream, redactor: Option<Redactor>) -> Self {
        Self { source, stream, redactor, births: HashMap::new() }
    }

    fn shown(&self, birth: Hash) -> Hash {
        match &self.redactor {
            Some(redactor) if redactor.redaction().is_some() => redactor.hash(birth.as_bytes()),
            _ => birth,
        }
    }

    fn show(&mut self, position: Position) -> Position {
        let birth = self.shown(position.birth);
        self.births.insert(position.file.clone(), position.birth);
        Position { birth, ..position }
    }

    /// The position as the directory has it. One of a file that begins with another line stays as it is.
    fn actual(&mut self, position: &Position) -> Result<Position, SourceError> {
        let Some(redactor) = &self.redactor else { return Ok(position.clone()) };
        let is_it =
            |birth: &&Hash| **birth == position.birth || redactor.is_birth(**birth, position.birth);
        let mut birth = self.births.get(&position.file).filter(is_it).copied();
        if birth.is_none() {
            self.births = self.source.births()?.into_iter().collect();
            birth = self.births.get(&position.file).filter(is_it).copied();
        }
        Ok(Position { birth: birth.unwrap_or(position.birth), ..position.clone() })
    }

    fn actual_cursor(&mut self, cursor: Option<&Cursor>) -> Result<Option<Cursor>, SourceError> {
        let Some(cursor) = cursor else { return Ok(None) };
        Ok(Some(Cursor { position: self.actual(&cursor.position)?, ..cursor.clone() }))
    }

    fn show_missing(&self, mut missing: Missing) -> Missing {
        for file in &mut missing.files {
            file.hash = self.shown(file.hash);
        }
        missing
    }

    /// The hash of local bytes by the key of a block.
    fn local(&self, block: &Fields, bytes: &[u8]) -> Result<Hash, SourceError> {
        let Some(Redaction { key, .. }) = &block.redaction else { return Ok(Hash::of(bytes)) };
        let hash = self.redactor.as_ref().and_then(|redactor| redactor.hash_by(key, bytes));
        hash.ok_or_else(|| {
            SourceError(format!(
                "block {} was redacted with the key {key}: add it to the file of --redact-key, after \
                 the one that is used now",
                block.seq
            ))
        })
    }
}

impl<S: Source> Source for RedactedSource<S> {
    fn beginning(&mut self) -> Result<Option<Cursor>, SourceError> {
        let Some(cursor) = self.source.beginning()? else { return Ok(None) };
        Ok(Some(Cursor { position: self.show(cursor.position), ..cursor }))
    }

    fn next(&mut self, after: Option<&Cursor>, bytes_max: usize) -> Result<Found, SourceError> {
        let after = self.actual_cursor(after)?;
        Ok(match self.source.next(after.as_ref(), bytes_max)? {
            Found::Lines(lines) => Found::Lines(Lines { start: self.show(lines.start), ..lines }),
            Found::Gap { missing, resume } => {
                let resume = Cursor { position: self.show(resume.position), ..resume };
                Found::Gap { missing: self.show_missing(missing), resume }
            }
            found => found,
        })
    }

    fn find(&mut self, start: &Position, end: u64) -> Result<Held, SourceError> {
        let start = self.actual(start)?;
        self.source.find(&start, end)
    }

    fn waits_after(&mut self, name: &str) -> Result<Option<String>, SourceError> {
        self.source.waits_after(name)
    }

    fn lacks_oldest(&mut self) -> Result<bool, SourceError> {
        self.source.lacks_oldest()
    }

    fn hold(&mut self, block: &Header) -> Result<(), SourceError> {
        self.source.hold(block)
    }

    fn release(&mut self, position: &Position) -> Result<(), SourceError> {
        let position = self.actual(position)?;
        self.source.release(&position)
    }

    fn needed_file(&self) -> Option<String> {
        self.source.needed_file()
    }

    fn births(&mut self) -> Result<Vec<(String, Hash)>, SourceError> {
        let births = self.source.births()?;
        Ok(births.into_iter().map(|(file, birth)| (file, self.shown(birth))).collect())
    }

    /// With another key its birth would not be recognised, as if the file had begun anew.
    fn check_key(&self, block: &Fields) -> Result<(), SourceError> {
        self.local(block, b"").map(|_| ())
    }

    fn shipped(&self, bytes: Vec<u8>) -> Shipped {
        let redactor = self.redactor.as_ref();
        match redactor.and_then(|redactor| Some((redactor, redactor.redaction()?))) {
            None => self.source.shipped(bytes),
            Some((redactor, redaction)) => Shipped {
                local: redactor.hash(&bytes),
                body: redactor.shipped(self.stream, &bytes),
                redaction: Some(redaction),
            },
        }
    }

    fn is_of(&self, block: &Fields, bytes: &[u8]) -> Result<bool, SourceError> {
        if block.lines == 0 {
            return Ok(bytes.is_empty());
        }
        Ok(self.local(block, bytes)? == block.local)
    }

    fn shipped_as(&self, block: &Fields, bytes: Vec<u8>) -> Result<Option<Vec<u8>>, SourceError> {
        if !self.is_of(block, &bytes)? {
            return Ok(None);
        }
        let (Some(redaction), Some(redactor)) = (&block.redaction, &self.redactor) else {
            return Ok(Some(bytes));
        };
        let body = redactor.shipped_by(redaction, self.stream, &bytes).map_err(SourceError)?;
        if Hash::of(&body) != block.body {
            let fault = format!("another version of cdrlog redacted block {}: use it", block.seq);
            return Err(SourceError(fault));
        }
        Ok(Some(body))
    }
}
