//! The errors of the library as exceptions, by what the caller can do.

use std::io;
use std::path::Path;

use cdrlog::reader::ReadError;
use cdrlog::{AckError, CloseError, FlushError, MaintenanceError, OpenError, Rejection, SendError};
use pyo3::PyErr;
use pyo3::exceptions::PyValueError;

pyo3::import_exception!(cdrlog._errors, Closed);
pyo3::import_exception!(cdrlog._errors, Damaged);
pyo3::import_exception!(cdrlog._errors, Error);
pyo3::import_exception!(cdrlog._errors, IoError);
pyo3::import_exception!(cdrlog._errors, LineTooLong);
pyo3::import_exception!(cdrlog._errors, Locked);
pyo3::import_exception!(cdrlog._errors, NoSuchPosition);
pyo3::import_exception!(cdrlog._errors, PositionGone);
pyo3::import_exception!(cdrlog._errors, Rejected);
pyo3::import_exception!(cdrlog._errors, SealedFile);
pyo3::import_exception!(cdrlog._errors, SyncFailed);
pyo3::import_exception!(cdrlog._errors, WouldDeadlock);

/// What an `OSError` is made of: its number, what went wrong, the file.
fn system(source: &io::Error, message: String, path: &Path) -> (i32, String, String) {
    (source.raw_os_error().unwrap_or(0), message, path.display().to_string())
}

/// `ENOENT` of Linux.
const NO_SUCH_FILE: i32 = 2;

pub fn closed() -> PyErr {
    Closed::new_err("the appender is closed")
}

pub fn open(error: OpenError) -> PyErr {
    let message = error.to_string();
    match error {
        OpenError::InvalidOption { .. } => PyValueError::new_err(message),
        OpenError::Locked { .. } => Locked::new_err(message),
        OpenError::Damaged { .. } => Damaged::new_err(message),
        OpenError::Io { path, source, .. } => IoError::new_err(system(&source, message, &path)),
        _ => Error::new_err(message),
    }
}

pub fn send(_: SendError) -> PyErr {
    closed()
}

pub fn flush(error: FlushError) -> PyErr {
    flush_because(&error, error.to_string())
}

fn flush_because(error: &FlushError, message: String) -> PyErr {
    match error {
        FlushError::Write { path, source } => IoError::new_err(system(source, message, path)),
        FlushError::Sync { path, source } => SyncFailed::new_err(system(source, message, path)),
        FlushError::Closed => Closed::new_err(message),
        _ => Error::new_err(message),
    }
}

pub fn close(error: &CloseError) -> PyErr {
    flush_because(error.cause(), error.to_string())
}

pub fn maintenance(error: MaintenanceError) -> PyErr {
    let message = error.to_string();
    match error {
        MaintenanceError::Io { path, source, .. } => {
            IoError::new_err(system(&source, message, &path))
        }
        MaintenanceError::Sync { path, source } => {
            SyncFailed::new_err(system(&source, message, &path))
        }
        MaintenanceError::Differs { .. } | MaintenanceError::Changed { .. } => {
            SealedFile::new_err(message)
        }
        MaintenanceError::Closed => Closed::new_err(message),
        _ => Error::new_err(message),
    }
}

pub fn ack(error: AckError) -> PyErr {
    match error {
        AckError::Rejected(rejected) => rejection(rejected),
        AckError::Failed(error) => flush(error),
        error => Error::new_err(error.to_string()),
    }
}

pub fn rejection(rejection: Rejection) -> PyErr {
    Rejected::new_err(rejection.to_string())
}

pub fn read(error: ReadError) -> PyErr {
    let message = error.to_string();
    match error {
        ReadError::Io { path, source, .. } => IoError::new_err(system(&source, message, &path)),
        ReadError::NoDirectory { path } => {
            IoError::new_err((NO_SUCH_FILE, message, path.display().to_string()))
        }
        ReadError::LineTooLong { .. } => LineTooLong::new_err(message),
        ReadError::NoSuchPosition { .. } => NoSuchPosition::new_err(message),
        ReadError::PositionGone { .. } => PositionGone::new_err(message),
        _ => Error::new_err(message),
    }
}
