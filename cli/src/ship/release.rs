//! Which files need not be kept any more.
//!
//! A file is given up only after its blocks were acknowledged for long enough, and after a new
//! connection showed each of them: a server whose place another one took goes on acknowledging what
//! is then thrown away, and servers lose blocks in the middle. A block that is missing there is put
//! back, and everything is shown once more.
//!
//! Blocks are shown from the newest to the oldest, some at each step, so that new lines need not
//! wait.

use super::destination::{Answer, Destination, Failure};
use super::header::{Block, Fields, Header};
use super::notes::NoteStore;
use super::shipper::{End, Shipper, Step};
use super::showing::Showing;
use super::source::{Held, Source, is_contiguous};
use super::stop::Stop;

/// How many blocks are shown at one step.
const BLOCKS_MAX: usize = 64;

/// How long to wait, in milliseconds, before old blocks are looked for again that are not noted, or
/// that could not be shown.
const PAUSE: i64 = 3_600_000;

impl<S: NoteStore> Shipper<S> {
    /// Goes on with what is to be given up, if anything is.
    pub(super) fn release(
        &mut self,
        source: &mut dyn Source,
        destination: &mut dyn Destination,
        now: i64,
    ) -> Result<(), End> {
        self.release.has_given_up = false;
        let Some(showing) = self.release.showing.take() else {
            return self.begin_showing(source, destination, now);
        };
        // The destination may have gone back, and gets its blocks again first.
        let is_there = self.acknowledged().is_some_and(|last| last.fields.seq >= showing.seq);
        if !is_there {
            // Other cuts of the same lines may be fewer blocks: then this is begun anew.
            let is_coming = self.acknowledged_headers().len() < self.notes.headers().len();
            self.release.showing = is_coming.then_some(showing);
            return Ok(());
        }
        self.show(showing, source, destination, now)
    }

    fn begin_showing(
        &mut self,
        source: &mut dyn Source,
        destination: &mut dyn Destination,
        now: i64,
    ) -> Result<(), End> {
        let needed = source.needed_file();
        let is_news = |block: &Header| {
            let file = &block.fields.file;
            !file.is_empty() && needed.as_ref().is_none_or(|needed| needed < file)
        };
        let ahead = self.acknowledged().filter(|last| last.fields.cut > now).cloned();
        let seen = self.release.seen_long_ago(ahead, self.rules.keep, now);
        let newest = match seen.filter(is_news) {
            Some(newest) => Some(newest),
            None => self.newest_old(destination, now)?.filter(is_news),
        };
        let Some(newest) = newest else {
            return Ok(());
        };
        destination.reconnect();
        self.look_again();
        let (until, seq) = (newest.end(), newest.fields.seq);
        self.release.showing = Some(Showing { until, seq, last: newest });
        // The new connection is asked for the last block first.
        Err(End::Step(Step::Again))
    }

    /// The newest block that was cut so long ago.
    fn newest_old(
        &mut self,
        destination: &mut dyn Destination,
        now: i64,
    ) -> Result<Option<Header>, End> {
        let limit = now.saturating_sub(self.rules.keep);
        let noted = self.acknowledged_headers();
        let old = noted.partition_point(|header| header.fields.cut <= limit);
        let newest = old.checked_sub(1).and_then(|last| noted.get(last)).cloned();
        let first = noted.first().map_or(1, |header| header.fields.seq);
        // A clock that was set back a year makes no pause of a year.
        let is_pause = (1..=PAUSE).contains(&self.release.not_before.saturating_sub(now));
        if newest.is_some() || first == 1 || is_pause {
            return Ok(newest.filter(|_| !is_pause));
        }
        self.release.not_before = now.saturating_add(PAUSE);
        // `cut` never goes back.
        let (mut low, mut high) = (0, first);
        let mut newest = None;
        while low + 1 < high {
            let seq = low.midpoint(high);
            match destination.header(&self.chain, seq)? {
                Some(header) if header.fields.cut <= limit => {
                    low = seq;
                    newest = Some(header);
                }
                Some(_) => high = seq,
                None => return Ok(None),
            }
        }
        Ok(newest)
    }

    /// Shows some blocks.
    fn show(
        &mut self,
        mut showing: Showing,
        source: &mut dyn Source,
        destination: &mut dyn Destination,
        now: i64,
    ) -> Result<(), End> {
        let needed = source.needed_file();
        let mut blocks = Vec::new();
        let mut is_all = false;
        for _ in 0..BLOCKS_MAX {
            let Fields { file, seq, .. } = &showing.last.fields;
            let was_released = needed.as_ref().is_some_and(|needed| file < needed);
            is_all = was_released || *seq == 1;
            if !was_released && *file < showing.until.file {
                blocks.push(showing.last.clone());
            }
            if is_all {
                break;
            }
            match self.block_before(&showing.last, destination)? {
                Ok(before) => showing.last = before,
                Err(fault) => {
                    self.give_up_showing(&fault, now);
                    return Ok(());
                }
            }
        }
        let lacking = destination.lacks(&self.chain, &blocks)?;
        let mut is_changed = false;
        for block in blocks.into_iter().filter(|block| lacking.contains(&block.fields.seq)) {
            is_changed |= self.put_back(block, source, destination)?;
        }
        if is_changed {
            // All is shown once more, on a new connection.
            return Ok(());
        }
        if !is_all {
            self.release.showing = Some(showing);
            return Ok(());
        }
        // Showing takes a while, in which another server may have taken over.
        destination.reconnect();
        if destination.tail(&self.chain)?.as_ref() == self.acknowledged() {
            source.release(&showing.until)?;
            self.release.has_given_up = true;
        } else {
            self.look_again();
            return Err(End::Step(Step::Again));
        }
        Ok(())
    }

    /// The block before; or why it cannot be shown.
    fn block_before(
        &self,
        block: &Header,
        destination: &mut dyn Destination,
    ) -> Result<Result<Header, String>, Failure> {
        let seq = block.fields.seq - 1;
        let noted = self.notes.headers();
        let first = noted.first().map_or(u64::MAX, |first| first.fields.seq);
        let index = seq.checked_sub(first).and_then(|index| usize::try_from(index).ok());
        let before = match index.and_then(|index| noted.get(index)) {
            Some(noted) => Some(noted.clone()),
            None => destination.header(&self.chain, seq)?,
        };
        Ok(match before {
            None => Err(format!("block {seq} is missing there, and is not noted here any more")),
            Some(before) if !block.follows(Some(&before)) => {
                Err(format!("block {seq} is not the one before the next"))
            }
            Some(before) if !is_contiguous(&before.fields, &block.fields) => {
                Err(format!("block {} begins elsewhere than {seq} ends", seq + 1))
            }
            Some(before) => Ok(before),
        })
    }

    /// Files that cannot be given up are kept, and that is told.
    fn give_up_showing(&mut self, fault: &str, now: i64) {
        self.release.not_before = now.saturating_add(PAUSE);
        self.remarks.push(format!("files of {} are kept: {fault}", self.chain));
    }

    /// False if its lines are gone here too, and that was accepted.
    fn put_back(
        &mut self,
        header: Header,
        source: &mut dyn Source,
        destination: &mut dyn Destination,
    ) -> Result<bool, End> {
        let Fields { seq, lines, .. } = header.fields;
        let body = match source.find_block(&header.fields)? {
            _ if lines == 0 => Some(Vec::new()),
            Held::Bytes(bytes) => source.shipped_as(&header.fields, bytes)?,
            Held::Removed { .. } | Held::Other(_) => None,
        };
        let Some(body) = body else {
            let fault = format!("block {seq} is missing there, and its lines are gone here");
            if !self.rules.accept_gap {
                return Err(Stop::Gap(fault).into());
            }
            self.remarks.push(format!("lines of {} are missing: {fault}", self.chain));
            return Ok(false);
        };
        match destination.fill(&Block { header, body }) {
            Answer::Appended => {
                self.rollbacks += 1;
                self.remarks.push(format!(
                    "the destination had lost block {seq} of {}, and has it again",
                    self.chain
                ));
                Ok(true)
            }
            Answer::Conflict => {
                self.look_again();
                let other = destination.header(&self.chain, seq)?;
                Err(match other {
                    Some(_) => Stop::Foreign(format!("block {seq} there is another one")).into(),
                    None => End::Step(Step::Again),
                })
            }
            Answer::Unknown(failure) => Err(failure.into()),
        }
    }
}
