//! Reads the record: follows its end for all viewers, and reads a past span for one who asks.

use std::error::Error;
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cdrlog::reader::{FileKind, Line, Lines, ReadError};
use cdrlog::{LineCheck, Reader};
use jiff::Timestamp;

use super::board::{Disk, Shipping};
use super::hub::Hub;
use super::series::MINUTE_MS;
use super::view::View;
use crate::stats::record_of;
use crate::tail::{Filter, Source};

/// The span of the live view: a day of any viewer, even one of 25 hours, and what is under way.
pub(super) const LIVE_MS: i64 = 26 * 3_600_000;

/// Clocks of servers are not exact.
const AHEAD_MS: i64 = 5 * MINUTE_MS;

/// How often the live span moves on, and the space of the disk is looked at.
const ADVANCE_INTERVAL: Duration = Duration::from_secs(1);

/// How long it waits for new lines. It ends within this time.
const WAIT: Duration = Duration::from_millis(100);

/// How long it waits after it could not read.
const AFTER_FAULT: Duration = Duration::from_secs(2);

/// How long it leaves the state to others who wait for it.
const MAKE_WAY: Duration = Duration::from_micros(200);

pub(super) fn now_ms() -> i64 {
    Timestamp::now().as_millisecond()
}

/// The span of the live view at this time.
pub(super) fn live_span(now_ms: i64) -> Range<i64> {
    now_ms + AHEAD_MS - LIVE_MS..now_ms + AHEAD_MS
}

/// Follows the directory until `stop`. A directory that cannot be read is tried again.
pub(super) fn follow(directory: &Path, hub: &Hub, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        let Err(error) = follow_to_fault(directory, hub, stop) else { return };
        hub.live().fault = Some(error.to_string());
        tracing::warn!(%error, "the page cannot read the record; it tries again");
        let begin = Instant::now();
        while begin.elapsed() < AFTER_FAULT && !stop.load(Ordering::Relaxed) {
            std::thread::sleep(WAIT);
        }
        // What was read before is read again.
        hub.live().view = View::new(live_span(now_ms()));
    }
}

fn follow_to_fault(directory: &Path, hub: &Hub, stop: &AtomicBool) -> Result<(), Box<dyn Error>> {
    let since = Some(Timestamp::from_millisecond(live_span(now_ms()).start)?);
    let mut cdr = open(directory, FileKind::Cdr, since, None, true)?;
    let mut rejects = open(directory, FileKind::Rejects, since, None, true)?;
    let mut check = LineCheck::new();
    let mut advanced = None;
    hub.live().fault = None;
    while !stop.load(Ordering::Relaxed) {
        // The state is locked only once a block of lines is in memory: a disk that stands still does
        // not keep viewers from being told so.
        let has_read = take_block(&mut cdr, |lines| {
            let mut live = hub.live();
            for line in lines.iter() {
                // An error is counted there, as no event.
                let _ = live.view.take(line.bytes_with_end());
            }
        })?;
        let has_rejects = take_block(&mut rejects, |lines| {
            let mut live = hub.live();
            for line in lines.iter() {
                if let Some(record) = record_of(line, &mut check) {
                    live.view.take_rejected(record.at, &record.reason);
                }
            }
        })?;
        let is_idle = !has_read && !has_rejects;
        if advanced.is_none_or(|at: Instant| at.elapsed() >= ADVANCE_INTERVAL) {
            advanced = Some(Instant::now());
            let (disk, shipping) = (Disk::of(directory), Shipping::of(directory));
            let mut live = hub.live();
            live.view.advance(live_span(now_ms()).end);
            if live.is_caught_up {
                // Events that are not there now are late.
                live.view.note_read_up_to(now_ms() - AHEAD_MS);
            }
            (live.disk, live.shipping) = (disk, shipping);
        }
        if is_idle {
            hub.live().note_caught_up();
            cdr.wait(WAIT);
        } else if hub.is_asked() {
            std::thread::sleep(MAKE_WAY);
        }
    }
    Ok(())
}

/// Takes the lines of a block, if there are any. Returns whether there may be more. A line that is
/// too long and a damaged compressed file are skipped.
fn take_block(reader: &mut Reader, take: impl FnOnce(Lines<'_>)) -> Result<bool, ReadError> {
    match reader.next_lines() {
        Ok(Some(lines)) => take(lines),
        Ok(None) => return Ok(false),
        Err(ReadError::LineTooLong { .. }) => {}
        Err(ReadError::Io { action: "open" | "read", .. }) => reader.skip_file(),
        Err(error) => return Err(error),
    }
    Ok(true)
}

/// A reader of the files that may hold something of this time.
fn open(
    directory: &Path,
    kind: FileKind,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
    follow: bool,
) -> Result<Reader, Box<dyn Error>> {
    let metadata = crate::cdr_path::metadata(directory)?;
    let source = Source::new(directory, &metadata, kind, until)?;
    let begin = source.start(None, &Filter::new(&[], None, None, None), since)?;
    let builder = source.reader().follow(follow);
    Ok(match begin {
        Some(begin) => builder.begin_at(begin),
        None => builder,
    }
    .open()?)
}

/// Reads all lines of the files that may hold something of a span. Returns early, with `false`, if
/// `stop` says so or `take` returns false.
pub(super) fn read_span(
    directory: &Path,
    kind: FileKind,
    span: &Range<i64>,
    stop: &AtomicBool,
    mut take: impl FnMut(Line<'_>) -> bool,
) -> Result<bool, Box<dyn Error>> {
    let time = |ms| Timestamp::from_millisecond(ms).map(Some);
    let mut reader = open(directory, kind, time(span.start)?, time(span.end)?, false)?;
    let mut goes_on = true;
    let mut has_more = true;
    while has_more && goes_on && !stop.load(Ordering::Relaxed) {
        has_more = take_block(&mut reader, |lines| {
            goes_on = lines.iter().all(&mut take);
        })?;
    }
    Ok(!has_more && goes_on)
}

/// What the page shows of a past span. `None` if `stop` said so.
pub(super) fn view_of(
    directory: &Path,
    span: &Range<i64>,
    stop: &AtomicBool,
) -> Result<Option<View>, Box<dyn Error>> {
    let mut view = View::new(span.clone());
    let is_whole = read_span(directory, FileKind::Cdr, span, stop, |line| {
        if line.is_whole() {
            // An error is counted there, as no event.
            let _ = view.take(line.bytes_with_end());
        }
        true
    })?;
    let mut check = LineCheck::new();
    let has_rejects = read_span(directory, FileKind::Rejects, span, stop, |line| {
        if let Some(record) = record_of(line, &mut check)
            && record.at.is_some_and(|at| span.contains(&at))
        {
            view.take_rejected(record.at, &record.reason);
        }
        true
    })?;
    view.finish();
    Ok((is_whole && has_rejects).then_some(view))
}
