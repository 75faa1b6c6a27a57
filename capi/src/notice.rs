//! Notices: what an operator should know, as a kind and a sentence.

use std::ffi::{c_char, c_void};

use cdrlog_core::Notice;

use crate::callback::{self, Context};
use crate::failure::c_string;

/// What a notice is about: one of the CDRLOG_NOTICE constants. A later version may have more.
pub type cdrlog_notice = u32;
/// Something that has no constant yet. The message says what.
pub const CDRLOG_NOTICE_OTHER: cdrlog_notice = 0;
/// A write failed, usually because the disk is full. Nothing is lost; it is retried.
pub const CDRLOG_NOTICE_WRITES_FAIL: cdrlog_notice = 1;
/// Writes succeed again.
pub const CDRLOG_NOTICE_WRITES_GO_ON: cdrlog_notice = 2;
/// A sync failed. Nothing will be synced any more.
pub const CDRLOG_NOTICE_SYNC_FAILED: cdrlog_notice = 3;
/// Another program changed, moved or removed a file. Lines continue in the file of this name.
pub const CDRLOG_NOTICE_CHANGED_BY_OTHERS: cdrlog_notice = 4;
/// The directory or a part of its state was moved or removed. Close and open it again.
pub const CDRLOG_NOTICE_LOCK_REPLACED: cdrlog_notice = 5;
/// The appender gave up: nothing is accepted any more.
pub const CDRLOG_NOTICE_GAVE_UP: cdrlog_notice = 6;
/// There is no inbox: accepted events that are not journaled do not outlive the process.
pub const CDRLOG_NOTICE_NO_INBOX: cdrlog_notice = 7;
/// Another program removed the inbox. Close the appender and open it again.
pub const CDRLOG_NOTICE_INBOX_REMOVED: cdrlog_notice = 8;
/// A sealed file could not be listed, compressed or removed. No line is affected.
pub const CDRLOG_NOTICE_MAINTENANCE_FAILS: cdrlog_notice = 9;
/// The clock jumped forward. Retention by age waits until it is trusted.
pub const CDRLOG_NOTICE_CLOCK_JUMPED: cdrlog_notice = 10;
/// The directory has CDR files that cdrlog did not create there. They are left alone.
pub const CDRLOG_NOTICE_FOREIGN_FILES: cdrlog_notice = 11;
/// Retention removed a file. Not a problem.
pub const CDRLOG_NOTICE_FILE_REMOVED: cdrlog_notice = 12;
/// What a program that ships the directory still needs cannot be read. No file is removed
/// meanwhile.
pub const CDRLOG_NOTICE_PIN_UNREADABLE: cdrlog_notice = 13;

/// A callback for notices. message is a sentence in UTF-8 for the log, valid until the callback
/// returns.
///
/// It must not end by longjmp or by an exception. cdrlog_flush, cdrlog_sync, cdrlog_rotate,
/// cdrlog_wait_for_maintenance, cdrlog_acks_wait and a close return CDRLOG_WOULD_DEADLOCK in it, and
/// so does a send that would have to wait.
pub type cdrlog_notice_callback = Option<
    unsafe extern "C" fn(context: *mut c_void, notice: cdrlog_notice, message: *const c_char),
>;

/// Passes notices to the callback, if there is one.
pub(crate) fn listener(
    callback: cdrlog_notice_callback,
    context: Context,
) -> impl Fn(&Notice) + Send + Sync + 'static {
    move |notice| {
        let context = &context;
        let Some(callback) = callback else { return };
        let message = c_string(notice);
        callback::run(|| {
            #[expect(unsafe_code, reason = "a function of C")]
            // SAFETY: the embedder gave this function for this context, and the message is valid
            // until it returns.
            unsafe {
                callback(context.0, kind(notice), message.as_ptr());
            }
        });
    }
}

const fn kind(notice: &Notice) -> cdrlog_notice {
    match notice {
        Notice::WritesFail(_) => CDRLOG_NOTICE_WRITES_FAIL,
        Notice::WritesGoOn { .. } => CDRLOG_NOTICE_WRITES_GO_ON,
        Notice::SyncFailed(_) => CDRLOG_NOTICE_SYNC_FAILED,
        Notice::ChangedByOthers(_) => CDRLOG_NOTICE_CHANGED_BY_OTHERS,
        Notice::LockReplaced(_) => CDRLOG_NOTICE_LOCK_REPLACED,
        Notice::GaveUp(_) => CDRLOG_NOTICE_GAVE_UP,
        Notice::NoInbox { .. } => CDRLOG_NOTICE_NO_INBOX,
        Notice::InboxRemoved(_) => CDRLOG_NOTICE_INBOX_REMOVED,
        Notice::MaintenanceFails(_) => CDRLOG_NOTICE_MAINTENANCE_FAILS,
        Notice::ClockJumped { .. } => CDRLOG_NOTICE_CLOCK_JUMPED,
        Notice::ForeignFiles { .. } => CDRLOG_NOTICE_FOREIGN_FILES,
        Notice::FileRemoved { .. } => CDRLOG_NOTICE_FILE_REMOVED,
        Notice::PinUnreadable { .. } => CDRLOG_NOTICE_PIN_UNREADABLE,
        _ => CDRLOG_NOTICE_OTHER,
    }
}
