//! The numbers of events, if a sender numbers its events: `sequence`, `sequenceNumber` or `seq`.

use std::collections::{BTreeMap, HashMap};

use memchr::memmem::Finder;

use crate::count::LATENESS_MS;
use crate::count::Source;
use crate::count::line::{Line, Members, number, text};

/// A number that is lower than expected by at least this much, or is 0 or 1, comes from a sender
/// that started again.
const RESTART_MIN: u64 = 100_000;

/// The maximum number of numbers that wait for earlier ones, for each sender; and of senders.
const AHEAD_MAX: usize = 10_000;
const SENDERS_MAX: usize = 10_000;

/// Which sender a number comes from: its directory, and its `nodeId` or `sender` if the event has
/// one.
type Sender = (Source, Box<[u8]>);

/// Numbers that no event has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SequenceGap {
    pub(super) source: Source,
    /// The time of the event after it, in milliseconds since 1970.
    pub(super) at: i64,
    pub(super) first: u64,
    pub(super) last: u64,
}

#[derive(Debug)]
struct Sequence {
    next: u64,
    /// Numbers that came before an earlier one, and when.
    ahead: BTreeMap<u64, i64>,
}

#[derive(Debug)]
pub(super) struct Sequences {
    finder: Finder<'static>,
    senders: HashMap<Sender, Sequence>,
    gaps: Vec<SequenceGap>,
}

impl Default for Sequences {
    fn default() -> Self {
        Self { finder: Finder::new(b"\"seq"), senders: HashMap::new(), gaps: Vec::new() }
    }
}

impl Sequences {
    /// An event has the time `at`.
    pub(super) fn take(&mut self, line: &Line<'_>, source: Source, at: i64) {
        if self.finder.find(line.body).is_none() {
            return;
        }
        let (mut told, mut sender): (_, Box<[u8]>) = (None, Box::default());
        for (key, value) in Members::of_object(line.body) {
            match key.as_ref() {
                b"sequence" | b"sequenceNumber" | b"seq" => told = number(value),
                b"nodeId" | b"sender" => sender = text(value).unwrap_or_default().into(),
                _ => {}
            }
        }
        // Greater numbers are not exact.
        let Some(told) = told.filter(|told| (0.0..9e15).contains(told) && told.fract() == 0.0)
        else {
            return;
        };
        let sender = (source, sender);
        if self.senders.len() < SENDERS_MAX || self.senders.contains_key(&sender) {
            self.hear(sender, told as u64, at);
        }
    }

    fn hear(&mut self, sender: Sender, number: u64, at: i64) {
        let source = sender.0;
        let new = Sequence { next: number, ahead: BTreeMap::new() };
        let sequence = self.senders.entry(sender).or_insert(new);
        if number < sequence.next {
            let is_restart = number <= 1 || sequence.next - number >= RESTART_MIN;
            if is_restart && sequence.next > 2 {
                sequence.close_before(source, i64::MAX, &mut self.gaps);
                sequence.next = number + 1;
            }
            return;
        }
        sequence.ahead.insert(number, at);
        sequence.catch_up();
        if sequence.ahead.len() > AHEAD_MAX {
            sequence.close_before(source, i64::MAX, &mut self.gaps);
        }
    }

    /// Hardly any event before this time is still to come.
    pub(super) fn advance(&mut self, watermark: i64) {
        let end = watermark.saturating_sub(LATENESS_MS);
        for ((source, _), sequence) in &mut self.senders {
            sequence.close_before(*source, end, &mut self.gaps);
        }
    }

    /// The input is over.
    pub(super) fn end(mut self) -> Vec<SequenceGap> {
        self.advance(i64::MAX);
        self.gaps
    }
}

impl Sequence {
    fn catch_up(&mut self) {
        while self.ahead.remove(&self.next).is_some() {
            self.next += 1;
        }
    }

    /// The numbers before those that came before `end` will not come any more.
    fn close_before(&mut self, source: Source, end: i64, gaps: &mut Vec<SequenceGap>) {
        while let Some((&number, &at)) = self.ahead.first_key_value() {
            if at >= end && end != i64::MAX {
                return;
            }
            gaps.push(SequenceGap { source, at, first: self.next, last: number - 1 });
            self.next = number;
            self.catch_up();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::count::line::Parser;

    const MINUTE: i64 = 60_000;

    fn gaps(numbers: &[(u64, i64)]) -> Vec<(u64, u64)> {
        let (mut sequences, mut parser) = (Sequences::default(), Parser::default());
        for (number, minute) in numbers {
            let line = format!(r#"{{"event":{{"seq":{number},"nodeId":"a"}}}}"#);
            sequences.take(&parser.parse(line.as_bytes()).unwrap(), 0, minute * MINUTE);
            sequences.advance(minute * MINUTE);
        }
        sequences.end().iter().map(|gap| (gap.first, gap.last)).collect()
    }

    #[test]
    fn numbers_that_never_come_are_gaps_and_those_that_are_late_are_not() {
        assert_eq!(gaps(&[(5, 0), (6, 0), (7, 1)]), []);
        assert_eq!(gaps(&[(5, 0), (8, 0), (9, 0), (7, 1), (6, 2), (10, 3)]), []);
        assert_eq!(gaps(&[(5, 0), (8, 0), (9, 60), (12, 60)]), [(6, 7), (10, 11)]);
        // Repeated, and long after it was reported missing.
        assert_eq!(gaps(&[(5, 0), (5, 0), (7, 0), (8, 60), (6, 61), (9, 62)]), [(6, 6)]);
    }

    #[test]
    fn a_sender_that_counts_anew_has_lost_nothing() {
        assert_eq!(gaps(&[(5, 0), (6, 0), (1, 1), (2, 1), (3, 1)]), []);
        assert_eq!(gaps(&[(5, 0), (8, 0), (0, 1), (1, 1), (3, 1)]), [(6, 7), (2, 2)]);
    }
}
