//! Says how far an idle chain is complete.

use super::destination::{Answer, Destination, Failure};
use super::notes::NoteStore;
use super::shipper::Shipper;
use super::stop::Stop;
use super::watermark::Watermark;

/// Why there is no new watermark.
#[derive(Debug)]
pub(crate) enum Unmarked {
    Failed(Failure),
    Stop(Stop),
}

impl From<Failure> for Unmarked {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<S: NoteStore> Shipper<S> {
    /// All that the node took before this time, in milliseconds since 1970, is at the destination.
    pub(crate) fn through(&self) -> Option<i64> {
        let last = self.acknowledged()?;
        let marked = self.mark.as_ref().filter(|mark| mark.id == last.id).map(|mark| mark.through);
        last.fields.through.max(marked)
    }

    /// Replaces the watermark, if the last step found nothing to ship and that is news. To be called
    /// once a minute while there is no block.
    ///
    /// Whoever finds that another process has replaced it since stops: it is a copy of this machine
    /// that says how far it is itself.
    pub(crate) fn mark(&mut self, destination: &mut dyn Destination) -> Result<bool, Unmarked> {
        let (Some(through), Some(last)) = (self.idle_through, self.acknowledged()) else {
            return Ok(false);
        };
        let (seq, id) = (last.fields.seq, last.id);
        let in_block = last.fields.through;
        let is_known = |mark: &Watermark| mark.id == id && mark.through >= through;
        if in_block.is_some_and(|known| known >= through)
            || self.mark.as_ref().is_some_and(is_known)
        {
            return Ok(false);
        }
        let mark = Watermark { seq, id, through, writer: self.writer.clone() };
        // The first one of a process does not know what is there.
        for _ in 0..2 {
            match destination.put_watermark(&self.chain, self.mark.as_ref(), &mark) {
                Answer::Appended => {
                    self.mark = Some(mark);
                    self.has_marked = true;
                    return Ok(true);
                }
                Answer::Conflict => {
                    let found = destination.watermark(&self.chain)?;
                    self.check_mark(found.as_ref())?;
                    self.mark = found;
                }
                Answer::Unknown(failure) => {
                    self.mark = None;
                    return Err(failure.into());
                }
            }
        }
        Ok(false)
    }

    /// A mark of before this process, from a destination that went back, is older than ours.
    fn check_mark(&self, found: Option<&Watermark>) -> Result<(), Unmarked> {
        let ours = self.mark.as_ref().filter(|_| self.has_marked);
        match (found, ours) {
            (Some(found), Some(ours))
                if found.writer != self.writer && found.through > ours.through =>
            {
                Err(Unmarked::Stop(Stop::Foreign(format!(
                    "the process {} says how far {} is, too",
                    found.writer, self.chain
                ))))
            }
            _ => Ok(()),
        }
    }
}
