//! What the next opening does after a process that did not close.
//!
//! The process was killed, the kernel lives on: every store of the process is in the page cache, so
//! the segments hold exactly what was committed, and the length of the file says how much of it was
//! written. The rest is appended, once both streams were found to be what they should be
//! (`killed.rs`, `remainder.rs`).
//!
//! The kernel died too (another boot id): pages may be missing or stale. What the last sync covered
//! is whole; after it, the file is kept up to the first line that is not whole, and what follows
//! goes to a `.torn` file. Of the journal, only what its frames vouch for is appended
//! (`power_loss.rs`).
//!
//! Everything is read by `pread`: a bad sector is then an error and not a SIGBUS. Recovery may be
//! killed at any point and started again: before the file grows by anything that its length does
//! not explain, the anchor is moved.

mod killed;
mod power_loss;
mod report;
mod session;

use std::path::Path;

pub use self::report::Recovery;
use self::session::{Session, other_opening, remove_empty_inbox};
use super::control::{Control, ControlState};
use super::remainder::Remainder;
use super::state_dir::{JournalError, StateDir};
use super::{Stream, accepted};
use crate::file::FileStamp;
use crate::pins::Pins;
use crate::system::boot_id;

/// Finishes what the last process left in the journal of `directory`. A file that is missing is
/// made again with the names of `stamp`.
pub(crate) fn recover(
    directory: &Path,
    state_dir: &StateDir,
    stamp: FileStamp,
) -> Result<Recovery, JournalError> {
    let mut recovery = Recovery::default();
    let Some((file, state)) = state_dir.control()? else {
        return refuse_orphans(state_dir).map(|()| recovery);
    };
    if state.clean {
        refuse_later_segments(state_dir, &state)?;
        remove_empty_inbox(state_dir, &state)?;
        return Ok(recovery);
    }
    recovery.power_loss = state.boot_id != boot_id();
    state_dir.check_segments(&state)?;
    let control = Control::map_again(file, &state)?;
    let pins = Pins::read(state_dir.disk(), directory)?;
    let mut session =
        Session { directory, state_dir, stamp, state: &state, control, pins, recovery };
    // All is looked at before anything is changed.
    let [lines, rejects] = Stream::ALL.map(|stream| session.segments(stream));
    let (lines, rejects) = (lines?, rejects?);
    if session.recovery.power_loss {
        session.finish_after_power_loss(Stream::Lines, &lines)?;
        session.finish_after_power_loss(Stream::Rejects, &rejects)?;
        session.control.set_clean();
    } else {
        let mut lines = Remainder::new(Stream::Lines, lines)?;
        let mut rejects = Remainder::new(Stream::Rejects, rejects)?;
        let inbox = session.find_inbox()?;
        if let Some(inbox) = &inbox {
            session.recovery.inbox_events = accepted::add(inbox, &mut lines, &mut rejects)?;
        }
        let lines = session.plan(lines)?;
        let rejects = session.plan(rejects)?;
        session.finish(lines)?;
        session.finish(rejects)?;
        // First this: an inbox beside a clean control file holds nothing that is missing. Where there
        // may be events in one that cannot be used now, whoever comes next looks again.
        if session.recovery.unusable_inbox.is_none() {
            session.control.set_clean();
        }
        if let Some(inbox) = inbox {
            inbox.remove()?;
        }
    }
    Ok(session.recovery)
}

/// Refuses segments that hold something where no control file says where it belongs: they are not
/// ours to remove.
fn refuse_orphans(state_dir: &StateDir) -> Result<(), JournalError> {
    for stream in Stream::ALL {
        if let Some((file, _)) = state_dir.segments(stream)?.into_iter().next() {
            let path = file.path().to_owned();
            let fault = "it holds lines, but the control file beside it is missing".to_owned();
            return Err(JournalError::Damaged { path, fault });
        }
    }
    Ok(())
}

/// Refuses segments of a later opening than that of the control file, which says that nothing is left
/// to do: somebody replaced their control file by an earlier one.
fn refuse_later_segments(state_dir: &StateDir, state: &ControlState) -> Result<(), JournalError> {
    for stream in Stream::ALL {
        let segments = state_dir.segments(stream)?;
        if let Some((file, _)) = segments.iter().find(|(_, header)| header.epoch > state.epoch) {
            return Err(other_opening(file));
        }
    }
    Ok(())
}
