//! The lines of a shipped record.

use std::thread;
use std::time::{Duration, Instant};

use cdrlog::reader::{FileKind, Line};

use super::{Filter, LOOK_INTERVAL, LineSource, Stop, Wanted};
use crate::outcome::{Outcome, say};
use crate::ship::{Failure, Stream, Target};
use crate::shipped::{Merged, Selection, Shipped, begin_of_last_lines};

/// How often the record is looked at for new blocks; more rarely if there are many nodes, because
/// each means a request.
const POLL_INTERVAL: Duration = Duration::from_secs(2);
const POLL_INTERVAL_OF_NODE: Duration = Duration::from_millis(20);

pub(super) struct RecordSource<'a> {
    merged: Merged,
    filter: &'a Filter,
    /// How complete the record is, a sentence each.
    told: Vec<String>,
    /// Only these nodes.
    nodes: Vec<String>,
    /// How many lines that match come before the wanted ones.
    before: u64,
    looked: Instant,
    /// Why the last look failed.
    failure: Option<String>,
    is_incomplete: bool,
}

impl<'a> RecordSource<'a> {
    pub(super) fn open(
        target: &Target,
        selection: &Selection,
        wanted: &'a Wanted,
    ) -> Result<Self, Failure> {
        let stream = match wanted.kind {
            FileKind::Cdr => Stream::Lines,
            FileKind::Rejects => Stream::Rejects,
        };
        let looked = Instant::now();
        let Shipped { blocks, completeness } = Shipped::open(target, stream, selection)?;
        let filter = &wanted.filter;
        let (merged, before) = match wanted.count {
            Some(count) => begin_of_last_lines(blocks, stream, count, |line| filter.matches(line))?,
            None => (Merged::new(blocks, stream)?, 0),
        };
        Ok(Self {
            merged,
            filter,
            told: completeness.sentences(),
            nodes: selection.nodes.clone(),
            before,
            looked,
            failure: None,
            is_incomplete: false,
        })
    }

    fn say_remarks(&mut self) {
        for remark in self.merged.take_remarks() {
            self.is_incomplete |= remark.is_fault;
            say(remark.text);
        }
    }
}

impl LineSource for RecordSource<'_> {
    fn next_line(&mut self) -> Result<Option<Line<'_>>, Stop> {
        while self.before > 0 {
            match self.merged.next_line()? {
                Some(next) => self.before -= u64::from(self.filter.matches(next.line.bytes())),
                None => break,
            }
        }
        self.say_remarks();
        Ok(self.merged.next_line()?.map(|next| next.line))
    }

    /// A record that cannot be asked now is asked again.
    fn wait(&mut self) -> Result<(), Stop> {
        self.say_remarks();
        thread::sleep(LOOK_INTERVAL);
        let chains = u32::try_from(self.merged.blocks.reaches().len()).unwrap_or(u32::MAX);
        let interval = POLL_INTERVAL.max(POLL_INTERVAL_OF_NODE.saturating_mul(chains));
        if self.looked.elapsed() < interval {
            return Ok(());
        }
        self.looked = Instant::now();
        let failure = self.merged.look_again(&self.nodes).err().map(|failure| failure.to_string());
        if let Some(failure) = failure.as_ref().filter(|it| self.failure.as_ref() != Some(it)) {
            say(format_args!("{failure}; trying again"));
        }
        self.failure = failure;
        Ok(())
    }

    fn goes_on_after(&mut self, _: &Stop) -> bool {
        false
    }

    fn tell(&mut self) -> Outcome {
        self.say_remarks();
        self.told.iter().for_each(say);
        if self.is_incomplete { Outcome::Failed } else { Outcome::Done }
    }
}
