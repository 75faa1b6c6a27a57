//! Errors for JavaScript: a code, a line feed, a message. `index.js` takes them apart.

use std::fmt::Display;

use cdrlog::reader::ReadError;
use cdrlog::{AckError, FlushError, MaintenanceError, OpenError};
use napi::Error;

fn failure(code: &str, message: impl Display) -> Error {
    Error::from_reason(format!("{code}\n{message}"))
}

pub fn closed() -> Error {
    failure("CLOSED", "the appender is closed")
}

pub fn argument(message: impl Display) -> Error {
    failure("INVALID_ARGUMENT", message)
}

pub fn rejected(message: impl Display) -> Error {
    failure("REJECTED", message)
}

pub fn read(error: &ReadError) -> Error {
    let code = match error {
        ReadError::LineTooLong { .. } => "LINE_TOO_LONG",
        ReadError::NoSuchPosition { .. } => "NO_SUCH_POSITION",
        ReadError::PositionGone { .. } => "POSITION_GONE",
        _ => "IO",
    };
    failure(code, error)
}

pub fn open(error: &OpenError) -> Error {
    let code = match error {
        OpenError::InvalidOption { .. } => "INVALID_ARGUMENT",
        OpenError::Locked { .. } => "LOCKED",
        OpenError::Damaged { .. } => "DAMAGED",
        _ => "IO",
    };
    failure(code, error)
}

pub fn flush(error: &FlushError) -> Error {
    flush_because(error, error)
}

/// An error because of this one.
pub fn flush_because(cause: &FlushError, message: impl Display) -> Error {
    let code = match cause {
        FlushError::Sync { .. } => "SYNC_FAILED",
        FlushError::Closed => "CLOSED",
        _ => "IO",
    };
    failure(code, message)
}

pub fn maintenance(error: &MaintenanceError) -> Error {
    let code = match error {
        MaintenanceError::Sync { .. } => "SYNC_FAILED",
        MaintenanceError::Differs { .. } | MaintenanceError::Changed { .. } => "SEALED_FILE",
        MaintenanceError::Closed => "CLOSED",
        _ => "IO",
    };
    failure(code, error)
}

pub fn ack(error: &AckError) -> Error {
    match error {
        AckError::Rejected(rejection) => rejected(rejection),
        AckError::Failed(error) => flush(error),
        error => failure("IO", error),
    }
}
