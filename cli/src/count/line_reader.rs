//! Reads what a line says. That needs no other line, so it is done in several threads (`ahead.rs`).

use cdrlog::LineFault;

use super::detail::Detail;
use super::event::Says;
use super::event_reader;
use super::line::{Line, Parser};
use super::seen::{Fingerprint, Fingerprinter};

/// How much of a line is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Depth {
    /// What is counted.
    Counts,
    /// The same, and what belongs into the records of sessions.
    Records,
    /// What is counted, and what an audit follows.
    Audit,
}

/// What a line says, without the line.
#[derive(Debug)]
pub(crate) struct ReadEvent {
    /// Its time, in milliseconds since 1970; `None` if it does not say.
    pub(crate) at: Option<i64>,
    /// What identifies it; `None` if it has no time.
    pub(super) fingerprint: Option<Fingerprint>,
    pub(crate) says: Says<'static>,
    pub(super) detail: Option<Box<Detail<'static>>>,
}

/// Reads lines, one after the other. Clones do the same.
#[derive(Clone, Debug)]
pub(crate) struct LineReader {
    depth: Depth,
    parser: Parser,
    fingerprinter: Fingerprinter,
}

impl LineReader {
    pub(super) fn new(depth: Depth, fingerprinter: Fingerprinter) -> Self {
        Self { depth, parser: Parser::default(), fingerprinter }
    }

    /// Reads a line, with or without its line feed.
    ///
    /// # Errors
    ///
    /// Why it is not the line of an event.
    pub(crate) fn read(&mut self, line: &[u8]) -> Result<ReadEvent, LineFault> {
        let line = self.parser.parse(line)?;
        Ok(read(&line, self.depth, &self.fingerprinter))
    }

    /// The same of a line that was parsed.
    #[cfg(feature = "serve")]
    pub(crate) fn read_parsed(&self, line: &Line<'_>) -> ReadEvent {
        read(line, self.depth, &self.fingerprinter)
    }
}

fn read(line: &Line<'_>, depth: Depth, fingerprinter: &Fingerprinter) -> ReadEvent {
    let (event, detail) = match depth {
        Depth::Counts => (event_reader::read(line), None),
        Depth::Records => event_reader::read_with_detail(line),
        Depth::Audit => (event_reader::read_all(line), None),
    };
    ReadEvent {
        at: event.at,
        fingerprint: fingerprinter.of(line, &event),
        says: event.says.into_owned(),
        detail: detail.map(|detail| Box::new(detail.into_owned())),
    }
}
