//! `cdrlog_options`: one setter for each option.

#![expect(unsafe_code, reason = "functions of C")]

use std::ffi::{c_char, c_void};
use std::time::Duration;

use cdrlog_core::{Appender, Builder, Compression, SyncPolicy};

use crate::boundary::{boundary, boundary_or};
use crate::callback::Context;
use crate::failure::Failure;
use crate::handle::{handle, handle_of};
use crate::notice::{self, cdrlog_notice_callback};
use crate::panics;
use crate::result::cdrlog_result::{self, *};

/// Options of an appender.
///
/// Lifetime: from cdrlog_options_new to cdrlog_options_free. cdrlog_open copies them, so they may
/// be freed right after it.
/// Threads: any thread may use it; calls at the same time wait for each other.
pub struct cdrlog_options;

handle!(cdrlog_options, 1, Builder);

/// No time limit, for options and functions that take a time.
pub const CDRLOG_FOREVER: u64 = u64::MAX;
/// No limit, for cdrlog_options_set_retention_bytes.
pub const CDRLOG_UNLIMITED: u64 = u64::MAX;

/// When written lines are synced: one of the CDRLOG_SYNC constants.
pub type cdrlog_sync_policy = u32;
/// Never, not even on close. The kernel writes data back after about 30 seconds.
pub const CDRLOG_SYNC_NEVER: cdrlog_sync_policy = 0;
/// A given time after the last sync, if anything was written since, and on close.
pub const CDRLOG_SYNC_INTERVAL: cdrlog_sync_policy = 1;
/// After every write; all that arrives during one sync shares the next.
pub const CDRLOG_SYNC_ALWAYS: cdrlog_sync_policy = 2;

/// How sealed files are compressed: one of the CDRLOG_COMPRESSION constants.
pub type cdrlog_compression = u32;
/// Not compressed.
pub const CDRLOG_COMPRESSION_NONE: cdrlog_compression = 0;
/// zstd, level 3, with a checksum.
pub const CDRLOG_COMPRESSION_ZSTD: cdrlog_compression = 1;
/// gzip, level 6. Slower and larger than zstd.
pub const CDRLOG_COMPRESSION_GZIP: cdrlog_compression = 2;

/// Options for an appender to this directory, which cdrlog_open creates if it does not exist. A
/// relative path is resolved by cdrlog_open.
///
/// Returns NULL if directory is NULL or empty. Free the options with cdrlog_options_free.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_new(directory: *const c_char) -> *mut cdrlog_options {
    panics::silence();
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary_or(std::ptr::null_mut(), |arguments| {
            let directory = arguments.path(directory, c"directory")?;
            Ok(handle_of(Appender::builder(directory)))
        })
    }
}

/// Frees the options. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_free(options: *mut cdrlog_options) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { boundary(|arguments| arguments.end(options).map(drop)) }
}

/// # Safety
///
/// The promise of [`Arguments`].
unsafe fn change(
    options: *mut cdrlog_options,
    set: impl FnOnce(Builder) -> Result<Builder, Failure>,
) -> cdrlog_result {
    // SAFETY: the promise of the caller.
    unsafe {
        boundary(|arguments| {
            let slot = arguments.slot(options.cast_const())?;
            slot.with(|builder| {
                *builder = set(builder.clone())?;
                Ok(())
            })?
        })
    }
}

/// The number of events in the queue above which cdrlog_send waits. From 1 to 16 777 216. Default:
/// 32 768.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_queue_events_max(
    options: *mut cdrlog_options,
    events: usize,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, |builder| Ok(builder.queue_events_max(events))) }
}

/// The bytes of events in the queue above which cdrlog_send waits; each event counts 64 bytes more
/// than its length. The inbox takes as much memory and an eighth more, but at most a quarter of what
/// is free there, all of it at the open. From 1 to 16 GiB. Default: 16 MiB.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_queue_bytes_max(
    options: *mut cdrlog_options,
    bytes: usize,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, |builder| Ok(builder.queue_bytes_max(bytes))) }
}

/// The length above which a body is rejected, in bytes. From 1 to segment_bytes. Default: 1 MiB.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_event_bytes_max(
    options: *mut cdrlog_options,
    bytes: usize,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, |builder| Ok(builder.event_bytes_max(bytes))) }
}

/// The number of segments in the ring of the journal. From 2 to 64. Default: 4.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_segment_count(
    options: *mut cdrlog_options,
    segments: usize,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, |builder| Ok(builder.segment_count(segments))) }
}

/// The length of a segment of the journal in bytes. From event_bytes_max to 1 GiB, rounded up to
/// 4 KiB. Default: 1 MiB.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_segment_bytes(
    options: *mut cdrlog_options,
    bytes: usize,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, |builder| Ok(builder.segment_bytes(bytes))) }
}

/// The time from sending an event until its line is in the file, at most, while the disk keeps up.
/// In milliseconds, from 1 to 60 000. Default: 20.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_flush_interval_ms(
    options: *mut cdrlog_options,
    milliseconds: u64,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        change(options, |builder| Ok(builder.flush_interval(Duration::from_millis(milliseconds))))
    }
}

/// How long writes may fail before the appender gives up, in milliseconds; with 0 it gives up at
/// the first failure. Default: CDRLOG_FOREVER.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_write_retry_timeout_ms(
    options: *mut cdrlog_options,
    milliseconds: u64,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        change(options, |builder| {
            Ok(builder.write_retry_timeout(Duration::from_millis(milliseconds)))
        })
    }
}

/// How long a close retries writes that fail, in milliseconds. Default: 5 000.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_close_timeout_ms(
    options: *mut cdrlog_options,
    milliseconds: u64,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        change(options, |builder| Ok(builder.close_timeout(Duration::from_millis(milliseconds))))
    }
}

/// Whether names of files have UTC and not local time. Default: false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_utc(
    options: *mut cdrlog_options,
    utc: bool,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, |builder| Ok(builder.utc(utc))) }
}

/// Whether the first line of a new day starts a new file. Default: true.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_rotate_daily(
    options: *mut cdrlog_options,
    daily: bool,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, |builder| Ok(builder.rotate_daily(daily))) }
}

/// The length of a file in bytes above which a new one is started. At least 1. Default: no limit.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_rotate_bytes(
    options: *mut cdrlog_options,
    bytes: u64,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, |builder| Ok(builder.rotate_bytes(bytes))) }
}

/// How long a file is kept after the last write to it, in seconds, at least 1; CDRLOG_FOREVER keeps
/// it. Default: 2 592 000, which is 30 days.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_retention_age_s(
    options: *mut cdrlog_options,
    seconds: u64,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        change(options, |builder| {
            Ok(builder
                .retention_age((seconds != CDRLOG_FOREVER).then_some(Duration::from_secs(seconds))))
        })
    }
}

/// The length of all files together in bytes above which the oldest are removed. At least 1;
/// CDRLOG_UNLIMITED removes none. Default: 20 000 000 000.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_retention_bytes(
    options: *mut cdrlog_options,
    bytes: u64,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        change(options, |builder| {
            Ok(builder.retention_bytes((bytes != CDRLOG_UNLIMITED).then_some(bytes)))
        })
    }
}

/// Whether compression and retention also apply to CDR files in the directory that cdrlog did not
/// create there. Default: false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_manage_foreign(
    options: *mut cdrlog_options,
    manage: bool,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, |builder| Ok(builder.manage_foreign(manage))) }
}

/// Whether to note on the disk, once a second, up to which time all that was accepted is synced,
/// for programs that ship the directory elsewhere. Default: false.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_time_marks(
    options: *mut cdrlog_options,
    time_marks: bool,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, |builder| Ok(builder.time_marks(time_marks))) }
}

/// When written lines are synced: interval_ms, at least 1, is for CDRLOG_SYNC_INTERVAL alone.
/// Default: CDRLOG_SYNC_INTERVAL with 1 000.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_sync_policy(
    options: *mut cdrlog_options,
    policy: cdrlog_sync_policy,
    interval_ms: u64,
) -> cdrlog_result {
    let set = |builder: Builder| {
        Ok(builder.sync_policy(match policy {
            CDRLOG_SYNC_NEVER => SyncPolicy::Never,
            CDRLOG_SYNC_INTERVAL => SyncPolicy::Interval(Duration::from_millis(interval_ms)),
            CDRLOG_SYNC_ALWAYS => SyncPolicy::Always,
            _ => return Err(unknown(c"policy is none of the CDRLOG_SYNC constants")),
        }))
    };
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, set) }
}

/// How sealed files are compressed. Default: CDRLOG_COMPRESSION_NONE.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_compression(
    options: *mut cdrlog_options,
    compression: cdrlog_compression,
) -> cdrlog_result {
    let set = |builder: Builder| {
        Ok(builder.compression(match compression {
            CDRLOG_COMPRESSION_NONE => Compression::None,
            CDRLOG_COMPRESSION_ZSTD => Compression::Zstd,
            CDRLOG_COMPRESSION_GZIP => Compression::Gzip,
            _ => return Err(unknown(c"compression is none of the CDRLOG_COMPRESSION constants")),
        }))
    };
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, set) }
}

/// The directory of the inbox, in which accepted events outlive the process; it must be on a tmpfs.
/// NULL turns the inbox off: if the process dies, events that are not journaled are lost. Default:
/// /dev/shm.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_inbox_directory(
    options: *mut cdrlog_options,
    directory: *const c_char,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let slot = arguments.slot(options.cast_const())?;
            let directory = match directory.is_null() {
                true => None,
                false => Some(arguments.path(directory, c"directory")?),
            };
            slot.with(|builder| {
                let changed = builder.clone();
                *builder = match directory {
                    Some(directory) => changed.inbox_directory(directory),
                    None => changed.no_inbox(),
                };
            })
        })
    }
}

/// A callback for what an operator should know: failed writes and syncs, their end, and the other
/// CDRLOG_NOTICE constants. NULL sets none. Default: none.
///
/// It is called from threads of cdrlog, several at the same time maybe, and from the thread that
/// calls cdrlog_open; until the appender is closed. No line is written meanwhile, so it should hand
/// on the message and return.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_options_set_notice_callback(
    options: *mut cdrlog_options,
    callback: cdrlog_notice_callback,
    context: *mut c_void,
) -> cdrlog_result {
    let listener = notice::listener(callback, Context(context));
    // SAFETY: the pointers are what the header demands.
    unsafe { change(options, |builder| Ok(builder.on_notice(listener))) }
}

const fn unknown(message: &'static std::ffi::CStr) -> Failure {
    Failure::fixed(CDRLOG_INVALID_ARGUMENT, message)
}
