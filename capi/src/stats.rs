//! Counters, as numbers in an order that only grows at its end.

#![expect(unsafe_code, reason = "functions of C")]

use std::ffi::{CString, c_char};
use std::sync::OnceLock;

use cdrlog_core::Stats;

use crate::appender::cdrlog_appender;
use crate::boundary::boundary;
use crate::counters;
use crate::failure::Failure;
use crate::result::cdrlog_result::{self, *};

/// How many counters there are. A later version may have more of them, at the end.
#[unsafe(no_mangle)]
pub extern "C" fn cdrlog_stats_count() -> usize {
    Stats::default().iter().len()
}

/// The name of a counter, such as "events_journaled": index is from 0 to cdrlog_stats_count. The
/// name starts or ends with its unit; names that end in "_queued" are gauges, all others only grow.
/// NULL if there is no such counter. The string is never freed.
#[unsafe(no_mangle)]
pub extern "C" fn cdrlog_stats_name(index: usize) -> *const c_char {
    static NAMES: OnceLock<Vec<CString>> = OnceLock::new();
    let names = NAMES.get_or_init(|| {
        Stats::default().iter().map(|(name, _)| CString::new(name).unwrap_or_default()).collect()
    });
    names.get(index).map_or(std::ptr::null(), |name| name.as_ptr())
}

/// A snapshot of all counters since the open, in the order of cdrlog_stats_name. Never waits.
///
/// Stores how many there are in *values_count, if that is not NULL. CDRLOG_BUFFER_TOO_SMALL: values
/// has room for fewer; as many as fit were stored.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_stats(
    appender: *const cdrlog_appender,
    values: *mut u64,
    values_capacity: usize,
    values_count: *mut usize,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let stats = arguments.opened(appender)?.appender().stats();
            counters::store(arguments, &stats, values, values_capacity, values_count)
        })
    }
}

/// One counter by its name. CDRLOG_INVALID_ARGUMENT: there is none of that name.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_stat(
    appender: *const cdrlog_appender,
    name: *const c_char,
    value: *mut u64,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let mut place = arguments.place(value, c"value")?;
            let name = arguments.string(name, c"name")?.to_bytes();
            let stats = arguments.opened(appender)?.appender().stats();
            let found = stats.iter().find(|(known, _)| known.as_bytes() == name);
            let (_, value) = found.ok_or_else(|| {
                let name = String::from_utf8_lossy(name);
                Failure::new(
                    CDRLOG_INVALID_ARGUMENT,
                    format_args!("there is no counter \"{name}\""),
                )
            })?;
            place.set(value);
            Ok(())
        })
    }
}
