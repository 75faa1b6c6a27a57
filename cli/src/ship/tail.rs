//! What the destination has, and where the chain goes on.

use super::destination::{AfterRollback, Destination};
use super::header::Missing;
use super::notes::NoteStore;
use super::reconcile::{Tail, judge};
use super::shipper::{End, Shipper, Step};
use super::source::Source;
use super::stop::Stop;

/// So many of the last noted blocks are looked for after a hole.
const LATER_MAX: usize = 16;

impl<S: NoteStore> Shipper<S> {
    /// How many of the noted blocks the destination has, after what it has more was noted too.
    pub(super) fn find_tail(
        &mut self,
        source: &mut dyn Source,
        destination: &mut dyn Destination,
        now: i64,
    ) -> Result<usize, End> {
        let tail = destination.tail(&self.chain)?;
        let tail_seq = tail.as_ref().map_or(0, |tail| tail.fields.seq);
        let tail_file = tail.as_ref().map(|tail| tail.fields.file.clone()).unwrap_or_default();
        let noted = self.notes.headers();
        let (keep, unknown) = match judge(tail, &self.chain, noted, source, destination)? {
            Tail::Noted { count } => (count, Vec::new()),
            Tail::Ours { keep, headers } => (keep, headers),
            Tail::Foreign(fault) => {
                // What is only in the journal may be what was shipped.
                return Err(match source.waits_after(&tail_file)? {
                    Some(reason) => End::Step(Step::Waiting(reason)),
                    None => Stop::Foreign(fault).into(),
                });
            }
            Tail::Retired => return Err(Stop::Retired.into()),
        };
        // The last noted block may never have arrived. All before it did. What is noted stays until it
        // is known whether the destination may get it again.
        let noted = self.notes.headers();
        let arrived = noted.len().checked_sub(2).and_then(|index| noted.get(index));
        let seq_seen = self.seq_seen.max(arrived.map_or(0, |header| header.fields.seq));
        if tail_seq < seq_seen {
            self.went_back(tail_seq, seq_seen, destination)?;
        }
        let count = keep + unknown.len();
        if !unknown.is_empty() {
            self.notes.replace_after(keep, unknown)?;
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
        let resume = source.beginning()?;
        // It is the first block, and nothing is known if it cannot be noted.
        self.acknowledged = Some(0);
        let gap = resume.map(|resume| self.gap_block(missing, resume, now).header);
        self.acknowledged = None;
        Ok(self.notes.replace_after(0, gap.into_iter().collect())?)
    }

    fn went_back(
        &mut self,
        to: u64,
        from: u64,
        destination: &mut dyn Destination,
    ) -> Result<(), End> {
        // Where a later block of ours is, the place is the right one: only the ones between are lost.
        let later = self.notes.headers().iter().rev().take(LATER_MAX);
        let mut has_hole = false;
        for later in later.take_while(|header| header.fields.seq > to) {
            let found = destination.header(&self.chain, later.fields.seq)?;
            has_hole |= found.as_ref() == Some(later);
        }
        let fault = if has_hole {
            format!("block {} of {} is missing, and later ones are not", to + 1, self.chain)
        } else {
            format!("it had {from} blocks of {}, and has {to} now", self.chain)
        };
        let asks = destination.after_rollback() == AfterRollback::Ask && !has_hole;
        if asks && !self.rules.accept_rollback {
            return Err(Stop::WentBack(fault).into());
        }
        self.rollbacks += 1;
        self.remarks.push(format!("the destination lost blocks, and gets them again: {fault}"));
        Ok(())
    }
}
