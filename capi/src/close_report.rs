//! `cdrlog_close_report`: what a close came to.

#![expect(unsafe_code, reason = "functions of C")]

use std::sync::Arc;

use cdrlog_core::{Bytes, CloseError, Stats};

use crate::boundary::{boundary, boundary_or};
use crate::counters;
use crate::failure::Failure;
use crate::handle::handle;
use crate::result::cdrlog_result::{self, *};

/// What a close came to.
///
/// Lifetime: from cdrlog_close_with_report to cdrlog_close_report_free, and so the events that it
/// gives.
/// Threads: any number may read it at the same time.
pub struct cdrlog_close_report;

pub(crate) struct Ending {
    stats: Stats,
    journal_is_in_place: bool,
    events: Vec<Bytes>,
}

handle!(cdrlog_close_report, 6, Arc<Ending>);

impl Ending {
    pub(crate) fn new(closed: Result<Stats, CloseError>) -> Self {
        match closed {
            Ok(stats) => Self { stats, journal_is_in_place: true, events: Vec::new() },
            Err(error) => Self {
                stats: *error.stats(),
                journal_is_in_place: error.journal_is_in_place(),
                events: error.into_events(),
            },
        }
    }
}

/// The counters at the end, as cdrlog_stats gives them.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_close_report_stats(
    report: *const cdrlog_close_report,
    values: *mut u64,
    values_capacity: usize,
    values_count: *mut usize,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let ending = arguments.slot(report)?.with(|ending| ending.clone())?;
            counters::store(arguments, &ending.stats, values, values_capacity, values_count)
        })
    }
}

/// Whether the journal is where it was opened. If false, another program removed or moved the
/// directory or .cdrlog in it, and opening the same path recovers nothing. False for a wrong handle
/// too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_close_report_journal_is_in_place(
    report: *const cdrlog_close_report,
) -> bool {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary_or(false, |arguments| {
            arguments.slot(report)?.with(|ending| ending.journal_is_in_place)
        })
    }
}

/// How many events were accepted, could not be journaled, and are given back; 0 for a wrong handle
/// too.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_close_report_event_count(
    report: *const cdrlog_close_report,
) -> usize {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary_or(0, |arguments| arguments.slot(report)?.with(|ending| ending.events.len()))
    }
}

/// One of these events, in the order of sending: index is from 0 to the count. Stores its start in
/// *event and its length in *event_bytes; it stays valid until the report is freed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_close_report_event(
    report: *const cdrlog_close_report,
    index: usize,
    event: *mut *const u8,
    event_bytes: *mut usize,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe {
        boundary(|arguments| {
            let mut event = arguments.place(event, c"event")?;
            let mut event_bytes = arguments.place(event_bytes, c"event_bytes")?;
            let ending = arguments.slot(report)?.with(|ending| ending.clone())?;
            let found = ending.events.get(index).ok_or(Failure::fixed(
                CDRLOG_INVALID_ARGUMENT,
                c"index is not less than the number of events",
            ))?;
            event.set(found.as_ptr());
            event_bytes.set(found.len());
            Ok(())
        })
    }
}

/// Frees the report. NULL is allowed.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn cdrlog_close_report_free(
    report: *mut cdrlog_close_report,
) -> cdrlog_result {
    // SAFETY: the pointers are what the header demands.
    unsafe { boundary(|arguments| arguments.end(report).map(drop)) }
}
