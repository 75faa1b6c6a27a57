//! `cdrlog_recovery`: what an open repaired, or would repair.

#![expect(unsafe_code, reason = "functions of C")]

use std::ffi::{CStr, CString, c_char};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use cdrlog_core::{Builder, OpenError, Recovery};

use crate::appender::cdrlog_appender;
use crate::boundary::{boundary, boundary_or};
use crate::failure::{Failure, c_string};
use crate::handle::{handle, handle_of};
use crate::options::cdrlog_options;
use crate::result::cdrlog_result::{self, *};

/// What an open repaired after a process that did not close, or would repair.
///
/// Lifetime: until cdrlog_recovery_free, and so the strings that it gives.
/// Threads: any number may read it at the same time.
pub struct cdrlog_recovery;

pub(crate) struct Report {
    recovery: Recovery,
    message: CString,
    files: Vec<CString>,
    torn_files: Vec<CString>,
    changed_by_others: Vec<CString>,
    unusable_inboxes: Vec<CString>,
    unclaimed_inboxes: Vec<CString>,
}

handle!(cdrlog_recovery, 5, Arc<Report>);

/// A number of a recovery: one of the CDRLOG_RECOVERY constants.
pub type cdrlog_recovery_number = u32;
/// Bytes of lines that the last process had accepted or journaled, and that were appended.
pub const CDRLOG_RECOVERY_LINES_BYTES: cdrlog_recovery_number = 0;
/// The same of records of rejected bodies.
pub const CDRLOG_RECOVERY_REJECTS_BYTES: cdrlog_recovery_number = 1;
/// Events that came from the inbox; their lines are part of the bytes.
pub const CDRLOG_RECOVERY_INBOX_EVENTS: cdrlog_recovery_number = 2;
/// Bytes that are not whole lines and were set aside.
pub const CDRLOG_RECOVERY_TORN_BYTES: cdrlog_recovery_number = 3;
/// 1 if the machine went down, 0 if only the process ended.
pub const CDRLOG_RECOVERY_POWER_LOSS: cdrlog_recovery_number = 4;

/// Paths of a recovery: one of the CDRLOG_RECOVERY constants that end in FILES, OTHERS or INBOXES.
pub type cdrlog_recovery_paths = u32;
/// The files that lines and records were appended to.
pub const CDRLOG_RECOVERY_FILES: cdrlog_recovery_paths = 0;
/// The files that keep the bytes that are not whole lines.
pub const CDRLOG_RECOVERY_TORN_FILES: cdrlog_recovery_paths = 1;
/// Files that another program had changed, so that their length says nothing.
pub const CDRLOG_RECOVERY_CHANGED_BY_OTHERS: cdrlog_recovery_paths = 2;
/// The inbox of the last process, if nothing could be recovered from it: accepted events may be
/// lost. cdrlog_recovery_message says why. At most one.
pub const CDRLOG_RECOVERY_UNUSABLE_INBOXES: cdrlog_recovery_paths = 3;
/// Inboxes of this directory that no open will use, for a person to decide. Only
/// cdrlog_plan_recovery and cdrlog_recover look for them.
pub const CDRLOG_RECOVERY_UNCLAIMED_INBOXES: cdrlog_recovery_paths = 4;

impl Report {
    fn new(recovery: Recovery) -> Arc<Self> {
        let message = if recovery.is_nothing() { CString::default() } else { c_string(&recovery) };
        Arc::new(Self {
            files: strings(&recovery.files),
            torn_files: strings(&recovery.torn_files),
            changed_by_others: strings(&recovery.changed_by_others),
            unusable_inboxes: strings(recovery.unusable_inbox.iter().map(|(path, _)| path)),
            unclaimed_inboxes: strings(&recovery.unclaimed_inboxes),
            recovery,
            message,
        })
    }

    fn number(&self, number: cdrlog_recovery_number) -> Result<u64, Failure> {
        Ok(match number {
            CDRLOG_RECOVERY_LINES_BYTES => self.recovery.lines_bytes,
            CDRLOG_RECOVERY_REJECTS_BYTES => self.recovery.rejects_bytes,
            CDRLOG_RECOVERY_INBOX_EVENTS => self.recovery.inbox_events,
            CDRLOG_RECOVERY_TORN_BYTES => self.recovery.torn_bytes,
            CDRLOG_RECOVERY_POWER_LOSS => u64::from(self.recovery.power_loss),
            _ => return Err(invalid(c"number is none of the CDRLOG_RECOVERY constants")),
        })
    }

    fn paths(&self, paths: cdrlog_recovery_paths) -> Result<&[CString], Failure> {
        Ok(match paths {
            CDRLOG_RECOVERY_FILES => &self.files,
            CDRLOG_RECOVERY_TORN_FILES => &self.torn_files,
            CDRLOG_RECOVERY_CHANGED_BY_OTHERS => &self.changed_by_others,
            CDRLOG_RECOVERY_UNUSABLE_INBOXES => &self.unusable_inboxes,
            CDRLOG_RECOVERY_UNCLAIMED_INBOXES => &self.unclaimed_inboxes,
            _ => return Err(invalid(c"paths is none of the CDRLOG_RECOVERY constants")),
        })
    }
}

fn strings<'path>(paths: impl IntoIterator<Item = &'path PathBuf>) -> Vec<CString> {
    let string = |path: &PathBuf| CString::new(path.as_os_str().as_bytes()).unwrap_or_default();
    paths.into_iter().map(string).collect()
}

const fn invalid(message: &'static CStr) -> Failure {
    Failure::fixed(CDRLOG_INVALID_ARGUMENT, message)
}

/// What cdrlog_open repaired. Stores the report in *recovery; free it with cdrlog_recovery_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_recovery_of(
    appender: *const cdrlog_appender,
    recovery: *mut *mut cdrlog_recovery,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let mut place = arguments.place(recovery, c"recovery")?;
            place.set(std::ptr::null_mut());
            let opened = arguments.opened(appender)?;
            place.set(handle_of(Report::new(opened.appender().recovery().clone())));
            Ok(())
        })
    }
}

/// What cdrlog_open with these options would repair; nothing is changed. Stores the report in
/// *recovery; free it with cdrlog_recovery_free. The errors of cdrlog_open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_plan_recovery(
    options: *const cdrlog_options,
    recovery: *mut *mut cdrlog_recovery,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { store_recovery(options, Builder::plan_recovery, recovery) }
}

/// Repairs what cdrlog_open with these options would, and nothing else: it creates no journal and
/// no CDR file. Stores the report in *recovery; free it with cdrlog_recovery_free. The errors of
/// cdrlog_open.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_recover(
    options: *const cdrlog_options,
    recovery: *mut *mut cdrlog_recovery,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { store_recovery(options, Builder::recover, recovery) }
}

/// # Safety
///
/// The promise of [`Arguments`](crate::boundary::Arguments).
unsafe fn store_recovery(
    options: *const cdrlog_options,
    run: impl FnOnce(&Builder) -> Result<Recovery, OpenError>,
    recovery: *mut *mut cdrlog_recovery,
) -> cdrlog_result {
    // SAFETY: the promise of the caller.
    unsafe {
        boundary(|arguments| {
            let mut place = arguments.place(recovery, c"recovery")?;
            place.set(std::ptr::null_mut());
            let builder = arguments.slot(options)?.with(|builder| builder.clone())?;
            place.set(handle_of(Report::new(run(&builder)?)));
            Ok(())
        })
    }
}

/// Whether there was nothing to repair. False for a wrong handle.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_recovery_is_nothing(recovery: *const cdrlog_recovery) -> bool {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary_or(false, |arguments| {
            arguments.slot(recovery)?.with(|report| report.recovery.is_nothing())
        })
    }
}

/// One of the numbers. 0 for a wrong handle and for an unknown number.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_recovery_value(
    recovery: *const cdrlog_recovery,
    number: cdrlog_recovery_number,
) -> u64 {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary_or(0, |arguments| {
            arguments.slot(recovery)?.with(|report| report.number(number))?
        })
    }
}

/// How many paths there are of a kind. 0 for a wrong handle and for an unknown kind.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_recovery_path_count(
    recovery: *const cdrlog_recovery,
    paths: cdrlog_recovery_paths,
) -> usize {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary_or(0, |arguments| {
            arguments.slot(recovery)?.with(|report| report.paths(paths).map(<[_]>::len))?
        })
    }
}

/// One of these paths; index is from 0 to the count. NULL if there is none. It stays valid until
/// the report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_recovery_path(
    recovery: *const cdrlog_recovery,
    paths: cdrlog_recovery_paths,
    index: usize,
) -> *const c_char {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary_or(std::ptr::null(), |arguments| {
            arguments.slot(recovery)?.with(|report| {
                let path = report.paths(paths)?.get(index);
                path.map(|path| path.as_ptr())
                    .ok_or(invalid(c"index is not less than the number of paths"))
            })?
        })
    }
}

/// All of it as one sentence in UTF-8 for the log; empty if there was nothing to repair, NULL for a
/// wrong handle. It stays valid until the report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_recovery_message(
    recovery: *const cdrlog_recovery,
) -> *const c_char {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary_or(std::ptr::null(), |arguments| {
            arguments.slot(recovery)?.with(|report| report.message.as_ptr())
        })
    }
}

/// Frees the report. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_recovery_free(recovery: *mut cdrlog_recovery) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { boundary(|arguments| arguments.end(recovery).map(drop)) }
}
