//! `cdrlog_appender`: open, flush, sync, rotate, close.

#![expect(unsafe_code, reason = "functions of C")]

use std::ffi::c_char;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use cdrlog_core::Appender;

use crate::boundary::{Arguments, boundary, store_text};
use crate::callback;
use crate::close_report::{Ending, cdrlog_close_report};
use crate::failure::Failure;
use crate::handle::{handle, handle_of};
use crate::options::cdrlog_options;
use crate::panics;
use crate::result::cdrlog_result;
use crate::signals;

/// An open directory: appends events to its CDR files. Events come in through producers.
///
/// Lifetime: from cdrlog_open to cdrlog_close or cdrlog_close_with_report. A call with a closed
/// appender returns CDRLOG_INVALID_HANDLE. Its producers may outlive it, and must still be freed.
/// Threads: any number may use it at the same time. A close waits for calls that are running.
/// Fork: a child has none of its threads. Every call in the child returns CDRLOG_CLOSED, and
/// touches nothing of the parent's.
pub struct cdrlog_appender;

/// An appender, and the process that opened it.
pub(crate) struct Opened {
    appender: Appender,
    process_id: u32,
}

handle!(cdrlog_appender, 2, Arc<Opened>);

/// How often a close looks whether the last other call has ended.
const CLOSE_POLL: Duration = Duration::from_millis(1);

impl Opened {
    pub(crate) fn new(appender: Appender) -> Arc<Self> {
        Arc::new(Self { appender, process_id: std::process::id() })
    }

    pub(crate) const fn appender(&self) -> &Appender {
        &self.appender
    }

    /// For calls that wait for its threads, and must not run on one of them.
    fn to_wait_for(&self) -> Result<&Appender, Failure> {
        callback::refuse_wait()?;
        Ok(&self.appender)
    }

    /// The appender, when no other call uses it any more.
    fn into_appender(mut self: Arc<Self>) -> Appender {
        loop {
            match Arc::try_unwrap(self) {
                Ok(opened) => return opened.appender,
                Err(used) => self = used,
            }
            std::thread::sleep(CLOSE_POLL);
        }
    }
}

impl Arguments<'_> {
    /// The appender of a handle, which stays open as long as the result lives. A forked child gets
    /// none: it has no threads for it, and locks may be held for ever in its copy.
    pub(crate) fn opened(self, appender: *const cdrlog_appender) -> Result<Arc<Opened>, Failure> {
        let opened = self.slot(appender)?.with(|opened| opened.clone())?;
        if opened.process_id == std::process::id() { Ok(opened) } else { Err(Failure::closed()) }
    }

    /// Ends the handle of an appender, and gives the appender to be closed.
    fn end_appender(self, appender: *mut cdrlog_appender) -> Result<Appender, Failure> {
        // Before the handle ends: after a refusal it is still there.
        self.opened(appender.cast_const())?.to_wait_for()?;
        let opened = self.end(appender)?.ok_or_else(Failure::closed)?;
        Ok(opened.into_appender())
    }
}

/// Opens the directory: creates it if it does not exist, locks it, writes what an earlier process
/// left in the journal and the inbox, and starts three threads, which block all signals that can be
/// blocked. The options may be freed then.
///
/// Stores the appender in *appender; after an error, NULL. CDRLOG_INVALID_ARGUMENT: an option is
/// out of its range. CDRLOG_LOCKED, CDRLOG_DAMAGED, CDRLOG_IO: nothing was changed, except that
/// directories may have been created.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_open(
    options: *const cdrlog_options,
    appender: *mut *mut cdrlog_appender,
) -> cdrlog_result {
    panics::silence();
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let mut place = arguments.place(appender, c"appender")?;
            place.set(std::ptr::null_mut());
            let builder = arguments.slot(options)?.with(|builder| builder.clone())?;
            let appender = signals::blocked(|| builder.open())?;
            place.set(handle_of(Opened::new(appender)));
            Ok(())
        })
    }
}

/// Waits until everything sent before this call is written: in the files, visible to readers.
///
/// CDRLOG_IO: a write failed meanwhile; it is retried, and a later call may succeed. CDRLOG_CLOSED:
/// the appender gave up.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_flush(appender: *const cdrlog_appender) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { boundary(|arguments| Ok(arguments.opened(appender)?.to_wait_for()?.flush()?)) }
}

/// Waits until everything sent before this call is synced: it survives a power loss.
///
/// The errors of cdrlog_flush, and CDRLOG_SYNC_FAILED once any sync has failed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_sync(appender: *const cdrlog_appender) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { boundary(|arguments| Ok(arguments.opened(appender)?.to_wait_for()?.sync()?)) }
}

/// Starts a new CDR file and a new rejects file, after everything sent before this call. The files
/// before are complete. A file that holds nothing yet is kept.
///
/// The errors of cdrlog_sync; after CDRLOG_SYNC_FAILED the new files are started all the same.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_rotate(appender: *const cdrlog_appender) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { boundary(|arguments| Ok(arguments.opened(appender)?.to_wait_for()?.rotate()?)) }
}

/// Waits until all due work on sealed files is done: they are listed in the manifest, compressed,
/// and the oldest removed. It is done without this call too. It may take minutes, and a close waits
/// for it then.
///
/// CDRLOG_IO, CDRLOG_SYNC_FAILED, CDRLOG_SEALED_FILE: the first failure; the work on all other
/// files is done.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_wait_for_maintenance(
    appender: *const cdrlog_appender,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            Ok(arguments.opened(appender)?.to_wait_for()?.wait_for_maintenance()?)
        })
    }
}

/// Whether writes fail now. CDRLOG_OK: they do not. CDRLOG_IO: a write failed, is being retried,
/// and the message says which. Never waits.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_write_failure(appender: *const cdrlog_appender) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| match arguments.opened(appender)?.appender().write_failure() {
            Some(failure) => Err(failure.into()),
            None => Ok(()),
        })
    }
}

/// The path of the CDR file that lines are being written to, as a string that ends with NUL.
///
/// Stores its length without the NUL in *path_bytes, if that is not NULL. CDRLOG_BUFFER_TOO_SMALL:
/// path has fewer than *path_bytes + 1 bytes, and nothing else was stored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_cdr_path(
    appender: *const cdrlog_appender,
    path: *mut c_char,
    path_capacity_bytes: usize,
    path_bytes: *mut usize,
) -> cdrlog_result {
    let find = |appender: &Appender| appender.cdr_path();
    // SAFETY: the pointers are what the header demands.
    unsafe { store_path(appender, find, path, path_capacity_bytes, path_bytes) }
}

/// The path of the rejects file that was written to last, or will be first: it is created when the
/// first body is rejected. The arguments are those of cdrlog_cdr_path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_rejects_path(
    appender: *const cdrlog_appender,
    path: *mut c_char,
    path_capacity_bytes: usize,
    path_bytes: *mut usize,
) -> cdrlog_result {
    let find = |appender: &Appender| appender.rejects_path();
    // SAFETY: the pointers are what the header demands.
    unsafe { store_path(appender, find, path, path_capacity_bytes, path_bytes) }
}

/// The path of the inbox; empty if there is none, and accepted events do not outlive the process.
/// The arguments are those of cdrlog_cdr_path.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_inbox_path(
    appender: *const cdrlog_appender,
    path: *mut c_char,
    path_capacity_bytes: usize,
    path_bytes: *mut usize,
) -> cdrlog_result {
    let find = |appender: &Appender| appender.inbox_path().map(PathBuf::from).unwrap_or_default();
    // SAFETY: the pointers are what the header demands.
    unsafe { store_path(appender, find, path, path_capacity_bytes, path_bytes) }
}

/// # Safety
///
/// The promise of [`Arguments`].
unsafe fn store_path(
    appender: *const cdrlog_appender,
    find: impl FnOnce(&Appender) -> PathBuf,
    path: *mut c_char,
    path_capacity_bytes: usize,
    path_bytes: *mut usize,
) -> cdrlog_result {
    // SAFETY: the promise of the caller.
    unsafe {
        boundary(|arguments| {
            let buffer = arguments.buffer(path.cast(), path_capacity_bytes, c"path")?;
            let found = find(arguments.opened(appender)?.appender());
            let length = arguments.place_if_any(path_bytes);
            store_text(found.as_os_str().as_bytes(), buffer, length)
        })
    }
}

/// The number of CDR and rejects files that were in the directory at the open and that cdrlog did
/// not create there. Stores it in *files.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_foreign_files(
    appender: *const cdrlog_appender,
    files: *mut usize,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let mut place = arguments.place(files, c"files")?;
            place.set(arguments.opened(appender)?.appender().foreign_files());
            Ok(())
        })
    }
}

/// Accepts nothing more, writes and (unless the policy is CDRLOG_SYNC_NEVER) syncs everything that
/// was accepted, ends the threads, and ends the handle, whatever it returns; only after
/// CDRLOG_WOULD_DEADLOCK, CDRLOG_INVALID_HANDLE and CDRLOG_CLOSED nothing has happened. NULL is
/// allowed, and does nothing.
///
/// CDRLOG_IO, CDRLOG_SYNC_FAILED, CDRLOG_PANIC: not everything was written or synced. What was
/// accepted stays in the journal and in the inbox, and the next open of the directory writes it.
/// cdrlog_close_with_report tells what is lost without an inbox.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_close(appender: *mut cdrlog_appender) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            if appender.is_null() {
                return Ok(());
            }
            match arguments.end_appender(appender)?.close_keeping() {
                Ok(_stats) => Ok(()),
                Err(error) => Err(Failure::from(&error)),
            }
        })
    }
}

/// Closes like cdrlog_close, and reports the counters and the events that were accepted and could
/// not be journaled. With keep, such events stay in the inbox as cdrlog_close leaves them, and only
/// those without a place in it are reported; otherwise all are reported and none is kept, so that
/// the caller can send them elsewhere.
///
/// Stores the report in *report whenever the appender was closed, with an error too; otherwise
/// NULL. Free it with cdrlog_close_report_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_close_with_report(
    appender: *mut cdrlog_appender,
    keep: bool,
    report: *mut *mut cdrlog_close_report,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let mut place = arguments.place(report, c"report")?;
            place.set(std::ptr::null_mut());
            let appender = arguments.end_appender(appender)?;
            let closed = if keep { appender.close_keeping() } else { appender.close() };
            let failure = closed.as_ref().err().map(Failure::from);
            place.set(handle_of(Arc::new(Ending::new(closed))));
            failure.map_or(Ok(()), Err)
        })
    }
}
