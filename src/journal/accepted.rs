//! Events that a killed process had accepted and not journaled. They follow the last commit of both
//! streams as if they had been committed.
//!
//! The same rewriter makes the same lines of them at every attempt, so the length of the files
//! tells how far a recovery got that was killed itself.

use std::time::{SystemTime, UNIX_EPOCH};

use super::remainder::Remainder;
use crate::inbox::{LeftInbox, Place};
use crate::rewrite::{RejectRecord, Rejection, Rewriter};
use crate::storage::DiskResult;

/// How much of the event that was being journaled is in the journal.
enum Journaled {
    Nothing,
    All,
    /// The first parts of its reject record: this is the rest.
    UpTo(Vec<u8>),
}

/// Adds the events of `inbox` to the ends of both streams; returns how many there are.
pub(super) fn add(
    inbox: &LeftInbox,
    lines: &mut Remainder,
    rejects: &mut Remainder,
) -> DiskResult<u64> {
    let events = inbox.events()?;
    if events.is_empty() {
        return Ok(0);
    }
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let at_ms = u128::from(inbox.recovery_time_ms(now.as_millis() as u64)?);
    let rewriter = Rewriter::with_event_bytes_max(inbox.event_bytes_max());
    let (mut accepted_lines, mut accepted_rejects) = (Vec::new(), Vec::new());
    let mut rest = None;
    let mut count = 0;
    for event in events {
        let body = inbox.body(&event)?;
        let line_begin = accepted_lines.len();
        let rejection = rewriter.rewrite(&body, &mut accepted_lines).err();
        if let Some(slot) = inbox.slot().filter(|slot| slot.ticket == event.ticket) {
            let record = |rejection| record(&body, rejection, slot.at_ms.into());
            let journaled = if slot.place.is_reject {
                journaled_reject(rejects, slot.place, rejection.map(record))?
            } else if lines.end() > slot.place.start {
                Journaled::All
            } else {
                Journaled::Nothing
            };
            match journaled {
                Journaled::Nothing => {}
                Journaled::All => {
                    accepted_lines.truncate(line_begin);
                    continue;
                }
                Journaled::UpTo(bytes) => {
                    count += 1;
                    rest = Some(bytes);
                    continue;
                }
            }
        }
        count += 1;
        if let Some(rejection) = rejection {
            accepted_rejects.extend(record(&body, rejection, at_ms));
        }
    }
    lines.add_accepted(None, &accepted_lines)?;
    rejects.add_accepted(rest, &accepted_rejects)?;
    Ok(count)
}

fn record(body: &[u8], rejection: Rejection, at_ms: u128) -> Vec<u8> {
    RejectRecord::new(body, rejection, at_ms).flatten().collect()
}

/// The record that was being journaled, if its body is still not an event.
fn journaled_reject(
    rejects: &Remainder,
    place: Place,
    record: Option<Vec<u8>>,
) -> DiskResult<Journaled> {
    let Some(journaled) = rejects.end().checked_sub(place.start).filter(|&bytes| bytes > 0) else {
        return Ok(Journaled::Nothing);
    };
    match record.and_then(|record| Some((record.get(journaled as usize..)?.to_vec(), record))) {
        Some((rest, record)) if rejects.agrees_with(place.start, &record)? => {
            Ok(if rest.is_empty() { Journaled::All } else { Journaled::UpTo(rest) })
        }
        // Another version of cdrlog wrote it, with other words. A whole record is left alone; one
        // that was cut is closed, and written again.
        _ if rejects.ends_in_record()? => Ok(Journaled::Nothing),
        _ => Ok(Journaled::All),
    }
}
