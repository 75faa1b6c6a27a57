//! The rejected bodies, by reason.

use cdrlog::reader::ReadError;
use cdrlog::{LineCheck, reader::Line};

use super::names::NameCounts;
use super::period::Span;
use crate::count::inputs::Inputs;
use crate::count::line::{Members, number, text};
use crate::count::merge::LineListener;

/// The reason that counts lines of a rejects file that are not records.
const NO_RECORD: &[u8] = b"(not a record)";

/// The totals of the rejects files of the directories.
#[derive(Debug, Default)]
pub(super) struct Rejects {
    pub(super) count: u64,
    /// Most frequent first.
    pub(super) reasons: Vec<(String, u64)>,
}

impl Rejects {
    /// Reads all rejects files. Records whose time is outside `period` are not counted.
    pub(super) fn read(inputs: &Inputs, period: &Span, listener: &mut impl LineListener) -> Self {
        let mut counts = NameCounts::default();
        let mut count = 0;
        for input in &inputs.rejects {
            let mut reader = match input.open(0) {
                Ok(reader) => reader,
                Err(error) => {
                    listener.fail(&error);
                    continue;
                }
            };
            let mut check = LineCheck::new();
            loop {
                match reader.next_lines() {
                    Ok(Some(piece)) => {
                        for line in piece.lines.iter() {
                            if let Some(reason) = reason_of(line, &mut check, period) {
                                count += 1;
                                counts.add(&reason);
                            }
                        }
                    }
                    Ok(None) => break,
                    Err(error) => {
                        listener.fail(&error);
                        if !matches!(error, ReadError::LineTooLong { .. }) {
                            break;
                        }
                    }
                }
            }
            reader.take_remarks().iter().for_each(|remark| listener.remark(remark));
        }
        Self { count, reasons: counts.into_sorted() }
    }
}

/// Why the body of a record was rejected; `None` if it is not to be counted.
fn reason_of<'a>(line: Line<'a>, check: &mut LineCheck, period: &Span) -> Option<Reason<'a>> {
    let record = record_of(line, check)?;
    let is_within = record.at.is_none_or(|at| period.contains(&at));
    is_within.then_some(record.reason)
}

/// A record of a rejects file.
pub(crate) struct Record<'a> {
    /// When its body came, in milliseconds since 1970.
    pub(crate) at: Option<i64>,
    /// Why it was rejected.
    pub(crate) reason: Reason<'a>,
}

/// The record of a line; `None` if the line is still being written.
pub(crate) fn record_of<'a>(line: Line<'a>, check: &mut LineCheck) -> Option<Record<'a>> {
    if !line.is_whole() {
        return None;
    }
    if check.record(line.bytes_with_end()).is_err() {
        return Some(Record { at: None, reason: NO_RECORD.into() });
    }
    let (mut reason, mut at) = (None, None);
    // The body comes last, and may be long.
    for (key, value) in Members::of_object(line.bytes()) {
        match key.as_ref() {
            b"reason" => reason = text(value),
            b"at" => at = number(value),
            _ => {}
        }
        if reason.is_some() && at.is_some() {
            break;
        }
    }
    let at = at.map(|at| at as i64);
    Some(Record { at, reason: reason.unwrap_or(NO_RECORD.into()) })
}

pub(crate) type Reason<'a> = std::borrow::Cow<'a, [u8]>;
