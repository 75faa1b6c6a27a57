//! `cdrlog_acks`: counts acknowledged events, for a program that polls or waits; and callbacks.

#![expect(unsafe_code, reason = "functions of C")]

use std::ffi::{CString, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::time::Duration;

use cdrlog_core::{Ack, AckError, Durability, Position};

use crate::ack_counts::Counts;
use crate::boundary::{Arguments, boundary, boundary_or};
use crate::callback::{self, Context};
use crate::failure::Failure;
use crate::handle::{handle, handle_of};
use crate::options::CDRLOG_FOREVER;
use crate::outcome::on_outcome;
use crate::panics;
use crate::result::cdrlog_result::{self, *};

/// A level that an event reaches: one of the constants from CDRLOG_JOURNALED to CDRLOG_SYNCED.
pub type cdrlog_durability = u32;
/// Its line is in the journal: it outlives the process, but not a power loss.
pub const CDRLOG_JOURNALED: cdrlog_durability = 0;
/// Its line is in the CDR file: readers see it. It survives the same.
pub const CDRLOG_WRITTEN: cdrlog_durability = 1;
/// Its line is on the disk: it survives a power loss too.
pub const CDRLOG_SYNCED: cdrlog_durability = 2;

/// Counts the events that were sent with cdrlog_send_acked and have reached their level.
///
/// Lifetime: from cdrlog_acks_new to cdrlog_acks_free, which may come at any time: events that are
/// not acknowledged yet are written all the same. It belongs to no appender; producers of several
/// may share it.
/// Threads: any number may use it at the same time.
pub struct cdrlog_acks;

handle!(cdrlog_acks, 4, Arc<Counts>);

/// A callback for one event.
///
/// result is CDRLOG_OK if the event has reached the level: its line is in file, line_bytes long
/// with its line feed, from byte offset on. CDRLOG_REJECTED: the body is not an event, and is kept
/// in the rejects file. Otherwise it did not reach the level, and the line may be in the file all
/// the same. Without CDRLOG_OK, file is NULL, offset and line_bytes are 0, and
/// cdrlog_last_error_message says why. file is valid until the callback returns.
///
/// It is called from a thread of cdrlog, or from the thread that sends before the send returns; no
/// line is written meanwhile, so it should hand on the answer and return. It must not end by
/// longjmp or by an exception. cdrlog_flush, cdrlog_sync, cdrlog_rotate,
/// cdrlog_wait_for_maintenance, cdrlog_acks_wait and a close return CDRLOG_WOULD_DEADLOCK in it, and
/// so does a send that would have to wait.
pub type cdrlog_ack_callback = Option<
    unsafe extern "C" fn(
        context: *mut c_void,
        result: cdrlog_result,
        file: *const c_char,
        offset: u64,
        line_bytes: u64,
    ),
>;

pub(crate) const fn durability(level: cdrlog_durability) -> Result<Durability, Failure> {
    match level {
        CDRLOG_JOURNALED => Ok(Durability::Journaled),
        CDRLOG_WRITTEN => Ok(Durability::Written),
        CDRLOG_SYNCED => Ok(Durability::Synced),
        _ => Err(Failure::fixed(
            CDRLOG_INVALID_ARGUMENT,
            c"level is none of CDRLOG_JOURNALED, CDRLOG_WRITTEN and CDRLOG_SYNCED",
        )),
    }
}

/// Calls the callback when there is an outcome.
pub(crate) fn tell_callback(
    ack: Ack,
    callback: unsafe extern "C" fn(*mut c_void, cdrlog_result, *const c_char, u64, u64),
    context: Context,
) {
    on_outcome(ack, move |outcome: Result<Position, AckError>| {
        let context = &context;
        let (result, file, offset, line_bytes) = match outcome {
            Ok(position) => {
                let file = CString::new(position.file.as_os_str().as_bytes()).unwrap_or_default();
                (CDRLOG_OK, Some(file), position.offset, position.line_bytes)
            }
            Err(error) => (Failure::from(error).record(), None, 0, 0),
        };
        let file = file.as_ref().map_or(std::ptr::null(), |file| file.as_ptr());
        // SAFETY: the embedder gave this function for this context; the file is valid until it
        // returns.
        callback::run(|| unsafe { callback(context.0, result, file, offset, line_bytes) });
    });
}

impl Arguments<'_> {
    pub(crate) fn acks(self, acks: *const cdrlog_acks) -> Result<Arc<Counts>, Failure> {
        self.slot(acks)?.with(|counts| counts.clone())
    }
}

/// A new counter of acknowledgements, stored in *acks; after an error, NULL.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_acks_new(acks: *mut *mut cdrlog_acks) -> cdrlog_result {
    panics::silence();
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            arguments.place(acks, c"acks")?.set(handle_of(Arc::new(Counts::new())));
            Ok(())
        })
    }
}

/// Frees the counter. NULL is allowed. Its eventfd is closed when the last of its events has an
/// outcome: take it out of your event loop first.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_acks_free(acks: *mut cdrlog_acks) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { boundary(|arguments| arguments.end(acks).map(drop)) }
}

/// How many events of this level are acknowledged, without a gap: all whose number is not greater
/// have reached it, or are not events and are kept in the rejects file. It only grows, and stops
/// for good before an event that did not reach the level: cdrlog_acks_failure tells. 0 for a wrong
/// handle and an unknown level too. Never waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_acked(acks: *const cdrlog_acks, level: cdrlog_durability) -> u64 {
    // SAFETY: the pointers are what the header demands.
    unsafe { boundary_or(0, |arguments| Ok(arguments.acks(acks)?.acked(durability(level)?))) }
}

/// How many of the acknowledged ones are not events, and are in the rejects file. 0 for a wrong
/// handle and an unknown level too. Never waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_acks_rejected(
    acks: *const cdrlog_acks,
    level: cdrlog_durability,
) -> u64 {
    // SAFETY: the pointers are what the header demands.
    unsafe { boundary_or(0, |arguments| Ok(arguments.acks(acks)?.rejected(durability(level)?))) }
}

/// Why an event did not reach this level. CDRLOG_OK: none has failed. CDRLOG_IO,
/// CDRLOG_SYNC_FAILED, CDRLOG_CLOSED: the one after those that cdrlog_acked counts has failed, and
/// its line may be in the file all the same; later ones may have reached the level, but are not
/// counted any more.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_acks_failure(
    acks: *const cdrlog_acks,
    level: cdrlog_durability,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let failure = arguments.acks(acks)?.failure(durability(level)?);
            failure.map_or(Ok(()), Err)
        })
    }
}

/// Waits until cdrlog_acked(acks, level) is at least number, for at most timeout_ms milliseconds;
/// CDRLOG_FOREVER has no limit. CDRLOG_TIMED_OUT: it is not. Otherwise what cdrlog_acks_failure
/// returns, because it will never be.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_acks_wait(
    acks: *const cdrlog_acks,
    level: cdrlog_durability,
    number: u64,
    timeout_ms: u64,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            callback::refuse_wait()?;
            let timeout =
                (timeout_ms != CDRLOG_FOREVER).then_some(Duration::from_millis(timeout_ms));
            arguments.acks(acks)?.wait(durability(level)?, number, timeout)
        })
    }
}

/// An eventfd that is readable after an event was acknowledged, or has failed, at any level, since
/// it was last read. Stores it in *fd. Each call gives the same one; it does not block and is
/// closed in a new program (EFD_NONBLOCK, EFD_CLOEXEC). The counter owns it: do not close it.
///
/// CDRLOG_IO: the system gave none.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_acks_eventfd(
    acks: *const cdrlog_acks,
    fd: *mut c_int,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let mut place = arguments.place(fd, c"fd")?;
            place.set(arguments.acks(acks)?.event_fd()?);
            Ok(())
        })
    }
}
